//! A cluster of nodes without threads, clock or sockets: everything that may happen is one call.
//!
//! Effects are performed one at a time. A group waits in `unsynced` until it is made durable,
//! a committed entry in `to_apply` until it is applied, a message in the network until it is
//! delivered or lost. A crash forgets all but the disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use kvorum_core::node::{
    Boot, Config, Effect, Effects, Group, Input, Node, Proposal, Refusal, Role, TermRun,
};
use raft_proto::eraftpb::{ConfState, Entry, HardState, Message};

/// What survives a crash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    hard_state: HardState,
    log: Vec<Entry>,
    /// The state machine as of its last flush, and the quorum then.
    applied: Vec<Entry>,
    conf_state: ConfState,
}

#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // most are messages
pub(crate) enum Payload {
    Raft(Message),
    Forward(Proposal),
    ForwardResult { id: u64, appended: Option<(u64, u64)> },
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
    pub(crate) to_apply: VecDeque<Entry>,
    pub(crate) applied: Vec<Entry>,
    conf_state: ConfState,
    conf_changes: BTreeMap<u64, ConfState>,
    /// Reads that wait for an index to be applied.
    reads_ready: Vec<(u64, u64)>,
    /// Requests of this member's clients that have no answer yet.
    open_writes: BTreeSet<u64>,
    open_reads: BTreeMap<u64, u64>,
    boots: u64,
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
    pub(crate) configure: fn(&mut Config),
    seed: u64,
}

impl Cluster {
    pub(crate) fn new(size: u64, seed: u64) -> Cluster {
        Cluster::with(size, seed, |_| ())
    }

