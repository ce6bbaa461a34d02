//! What a node knows about itself and its peers, for status, health and metrics.

use raft::{ProgressState, StateRole};

use super::validate::Rejection;
use super::{Node, Role};

/// A node at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub id: u64,
    pub role: Role,
    pub term: u64,
    /// 0 when no leader is known.
    pub leader: u64,
    /// The highest index known to be on a quorum.
    pub committed: u64,
    /// The highest index the state machine has applied here.
    pub applied: u64,
    /// The index of the entry before the first one the log holds.
    pub base: u64,
    pub last_index: u64,
    /// The highest index that is durable here, as far as raft has been told.
    pub persisted: u64,
    /// The log was damaged, and this member does not vote until it has got back what was lost.
    pub incomplete: bool,
    /// Members of the quorum, in order.
    pub voters: Vec<u64>,
    /// Members that only listen, in order.
    pub learners: Vec<u64>,
    /// What a leader knows of the others, in order of id; empty for everyone else.
    pub peers: Vec<PeerStatus>,
    /// Peer messages that were dropped because they made no sense, and the last of them.
    pub rejected: u64,
    pub last_rejection: Option<(u64, Rejection)>,
}

/// How far a peer is, as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    pub id: u64,
    /// The highest index known to be on its disk.
    pub matched: u64,
    /// The next index to send.
    pub next: u64,
    /// It was heard of within the last election timeout or so.
    pub active: bool,
    /// Its log is further behind than ours reaches back.
    pub needs_snapshot: bool,
}

impl Node {
    /// Costs a few allocations, nothing that grows with the log.
    pub fn status(&self) -> Status {
        let raft = &self.raw.raft;
        let conf = raft.prs().conf().to_conf_state();
        let sorted = |mut ids: Vec<u64>| {
            ids.sort_unstable();
            ids
        };
        Status {
            id: raft.id,
            role: role(raft.state),
            term: raft.term,
            leader: raft.leader_id,
            committed: raft.raft_log.committed,
            applied: self.ready.applied(),
            base: raft.store().base(),
            last_index: raft.raft_log.last_index(),
            persisted: raft.raft_log.persisted,
            incomplete: self.recovery.is_some(),
            voters: sorted(conf.voters),
            learners: sorted(conf.learners),
            peers: self.peers(),
            rejected: self.rejected,
            last_rejection: self.last_rejection,
        }
    }

    fn peers(&self) -> Vec<PeerStatus> {
        let raft = &self.raw.raft;
        if raft.state != StateRole::Leader {
            return Vec::new();
        }
        let mut peers: Vec<_> = raft
            .prs()
            .iter()
            .filter(|(id, _)| **id != raft.id)
            .map(|(id, progress)| PeerStatus {
                id: *id,
                matched: progress.matched,
                next: progress.next_idx,
                active: progress.recent_active,
                needs_snapshot: progress.state == ProgressState::Snapshot
                    || progress.next_idx < raft.raft_log.first_index(),
            })
            .collect();
        peers.sort_unstable_by_key(|peer| peer.id);
        peers
    }
}

pub(super) fn role(state: StateRole) -> Role {
    match state {
        StateRole::Follower => Role::Follower,
        StateRole::PreCandidate | StateRole::Candidate => Role::Candidate,
        StateRole::Leader => Role::Leader,
    }
}
