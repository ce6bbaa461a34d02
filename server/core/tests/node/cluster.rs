//! A cluster of nodes without threads, clock or sockets: everything that may happen is one call.
//!
//! Effects are performed one at a time. A group waits in `unsynced` until it is made durable,
//! a committed entry in `to_apply` until it is applied, a message in the network until it is
//! delivered or lost. A crash forgets all but the disk.
//!
//! The state machine is the list of all entries it has applied, so a snapshot is that list. One
//! that was received lies on the disk under its index and term until it is installed or discarded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use kvorum_core::node::{Config, Effect, Effects, Group, Input, Node, Proposal, Refusal, Role};
use raft_proto::eraftpb::{ConfState, Entry, Message, MessageType};

use crate::disk::{Disk, State, write_id};

#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // most are messages
pub(crate) enum Payload {
    Raft(Message),
    Forward(Proposal),
    ForwardResult {
        id: u64,
        appended: Option<(u64, u64)>,
    },
    Snapshot {
        message: Message,
        state: State,
    },
    /// The transfer to the one it comes from has ended.
    SnapshotSent {
        term: u64,
        index: u64,
        ok: bool,
    },
    AskBound {
        nonce: u64,
        last: u64,
    },
    TellBound {
        nonce: u64,
        term: u64,
        index: u64,
    },
}

/// What the state machine's thread is to do, in order.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // most are entries
pub(crate) enum ApplyWork {
    Entry(Entry),
    Take { to: u64 },
    Install { index: u64, term: u64, conf_state: ConfState },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) payload: Payload,
}

#[derive(Default)]
pub(crate) struct Member {
    pub(crate) node: Option<Node>,
    pub(crate) disk: Disk,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) unsynced: VecDeque<Group>,
    pub(crate) to_apply: VecDeque<ApplyWork>,
    pub(crate) state: State,
    /// States held for peers.
    pub(crate) held: BTreeMap<u64, State>,
    conf_changes: BTreeMap<u64, ConfState>,
    /// Reads that wait for an index to be applied.
    reads_ready: Vec<(u64, u64)>,
    /// Requests of this member's clients that have no answer yet.
    pub(crate) open_writes: BTreeSet<u64>,
    pub(crate) open_reads: BTreeMap<u64, u64>,
    /// The log is complete when this group is durable.
    complete_with: Option<u64>,
    boots: u64,
}

impl Member {
    fn write(&mut self, group: Group) {
        let number = group.number;
        self.disk.write(group);
        if self.complete_with == Some(number) {
            self.disk.incomplete = None;
        }
    }
}

/// Nodes, disks and network, and what the clients were told.
pub(crate) struct Cluster {
    pub(crate) members: BTreeMap<u64, Member>,
    pub(crate) network: VecDeque<Packet>,
    /// Writes that were acknowledged, and where.
    pub(crate) acked: BTreeMap<u64, u64>,
    /// Reads that were served, and from which index.
    pub(crate) served: BTreeMap<u64, u64>,
    pub(crate) refused: BTreeMap<u64, Refusal>,
    /// Who led in which term.
    pub(crate) leaders: BTreeMap<u64, u64>,
    /// How often entries were read back from a log.
    pub(crate) fetches: u64,
    /// How often a log was cut, a state installed, and a received one discarded.
    pub(crate) cuts: u64,
    pub(crate) installs: u64,
    pub(crate) discards: u64,
    /// How often a log that had been damaged was complete again.
    pub(crate) completions: u64,
    /// The shells send no snapshot and say nothing; how many they did not send.
    pub(crate) swallow_transfers: bool,
    pub(crate) swallowed: u64,
    configure: Box<dyn Fn(&mut Config)>,
    seed: u64,
}

impl Cluster {
    pub(crate) fn new(size: u64, seed: u64) -> Cluster {
        Cluster::with(size, seed, |_| ())
    }

    pub(crate) fn with(size: u64, seed: u64, configure: impl Fn(&mut Config) + 'static) -> Cluster {
        let conf_state = ConfState::from(((1..=size), []));
        let mut cluster = Cluster {
            members: BTreeMap::new(),
            network: VecDeque::new(),
            acked: BTreeMap::new(),
            served: BTreeMap::new(),
            refused: BTreeMap::new(),
            leaders: BTreeMap::new(),
            fetches: 0,
            cuts: 0,
            installs: 0,
            discards: 0,
            completions: 0,
            swallow_transfers: false,
            swallowed: 0,
            configure: Box::new(configure),
            seed,
        };
        for id in 1..=size {
            let stored = State { conf_state: conf_state.clone(), ..State::default() };
            let disk = Disk { stored, ..Disk::default() };
            cluster.members.insert(id, Member { disk, ..Member::default() });
            cluster.restart(id);
        }
        cluster
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.members.keys().copied().collect()
    }

