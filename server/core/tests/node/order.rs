//! What depends on the order in which disk, network and raft come along.

use bytes::Bytes;
use kvorum_core::node::{
    Boot, Config, Effect, Effects, Input, Node, Proposal, Refusal, Rejection, Role,
};
use raft_proto::eraftpb::{ConfState, Entry, Message, MessageType, Snapshot, SnapshotMetadata};

use crate::cluster::{Cluster, Payload};

fn member() -> Node {
    let boot = Boot { conf_state: ConfState::from(([1, 2, 3], [])), ..Boot::default() };
    Node::new(Config::new(2, 1), boot).expect("a member starts")
}

fn hear(node: &mut Node, kind: MessageType, from: u64, message: Message) -> Effects {
    let mut effects = Effects::new();
    let message = Message { msg_type: kind as i32, from, to: 2, ..message };
    node.step(Input::Raft(message), &mut effects);
    effects
}

/// A leader's first entry, of some term.
fn append(node: &mut Node, from: u64, term: u64, entry_term: u64, commit: u64) -> Effects {
    let entries = vec![Entry { index: 1, term: entry_term, ..Entry::default() }];
    let message = Message { term, entries, commit, ..Message::default() };
    hear(node, MessageType::MsgAppend, from, message)
}

fn persist(node: &mut Node, number: u64) -> Effects {
    let mut effects = Effects::new();
    node.step(Input::Persisted { number }, &mut effects);
    effects
}

fn commits(effects: &Effects) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Commit(_)))
}

#[test]
fn an_entry_is_not_durable_while_groups_behind_it_replace_it_and_bring_it_back() {
    let mut node = member();
    append(&mut node, 1, 1, 1, 0);
    append(&mut node, 3, 2, 2, 0);
    append(&mut node, 1, 3, 1, 1);
    // A crash now could leave the log with the entry of term 2.
    assert!(!commits(&persist(&mut node, 1)));
    assert!(!commits(&persist(&mut node, 2)));
    assert!(commits(&persist(&mut node, 3)));
}

#[test]
fn a_member_is_not_elected_before_its_log_is_durable() {
    let mut node = member();
    append(&mut node, 1, 1, 1, 0);
    for _ in 0..40 {
        node.step(Input::Tick, &mut Effects::new());
    }
    let vote = Message { term: 2, ..Message::default() };
    hear(&mut node, MessageType::MsgRequestPreVoteResponse, 3, vote.clone());
    hear(&mut node, MessageType::MsgRequestVoteResponse, 3, vote);
    let status = node.status();
    assert_eq!(status.role, Role::Candidate);
    assert_eq!(status.last_rejection, Some((3, Rejection::NotAsked)));
}

#[test]
fn a_peer_s_question_is_taken_once() {
    let mut cluster = Cluster::new(3, 1);
    for _ in 0..12 {
        cluster.input(1, Input::Tick);
    }
    cluster.stabilize();
    cluster.read(2, 20);
    while cluster.perform(2).is_some() {}
    let question = cluster.network.front().cloned().expect("a question");
    let is_question = |message: &Message| message.get_msg_type() == MessageType::MsgReadIndex;
    assert!(matches!(&question.payload, Payload::Raft(message) if is_question(message)));
    cluster.stabilize();
    // Confirmations of the first copy could still be on their way, and would confirm a leader
    // that leads no more.
    cluster.deliver(question);
    let leader = cluster.member(1).node.as_ref().expect("it runs").status();
    assert_eq!(leader.last_rejection, Some((2, Rejection::Context)));
    assert_eq!(cluster.served.len(), 1);
}

/// Everything but entries arrives, until nothing is left.
fn settle_without_entries(cluster: &mut Cluster) {
    loop {
        for id in cluster.ids() {
            while cluster.perform(id).is_some() || cluster.persist(id) {}
        }
        let Some(packet) = cluster.network.pop_front() else { return };
        let entries = |message: &Message| !message.entries.is_empty();
        if !matches!(&packet.payload, Payload::Raft(message) if entries(message)) {
            cluster.deliver(packet);
        }
    }
}

