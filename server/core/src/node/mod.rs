//! Consensus: one member's raft, driven by inputs, answering with ordered effects.
//!
//! [`Node`] knows no clock, disk or network. Time is [`Input::Tick`], chance is
//! [`Config::seed`], and what must be done is a list of [`Effect`]s; so the same inputs give the
//! same effects, and a simulator can run a cluster of nodes as the real shell does.
//!
//! What the shell owes a node:
//! - effects are performed in order; a message may be lost, but no forwarded write and no answer
//!   to one may arrive twice;
//! - [`Effect::Append`] is answered by [`Input::Persisted`] after the group is durable, and never
//!   if that is not certain;
//! - [`Effect::Commit`] is followed by [`Input::Applied`];
//! - every [`Effect::Fetch`], [`Effect::TakeSnapshot`], [`Effect::SendSnapshot`] and
//!   [`Effect::Install`] is answered, but for a transfer that an [`Effect::DropSnapshot`] ended.
//!
//! What a node owes the shell: a write that was proposed is never proposed again; an entry is
//! committed only when it is durable here and on a quorum; every request comes to an end, by its
//! entry in [`Effect::Commit`], [`Effect::ReadReady`] or [`Effect::Refused`]. A refusal of an id
//! that the shell has answered in the meantime is to be ignored.

mod boot;
mod compaction;
mod config;
mod effect;
mod election;
mod fetch;
mod input;
mod install;
mod links;
mod log;
mod logger;
mod membership;
mod pending;
mod propose;
mod read_index;
mod ready;
mod recovery;
mod status;
mod transfer;
mod validate;

use raft::RawNode;
use raft_proto::eraftpb::{Message, MessageType, SnapshotMetadata};

pub use boot::{Boot, BootError, TermRun};
pub use config::{Config, Limits};
pub use effect::{Effect, Effects, Group, Refusal, Role};
pub use input::{Input, Proposal};
pub use status::{PeerStatus, Status};
pub use validate::Rejection;

use election::{Chance, Election};
use fetch::Fetches;
use install::{Installing, snapshot_index};
use links::Links;
use log::Log;
use logger::Complaints;
use pending::Pending;
use read_index::Reads;
use ready::Progress;
use recovery::{Bounds, Recovery};

/// One member's part in the consensus.
pub struct Node {
    config: Config,
    raw: RawNode<Log>,
    /// Ticks since the start.
    now: u64,
    election: Election,
    ready: Progress,
    fetches: Fetches,
    pending: Pending,
    links: Links,
    /// Writes of peers, to be proposed in this step.
    forwarded: Vec<(u64, Proposal)>,
    reads: Reads,
    installing: Option<Installing>,
    /// As long as this member lacks something that it has promised.
    recovery: Option<Recovery>,
    bounds: Bounds,
    /// The backend holds everything up to this index.
    stored: u64,
    rejected: u64,
    last_rejection: Option<(u64, Rejection)>,
    complaints: Complaints,
}

impl Node {
    /// Goes on from what was found on disk. Nothing happens before the first input; the shell
    /// gives it a [`Input::Tick`] at once, so that a lone member leads without delay.
    pub fn new(config: Config, boot: Boot) -> Result<Node, BootError> {
        boot.check(config.id)?;
        let (written, applied) = (boot.hard_state.clone(), boot.applied.0);
        let incomplete = boot.incomplete.is_some();
        let log = Log::new(boot, config.limits.resident_bytes);
        let raw = RawNode::new(&config.for_raft(applied), log, &config.logger)?;
        let mut chance = Chance::new(config.seed);
        let nonce = chance.draw();
        let recovery = incomplete.then(|| Recovery::new(chance.draw()));
        Ok(Node {
            raw,
            now: 0,
            election: Election::new(chance),
            ready: Progress::new(written, applied),
            fetches: Fetches::default(),
            pending: Pending::default(),
            links: Links::default(),
            forwarded: Vec::new(),
            reads: Reads::new(nonce),
            installing: None,
            recovery,
            bounds: Bounds::default(),
            stored: applied,
            rejected: 0,
            last_rejection: None,
            complaints: Complaints::new(config.logger.clone()),
            config,
        })
    }

