//! The only file that knows raft's `Ready` contract: a Ready becomes effects, in this order.
//!
//! 1. A leader's messages: they claim nothing about its own disk.
//! 2. One group for the log, if anything must be durable.
//! 3. Changes of the quorum among the committed entries, so that no vote below is counted by
//!    the old one.
//! 4. Everyone else's messages, which promise what the log must hold: at once if nothing is on
//!    its way to the disk, else after the newest group on its way is durable.
//! 5. Committed entries, exactly those that raft hands out. It hands out none that are not
//!    durable here, and a leader counts itself into the quorum only when they are, so a single
//!    member too commits after its own sync.
//! 6. Answers to reads.
//!
//! Writing is asynchronous: the next Ready is taken while groups are on their way. A commit
//! index alone is not worth a group, it travels with the next one: after a crash it is learnt
//! again, and what was applied counts as committed.
//!
//! raft hears that a group is durable only when no group behind it rewrites the log. Otherwise
//! it could take an entry for durable that the next group replaces and a later one brings back.
//!
//! A snapshot that raft took is the beginning of a group: the log begins anew behind it. Such a
//! group counts as one that rewrites, so the rule holds for it too. Whenever raft is told, the
//! groups on their way only add to the log, and so all it is told of is in the log after any
//! crash. It goes through its records in order and lets a snapshot void what came before, hence
//! takes for durable the newest base and the last entries behind it, never entries of a log
//! that is gone. It lowers its own durable index to what was committed before the snapshot, and
//! the snapshot lies behind that; so nothing behind the snapshot is handed out as committed,
//! and this member cannot lead, before raft has heard that the snapshot's group is durable.
//!
//! The shell is told to install a snapshot as soon as its group is durable, even when raft is
//! not told yet because a later group rewrites entries behind it: what comes back after a
//! crash begins with this snapshot in any case. raft's own applied index moves when the log
//! does, since before a campaign raft looks through all entries from it to the committed one, and
//! those inside the snapshot are gone. How far the state machine here is, is counted apart.

use std::collections::VecDeque;

use raft::{Ready, StateRole};
use raft_proto::eraftpb::{Entry, HardState, Message};

use super::install::Description;
use super::log::entry_bytes;
use super::status::role;
use super::{Effect, Effects, Group, Node, Role};
use crate::planted::{self, Bug};

#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Groups handed to the log and not yet durable.
    in_flight: VecDeque<InFlight>,
    /// The number of the last group.
    last_group: u64,
    /// The newest Ready that is durable, and the newest that raft was told of.
    durable: u64,
    told: u64,
    /// The hard state in the newest group.
    written: HardState,
    /// The last index handed over to be applied, by entries or by a snapshot.
    handed_over: u64,
    /// The index of the newest snapshot that raft took.
    restored: u64,
    /// The last index that the state machine has applied.
    applied: u64,
    /// What was handed over and is not yet applied: last index and bytes of each piece.
    unapplied: VecDeque<(u64, u64)>,
    unapplied_bytes: u64,
    /// What the shell was last told.
    announced: Option<(Role, u64, u64)>,
}

#[derive(Debug)]
struct InFlight {
    group: u64,
    /// The newest Ready that is durable with this group.
    ready: u64,
    since: u64,
    rewrites: bool,
    /// To be installed when the group is durable, ...
    install: Option<Effect>,
    /// ... and to be sent.
    messages: Vec<Message>,
}

impl Progress {
    pub(super) fn new(written: HardState, applied: u64) -> Progress {
        Progress { written, handed_over: applied, applied, ..Progress::default() }
    }

    pub(super) fn handed_over(&self) -> u64 {
        self.handed_over
    }

    pub(super) fn restored(&self) -> u64 {
        self.restored
    }

    pub(super) fn applied(&self) -> u64 {
        self.applied
    }

    pub(super) fn unapplied_bytes(&self) -> u64 {
        self.unapplied_bytes
    }

    /// The tick at which the oldest group not yet durable was handed to the log.
    pub(super) fn waiting_since(&self) -> Option<u64> {
        self.in_flight.front().map(|group| group.since)
    }

    fn hand_over(&mut self, entries: &[Entry]) {
        let Some(last) = entries.last() else { return };
        let bytes = entries.iter().map(entry_bytes).sum();
        self.handed_over = last.index;
        self.unapplied.push_back((last.index, bytes));
        self.unapplied_bytes += bytes;
    }

    fn account(&mut self, index: u64) {
        self.applied = index;
        while let Some((last, bytes)) = self.unapplied.front().copied()
            && last <= index
        {
            self.unapplied.pop_front();
            self.unapplied_bytes -= bytes;
        }
    }
}

impl Node {
    /// Turns everything raft has ready into effects.
    pub(super) fn drain(&mut self, out: &mut Effects) {
        loop {
            self.announce(out);
            self.fetch_wanted(out);
            self.hold_states(out);
            if !self.raw.has_ready() {
                return;
            }
            let ready = self.raw.ready();
            self.perform(ready, out);
        }
    }

