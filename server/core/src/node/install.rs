//! Snapshots from a leader.
//!
//! The state is whole and durable under a name of its own before raft hears of it. If raft takes
//! it, the log begins anew behind it: that group is the point of no return, for a restart puts a
//! state in place that its log begins behind. Only then is the state installed; and everything
//! committed behind it comes later. If raft does not take it, it is discarded.
//!
//! One install at a time: another snapshot is rejected until the shell is done with this one.
//! Should the same come twice, only what remains of the second is discarded, after the install.

use raft_proto::eraftpb::{ConfState, Message, MessageType, Snapshot, SnapshotMetadata};

use super::membership::is_valid;
use super::validate::{MAX_NUMBER, Rejection};
use super::{Effect, Effects, Node};

/// A snapshot that raft took and the shell has not yet installed.
#[derive(Debug)]
pub(super) struct Installing {
    index: u64,
    /// It came again.
    twice: bool,
}

/// What a snapshot's message describes.
#[derive(Clone, Debug)]
pub(super) struct Description {
    pub(super) index: u64,
    pub(super) term: u64,
    pub(super) conf_state: ConfState,
}

impl Description {
    pub(super) fn of(snapshot: &Snapshot) -> Description {
        let SnapshotMetadata { conf_state, index, term } =
            snapshot.metadata.clone().unwrap_or_default();
        Description { index, term, conf_state: conf_state.unwrap_or_default() }
    }
}

impl From<Description> for Effect {
    fn from(Description { index, term, conf_state }: Description) -> Effect {
        Effect::Install { index, term, conf_state }
    }
}

impl Node {
    /// After a snapshot's message: did raft take it?
    pub(super) fn settle_snapshot(&mut self, index: u64, out: &mut Effects) {
        match &mut self.installing {
            Some(installing) if installing.index == index => installing.twice = true,
            None if self.raw.snap().is_some() => {
                self.installing = Some(Installing { index, twice: false });
            }
            _ => out.push(Effect::DiscardSnapshot { index }),
        }
    }

    /// The state machine has applied up to `index`.
    pub(super) fn settle_install(&mut self, index: u64, out: &mut Effects) {
        if let Some(installing) = self.installing.take_if(|installing| installing.index <= index)
            && installing.twice
        {
            out.push(Effect::DiscardSnapshot { index: installing.index });
        }
    }

    /// Whether raft can take the snapshot, or refuse it, without harm.
    pub(super) fn check_snapshot(&self, message: &Message) -> Result<(), Rejection> {
        let raft_log = &self.raw.raft.raft_log;
        if message.term < self.raw.raft.term {
            // Ignored, and then discarded.
            return Ok(());
        }
        if self.installing.is_some() {
            return Err(Rejection::Installing);
        }
        let Description { index, term, .. } = described(message);
        // What is committed does not change, and terms only grow.
        let committed = raft_log.term(raft_log.committed).unwrap_or(0);
        let contradicts = match index.cmp(&raft_log.committed) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => term != committed,
            std::cmp::Ordering::Greater => term < committed,
        };
        if contradicts { Err(Rejection::Snapshot) } else { Ok(()) }
    }
}

/// What can be said of a snapshot's message without knowing the state of this member.
pub(super) fn check_description(message: &Message) -> Result<(), Rejection> {
    let Description { index, term, conf_state } = described(message);
    if !(1..=MAX_NUMBER).contains(&index) || !(1..=message.term).contains(&term) {
        return Err(Rejection::Snapshot);
    }
    let bare = message.snapshot.as_ref().is_some_and(|snapshot| snapshot.data.is_empty());
    if bare && is_valid(&conf_state, message.to) { Ok(()) } else { Err(Rejection::Snapshot) }
}

/// The index of the state that came with a message, if it is a snapshot's.
pub(super) fn snapshot_index(message: &Message) -> Option<u64> {
    let is_snapshot = message.msg_type == MessageType::MsgSnapshot as i32;
    is_snapshot.then(|| described(message).index)
}

fn described(message: &Message) -> Description {
    message.snapshot.as_ref().map_or_else(|| Description::of(&Snapshot::default()), Description::of)
}