    pub(crate) fn member(&mut self, id: u64) -> &mut Member {
        self.members.get_mut(&id).expect("a member of the cluster")
    }

    pub(crate) fn is_up(&self, id: u64) -> bool {
        self.members[&id].node.is_some()
    }

    /// Gives a running node an input; what follows from it waits in its effects.
    pub(crate) fn input(&mut self, id: u64, input: Input) {
        let member = self.member(id);
        if let Some(node) = &mut member.node {
            let mut effects = Effects::new();
            node.step(input, &mut effects);
            member.effects.extend(effects);
        }
    }

    /// The log says that it is complete when all before is durable.
    fn complete(&mut self, id: u64) {
        self.completions += 1;
        let member = self.member(id);
        assert!(member.disk.incomplete.is_some(), "the log of {id} was incomplete");
        match member.unsynced.back() {
            Some(group) => member.complete_with = Some(group.number),
            None => member.disk.incomplete = None,
        }
    }

    /// Performs the member's next effect.
    pub(crate) fn perform(&mut self, id: u64) -> Option<Effect> {
        let effect = self.member(id).effects.pop_front()?;
        match effect.clone() {
            Effect::Send(message) => {
                assert_ne!(message.get_msg_type(), MessageType::MsgSnapshot);
                self.post(id, message.to, Payload::Raft(message));
            }
            Effect::Forward { to, proposal } => self.post(id, to, Payload::Forward(proposal)),
            Effect::ForwardResult { to, id: write, appended } => {
                self.post(id, to, Payload::ForwardResult { id: write, appended });
            }
            Effect::Append(group) => self.member(id).unsynced.push_back(group),
            Effect::Commit(entries) => {
                self.member(id).to_apply.extend(entries.into_iter().map(ApplyWork::Entry));
            }
            Effect::ConfChanged { index, conf_state } => {
                self.member(id).conf_changes.insert(index, conf_state);
            }
            Effect::ReadReady { ids, index } => {
                for read in ids {
                    self.member(id).reads_ready.push((read, index));
                }
                self.serve_reads(id);
            }
            Effect::Refused { id: request, refusal } => self.refuse(id, request, refusal),
            Effect::Role { role: Role::Leader, term, leader } => {
                assert_eq!(leader, id, "a leader leads itself");
                let first = *self.leaders.entry(term).or_insert(id);
                assert_eq!(first, id, "one leader in term {term}");
            }
            Effect::Role { .. } => {}
            Effect::Fetch { low, high, max_bytes } => self.fetch(id, low, high, max_bytes),
            Effect::Compact { index } => self.cut(id, index),
            Effect::TakeSnapshot { to } => {
                self.member(id).to_apply.push_back(ApplyWork::Take { to });
            }
            Effect::DropSnapshot { to } => drop(self.member(id).held.remove(&to)),
            Effect::SendSnapshot(message) => self.send_snapshot(id, message),
            Effect::Install { index, term, conf_state } => {
                let work = ApplyWork::Install { index, term, conf_state };
                self.member(id).to_apply.push_back(work);
            }
            Effect::DiscardSnapshot { index } => {
                self.discards += 1;
                self.member(id).disk.received.retain(|(at, _), _| *at != index);
            }
            Effect::AskBound { to, nonce, last } => {
                self.post(id, to, Payload::AskBound { nonce, last });
            }
            Effect::TellBound { to, nonce, term, index } => {
                self.post(id, to, Payload::TellBound { nonce, term, index });
            }
            Effect::LogComplete => self.complete(id),
        }
        Some(effect)
    }

    fn post(&mut self, from: u64, to: u64, payload: Payload) {
        self.network.push_back(Packet { from, to, payload });
    }

    /// Makes all that was appended durable.
    pub(crate) fn persist(&mut self, id: u64) -> bool {
        let member = self.member(id);
        let groups = std::mem::take(&mut member.unsynced);
        let Some(last) = groups.back().map(|group| group.number) else { return false };
        for group in groups {
            member.write(group);
        }
        self.input(id, Input::Persisted { number: last });
        true
    }