/// Nobody takes the leader's write, but all are there.
#[test]
fn a_leader_says_whether_it_could_reach_a_quorum_while_a_write_was_not_taken() {
    for (broken, refusal) in [(&[2][..], Refusal::Timeout), (&[2, 3], Refusal::ConnectionLost)] {
        let mut cluster = Cluster::new(3, 1);
        for _ in 0..12 {
            cluster.input(1, Input::Tick);
        }
        cluster.stabilize();
        cluster.propose(1, 10);
        for peer in broken {
            cluster.input(1, Input::Unreachable { peer: *peer });
        }
        for _ in 0..70 {
            for id in cluster.ids() {
                cluster.input(id, Input::Tick);
            }
            settle_without_entries(&mut cluster);
        }
        assert_eq!(cluster.refused, [(10, refusal)].into());
        assert!(cluster.acked.is_empty());
    }
}

/// Everything up to `index` from the leader 1 in its first term.
fn restore(node: &mut Node, index: u64) -> Effects {
    let conf_state = Some(ConfState::from(([1, 2, 3], [])));
    let metadata = Some(SnapshotMetadata { conf_state, index, term: 1 });
    let snapshot = Some(Snapshot { metadata, ..Snapshot::default() });
    hear(node, MessageType::MsgSnapshot, 1, Message { term: 1, snapshot, ..Message::default() })
}

fn append_behind(node: &mut Node, from: u64, term: u64, entries: Vec<Entry>, commit: u64) {
    let (index, log_term) = (9, 1);
    let message = Message { term, index, log_term, entries, commit, ..Message::default() };
    hear(node, MessageType::MsgAppend, from, message);
}

fn applied(node: &mut Node, index: u64) -> Effects {
    let mut effects = Effects::new();
    node.step(Input::Applied { index }, &mut effects);
    effects
}

fn installs(effects: &Effects) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Install { index: 9, term: 1, .. }))
}

#[test]
fn a_snapshot_is_installed_when_its_group_is_durable_and_before_what_is_committed_behind_it() {
    let mut node = member();
    let entry = |index, term| Entry { index, term, ..Entry::default() };
    let taken = restore(&mut node, 9);
    let group = taken.iter().find_map(|effect| match effect {
        Effect::Append(group) => Some(group),
        _ => None,
    });
    assert_eq!(group.map(|group| (group.number, group.base)), Some((1, Some((9, 1)))));
    append_behind(&mut node, 1, 1, vec![entry(10, 1), entry(11, 1)], 9);
    // Another leader replaces what is behind the snapshot.
    append_behind(&mut node, 3, 2, vec![entry(10, 2)], 10);
    assert!(!installs(&taken));
    let effects = persist(&mut node, 1);
    assert!(installs(&effects) && !commits(&effects));
    assert!(!commits(&persist(&mut node, 2)));
    assert!(commits(&persist(&mut node, 3)));
    assert_eq!((node.status().applied, node.status().base), (0, 9));
    applied(&mut node, 9);
    applied(&mut node, 10);
    assert_eq!(node.status().applied, 10);
}

#[test]
fn what_was_handed_over_before_a_snapshot_is_applied_before_it() {
    let mut node = member();
    append(&mut node, 1, 1, 1, 1);
    assert!(commits(&persist(&mut node, 1)));
    restore(&mut node, 9);
    assert!(installs(&persist(&mut node, 2)));
    let applied_at = |node: &mut Node, index| {
        applied(node, index);
        node.status().applied
    };
    assert_eq!([1, 9].map(|index| applied_at(&mut node, index)), [1, 9]);
}

#[test]
fn a_member_campaigns_while_a_snapshot_is_not_yet_durable_or_installed() {
    for durable in [false, true] {
        let mut node = member();
        append(&mut node, 1, 1, 1, 1);
        persist(&mut node, 1);
        restore(&mut node, 9);
        if durable {
            persist(&mut node, 2);
        }
        for _ in 0..40 {
            node.step(Input::Tick, &mut Effects::new());
        }
        assert_eq!(node.status().role, Role::Candidate);
        let vote = Message { term: 2, ..Message::default() };
        hear(&mut node, MessageType::MsgRequestPreVoteResponse, 3, vote.clone());
        hear(&mut node, MessageType::MsgRequestVoteResponse, 3, vote);
        let leads = node.status().role == Role::Leader;
        assert_eq!(leads, durable, "it can only lead with a durable log");
    }
}