    /// The log made `group` durable, and so every group before it.
    pub(super) fn persisted(&mut self, group: u64, out: &mut Effects) {
        while let Some(first) = self.ready.in_flight.front()
            && first.group <= group
            && let Some(durable) = self.ready.in_flight.pop_front()
        {
            self.ready.durable = durable.ready;
            out.extend(durable.install);
            self.send(durable.messages, out);
        }
        self.tell_durable();
    }

    /// The state machine has applied up to `index`.
    pub(super) fn applied(&mut self, index: u64, out: &mut Effects) {
        let index = index.min(self.ready.handed_over);
        if index <= self.ready.applied {
            return;
        }
        self.ready.account(index);
        self.settle_install(index, out);
        // Behind it as long as a snapshot is being installed.
        if index > self.raw.raft.raft_log.applied {
            self.raw.advance_apply_to(index);
        }
        let durable = self.raw.raft.raft_log.persisted;
        self.raw.mut_store().evict(index.min(durable));
    }

    fn perform(&mut self, mut ready: Ready, out: &mut Effects) {
        self.send(ready.take_messages(), out);
        let number = ready.number();
        let must_sync = ready.must_sync();
        let entries = ready.take_entries();
        let mut messages = ready.take_persisted_messages();
        if planted::is(Bug::AckBeforeSync) {
            self.send(std::mem::take(&mut messages), out);
        }
        let committed = ready.take_committed_entries();
        let read_states = ready.take_read_states();

        let snapshot = (!ready.snapshot().is_empty()).then(|| Description::of(ready.snapshot()));
        let base = snapshot.as_ref().map(|snapshot| (snapshot.index, snapshot.term));
        let replaces = |first: &Entry| first.index <= self.raw.store().last();
        let rewrites = base.is_some() || entries.first().is_some_and(replaces);
        if let Some(base) = base {
            self.raw.mut_store().reset(base);
        }
        self.raw.mut_store().append(&entries);
        self.raw.advance_append_async(ready);
        if let Some((index, _)) = base {
            self.restored(index, out);
        }
        let unsent = if must_sync {
            let group = self.next_group(base, entries);
            self.ready.in_flight.push_back(InFlight {
                group: group.number,
                ready: number,
                since: self.now,
                rewrites,
                install: snapshot.map(Effect::from),
                messages,
            });
            out.push(Effect::Append(group));
            Vec::new()
        } else {
            self.after_groups(number, messages)
        };
        self.apply_conf_changes(&committed, out);
        self.send(unsent, out);
        if !committed.is_empty() {
            self.ready.hand_over(&committed);
            out.push(Effect::Commit(committed));
            self.end_committed_writes(out);
        }
        self.answer_reads(read_states, out);
    }

    /// The log begins anew after a snapshot. Its entries are handed over by it.
    fn restored(&mut self, index: u64, out: &mut Effects) {
        self.raw.raft.raft_log.applied = index;
        self.ready.restored = index;
        self.ready.handed_over = index;
        self.end_committed_writes(out);
    }

    fn next_group(&mut self, base: Option<(u64, u64)>, entries: Vec<Entry>) -> Group {
        let mut now = self.raw.raft.hard_state();
        if planted::is(Bug::VoteForgotten) {
            now.vote = 0;
        }
        let hard_state = (now != self.ready.written).then(|| now.clone());
        self.ready.written = now;
        self.ready.last_group += 1;
        Group { number: self.ready.last_group, base, entries, hard_state }
    }

    /// A Ready that needs no group of its own. Its messages are returned if they may be sent.
    fn after_groups(&mut self, number: u64, messages: Vec<Message>) -> Vec<Message> {
        if let Some(newest) = self.ready.in_flight.back_mut() {
            newest.ready = number;
            newest.messages.extend(messages);
            return Vec::new();
        }
        self.ready.durable = number;
        self.tell_durable();
        messages
    }

    fn tell_durable(&mut self) {
        let rewritten = self.ready.in_flight.iter().any(|group| group.rewrites);
        if self.ready.durable > self.ready.told && !rewritten {
            self.ready.told = self.ready.durable;
            self.raw.on_persist_ready(self.ready.durable);
        }
    }

    fn announce(&mut self, out: &mut Effects) {
        let raft = &self.raw.raft;
        let now = (role(raft.state), raft.term, raft.leader_id);
        if self.ready.announced != Some(now) {
            self.ready.announced = Some(now);
            let (role, term, leader) = now;
            out.push(Effect::Role { role, term, leader });
        }
    }

    /// A leader whose disk stands still keeps others from leading. Whoever takes over needs no
    /// disk of ours, and we cannot campaign before the log is durable again. A lone voter stays.
    pub(super) fn step_down_if_stalled(&mut self) {
        let raft = &mut self.raw.raft;
        let Some(since) = self.ready.waiting_since() else { return };
        let stalled = self.now - since;
        if raft.state == StateRole::Leader
            && !raft.prs().is_singleton()
            && stalled >= u64::from(self.config.election_ticks)
        {
            self.complaints.stalled(stalled);
            let term = raft.term;
            raft.become_follower(term, 0);
        }
    }
}
