//! The node thread: everything that happens goes through its inbox, everything that must be done
//! comes out as effects, which it hands over in their order and never waits for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kvorum_core::node::{Effect, Input, Node, Role};
use raft_proto::eraftpb::{Message, MessageType};

use super::apply_thread::ApplyWork;
use super::queue::{Drained, Queue};
use super::{Handle, Leadership, RequestError};
use crate::identity::hex;
use crate::peer::not_proposed;
use crate::stage::LogWork;

/// Where the effects of a node go.
pub(super) struct NodeThread {
    pub(super) handle: Handle,
    pub(super) node: Node,
    pub(super) log: Arc<Queue<LogWork>>,
    pub(super) apply: Arc<Queue<ApplyWork>>,
    pub(super) heard: Option<Heard>,
}

/// The last heartbeat that came: of which leader, and when.
pub(super) struct Heard {
    from: u64,
    at: Instant,
}

impl NodeThread {
    /// Runs until the inbox is closed. Ticks that were missed, because the machine was held up,
    /// are left out: time that nobody could use must not bring down a leader.
    pub(super) fn run(mut self, tick: Duration) {
        // Those behind this thread must end even if it panics, or the process would hang.
        let (log, apply) = (Arc::clone(&self.log), Arc::clone(&self.apply));
        let _closing = (log.close_on_drop(), apply.close_on_drop());
        let mut inputs = Vec::new();
        let mut effects = Vec::new();
        let mut next_tick = Instant::now();
        loop {
            let drained = self.handle.inbox.drain(&mut inputs, Some(next_tick));
            if drained == Drained::Closed {
                break;
            }
            let now = Instant::now();
            if now >= next_tick {
                self.note_late_tick(now - next_tick, tick);
                inputs.push(Input::Tick);
                next_tick = (next_tick + tick).max(now);
            }
            self.note_heartbeats(&inputs, now, tick);
            self.node.step_all(inputs.drain(..), &mut effects);
            self.publish();
            for effect in effects.drain(..) {
                self.perform(effect);
            }
        }
    }

    fn perform(&self, effect: Effect) {
        match effect {
            Effect::Send(message) => {
                let peer = message.to;
                if !self.handle.peers.send(message) {
                    self.handle.metrics.peers.failed(peer);
                    self.handle.inbox.push(Input::Unreachable { peer });
                }
            }
            Effect::Append(group) => self.log.push(LogWork::Append(group)),
            Effect::Commit(entries) => self.apply.push(ApplyWork::Commit(entries)),
            Effect::Compact { index } => self.log.push(LogWork::Release { upto: index }),
            Effect::TakeSnapshot { to } => self.apply.push(ApplyWork::Hold { to }),
            Effect::DropSnapshot { to } => self.handle.snapshots.drop(to),
            Effect::SendSnapshot(message) => self.send_snapshot(message),
            Effect::Install { index, .. } => self.apply.push(ApplyWork::Install { index }),
            Effect::DiscardSnapshot { index } => self.apply.push(ApplyWork::Discard { index }),
            Effect::ReadReady { ids, index } => self.handle.reads.ready(&ids, index),
            Effect::Forward { to, proposal } => {
                let id = proposal.id;
                if !self.handle.peers.forward(to, proposal) {
                    self.handle.inbox.push(not_proposed(to, id));
                }
            }
            Effect::ForwardResult { to, id, appended } => {
                self.handle.peers.result(to, id, appended);
            }
            Effect::Refused { id, refusal } => {
                self.handle.reads.refuse(id, refusal);
                let answer = Err(RequestError::Refused(refusal));
                self.handle.writes.answer([(id, answer)].into_iter());
            }
            Effect::Role { role, term, leader } => self.role(Leadership { role, term, leader }),
            Effect::Fetch { low, high, max_bytes } => {
                self.log.push(LogWork::Fetch { low, high, max_bytes });
            }
            Effect::AskBound { to, nonce, last } => self.handle.peers.ask_bound(to, nonce, last),
            Effect::TellBound { to, nonce, term, index } => {
                self.handle.peers.tell_bound(to, nonce, (term, index));
            }
            Effect::LogComplete => {
                self.log.push(LogWork::Complete);
                let me = hex(self.handle.identity.member_id);
                tracing::info!(
                    local_member_id = me,
                    "the log has got back all that it had lost to damage: this member votes again"
                );
            }
            Effect::ConfChanged { index, .. } => {
                // The entry itself stops the member when it is to be applied.
                tracing::error!(index, "the log changes the members, which is not supported yet");
            }
        }
    }

    /// A tick that comes a whole interval late makes a heartbeat that comes after two. Followers
    /// bear ten, but whoever looks for the reason of an election wants to know.
    fn note_late_tick(&self, late: Duration, tick: Duration) {
        if late > tick && self.handle.leadership().role == Role::Leader {
            tracing::warn!(
                late_ms = late.as_millis() as u64,
                "leader failed to send out heartbeat on time; took too long, leader is overloaded"
            );
        }
    }

    /// The same as the follower sees it, which tells a slow leader from a slow network.
    fn note_heartbeats(&mut self, inputs: &[Input], now: Instant, tick: Duration) {
        for input in inputs {
            let Input::Raft(message) = input else { continue };
            if message.msg_type != MessageType::MsgHeartbeat as i32 {
                continue;
            }
            let from = message.from;
            if let Some(heard) = &self.heard
                && heard.from == from
                && now - heard.at > 2 * tick
            {
                let after_ms = (now - heard.at).as_millis() as u64;
                tracing::warn!(
                    peer_id = hex(from),
                    after_ms,
                    "a heartbeat of the leader came late"
                );
            }
            self.heard = Some(Heard { from, at: now });
        }
    }

    fn send_snapshot(&self, message: Message) {
        let (to, term) = (message.to, message.term);
        let index = message.get_snapshot().get_metadata().index;
        match self.handle.snapshots.take(to, index) {
            Some(held) => {
                let task = self.handle.peers.send_snapshot(&self.handle, message, held);
                self.handle.snapshots.send(to, task);
            }
            None => self.handle.inbox.push(Input::SnapshotSent { to, term, index, ok: false }),
        }
    }

    fn role(&self, leadership: Leadership) {
        let before = self.handle.leadership.send_replace(leadership);
        self.handle.leases.wake();
        if leadership.leader != 0 && before.leader != leadership.leader {
            self.handle.metrics.leader_changes.inc();
        }
        if before.leader == leadership.leader && before.role == leadership.role {
            return;
        }
        let me = hex(self.handle.identity.member_id);
        let term = leadership.term;
        match (leadership.role, leadership.leader) {
            (Role::Leader, _) => {
                tracing::info!(local_member_id = me, term, "this member leads");
            }
            (_, 0) => tracing::info!(local_member_id = me, term, "there is no leader"),
            (_, leader) => {
                let leader = hex(leader);
                tracing::info!(local_member_id = me, term, leader, "this member follows");
            }
        }
    }

    fn publish(&self) {
        let status = self.node.status();
        let progress = &self.handle.progress;
        progress.committed.store(status.committed, Ordering::Relaxed);
        progress.term.store(status.term, Ordering::Relaxed);
        progress.incomplete.store(status.incomplete, Ordering::Relaxed);
        progress.rejected.store(status.rejected, Ordering::Relaxed);
        let active = status.peers.iter().filter(|peer| peer.active).map(|peer| peer.id).collect();
        *progress.active.lock() = active;
    }
}
