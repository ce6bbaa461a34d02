//! A member whose log was damaged, input by input.

use std::sync::{Arc, Mutex};

use kvorum_core::node::{
    Boot, BootError, Config, Effect, Effects, Input, Node, Rejection, TermRun,
};
use raft_proto::eraftpb::{ConfState, Entry, HardState, Message, MessageType};
use slog::{Drain, Logger, Never, OwnedKVList, Record, o};

use crate::cluster::{Cluster, Payload};

/// Entries `first..=last` of one term.
fn entries(first: u64, last: u64, term: u64) -> Vec<Entry> {
    (first..=last).map(|index| Entry { index, term, ..Entry::default() }).collect()
}

/// Member 2, in term 2, with three entries of term 1 left of its log.
fn boot() -> Boot {
    Boot {
        hard_state: HardState { term: 2, vote: 1, commit: 0 },
        conf_state: ConfState::from(([1, 2, 3], [])),
        last: 3,
        runs: vec![TermRun { first: 1, term: 1 }],
        tail: entries(1, 3, 1),
        incomplete: Some(9),
        ..Boot::default()
    }
}

fn member() -> Node {
    Node::new(Config::new(2, 1), boot()).expect("a member starts")
}

fn step(node: &mut Node, input: Input) -> Effects {
    let mut effects = Effects::new();
    node.step(input, &mut effects);
    effects
}

fn hear(node: &mut Node, kind: MessageType, from: u64, message: Message) -> Effects {
    step(node, Input::Raft(Message { msg_type: kind as i32, from, to: 2, ..message }))
}

fn heartbeat(node: &mut Node, from: u64, term: u64, commit: u64) -> Effects {
    hear(node, MessageType::MsgHeartbeat, from, Message { term, commit, ..Message::default() })
}

/// The leader's entries behind the third one; answered in group `group`.
fn append(node: &mut Node, from: u64, term: u64, last: u64, group: u64) -> Effects {
    let (index, log_term) = (3, 1);
    let entries = entries(4, last, term);
    let message = Message { term, index, log_term, entries, ..Message::default() };
    hear(node, MessageType::MsgAppend, from, message);
    step(node, Input::Persisted { number: group })
}

/// Asks in the next tick; answers to whom, and the nonce.
fn asked(node: &mut Node) -> Option<(u64, u64)> {
    step(node, Input::Tick).into_iter().find_map(|effect| match effect {
        Effect::AskBound { to, nonce, .. } => Some((to, nonce)),
        _ => None,
    })
}

fn told(node: &mut Node, from: u64, nonce: u64, term: u64, index: u64) -> Effects {
    step(node, Input::BoundTold { from, nonce, term, index })
}

/// What a node has logged.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Drain for Lines {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record, _: &OwnedKVList) -> Result<(), Never> {
        self.0.lock().expect("nobody panics here").push(record.msg().to_string());
        Ok(())
    }
}

impl Lines {
    fn with(&self, text: &str) -> usize {
        let lines = self.0.lock().expect("nobody panics here");
        lines.iter().filter(|line| line.contains(text)).count()
    }
}

fn completes(effects: &Effects) -> bool {
    effects.contains(&Effect::LogComplete)
}

#[test]
fn a_heartbeat_commits_nothing_since_the_entries_may_be_others() {
    let mut node = member();
    for commit in [2, 3, 8] {
        let effects = heartbeat(&mut node, 1, 2, commit);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Commit(_))));
        let answered = |effect: &Effect| matches!(effect, Effect::Send(message) if message.get_msg_type() == MessageType::MsgHeartbeatResponse);
        assert!(effects.iter().any(answered), "the leader hears that we live");
    }
    let status = node.status();
    assert_eq!((status.committed, status.leader, status.rejected), (0, 1, 0));
}