#[test]
fn a_write_that_came_with_a_snapshot_ends_as_unknown() {
    // Its answer comes before the snapshot or after it.
    for late in [false, true] {
        let mut node = member();
        append(&mut node, 1, 1, 1, 1);
        let mut effects = Effects::new();
        for id in [8, 9, 10] {
            let entry = Bytes::from_static(b"a write");
            node.step(Input::Propose(Proposal { id, entry }), &mut effects);
        }
        let answer = |node: &mut Node, effects: &mut Effects| {
            for id in [8, 9, 10] {
                let appended = Some((1, id));
                node.step(Input::ForwardResult { from: 1, id, appended }, effects);
            }
        };
        if !late {
            answer(&mut node, &mut effects);
        }
        effects.extend(restore(&mut node, 9));
        if late {
            answer(&mut node, &mut effects);
        }
        let refused: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Refused { id, refusal } => Some((*id, *refusal)),
                _ => None,
            })
            .collect();
        let unknown = Refusal::LeaderChanged;
        assert_eq!(refused, [(8, unknown), (9, unknown)], "late: {late}");
    }
}

#[test]
fn one_snapshot_is_installed_at_a_time() {
    let mut node = member();
    restore(&mut node, 9);
    // The same again: nothing must happen to it before it is installed.
    assert_eq!(restore(&mut node, 9), []);
    assert_eq!(restore(&mut node, 12), [Effect::DiscardSnapshot { index: 12 }]);
    assert_eq!(node.status().last_rejection, Some((1, Rejection::Installing)));
    assert!(installs(&persist(&mut node, 1)));
    assert_eq!(restore(&mut node, 9), []);
    assert_eq!(applied(&mut node, 9), [Effect::DiscardSnapshot { index: 9 }]);
    let next = restore(&mut node, 12);
    assert!(next.iter().any(|effect| matches!(effect, Effect::Append(_))), "{next:?}");
}

/// A leader, a peer behind its log, and a state on its way there, of which nobody hears again.
fn in_transfer(election_ticks: u32, transfer_bytes: u64) -> Cluster {
    let mut cluster = Cluster::with(3, 1, move |config| {
        config.election_ticks = election_ticks;
        config.limits.transfer_bytes = transfer_bytes;
        (config.snapshot_count, config.catch_up_entries) = (1, 0);
    });
    cluster.heal();
    let leader = leader(&mut cluster);
    assert_ne!(leader, 3);
    cluster.crash(3);
    cluster.propose(leader, 5);
    cluster.stabilize();
    cluster.flush(leader);
    cluster.swallow_transfers = true;
    cluster.restart(3);
    for _ in 0..4 {
        cluster.input(leader, Input::Tick);
        cluster.stabilize();
    }
    assert_eq!(cluster.swallowed, 1);
    cluster
}

fn leader(cluster: &mut Cluster) -> u64 {
    let leads = |cluster: &mut Cluster, id: u64| {
        let node = cluster.member(id).node.as_ref();
        node.is_some_and(|node| node.status().role == Role::Leader)
    };
    cluster.ids().into_iter().find(|id| leads(cluster, *id)).expect("one leads")
}

#[test]
fn a_transfer_that_is_never_heard_of_is_given_up_and_begun_again() {
    let mut cluster = in_transfer(2, u64::MAX);
    let leader = leader(&mut cluster);
    let mut ticks = 0;
    while cluster.swallowed == 1 {
        ticks += 1;
        cluster.input(leader, Input::Tick);
        cluster.stabilize();
        assert!(ticks < 10_000, "it is never given up");
    }
    assert!(ticks >= 7000, "it is given up after {ticks} ticks");
    cluster.swallow_transfers = false;
    // As long again the leader waits for the second.
    for _ in 0..=7200 {
        cluster.input(leader, Input::Tick);
        cluster.stabilize();
    }
    cluster.heal();
    cluster.check_healed();
    assert_eq!(cluster.installs, 1);
}

#[test]
fn the_log_does_not_grow_for_ever_for_a_stuck_transfer() {
    // An entry of a write takes 104 bytes.
    for (transfer_bytes, most) in [(u64::MAX, 100), (20 * 104, 20)] {
        let mut cluster = in_transfer(10, transfer_bytes);
        let leader = leader(&mut cluster);
        let mut longest = 0;
        for write in 100..320 {
            cluster.propose(leader, write);
            cluster.stabilize();
            cluster.flush(leader);
            let status = cluster.member(leader).node.as_ref().expect("it runs").status();
            longest = longest.max(status.last_index - status.base);
        }
        assert_eq!(longest, most);
    }
}
