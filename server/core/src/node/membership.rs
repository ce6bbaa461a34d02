//! Changes of the quorum: they take effect on raft when their entry is handed over as committed.
//!
//! The state machine learns the outcome from an effect just before the entry, and stores it
//! together with the applied index; so a restart begins with the configuration of exactly that
//! index. A change that cannot be made is the same for all members an entry without effect.

use prost::Message as _;
use raft::StateRole;
use raft_proto::ConfChangeI;
use raft_proto::eraftpb::{ConfChange, ConfChangeV2, Entry, EntryType};

use super::{Effect, Effects, Node};

impl Node {
    pub(super) fn apply_conf_changes(&mut self, entries: &[Entry], out: &mut Effects) {
        for entry in entries {
            let Some(change) = conf_change(entry) else { continue };
            if let Ok(conf_state) = self.raw.apply_conf_change(&change) {
                out.push(Effect::ConfChanged { index: entry.index, conf_state });
                self.leave_if_removed();
            }
        }
    }

    /// raft lets a leader go on that is no voter any more, and later looks up its own progress
    /// without fear. Whoever is left elects a new leader.
    fn leave_if_removed(&mut self) {
        let raft = &mut self.raw.raft;
        if raft.state != StateRole::Follower && !raft.promotable() {
            let term = raft.term;
            raft.become_follower(term, 0);
        }
    }
}

fn conf_change(entry: &Entry) -> Option<ConfChangeV2> {
    let data = entry.data.clone();
    match entry.get_entry_type() {
        EntryType::EntryNormal => None,
        EntryType::EntryConfChange => ConfChange::decode(data).ok().map(ConfChangeI::into_v2),
        EntryType::EntryConfChangeV2 => ConfChangeV2::decode(data).ok(),
    }
}
