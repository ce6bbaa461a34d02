//! What depends on the order in which disk, network and raft come along.

use kvorum_core::node::{Boot, Config, Effect, Effects, Input, Node, Rejection, Role};
use raft_proto::eraftpb::{ConfState, Entry, Message, MessageType};

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
