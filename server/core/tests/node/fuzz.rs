//! No bytes from a peer stop a member: random ones, and real messages with anything changed.

use std::collections::VecDeque;

use bytes::Bytes;
use kvorum_core::node::{Boot, Config, Effect, Effects, Input, Node, Proposal, Role};
use prost::Message as _;
use raft_proto::eraftpb::{ConfState, Entry, Message, MessageType, Snapshot, SnapshotMetadata};

use crate::sim::Random;

/// Mostly what could be meant instead of `now`, and some values that arithmetic is afraid of.
fn number(random: &mut Random, now: u64) -> u64 {
    match random.below(32) {
        0 => u64::MAX,
        1 => u64::MAX - 1,
        2 => 1 << 62,
        3 => i64::MAX as u64,
        4..20 => now.saturating_add(random.below(4)).saturating_sub(1),
        _ => random.below(12),
    }
}

/// Extremes are rare, since a term that is believed lasts: nobody can campaign after the largest.
fn term(random: &mut Random, now: u64) -> u64 {
    match random.below(64) {
        0 => number(random, now),
        1..10 => random.below(now.saturating_add(1)),
        _ => now.saturating_add(random.below(3)),
    }
}

fn mutate(message: &mut Message, random: &mut Random) {
    for _ in 0..=random.below(2) {
        let value = random.below(12);
        match random.below(18) {
            0 => message.msg_type = random.below(21) as i32 - 1,
            1 => message.to = value,
            2 => message.from = 1 + random.below(4),
            3 => message.term = term(random, message.term),
            4 => message.log_term = term(random, message.log_term),
            5 => message.index = number(random, message.index),
            6 => message.commit = number(random, message.commit),
            7 => message.commit_term = number(random, message.commit_term),
            8 => message.reject = !message.reject,
            9 => message.reject_hint = number(random, message.reject_hint),
            10 => message.request_snapshot = number(random, message.request_snapshot),
            11 => message.context = Bytes::copy_from_slice(&value.to_be_bytes()),
            12 => drop(message.entries.pop()),
            13 => message.entries.push(next_entry(message)),
            14 => message.priority = value as i64,
            15 => mutate_snapshot(message, random),
            // Most have none, and would not be taken for one.
            16 if random.below(4) == 0 => {
                message.msg_type = MessageType::MsgSnapshot as i32;
                message.entries.clear();
                mutate_snapshot(message, random);
            }
            _ => {
                if let Some(entry) = message.entries.last_mut() {
                    match random.below(4) {
                        0 => entry.term = term(random, entry.term),
                        1 => entry.index = number(random, entry.index),
                        2 => entry.entry_type = random.below(4) as i32,
                        _ => entry.data = Bytes::copy_from_slice(&value.to_be_bytes()),
                    }
                }
            }
        }
    }
}

/// A description of a state, most often one that could be.
fn mutate_snapshot(message: &mut Message, random: &mut Random) {
    let index = message.index.max(message.commit);
    let snapshot = message.snapshot.get_or_insert_with(|| {
        let conf_state = Some(ConfState::from(([1, 2, 3], [])));
        let metadata = SnapshotMetadata { conf_state, index, term: message.term };
        Snapshot { metadata: Some(metadata), ..Snapshot::default() }
    });
    let Some(metadata) = &mut snapshot.metadata else { return };
    let conf_state = metadata.conf_state.get_or_insert_default();
    match random.below(10) {
        0..3 => metadata.index = number(random, metadata.index),
        3..5 => metadata.term = term(random, metadata.term),
        5 => conf_state.voters = conf_state.voters.iter().map(|_| random.below(5)).collect(),
        6 => conf_state.learners.push(random.below(5)),
        7 => conf_state.voters_outgoing.push(random.below(5)),
        8 => conf_state.learners_next.push(random.below(5)),
        _ => match random.below(4) {
            0 => conf_state.auto_leave = true,
            1 => conf_state.voters.clear(),
            2 => metadata.conf_state = None,
            _ => snapshot.metadata = None,
        },
    }
}

/// What could come after the message's last entry.
fn next_entry(message: &Message) -> Entry {
    let last = message.entries.last();
    let (index, term) =
        last.map_or((message.index, message.log_term), |last| (last.index, last.term));
    Entry { index: index.wrapping_add(1), term: term.max(1), ..Entry::default() }
}

