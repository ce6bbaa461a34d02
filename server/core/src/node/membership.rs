//! Changes of the quorum: they take effect on raft when their entry is handed over as committed.
//!
//! The state machine learns the outcome from an effect just before the entry, and stores it
//! together with the applied index; so a restart begins with the configuration of exactly that
//! index. A change that cannot be made is the same for all members an entry without effect.

use std::collections::BTreeSet;

use prost::Message as _;
use raft::StateRole;
use raft_proto::ConfChangeI;
use raft_proto::eraftpb::{ConfChange, ConfChangeV2, ConfState, Entry, EntryType};

use super::{Effect, Effects, Node};

/// More than anyone should have; raft takes time in the square of it.
const MEMBERS: usize = 128;

/// Whether raft can begin with a configuration in which `member` has a part. It builds one up by
/// single changes, and panics if that does not lead to the same.
pub(super) fn is_valid(conf: &ConfState, member: u64) -> bool {
    let lists = [&conf.voters, &conf.learners, &conf.voters_outgoing, &conf.learners_next];
    if lists.iter().map(|list| list.len()).sum::<usize>() > MEMBERS {
        return false;
    }
    let [voters, learners, outgoing, next] =
        lists.map(|list| list.iter().copied().collect::<BTreeSet<u64>>());
    let once = [&voters, &learners, &outgoing, &next]
        .iter()
        .zip(lists)
        .all(|(set, list)| set.len() == list.len() && !set.contains(&0));
    let joint = !outgoing.is_empty();
    once && !voters.is_empty()
        && learners.is_disjoint(&voters)
        && learners.is_disjoint(&outgoing)
        // Voters of the old quorum that will be learners; only a joint one has them.
        && next.is_subset(&outgoing)
        && next.is_disjoint(&voters)
        && (joint || !conf.auto_leave)
        && [&voters, &learners, &outgoing].iter().any(|set| set.contains(&member))
}

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

#[cfg(test)]
mod tests {
    use raft::RawNode;

    use super::*;
    use crate::node::log::Log;
    use crate::node::{Boot, Config};

    /// Every list of some of the members 0, 1 and 2.
    fn lists() -> Vec<Vec<u64>> {
        (0..8u64).map(|bits| (0..3).filter(|id| bits >> id & 1 == 1).collect()).collect()
    }

    fn raft_begins_with(conf_state: ConfState) -> bool {
        let begin = || {
            let config = Config::new(1, 0);
            let log = Log::new(Boot { conf_state, ..Boot::default() }, 0);
            RawNode::new(&config.for_raft(0), log, &config.logger).is_ok()
        };
        std::panic::catch_unwind(begin).unwrap_or(false)
    }

    #[test]
    fn a_configuration_is_valid_if_raft_can_begin_with_it() {
        let lists = lists();
        let mut valid = 0;
        for number in 0..8 * 8 * 8 * 8 * 2usize {
            let list = |at: usize| lists[number >> (3 * at) & 7].clone();
            let conf_state = ConfState {
                voters: list(0),
                learners: list(1),
                voters_outgoing: list(2),
                learners_next: list(3),
                auto_leave: number >> 12 == 1,
            };
            let parts = [0, 1, 2].map(list);
            if parts.iter().any(|list| list.contains(&1)) {
                let begins = raft_begins_with(conf_state.clone());
                assert_eq!(is_valid(&conf_state, 1), begins, "{conf_state:?}");
                valid += u32::from(begins);
            }
        }
        assert!(valid > 20, "{valid} are valid");
    }

    #[test]
    fn a_configuration_names_its_members_once_and_this_one_among_them() {
        let voters = |ids: &[u64]| ConfState::from((ids.to_vec(), []));
        assert!(is_valid(&voters(&[1, 2]), 1));
        assert!(!is_valid(&voters(&[1, 1]), 1));
        assert!(!is_valid(&voters(&[2, 3]), 1));
        assert!(!is_valid(&ConfState::from((1..=200, [])), 1));
    }
}