    /// The first groups of what was appended reach the disk, but nobody hears of it.
    pub(crate) fn sync_unnoticed(&mut self, id: u64, groups: usize) {
        let member = self.member(id);
        let reached = groups.min(member.unsynced.len());
        for group in member.unsynced.drain(..reached).collect::<Vec<_>>() {
            member.write(group);
        }
    }

    /// The state machine's thread does the next thing: it applies an entry and answers those
    /// who waited for it, takes a state for a peer, or installs one.
    pub(crate) fn apply(&mut self, id: u64) -> bool {
        let Some(work) = self.member(id).to_apply.pop_front() else { return false };
        match work {
            ApplyWork::Entry(entry) => self.apply_entry(id, entry),
            ApplyWork::Take { to } => self.take_snapshot(id, to),
            ApplyWork::Install { index, term, conf_state } => {
                self.install(id, (index, term), &conf_state);
            }
        }
        true
    }

    fn apply_entry(&mut self, id: u64, entry: Entry) {
        let member = self.member(id);
        assert_eq!(entry.index, member.state.index() + 1, "applied in order");
        if entry.index > member.disk.base.0 {
            let durable = member.disk.log.get((entry.index - member.disk.base.0) as usize - 1);
            assert_eq!(durable, Some(&entry), "what is applied is durable on member {id}");
        }
        if let Some(conf_state) = member.conf_changes.remove(&entry.index) {
            member.state.conf_state = conf_state;
        }
        let index = entry.index;
        if let Some(write) = write_id(&entry)
            && member.open_writes.remove(&write)
        {
            self.acked.insert(write, index);
        }
        self.member(id).state.applied.push(entry);
        self.serve_reads(id);
        self.input(id, Input::Applied { index });
    }

    fn take_snapshot(&mut self, id: u64, to: u64) {
        let member = self.member(id);
        let state = member.state.clone();
        let (index, term) = state.position();
        let conf_state = state.conf_state.clone();
        member.held.insert(to, state);
        self.input(id, Input::SnapshotTaken { to, index, term, conf_state });
    }

    fn install(&mut self, id: u64, at: (u64, u64), conf_state: &ConfState) {
        self.installs += 1;
        let member = self.member(id);
        assert_eq!(member.disk.base, at, "the log begins after what is installed on {id}");
        assert!(at.0 > member.state.index(), "a state is replaced by a later one");
        member.disk.install();
        assert_eq!(&member.disk.stored.conf_state, conf_state);
        member.state = member.disk.stored.clone();
        self.serve_reads(id);
        self.input(id, Input::Applied { index: at.0 });
        self.input(id, Input::Stored { index: at.0 });
    }

    fn cut(&mut self, id: u64, index: u64) {
        self.cuts += 1;
        self.member(id).disk.cut(index);
    }

    /// The state leaves if it is the one that the message describes.
    fn send_snapshot(&mut self, id: u64, message: Message) {
        let to = message.to;
        let metadata = message.get_snapshot().get_metadata();
        let described = (metadata.index, metadata.term);
        let held = self.member(id).held.remove(&to);
        if self.swallow_transfers {
            self.swallowed += 1;
            return;
        }
        match held {
            Some(state) if state.position() == described => {
                self.post(id, to, Payload::Snapshot { message, state });
            }
            _ => self.post(to, id, sent(&message, false)),
        }
    }

    /// Makes what the state machine has applied durable.
    pub(crate) fn flush(&mut self, id: u64) {
        let member = self.member(id);
        if member.node.is_some() {
            member.disk.stored.clone_from(&member.state);
            let index = member.state.index();
            self.input(id, Input::Stored { index });
        }
    }

    pub(crate) fn propose(&mut self, id: u64, write: u64) {
        if self.is_up(id) {
            self.member(id).open_writes.insert(write);
            let entry = Bytes::copy_from_slice(&write.to_be_bytes());
            self.input(id, Input::Propose(Proposal { id: write, entry }));
        }
    }

    pub(crate) fn read(&mut self, id: u64, read: u64) {
        if self.is_up(id) {
            let newest = self.acked.values().copied().max().unwrap_or(0);
            self.member(id).open_reads.insert(read, newest);
            self.input(id, Input::Read { id: read });
        }
    }