    pub(crate) fn with(size: u64, seed: u64, configure: fn(&mut Config)) -> Cluster {
        let conf_state = ConfState::from(((1..=size), []));
        let mut cluster = Cluster {
            members: BTreeMap::new(),
            network: VecDeque::new(),
            acked: BTreeMap::new(),
            served: BTreeMap::new(),
            refused: BTreeMap::new(),
            leaders: BTreeMap::new(),
            fetches: 0,
            configure,
            seed,
        };
        for id in 1..=size {
            let disk = Disk { conf_state: conf_state.clone(), ..Disk::default() };
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

    /// Performs the member's next effect.
    pub(crate) fn perform(&mut self, id: u64) -> Option<Effect> {
        let effect = self.member(id).effects.pop_front()?;
        match effect.clone() {
            Effect::Send(message) => {
                let to = message.to;
                self.network.push_back(Packet { from: id, to, payload: Payload::Raft(message) });
            }
            Effect::Forward { to, proposal } => {
                let payload = Payload::Forward(proposal);
                self.network.push_back(Packet { from: id, to, payload });
            }
            Effect::ForwardResult { to, id: write, appended } => {
                let payload = Payload::ForwardResult { id: write, appended };
                self.network.push_back(Packet { from: id, to, payload });
            }
            Effect::Append(group) => self.member(id).unsynced.push_back(group),
            Effect::Commit(entries) => self.member(id).to_apply.extend(entries),
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
        }
        Some(effect)
    }

    /// Makes all that was appended durable.
    pub(crate) fn persist(&mut self, id: u64) -> bool {
        let member = self.member(id);
        let groups = std::mem::take(&mut member.unsynced);
        let Some(last) = groups.back().map(|group| group.number) else { return false };
        for group in groups {
            member.disk.write(group);
        }
        self.input(id, Input::Persisted { number: last });
        true
    }

    /// What was appended reaches the disk, but nobody hears of it.
    pub(crate) fn sync_unnoticed(&mut self, id: u64) {
        let member = self.member(id);
        for group in std::mem::take(&mut member.unsynced) {
            member.disk.write(group);
        }
    }

    /// Applies the next committed entry, and answers those who waited for it.
    pub(crate) fn apply(&mut self, id: u64) -> bool {
        let member = self.member(id);
        let Some(entry) = member.to_apply.pop_front() else { return false };
        assert_eq!(entry.index, member.applied.len() as u64 + 1, "applied in order");
        let durable = member.disk.log.get(entry.index as usize - 1);
        assert_eq!(durable, Some(&entry), "what is applied is durable on member {id}");
        if let Some(conf_state) = member.conf_changes.remove(&entry.index) {
            member.conf_state = conf_state;
        }
        let index = entry.index;
        if let Some(write) = write_id(&entry)
            && member.open_writes.remove(&write)
        {
            self.acked.insert(write, index);
        }
        self.member(id).applied.push(entry);
        self.serve_reads(id);
        self.input(id, Input::Applied { index });
        true
    }

    /// Makes what the state machine has applied durable.
    pub(crate) fn flush(&mut self, id: u64) {
        let member = self.member(id);
        if member.node.is_some() {
            member.disk.applied.clone_from(&member.applied);
            member.disk.conf_state = member.conf_state.clone();
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
        let from = packet.from;
        let input = match packet.payload {
            Payload::Raft(message) => Input::Raft(message),
            Payload::Forward(proposal) => Input::Forwarded { from, proposal },
            Payload::ForwardResult { id, appended } => Input::ForwardResult { from, id, appended },
        };
        self.input(packet.to, input);
    }

    /// The process dies. Its clients never hear of what was under way.
    pub(crate) fn crash(&mut self, id: u64) {
        let member = self.member(id);
        let (disk, boots) = (std::mem::take(&mut member.disk), member.boots);
        *member = Member { disk, boots, ..Member::default() };
    }

    pub(crate) fn restart(&mut self, id: u64) {
        let configure = self.configure;
        let seed = self.seed;
        let member = self.member(id);
        member.boots += 1;
        let seed = seed ^ (id << 32) ^ member.boots;
        let mut config = Config::new(id, seed);
        configure(&mut config);
        let node = Node::new(config, member.disk.boot()).expect("a member restarts");
        member.node = Some(node);
        member.applied = member.disk.applied.clone();
        member.conf_state = member.disk.conf_state.clone();
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

    /// Lets time pass for all until the cluster has had a leader for a while and all requests
    /// have ended.
    pub(crate) fn heal(&mut self) {
        for id in self.ids() {
            if !self.is_up(id) {
                self.restart(id);
            }
        }
        for _ in 0..200 {
            for id in self.ids() {
                self.input(id, Input::Tick);
            }
            self.stabilize();
        }
    }

    /// What must hold whenever all members agree again.
    pub(crate) fn check_healed(&self) {
        let longest = self.members.values().max_by_key(|member| member.applied.len());
        let applied = &longest.expect("a cluster has members").applied;
        for (id, member) in &self.members {
            assert_eq!(&member.applied, applied, "member {id} has applied what the others have");
            assert!(member.open_writes.is_empty(), "member {id} owes {:?}", member.open_writes);
            assert!(member.open_reads.is_empty(), "member {id} owes {:?}", member.open_reads);
        }
        self.check_prefixes();
        let mut seen = BTreeSet::new();
        for entry in applied {
            if let Some(write) = write_id(entry) {
                assert!(seen.insert(write), "write {write} happened twice");
            }
        }
        for (write, index) in &self.acked {
            let kept = applied.get(*index as usize - 1).and_then(write_id);
            assert_eq!(kept, Some(*write), "the acknowledged write {write} is at {index}");
        }
        for (request, refusal) in &self.refused {
            if matches!(refusal, Refusal::NoLeader | Refusal::TooManyRequests) {
                assert!(!seen.contains(request), "{request} was refused as never proposed");
            }
        }
    }

    /// What must hold always: no two members have applied different entries at an index.
    pub(crate) fn check_prefixes(&self) {
        let members: Vec<_> = self.members.values().collect();
        for pair in members.windows(2) {
            let common = pair[0].applied.len().min(pair[1].applied.len());
            assert_eq!(pair[0].applied[..common], pair[1].applied[..common]);
        }
    }

    fn fetch(&mut self, id: u64, low: u64, high: u64, max_bytes: u64) {
        self.fetches += 1;
        let mut bytes = 0;
        let log = &self.member(id).disk.log;
        let entries = log[low as usize - 1..high as usize - 1]
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
        let applied = member.applied.len() as u64;
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

impl Disk {
    fn write(&mut self, group: Group) {
        for entry in group.entries {
            self.log.truncate(entry.index as usize - 1);
            assert_eq!(self.log.len() as u64 + 1, entry.index, "the log has no gap");
            self.log.push(entry);
        }
        if let Some(hard_state) = group.hard_state {
            self.hard_state = hard_state;
        }
    }

    fn boot(&self) -> Boot {
        let mut runs: Vec<TermRun> = Vec::new();
        for entry in &self.log {
            if runs.last().is_none_or(|run| run.term != entry.term) {
                runs.push(TermRun { first: entry.index, term: entry.term });
            }
        }
        let applied = self.applied.last().map_or((0, 0), |entry| (entry.index, entry.term));
        Boot {
            hard_state: self.hard_state.clone(),
            conf_state: self.conf_state.clone(),
            applied,
            base: (0, 0),
            last: self.log.len() as u64,
            runs,
            tail: self.log[applied.0 as usize..].to_vec(),
        }
    }
}

/// The write that an entry is, if it is one.
pub(crate) fn write_id(entry: &Entry) -> Option<u64> {
    Some(u64::from_be_bytes(entry.data[..].try_into().ok()?))
}