struct Victims {
    nodes: Vec<Node>,
    /// What the shell owes each of them.
    owed: Vec<VecDeque<Input>>,
    /// With slow disks campaigns begin while entries are not yet durable.
    slow_disks: bool,
    heard: VecDeque<Message>,
    /// What each of them has applied: index and term.
    applied: Vec<(u64, u64)>,
    /// How often one of them came to lead, how many entries were committed, and how many
    /// snapshots left and were installed.
    elections: usize,
    commits: usize,
    snapshots: usize,
    installs: usize,
}

impl Victims {
    fn new(seed: u64) -> Victims {
        let conf_state = ConfState::from(([1, 2, 3], []));
        let node = |id| {
            let boot = Boot { conf_state: conf_state.clone(), ..Boot::default() };
            let mut config = Config::new(id, seed + id);
            if !seed.is_multiple_of(4) {
                (config.snapshot_count, config.catch_up_entries) = (seed % 4, 0);
            }
            Node::new(config, boot).expect("a member starts")
        };
        Victims {
            nodes: (1..=3).map(node).collect(),
            owed: vec![VecDeque::new(); 3],
            slow_disks: seed.is_multiple_of(3),
            heard: VecDeque::new(),
            applied: vec![(0, 0); 3],
            elections: 0,
            commits: 0,
            snapshots: 0,
            installs: 0,
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
                Effect::Role { role: Role::Leader, .. } => self.elections += 1,
                Effect::Commit(entries) => {
                    self.commits += entries.len();
                    let last = entries.last().expect("something is committed");
                    self.applied[at] = (last.index, last.term);
                    self.owed[at].push_back(Input::Applied { index: last.index });
                    self.owed[at].push_back(Input::Stored { index: last.index });
                }
                Effect::TakeSnapshot { to } => {
                    let (index, term) = self.applied[at];
                    let conf_state = ConfState::from(([1, 2, 3], []));
                    let taken = Input::SnapshotTaken { to, index, term, conf_state };
                    self.owed[at].push_back(taken);
                }
                Effect::SendSnapshot(message) => {
                    self.snapshots += 1;
                    let (to, term) = (message.to, message.term);
                    let index = message.get_snapshot().get_metadata().index;
                    let ok = to.is_multiple_of(2);
                    self.owed[at].push_back(Input::SnapshotSent { to, term, index, ok });
                    self.heard.push_back(message);
                }
                Effect::Install { index, term, .. } => {
                    self.installs += 1;
                    self.applied[at] = (index, term);
                    self.owed[at].push_back(Input::Applied { index });
                }
                _ => {}
            }
        }
        while self.heard.len() > 64 {
            self.heard.pop_front();
        }
    }

    /// The shell does the oldest thing it owes, or not yet.
    fn pay(&mut self, at: usize, random: &mut Random) {
        if self.slow_disks && random.below(20) > 0 {
            return;
        }
        if let Some(input) = self.owed[at].pop_front() {
            self.step(at, input);
        }
    }
}

/// What a shell may say late, or again.
fn late_answer(victims: &Victims, at: usize, random: &mut Random) -> Input {
    let (index, term) = victims.applied[at];
    let to = random.below(5);
    match random.below(3) {
        0 => Input::Stored { index: number(random, index) },
        1 => Input::SnapshotSent {
            to,
            term: number(random, victims.nodes[at].status().term),
            index: number(random, index),
            ok: random.below(2) == 0,
        },
        _ => Input::SnapshotTaken {
            to,
            index: number(random, index),
            term: number(random, term),
            conf_state: ConfState::from(([1, 2, 3], [])),
        },
    }
}

fn attack(seed: u64, steps: u32) -> Victims {
    let mut random = Random::new(seed);
    let mut victims = Victims::new(seed);
    for id in 0..steps {
        let at = random.below(3) as usize;
        let heard = victims.heard.len() as u64;
        match random.below(10) {
            0 if random.below(10) == 0 => {
                let answer = late_answer(&victims, at, &mut random);
                victims.step(at, answer);
            }
            0 => victims.step(at, Input::Tick),
            1 => {
                let entry = Bytes::from_static(b"a write");
                victims.step(at, Input::Propose(Proposal { id: u64::from(id), entry }));
            }
            2 => victims.step(at, Input::Read { id: u64::from(id) }),
            3 | 4 => victims.pay(at, &mut random),
            5..9 if heard > 0 => {
                // As it was sent, so that the members get somewhere.
                let message = victims.heard[random.below(heard) as usize].clone();
                victims.step((message.to as usize).clamp(1, 3) - 1, Input::Raft(message));
            }
            _ if heard > 0 => {
                let mut message = victims.heard[random.below(heard) as usize].clone();
                let to = (message.to as usize).clamp(1, 3) - 1;
                mutate(&mut message, &mut random);
                victims.step(to, Input::Raft(message));
            }
            _ => {}
        }
    }
    victims
}