#[test]
fn elections_take_place_without_it() {
    let mut node = member();
    step(&mut node, Input::Tick);
    for _ in 0..100 {
        assert_eq!(step(&mut node, Input::Tick), []);
    }
    let vote = Message { term: 3, index: 9, log_term: 2, ..Message::default() };
    for kind in [MessageType::MsgRequestVote, MessageType::MsgRequestPreVote] {
        assert_eq!(hear(&mut node, kind, 3, vote.clone()), []);
        assert_eq!(node.status().last_rejection, Some((3, Rejection::Incomplete)));
    }
    heartbeat(&mut node, 1, 2, 0);
    let now = Message { term: 2, ..Message::default() };
    hear(&mut node, MessageType::MsgTimeoutNow, 1, now);
    assert_eq!(node.status().last_rejection, Some((1, Rejection::Incomplete)));
    assert_eq!((node.status().term, node.status().incomplete), (2, true));
}

#[test]
fn it_asks_until_it_is_told_by_the_leader_in_its_term() {
    let mut node = member();
    assert_eq!(asked(&mut node), None, "whom");
    heartbeat(&mut node, 1, 2, 0);
    let (to, nonce) = asked(&mut node).expect("a question");
    assert_eq!((to, asked(&mut node)), (1, Some((1, nonce))));
    assert!(!completes(&append(&mut node, 1, 2, 5, 1)), "it does not know the bound");
    for (from, nonce, term) in [(3, nonce, 2), (1, nonce + 1, 2), (1, nonce, 1), (1, nonce, 3)] {
        assert!(!completes(&told(&mut node, from, nonce, term, 5)));
        assert!(asked(&mut node).is_some());
    }
    // What it has acknowledged in this life counts.
    assert!(completes(&told(&mut node, 1, nonce, 2, 5)));
    assert!(!node.status().incomplete);
    assert_eq!(asked(&mut node), None);
}

#[test]
fn only_what_is_durable_makes_it_complete() {
    let mut node = member();
    heartbeat(&mut node, 1, 2, 0);
    let (_, nonce) = asked(&mut node).expect("a question");
    told(&mut node, 1, nonce, 2, 5);
    assert_eq!(asked(&mut node), None);
    assert!(!completes(&append(&mut node, 1, 2, 4, 1)), "one short");
    let (index, log_term) = (4, 2);
    let message =
        Message { term: 2, index, log_term, entries: entries(5, 6, 2), ..Message::default() };
    assert!(!completes(&hear(&mut node, MessageType::MsgAppend, 1, message)));
    assert!(node.status().incomplete);
    assert!(completes(&step(&mut node, Input::Persisted { number: 2 })));
}

#[test]
fn another_leader_is_asked_anew() {
    let mut node = member();
    heartbeat(&mut node, 1, 2, 0);
    let (_, nonce) = asked(&mut node).expect("a question");
    told(&mut node, 1, nonce, 2, 5);
    heartbeat(&mut node, 3, 4, 0);
    // The term was the first group.
    assert!(!completes(&append(&mut node, 3, 4, 6, 2)), "the bound was the other's");
    let (to, nonce) = asked(&mut node).expect("a question");
    assert_eq!(to, 3);
    assert!(!completes(&told(&mut node, 1, nonce, 2, 5)));
    assert!(completes(&told(&mut node, 3, nonce, 4, 6)));
}

#[test]
fn an_answer_that_leads_nowhere_is_asked_for_anew() {
    let mut node = member();
    heartbeat(&mut node, 1, 2, 0);
    let (_, nonce) = asked(&mut node).expect("a question");
    told(&mut node, 1, nonce, 2, 5);
    let again = (0..20).find_map(|_| {
        heartbeat(&mut node, 1, 2, 0);
        asked(&mut node)
    });
    let (_, another) = again.expect("another question");
    assert_ne!(another, nonce);
    assert!(!completes(&told(&mut node, 1, nonce, 2, 3)), "an answer to the first question");
}

#[test]
fn nobody_else_can_make_a_lone_voter_complete() {
    let conf_state = ConfState::from(([2], []));
    let boot = Boot { conf_state, ..boot() };
    assert!(matches!(Node::new(Config::new(2, 1), boot), Err(BootError::Alone { lost: 9 })));
}

