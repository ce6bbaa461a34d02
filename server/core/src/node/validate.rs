//! What a peer's message must satisfy before raft sees it.
//!
//! raft trusts its peers and panics on what cannot be. A peer that lost its disk, an old message,
//! or bytes from anywhere must not stop this member: they are dropped with a reason. Peers that
//! lie well can still do harm; only members of the cluster can connect.

use raft::StateRole;
use raft_proto::eraftpb::{Entry, EntryType, Message, MessageType};
use thiserror::Error;

use super::Node;
use super::install::check_description;
use super::log::entry_bytes;
use crate::planted::{self, Bug};

/// Terms and indexes stay far from the end of numbers, where adding one would overflow.
pub(super) const MAX_NUMBER: u64 = 1 << 62;
/// raft's own contexts have up to 19 bytes, ours 24.
const MAX_CONTEXT_BYTES: usize = 64;

/// Why a peer's message was dropped.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Rejection {
    #[error("it is meant for another member")]
    OtherRecipient,
    #[error("its sender is not a member of this cluster")]
    NotAMember,
    #[error("its type is unknown, or no member sends it to another")]
    Type,
    #[error("its term is missing or impossible")]
    Term,
    #[error("its index is impossible")]
    Index,
    #[error("it is larger than allowed")]
    TooLarge,
    #[error("its entries do not follow each other")]
    Entries,
    #[error("its context is not one of ours")]
    Context,
    #[error("it comes from a second leader in one term")]
    SecondLeader,
    #[error(
        "it refers to entries that this member once had: the data under this member id was lost, \
         so remove the member from the cluster and add it again with an empty data directory, or \
         put its own data directory back"
    )]
    LogLost,
    #[error("it was not asked for, or the question is no longer open")]
    NotAsked,
    #[error("its snapshot makes no sense, or contradicts what is committed here")]
    Snapshot,
    #[error("another snapshot is being installed")]
    Installing,
    #[error("it asks for a snapshot, and members leave that to the leader")]
    SnapshotWish,
    #[error("it claims a priority, and members are equal")]
    Priority,
    #[error(
        "it is part of an election, and this member's log was damaged: it votes again when it has \
         got back what was lost"
    )]
    Incomplete,
    #[error("too much waits to be applied or confirmed")]
    Overloaded,
}

impl Node {
    /// Whether raft may see the message.
    pub(super) fn check(&self, message: &Message) -> Result<(), Rejection> {
        let raft = &self.raw.raft;
        if message.to != raft.id {
            return Err(Rejection::OtherRecipient);
        }
        if message.from == raft.id || raft.prs().get(message.from).is_none() {
            return Err(Rejection::NotAMember);
        }
        let kind = MessageType::try_from(message.msg_type).map_err(|_| Rejection::Type)?;
        check_shape(kind, message, self.config.limits.message_bytes)?;
        match kind {
            MessageType::MsgAppend | MessageType::MsgHeartbeat | MessageType::MsgSnapshot => {
                self.check_leader(kind, message)
            }
            MessageType::MsgAppendResponse => self.check_append_response(message),
            MessageType::MsgRequestVoteResponse
            | MessageType::MsgRequestPreVoteResponse
            | MessageType::MsgTimeoutNow => self.check_to_lead(kind, message),
            MessageType::MsgReadIndex => self.check_read_index(message),
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => self.check_complete(),
            MessageType::MsgHeartbeatResponse | MessageType::MsgReadIndexResp => Ok(()),
            // Local to a member, or replaced by effects of ours.
            MessageType::MsgHup
            | MessageType::MsgBeat
            | MessageType::MsgPropose
            | MessageType::MsgUnreachable
            | MessageType::MsgSnapStatus
            | MessageType::MsgCheckQuorum
            | MessageType::MsgTransferLeader => Err(Rejection::Type),
        }
    }

    fn check_leader(&self, kind: MessageType, message: &Message) -> Result<(), Rejection> {
        let raft = &self.raw.raft;
        if message.term < raft.term {
            // Answered, so that a leader of the past learns the term; its content is ignored.
            return Ok(());
        }
        let known = message.term == raft.term && raft.leader_id != 0;
        if known && raft.leader_id != message.from {
            return Err(Rejection::SecondLeader);
        }
        if kind == MessageType::MsgHeartbeat {
            // A leader only says what this member itself acknowledged.
            let has = message.commit <= raft.raft_log.last_index();
            return if has { Ok(()) } else { Err(Rejection::LogLost) };
        }
        if kind == MessageType::MsgSnapshot {
            return self.check_snapshot(message);
        }
        let arrears = self.ready.unapplied_bytes() > self.config.limits.unapplied_bytes;
        if arrears && !message.entries.is_empty() {
            return Err(Rejection::Overloaded);
        }
        Ok(())
    }

