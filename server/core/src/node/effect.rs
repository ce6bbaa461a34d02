//! Everything a node asks of its shell, as data, in the order it must be done.

use raft_proto::eraftpb::{ConfState, Entry, HardState, Message};

use super::Proposal;

/// One unit of the write-ahead log, made durable as a whole: first the base, then the entries,
/// then the hard state. Entries whose index is at or below an earlier one replace the log from there on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// Counts up by one from 1 over the node's life; comes back as `Input::Persisted`.
    pub number: u64,
    /// The log begins anew after this index and term: all that was in it is void.
    pub base: Option<(u64, u64)>,
    pub entries: Vec<Entry>,
    pub hard_state: Option<HardState>,
}

/// The part this member plays now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Follower,
    Candidate,
    Leader,
}

/// Why a request was given up. Each says whether the write may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No leader was found in time; the write was never proposed.
    NoLeader,
    /// Too much is under way; the write was never proposed.
    TooManyRequests,
    /// Leadership changed while the write was under way: it may or may not happen.
    LeaderChanged,
    /// Another leader was elected while the write was under way, and what became of it did not show
    /// in time: it may or may not happen.
    LeaderFailed,
    /// The way to the leader, or the leader's to a quorum, broke while the write was under way: it
    /// may or may not happen.
    ConnectionLost,
    /// The answer did not come in time: the write may or may not happen.
    Timeout,
}

/// What the shell must do, in order. Closed.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send to `message.to`; may be lost.
    Send(Message),
    /// Append to the log and make durable, then answer `Input::Persisted`.
    Append(Group),
    /// The entry at `index`, in the next [`Commit`](Effect::Commit), changes the quorum to this;
    /// stored together with the entry's effects. A change of the quorum without this effect
    /// before it was refused and changes nothing.
    ConfChanged { index: u64, conf_state: ConfState },
    /// Apply these committed entries, in order; they are durable on a quorum.
    Commit(Vec<Entry>),
    /// These reads may be served once `index` has been applied here.
    ReadReady { ids: Vec<u64>, index: u64 },
    /// Send a client's write to the leader.
    Forward { to: u64, proposal: Proposal },
    /// Answer a follower's forwarded write.
    ForwardResult { to: u64, id: u64, appended: Option<(u64, u64)> },
    /// A read or write of this member's clients is given up.
    Refused { id: u64, refusal: Refusal },
    /// The role, term or leader changed; `leader` is 0 when there is none.
    Role { role: Role, term: u64, leader: u64 },
    /// Read entries `low..high`, which are durable, back from the log, at most `max_bytes` but at
    /// least one, and answer `Input::Fetched`.
    Fetch { low: u64, high: u64, max_bytes: u64 },
    /// The log may forget the entries up to `index` (inclusive). They are applied, stored and
    /// durable.
    Compact { index: u64 },
    /// Hold the newest applied state for peer `to`, in the place of any held for it before, and
    /// answer `Input::SnapshotTaken`.
    TakeSnapshot { to: u64 },
    /// The state held for `to` is no longer wanted. A transfer of it may be given up, and is then
    /// not answered.
    DropSnapshot { to: u64 },
    /// A `MsgSnapshot`: stream the state held for `message.to` together with the message, and
    /// answer `Input::SnapshotSent`, with `ok: false` at once if the state held is not the
    /// one that the message describes.
    SendSnapshot(Message),
    /// Put the received state in the place of this member's own; the log that begins after it
    /// is durable. Answered by `Input::Applied` with this index.
    Install { index: u64, term: u64, conf_state: ConfState },
    /// Raft did not take the received state as of `index`: forget it.
    DiscardSnapshot { index: u64 },
    /// Ask the leader where its log ends, since this member's log, up to `last`, is not complete;
    /// may be lost or arrive twice, and so may the answer, `Input::BoundTold`.
    AskBound { to: u64, nonce: u64, last: u64 },
    /// Answer a member whose log is not complete: in this term ours ended at `index`.
    TellBound { to: u64, nonce: u64, term: u64, index: u64 },
    /// This member has everything again that it ever promised: its log may say so durably, with
    /// all that was appended before.
    LogComplete,
}

/// The effects of one or more steps, in order.
pub type Effects = Vec<Effect>;