/// A leader, and what it knows of member 3.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new(3, 1);
    for _ in 0..12 {
        cluster.input(1, Input::Tick);
    }
    cluster.stabilize();
    for write in 10..13 {
        cluster.propose(1, write);
        cluster.stabilize();
    }
    cluster
}

fn matched(cluster: &mut Cluster, peer: u64) -> (u64, u64) {
    let status = cluster.member(1).node.as_ref().expect("it runs").status();
    let known = status.peers.iter().find(|known| known.id == peer).expect("a peer");
    (known.matched, known.next)
}

fn ask(cluster: &mut Cluster, to: u64, nonce: u64, last: u64) -> Option<(u64, u64)> {
    cluster.input(to, Input::BoundAsked { from: 3, nonce, last });
    while cluster.perform(to).is_some() {}
    let packet = cluster.network.pop_back()?;
    match packet.payload {
        Payload::TellBound { term, index, .. } => Some((term, index)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_leader_forgets_once_what_it_was_told_and_repeats_its_answer() {
    let mut cluster = cluster();
    assert_eq!(matched(&mut cluster, 3), (4, 5));
    assert_eq!(ask(&mut cluster, 1, 7, 2), Some((1, 4)));
    assert_eq!(matched(&mut cluster, 3), (0, 3));
    let committed = cluster.member(1).node.as_ref().expect("it runs").status().committed;
    assert_eq!(committed, 4, "what is committed stays so");
    cluster.input(1, Input::Tick);
    cluster.stabilize();
    cluster.propose(1, 20);
    cluster.stabilize();
    assert_eq!(matched(&mut cluster, 3), (5, 6));
    // The same question, late.
    assert_eq!(ask(&mut cluster, 1, 7, 2), Some((1, 4)));
    assert_eq!(matched(&mut cluster, 3), (5, 6));
    // Another life of the member, with more than the leader has.
    assert_eq!(ask(&mut cluster, 1, 8, u64::MAX), Some((1, 5)));
    assert_eq!(matched(&mut cluster, 3), (0, 6));
}

#[test]
fn nobody_but_a_leader_answers_and_only_members_are_answered() {
    let mut cluster = cluster();
    assert_eq!(ask(&mut cluster, 2, 7, 2), None);
    for from in [1, 9] {
        cluster.input(1, Input::BoundAsked { from, nonce: 7, last: 2 });
        assert_eq!(cluster.perform(1), None);
    }
}

#[test]
fn a_leader_that_stays_sends_again_what_was_lost() {
    for groups in 0..6 {
        let mut cluster = cluster();
        cluster.flush(3);
        cluster.crash(3);
        cluster.member(3).disk.damage(groups);
        cluster.heal();
        cluster.check_healed();
        assert_eq!((cluster.completions, cluster.leaders.len()), (1, 1), "{groups} groups");
    }
}

#[test]
fn that_no_leader_comes_is_said_after_ten_elections_and_then_once_a_minute() {
    let lines = Arc::new(Lines::default());
    let config = Config { logger: Logger::root(Arc::clone(&lines), o!()), ..Config::new(2, 1) };
    assert_eq!(config.election_ticks, 10);
    let mut node = Node::new(config, boot()).expect("a member starts");
    let said_after = |node: &mut Node, ticks: u32| {
        (0..ticks).for_each(|_| drop(step(node, Input::Tick)));
        lines.with("restore the cluster from a backup")
    };
    assert_eq!(said_after(&mut node, 99), 0);
    assert_eq!(said_after(&mut node, 1), 1);
    assert_eq!(said_after(&mut node, 599), 1);
    assert_eq!(said_after(&mut node, 1), 2);
    // A leader was there; that it is gone is noticed after one to two election timeouts.
    heartbeat(&mut node, 1, 2, 0);
    assert_eq!(said_after(&mut node, 105), 2);
    assert_eq!(said_after(&mut node, 20), 3);
}