    fn check_append_response(&self, message: &Message) -> Result<(), Rejection> {
        let raft = &self.raw.raft;
        if message.request_snapshot != 0 {
            // raft would look for a snapshot even for a peer that needs none, again and again.
            return Err(Rejection::SnapshotWish);
        }
        if raft.state != StateRole::Leader || message.term != raft.term {
            return Ok(());
        }
        let hint_follows = !message.reject || message.reject_hint <= message.index;
        if message.index > raft.raft_log.last_index() || !hint_follows {
            return Err(Rejection::Index);
        }
        Ok(())
    }

    /// Messages that can make this member a leader. All of them answer, directly or not, to what
    /// it said when its whole log was durable, and raft relies on that.
    fn check_to_lead(&self, kind: MessageType, message: &Message) -> Result<(), Rejection> {
        self.check_complete()?;
        let raft = &self.raw.raft;
        if raft.raft_log.persisted != raft.raft_log.last_index() {
            return Err(Rejection::NotAsked);
        }
        let from_leader = message.from == raft.leader_id && message.term == raft.term;
        if kind == MessageType::MsgTimeoutNow && !from_leader {
            return Err(Rejection::NotAsked);
        }
        Ok(())
    }

    fn check_complete(&self) -> Result<(), Rejection> {
        let votes = self.recovery.is_none() || planted::is(Bug::IncompleteVotes);
        if votes { Ok(()) } else { Err(Rejection::Incomplete) }
    }

    fn check_read_index(&self, message: &Message) -> Result<(), Rejection> {
        let raft = &self.raw.raft;
        if raft.state != StateRole::Leader {
            // raft would pass it on; the one who asks does better to ask the leader itself.
            return Err(Rejection::NotAsked);
        }
        if raft.pending_read_count() >= self.config.limits.peer_reads {
            return Err(Rejection::Overloaded);
        }
        if !self.reads.is_new(message.from, &message.entries[0].data) {
            return Err(Rejection::Context);
        }
        Ok(())
    }
}

/// What can be said without knowing the state of this member.
fn check_shape(kind: MessageType, message: &Message, max_bytes: u64) -> Result<(), Rejection> {
    let termless = kind == MessageType::MsgReadIndex;
    if (message.term == 0) != termless || message.term > MAX_NUMBER {
        return Err(Rejection::Term);
    }
    let indexes = [message.index, message.commit, message.reject_hint];
    if indexes.iter().any(|index| *index > MAX_NUMBER) {
        return Err(Rejection::Index);
    }
    if message.priority != 0 || message.deprecated_priority != 0 {
        return Err(Rejection::Priority);
    }
    if message.context.len() > MAX_CONTEXT_BYTES {
        return Err(Rejection::Context);
    }
    match kind {
        MessageType::MsgAppend => {
            // An index beyond our log would otherwise match a missing term.
            if (message.log_term == 0) != (message.index == 0) {
                return Err(Rejection::Term);
            }
            check_entries(message, max_bytes)
        }
        MessageType::MsgSnapshot if message.entries.is_empty() => check_description(message),
        MessageType::MsgReadIndex | MessageType::MsgReadIndexResp => match &*message.entries {
            [entry] if entry.data.len() <= MAX_CONTEXT_BYTES => Ok(()),
            _ => Err(Rejection::Context),
        },
        _ if message.entries.is_empty() => Ok(()),
        _ => Err(Rejection::Entries),
    }
}

/// One after the other, of known types, and in terms from the one before up to the leader's.
fn check_entries(message: &Message, max_bytes: u64) -> Result<(), Rejection> {
    let bytes: u64 = message.entries.iter().map(entry_bytes).sum();
    if bytes > max_bytes {
        return Err(Rejection::TooLarge);
    }
    let (mut index, mut term) = (message.index, message.log_term);
    for Entry { entry_type, index: at, term: in_term, .. } in &message.entries {
        let known = EntryType::try_from(*entry_type).is_ok();
        let follows = *at == index + 1 && *in_term >= term && *in_term > 0;
        if !known || !follows || *in_term > message.term {
            return Err(Rejection::Entries);
        }
        (index, term) = (*at, *in_term);
    }
    Ok(())
}
