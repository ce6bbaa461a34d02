//! Everything that can happen to a node.

use bytes::Bytes;
use raft_proto::eraftpb::{ConfState, Entry, Message};

/// A write on its way to the log: an encoded `InternalRaftRequest` and the id its answer is
/// matched by. Ids are unique over members and restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub id: u64,
    pub entry: Bytes,
}

/// What the shell tells the node. Closed: whoever adds a cause adds it here.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // under load most inputs are messages; a box each costs more
pub enum Input {
    /// One heartbeat interval has passed.
    Tick,
    /// A client's write at this member.
    Propose(Proposal),
    /// A write that the follower `from` forwarded to us, believing that we lead.
    Forwarded { from: u64, proposal: Proposal },
    /// The leader's answer to a proposal we forwarded: where it was appended, or `None` if it
    /// was refused and so never proposed.
    ForwardResult { from: u64, id: u64, appended: Option<(u64, u64)> },
    /// A linearizable read wants to know from which applied index on it may be served.
    Read { id: u64 },
    /// A peer's raft message, decoded but not yet checked. A `MsgSnapshot` comes only when the
    /// whole state it describes is durable on this member's disk, under a name of its own.
    Raft(Message),
    /// The stream to `peer` broke, or its queue was full and messages were dropped.
    Unreachable { peer: u64 },
    /// The log made group `number`, and so every group before it, durable.
    Persisted { number: u64 },
    /// The apply thread has applied up to `index`.
    Applied { index: u64 },
    /// Older entries that an [`Effect::Fetch`](super::Effect::Fetch) asked for; fewer than asked
    /// if they were too many.
    Fetched { low: u64, entries: Vec<Entry> },
    /// Hand leadership to `to`.
    TransferLeader { to: u64 },
    /// The backend holds everything up to `index` durably.
    Stored { index: u64 },
    /// The shell holds the state as of `index` for peer `to`, as
    /// [`Effect::TakeSnapshot`](super::Effect::TakeSnapshot) asked.
    SnapshotTaken { to: u64, index: u64, term: u64, conf_state: ConfState },
    /// The transfer that [`Effect::SendSnapshot`](super::Effect::SendSnapshot) began has ended;
    /// `ok` if the peer has the whole state on its disk. `term` is that of the message, `index` of
    /// the state that it describes.
    SnapshotSent { to: u64, term: u64, index: u64, ok: bool },
    /// The member `from`, whose log is not complete and ends at `last`, believes that we lead.
    BoundAsked { from: u64, nonce: u64, last: u64 },
    /// The answer to [`Effect::AskBound`](super::Effect::AskBound).
    BoundTold { from: u64, nonce: u64, term: u64, index: u64 },
}