    /// Hands a packet to its recipient, if it runs.
    pub(crate) fn deliver(&mut self, packet: Packet) {
        let Packet { from, to, payload } = packet;
        let input = match payload {
            Payload::Raft(message) => Input::Raft(message),
            Payload::Forward(proposal) => Input::Forwarded { from, proposal },
            Payload::ForwardResult { id, appended } => Input::ForwardResult { from, id, appended },
            Payload::Snapshot { message, state } => {
                let ok = self.is_up(to);
                self.post(to, from, sent(&message, ok));
                if ok {
                    self.member(to).disk.received.insert(state.position(), state);
                }
                Input::Raft(message)
            }
            Payload::SnapshotSent { term, index, ok } => {
                Input::SnapshotSent { to: from, term, index, ok }
            }
            Payload::AskBound { nonce, last } => Input::BoundAsked { from, nonce, last },
            Payload::TellBound { nonce, term, index } => {
                Input::BoundTold { from, nonce, term, index }
            }
        };
        self.input(to, input);
    }

    /// The packet does not arrive. Who sends a snapshot learns that.
    pub(crate) fn lose(&mut self, packet: Packet) {
        match packet.payload {
            Payload::Snapshot { message, .. } => {
                self.post(packet.to, packet.from, sent(&message, false));
            }
            Payload::SnapshotSent { .. } => self.deliver(packet),
            _ => {}
        }
    }

    /// The process dies. Its clients never hear of what was under way.
    pub(crate) fn crash(&mut self, id: u64) {
        let member = self.member(id);
        let (disk, boots) = (std::mem::take(&mut member.disk), member.boots);
        *member = Member { disk, boots, ..Member::default() };
    }

    pub(crate) fn restart(&mut self, id: u64) {
        let member = self.members.get_mut(&id).expect("a member of the cluster");
        member.boots += 1;
        let seed = self.seed ^ (id << 32) ^ member.boots;
        let mut config = Config::new(id, seed);
        (self.configure)(&mut config);
        member.disk.install();
        member.disk.received.clear();
        let node = Node::new(config, member.disk.boot()).expect("a member restarts");
        member.node = Some(node);
        member.state = member.disk.stored.clone();
    }

    /// Performs, persists, applies and delivers until nothing is left to do.
    pub(crate) fn stabilize(&mut self) {
        for _ in 0..100_000 {
            let mut quiet = true;
            for id in self.ids() {
                while self.perform(id).is_some() {
                    quiet = false;
                }
                while self.persist(id) || self.apply(id) {
                    quiet = false;
                }
            }
            if let Some(packet) = self.network.pop_front() {
                self.deliver(packet);
                quiet = false;
            }
            if quiet {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    fn fetch(&mut self, id: u64, low: u64, high: u64, max_bytes: u64) {
        self.fetches += 1;
        let mut bytes = 0;
        let Disk { base, log, .. } = &self.member(id).disk;
        let at = |index: u64| index.saturating_sub(base.0 + 1) as usize;
        let entries = log[at(low)..at(high)]
            .iter()
            .take_while(|entry| {
                bytes += entry.data.len() as u64;
                bytes <= max_bytes || entry.index == low
            })
            .cloned()
            .collect();
        self.input(id, Input::Fetched { low, entries });
    }

    fn serve_reads(&mut self, id: u64) {
        let member = self.members.get_mut(&id).expect("a member of the cluster");
        let applied = member.state.index();
        let (ready, waiting) =
            std::mem::take(&mut member.reads_ready).into_iter().partition(|(_, at)| *at <= applied);
        member.reads_ready = waiting;
        for (read, _) in ready {
            if let Some(newest) = member.open_reads.remove(&read) {
                assert!(applied >= newest, "read {read} saw {applied}, but {newest} was acked");
                self.served.insert(read, applied);
            }
        }
    }

    fn refuse(&mut self, id: u64, request: u64, refusal: Refusal) {
        let member = self.member(id);
        let open =
            member.open_writes.remove(&request) || member.open_reads.remove(&request).is_some();
        if open {
            self.refused.insert(request, refusal);
        }
    }
}

/// The transfer that a message began has ended.
fn sent(message: &Message, ok: bool) -> Payload {
    let index = message.get_snapshot().get_metadata().index;
    Payload::SnapshotSent { term: message.term, index, ok }
}