/// `KVORUM_FUZZ_RUNS` is for long searches.
fn runs(usual: u64) -> u64 {
    let wanted = std::env::var("KVORUM_FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok());
    wanted.map_or(usual, |runs: u64| runs.max(usual))
}

#[test]
fn no_changed_message_stops_a_member() {
    let runs = runs(300);
    let (mut elections, mut commits, mut snapshots, mut installs) = (0, 0, 0, 0);
    for seed in 0..runs {
        let outcome = std::panic::catch_unwind(|| attack(seed, 6000));
        let Ok(victims) = outcome else { panic!("a member was stopped by seed {seed}") };
        elections += victims.elections as u64;
        commits += victims.commits as u64;
        snapshots += victims.snapshots as u64;
        installs += victims.installs as u64;
    }
    // A cluster that is dead bears everything.
    let counts = (runs, elections, commits, snapshots, installs);
    let what = "runs, elections, commits, snapshots, installs";
    assert!(elections > 2 * runs && commits > 100 * runs, "{what}: {counts:?}");
    assert!(snapshots > runs && installs > runs, "{what}: {counts:?}");
}

/// Any bytes. Often the tag of a field: otherwise almost nothing decodes.
fn noise(random: &mut Random) -> Vec<u8> {
    (0..random.below(40))
        .map(|_| match random.below(3) {
            0 => (random.below(17) << 3) as u8,
            _ => random.below(256) as u8,
        })
        .collect()
}

/// What a peer could begin a message with, and any fields behind it.
fn babble(random: &mut Random, now: u64) -> Vec<u8> {
    let msg_type = 3 + random.below(16) as i32;
    let term = match random.below(4) {
        _ if msg_type == i32::from(MessageType::MsgReadIndex) => 0,
        0 => term(random, now),
        _ => now,
    };
    let head = Message { msg_type, to: 1, from: 2 + random.below(2), term, ..Message::default() };
    let mut bytes = head.encode_to_vec();
    for _ in 0..random.below(4) {
        let (field, value) = (1 + random.below(15), random.below(12));
        let wire_type = match field {
            _ if random.below(16) == 0 => random.below(8),
            7 | 9 | 12 => 2,
            _ => 0,
        };
        bytes.extend([(field << 3 | wire_type) as u8, value as u8]);
        let length = if wire_type == 2 { value } else { 0 };
        bytes.extend((0..length).map(|_| random.below(256) as u8));
    }
    bytes
}

/// Member 1 hears nothing else. Returns how many messages raft got to see.
fn shout(seed: u64, strings: u32) -> (Victims, u64) {
    let mut random = Random::new(seed);
    let mut victims = Victims::new(seed);
    let mut messages = 0;
    for _ in 0..strings {
        match random.below(4) {
            0 => victims.step(0, Input::Tick),
            1 => victims.pay(0, &mut random),
            _ => {}
        }
        let term = victims.nodes[0].status().term;
        let bytes = match random.below(2) {
            0 => noise(&mut random),
            _ => babble(&mut random, term),
        };
        if let Ok(mut message) = Message::decode(&bytes[..]) {
            if random.below(2) == 0 {
                (message.to, message.from) = (1, 2);
            }
            messages += 1;
            victims.step(0, Input::Raft(message));
        }
    }
    let rejected = victims.nodes[0].status().rejected;
    (victims, messages - rejected)
}

#[test]
fn no_random_bytes_stop_a_member() {
    let runs = runs(200);
    let (mut passed, mut elections) = (0, 0);
    for seed in 0..runs {
        let outcome = std::panic::catch_unwind(|| shout(seed, 1000));
        let Ok((victims, seen)) = outcome else { panic!("a member was stopped by seed {seed}") };
        passed += seen;
        elections += victims.elections as u64;
    }
    let counts = (runs, passed, elections);
    assert!(passed > 100 * runs && 2 * elections > runs, "runs, passed, elections: {counts:?}");
}
