//! When the ways to the other members broke last: why a write was not answered in time.

use std::collections::BTreeMap;

use raft::Raft;

use super::Node;
use super::log::Log;

/// The tick at which a way broke last, by peer. Only peers of this cluster have one.
#[derive(Debug, Default)]
pub(super) struct Links {
    broke: BTreeMap<u64, u64>,
}

impl Links {
    /// Whether the leader, or a quorum if this member leads, could be reached ever since a tick.
    pub(super) fn connected(&self, raft: &Raft<Log>, since: u64) -> bool {
        let whole = |peer: u64| self.broke.get(&peer).is_none_or(|broke| *broke < since);
        if raft.leader_id != raft.id {
            return whole(raft.leader_id);
        }
        let members = raft.prs().iter().map(|(id, _)| *id);
        raft.prs().has_quorum(&members.filter(|id| *id == raft.id || whole(*id)).collect())
    }
}

impl Node {
    /// The way to a peer broke.
    pub(super) fn unreachable(&mut self, peer: u64) {
        self.raw.report_unreachable(peer);
        if self.raw.raft.prs().get(peer).is_some() {
            self.links.broke.insert(peer, self.now);
        }
    }
}
