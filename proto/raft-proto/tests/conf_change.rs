//! Every kind of configuration change, proposed to raft and applied: raft encodes, decodes and
//! interprets them through this crate.

use raft::storage::MemStorage;
use raft::{Config, RawNode};
use raft_proto::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
    Entry, EntryType,
};
use raft_proto::{ConfChangeI, conf_state_eq, new_conf_change_single};
use slog::{Discard, Logger, o};

/// A lone leader: what it proposes is committed at once.
struct Leader {
    raw: RawNode<MemStorage>,
    conf_state: ConfState,
}

impl Leader {
    fn new() -> Leader {
        let config = Config { id: 1, election_tick: 10, heartbeat_tick: 1, ..Config::default() };
        let storage = MemStorage::new_with_conf_state(([1], []));
        let logger = Logger::root(Discard, o!());
        let mut raw = RawNode::new(&config, storage, &logger).expect("raft starts");
        raw.campaign().expect("a lone voter leads");
        let mut leader = Leader { raw, conf_state: ConfState::from(([1], [])) };
        leader.run();
        leader
    }

    /// Proposes a change and goes on until nothing more is ready.
    fn change(&mut self, change: impl ConfChangeI) -> ConfState {
        self.raw.propose_conf_change(Vec::new(), change).expect("a leader takes a change");
        self.run();
        self.conf_state.clone()
    }

    fn run(&mut self) {
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            let mut committed = ready.take_committed_entries();
            self.raw.mut_store().wl().append(ready.entries()).expect("entries follow");
            if let Some(hard_state) = ready.hs() {
                self.raw.mut_store().wl().set_hardstate(hard_state.clone());
            }
            committed.extend(self.raw.advance(ready).take_committed_entries());
            for entry in &committed {
                self.apply(entry);
            }
            self.raw.advance_apply();
        }
    }

    fn apply(&mut self, entry: &Entry) {
        use protobuf::Message as _;
        let mut change = ConfChangeV2::new();
        match entry.entry_type() {
            EntryType::EntryNormal => return,
            EntryType::EntryConfChange => {
                let mut v1 = ConfChange::new();
                v1.merge_from_bytes(&entry.data).expect("raft encoded it");
                change = v1.into_v2();
            }
            EntryType::EntryConfChangeV2 => {
                change.merge_from_bytes(&entry.data).expect("raft encoded it");
            }
        }
        self.conf_state = self.raw.apply_conf_change(&change).expect("the change is possible");
    }
}

fn v1(change_type: ConfChangeType, node_id: u64) -> ConfChange {
    ConfChange { change_type: change_type as i32, node_id, ..ConfChange::default() }
}

fn v2(transition: ConfChangeTransition, changes: Vec<ConfChangeSingle>) -> ConfChangeV2 {
    ConfChangeV2 { transition: transition as i32, changes, ..ConfChangeV2::default() }
}

/// Learners cannot hold a commit up, so a lone voter can go through all of it alone.
fn learners(ids: &[u64]) -> Vec<ConfChangeSingle> {
    ids.iter().map(|id| new_conf_change_single(*id, ConfChangeType::AddLearnerNode)).collect()
}

#[track_caller]
fn is(conf_state: &ConfState, expected: (&[u64], &[u64])) {
    let expected = ConfState::from((expected.0.to_vec(), expected.1.to_vec()));
    assert!(conf_state_eq(conf_state, &expected), "{conf_state:?}");
}

#[test]
fn single_changes_of_the_first_form() {
    let mut leader = Leader::new();
    is(&leader.change(v1(ConfChangeType::AddLearnerNode, 2)), (&[1], &[2]));
    is(&leader.change(v1(ConfChangeType::RemoveNode, 2)), (&[1], &[]));
    is(&leader.change(v1(ConfChangeType::AddNode, 3)), (&[1, 3], &[]));
}

#[test]
fn a_single_change_needs_no_joint_configuration() {
    let mut leader = Leader::new();
    let change = v2(ConfChangeTransition::Auto, learners(&[2]));
    assert_eq!(change.enter_joint(), None);
    is(&leader.change(change), (&[1], &[2]));
}

#[test]
fn several_changes_go_through_a_joint_configuration_by_themselves() {
    for transition in [ConfChangeTransition::Auto, ConfChangeTransition::Implicit] {
        let mut leader = Leader::new();
        let change = v2(transition, learners(&[2, 3]));
        assert_eq!(change.enter_joint(), Some(true));
        is(&leader.change(change), (&[1], &[2, 3]));
    }
}

#[test]
fn an_explicit_change_stays_joint_until_it_is_told_to_leave() {
    let mut leader = Leader::new();
    let change = v2(ConfChangeTransition::Explicit, learners(&[2]));
    assert_eq!(change.enter_joint(), Some(false));
    let joint = leader.change(change);
    assert_eq!(joint.voters_outgoing, [1]);
    assert!(!joint.auto_leave);
    let leave = ConfChangeV2::default();
    assert!(leave.leave_joint());
    is(&leader.change(leave), (&[1], &[2]));
}

#[test]
fn a_change_that_must_wait_becomes_an_empty_entry() {
    let mut leader = Leader::new();
    leader.change(v2(ConfChangeTransition::Explicit, learners(&[2])));
    let joint = leader.conf_state.clone();
    assert_eq!(leader.change(v1(ConfChangeType::AddNode, 4)), joint);
}
