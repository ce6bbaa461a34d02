//! No bytes from a peer stop a member: random ones, and real messages with anything changed.

use std::collections::VecDeque;

use bytes::Bytes;
use kvorum_core::node::{Boot, Config, Effect, Effects, Input, Node, Proposal};
use prost::Message as _;
use raft_proto::eraftpb::{ConfState, Entry, Message};

use crate::sim::Random;

/// Some values that arithmetic is afraid of, and small ones that mean something.
fn number(random: &mut Random) -> u64 {
    match random.below(8) {
        0 => u64::MAX,
        1 => u64::MAX - 1,
        2 => 1 << 62,
        3 => i64::MAX as u64,
        _ => random.below(12),
    }
}

fn mutate(message: &mut Message, random: &mut Random) {
    for _ in 0..=random.below(2) {
        let value = number(random);
        match random.below(16) {
            0 => message.msg_type = random.below(21) as i32 - 1,
            1 => message.to = value,
            2 => message.from = 1 + random.below(4),
            3 => message.term = value,
            4 => message.log_term = value,
            5 => message.index = value,
            6 => message.commit = value,
            7 => message.commit_term = value,
            8 => message.reject = !message.reject,
            9 => message.reject_hint = value,
            10 => message.request_snapshot = value,
            11 => message.context = Bytes::copy_from_slice(&value.to_be_bytes()),
            12 => drop(message.entries.pop()),
            13 => message.entries.push(Entry { index: value, term: 1, ..Entry::default() }),
            14 => message.priority = value as i64,
            _ => {
                if let Some(entry) = message.entries.last_mut() {
                    match random.below(4) {
                        0 => entry.term = value,
                        1 => entry.index = value,
                        2 => entry.entry_type = random.below(4) as i32,
                        _ => entry.data = Bytes::copy_from_slice(&value.to_be_bytes()),
                    }
                }
            }
        }
    }
}

struct Victims {
    nodes: Vec<Node>,
    /// What the shell owes each of them.
    owed: Vec<VecDeque<Input>>,
    heard: VecDeque<Message>,
}

impl Victims {
    fn new(seed: u64) -> Victims {
        let conf_state = ConfState::from(([1, 2, 3], []));
        let node = |id| {
            let boot = Boot { conf_state: conf_state.clone(), ..Boot::default() };
            Node::new(Config::new(id, seed + id), boot).expect("a member starts")
        };
        Victims {
            nodes: (1..=3).map(node).collect(),
            owed: vec![VecDeque::new(); 3],
            heard: VecDeque::new(),
        }
    }

    fn step(&mut self, at: usize, input: Input) {
        let mut effects = Effects::new();
        self.nodes[at].step(input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Send(message) => self.heard.push_back(message),
                Effect::Append(group) => {
                    self.owed[at].push_back(Input::Persisted { number: group.number });
                }
                Effect::Commit(entries) => {
                    let index = entries.last().map_or(0, |entry| entry.index);
                    self.owed[at].push_back(Input::Applied { index });
                }
                _ => {}
            }
        }
        while self.heard.len() > 64 {
            self.heard.pop_front();
        }
    }
}

fn attack(seed: u64, steps: u32) {
    let mut random = Random::new(seed);
    let mut victims = Victims::new(seed);
    for id in 0..steps {
        let at = random.below(3) as usize;
        let heard = victims.heard.len() as u64;
        match random.below(10) {
            0 => victims.step(at, Input::Tick),
            1 => {
                let entry = Bytes::from_static(b"a write");
                victims.step(at, Input::Propose(Proposal { id: u64::from(id), entry }));
            }
            2 => victims.step(at, Input::Read { id: u64::from(id) }),
            3 | 4 => {
                if let Some(input) = victims.owed[at].pop_front() {
                    victims.step(at, input);
                }
            }
            5..8 if heard > 0 => {
                // As it was sent, so that the members get somewhere.
                let message = victims.heard[random.below(heard) as usize].clone();
                victims.step((message.to as usize).clamp(1, 3) - 1, Input::Raft(message));
            }
            _ if heard > 0 => {
                let mut message = victims.heard[random.below(heard) as usize].clone();
                mutate(&mut message, &mut random);
                victims.step(at, Input::Raft(message));
            }
            _ => {}
        }
    }
}

#[test]
fn no_changed_message_stops_a_member() {
    // `KVORUM_FUZZ_RUNS` is for long searches.
    let runs = std::env::var("KVORUM_FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok());
    for seed in 0..runs.unwrap_or(300) {
        let outcome = std::panic::catch_unwind(|| attack(seed, 3000));
        assert!(outcome.is_ok(), "a member was stopped by seed {seed}");
    }
}

#[test]
fn no_random_bytes_stop_a_member() {
    let mut random = Random::new(99);
    let mut victims = Victims::new(1);
    for at in 0..3 {
        victims.step(at, Input::Tick);
    }
    let mut decoded = 0;
    for _ in 0..200_000 {
        let length = random.below(40);
        // Mostly plausible field tags: otherwise almost nothing decodes.
        let bytes: Vec<u8> = (0..length)
            .map(|_| match random.below(3) {
                0 => (random.below(17) << 3) as u8,
                _ => random.below(256) as u8,
            })
            .collect();
        if let Ok(mut message) = Message::decode(&bytes[..]) {
            decoded += 1;
            if random.below(2) == 0 {
                (message.to, message.from) = (1, 2);
            }
            victims.step(0, Input::Raft(message));
        }
    }
    assert!(decoded > 5000, "only {decoded} of the byte strings were messages");
}