    /// Takes one input and adds what is to be done to `out`.
    pub fn step(&mut self, input: Input, out: &mut Effects) {
        self.accept(input, out);
        self.settle(out);
    }

    /// Takes several inputs at once: their writes share one group of the log and one message to
    /// each peer, their reads one question to the quorum.
    pub fn step_all(&mut self, inputs: impl IntoIterator<Item = Input>, out: &mut Effects) {
        for input in inputs {
            self.accept(input, out);
        }
        self.settle(out);
    }

    fn accept(&mut self, input: Input, out: &mut Effects) {
        match input {
            Input::Tick => self.tick(out),
            Input::Propose(proposal) => self.admit_write(proposal, out),
            Input::Forwarded { from, proposal } => self.admit_forwarded(from, proposal, out),
            Input::ForwardResult { from, id, appended } => {
                self.forward_answered(from, id, appended, out);
            }
            Input::Read { id } => self.admit_read(id, out),
            Input::Raft(message) => self.receive(message, out),
            Input::Unreachable { peer } => self.unreachable(peer),
            Input::Persisted { number } => self.persisted(number, out),
            Input::Applied { index } => self.applied(index, out),
            Input::Fetched { low, entries } => self.fetched(low, entries),
            Input::TransferLeader { to } => self.transfer_leader(to),
            Input::Stored { index } => self.stored(index, out),
            Input::SnapshotTaken { to, index, term, conf_state } => {
                let metadata = SnapshotMetadata { conf_state: Some(conf_state), index, term };
                self.snapshot_taken(to, metadata, out);
            }
            Input::SnapshotSent { to, term, index, ok } => {
                self.snapshot_sent(to, (term, index), ok, out);
            }
            Input::BoundAsked { from, nonce, last } => self.bound_asked(from, nonce, last, out),
            Input::BoundTold { from, nonce, term, index } => {
                self.bound_told(from, nonce, (term, index), out);
            }
        }
    }

    /// Goes on until nothing more follows from what happened.
    fn settle(&mut self, out: &mut Effects) {
        loop {
            self.propose(out);
            self.ask();
            if !self.raw.has_ready() {
                self.drain(out);
                return;
            }
            // What is drained may bring a leader that requests wait for.
            self.drain(out);
        }
    }

    fn tick(&mut self, out: &mut Effects) {
        self.now += 1;
        self.complaints.tick();
        self.step_down_if_stalled();
        if self.recovery.is_some() {
            self.election.rest(&mut self.raw);
        } else {
            self.election.tick(&mut self.raw);
        }
        self.complain_of_no_leader();
        self.ask_bound(out);
        self.forget_fetches();
        self.expire_transfers(out);
        self.compact(out);
        self.expire_writes(out);
        self.expire_reads(out);
    }

    fn receive(&mut self, mut message: Message, out: &mut Effects) {
        self.distrust(&mut message);
        let snapshot = snapshot_index(&message);
        match self.check(&message) {
            Ok(()) => self.take(message),
            Err(why) => {
                self.rejected += 1;
                self.last_rejection = Some((message.from, why));
                self.complaints.rejected(&message, why);
            }
        }
        if let Some(index) = snapshot {
            self.settle_snapshot(index, out);
        }
    }

    fn take(&mut self, message: Message) {
        if let [question] = &*message.entries
            && message.get_msg_type() == MessageType::MsgReadIndex
        {
            self.reads.note(message.from, &question.data);
        }
        // What raft refuses here it refuses without consequence.
        let _ = self.raw.step(message);
    }

    /// Only a voter that answers can take over; whether it did shows in [`Effect::Role`].
    fn transfer_leader(&mut self, to: u64) {
        let raft = &self.raw.raft;
        let votes = raft.prs().conf().to_conf_state().voters.contains(&to);
        let leads = raft.leader_id == raft.id;
        let active = raft.prs().get(to).is_some_and(|progress| progress.recent_active);
        if leads && votes && active && to != raft.id {
            self.raw.transfer_leader(to);
        }
    }
}
