//! Writes on their way to the log.
//!
//! Only a leader proposes: raft would forward a follower's proposal by itself and nobody would
//! learn what became of it. So a follower sends the write to the leader as an effect, and
//! [`Pending`](super::pending) remembers it. All writes of one step become one proposal, and so
//! one group for the log and one message to each peer.

use bytes::Bytes;
use raft::StateRole;
use raft_proto::eraftpb::{Entry, Message, MessageType};

use super::config::{PROPOSAL_BYTES, uncommitted_bytes};
use super::{Effect, Effects, Node, Proposal, Refusal};

/// Who waits for an entry of the batch.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Client { id: u64 },
    Peer { from: u64, id: u64 },
}

#[derive(Debug, Default)]
struct Batch {
    entries: Vec<Entry>,
    origins: Vec<Origin>,
    bytes: u64,
}

impl Node {
    /// A client's write. An id that is already under way is ignored: ids are unique.
    pub(super) fn admit_write(&mut self, proposal: Proposal, out: &mut Effects) {
        let Proposal { id, entry } = proposal;
        if self.pending.contains(id) {
            return;
        }
        let limits = &self.config.limits;
        let held = self.pending.held_bytes() + entry.len() as u64;
        if self.pending.len() >= limits.writes || held > limits.held_bytes {
            out.push(Effect::Refused { id, refusal: Refusal::TooManyRequests });
            return;
        }
        let deadline = self.now + u64::from(self.config.request_ticks);
        self.pending.hold(id, entry, self.now, deadline);
    }

    /// A write that a peer forwarded; it is answered in this step.
    pub(super) fn admit_forwarded(&mut self, from: u64, proposal: Proposal, out: &mut Effects) {
        if self.can_append() {
            self.forwarded.push((from, proposal));
        } else {
            out.push(Effect::ForwardResult { to: from, id: proposal.id, appended: None });
        }
    }

    /// The leader's answer to a write forwarded to it.
    pub(super) fn forward_answered(
        &mut self,
        from: u64,
        id: u64,
        appended: Option<(u64, u64)>,
        out: &mut Effects,
    ) {
        self.pending.answered(id, from, appended, self.now);
        // It may have been committed before the answer came.
        self.end_committed_writes(out);
    }

    /// Proposes or forwards what can be.
    pub(super) fn propose(&mut self, out: &mut Effects) {
        if self.can_append() {
            self.append_writes(out);
            return;
        }
        for (from, proposal) in std::mem::take(&mut self.forwarded) {
            out.push(Effect::ForwardResult { to: from, id: proposal.id, appended: None });
        }
        let (leader, term) = (self.raw.raft.leader_id, self.raw.raft.term);
        if leader == 0 || leader == self.raw.raft.id {
            return;
        }
        while let Some((id, entry)) = self.pending.take_held(self.now) {
            self.pending.forwarded(id, leader, term);
            out.push(Effect::Forward { to: leader, proposal: Proposal { id, entry } });
        }
    }

    /// Ends the writes whose place in the log is decided and handed over.
    pub(super) fn end_committed_writes(&mut self, out: &mut Effects) {
        let (log, restored) = (self.raw.store(), self.ready.restored());
        // What a snapshot brought is applied without an answer, so nobody knows what became of it.
        let term = |index| if index > restored { log.term_of(index) } else { None };
        for id in self.pending.committed(self.ready.handed_over(), term) {
            out.push(Effect::Refused { id, refusal: Refusal::LeaderChanged });
        }
    }

    /// Ends the writes that are out of time.
    pub(super) fn expire_writes(&mut self, out: &mut Effects) {
        let (term, leader) = (self.raw.raft.term, self.raw.raft.leader_id);
        let raft = &self.raw.raft;
        let connected = |since| self.links.connected(raft, since);
        for (id, refusal) in self.pending.expired(self.now, term, leader, connected) {
            out.push(Effect::Refused { id, refusal });
        }
    }

    fn can_append(&self) -> bool {
        self.raw.raft.state == StateRole::Leader && self.raw.raft.lead_transferee.is_none()
    }

    fn append_writes(&mut self, out: &mut Effects) {
        let mut batch = Batch::default();
        for (from, Proposal { id, entry }) in std::mem::take(&mut self.forwarded) {
            if self.has_room(&batch, entry.len() as u64) {
                self.put(&mut batch, Origin::Peer { from, id }, entry, out);
            } else {
                out.push(Effect::ForwardResult { to: from, id, appended: None });
            }
        }
        while let Some((id, entry)) = self.pending.take_held(self.now) {
            if self.has_room(&batch, entry.len() as u64) {
                // Its place follows from the batch; until then it is on its way to ourselves.
                self.pending.forwarded(id, self.raw.raft.id, self.raw.raft.term);
                self.put(&mut batch, Origin::Client { id }, entry, out);
            } else {
                self.pending.forget(id);
                out.push(Effect::Refused { id, refusal: Refusal::TooManyRequests });
            }
        }
        self.append(batch, out);
    }

    fn put(&mut self, batch: &mut Batch, origin: Origin, entry: Bytes, out: &mut Effects) {
        batch.bytes += entry.len() as u64;
        batch.entries.push(Entry { data: entry, ..Entry::default() });
        batch.origins.push(origin);
        if batch.bytes >= PROPOSAL_BYTES {
            self.append(std::mem::take(batch), out);
        }
    }

    /// Whether the log takes so many bytes more. The state machine's arrears count: what is
    /// committed and not applied is memory, and waiting longer would not help the client.
    fn has_room(&self, batch: &Batch, bytes: u64) -> bool {
        let (raft, limits) = (&self.raw.raft, &self.config.limits);
        let unapplied = raft.raft_log.committed - raft.raft_log.applied;
        let uncommitted = raft.uncommitted_size() as u64 + batch.bytes;
        unapplied <= limits.unapplied_entries
            && self.ready.unapplied_bytes() <= limits.unapplied_bytes
            && (uncommitted == 0 || uncommitted + bytes <= uncommitted_bytes())
    }

    fn append(&mut self, batch: Batch, out: &mut Effects) {
        if batch.entries.is_empty() {
            return;
        }
        let term = self.raw.raft.term;
        let mut index = self.raw.raft.raft_log.last_index();
        let proposal = Message {
            msg_type: MessageType::MsgPropose as i32,
            from: self.raw.raft.id,
            entries: batch.entries,
            ..Message::default()
        };
        let taken = self.raw.step(proposal).is_ok();
        for origin in batch.origins {
            index += 1;
            match origin {
                Origin::Client { id } if taken => self.pending.appended(id, index, term),
                Origin::Client { id } => self.pending.put_back(id, self.now, false),
                Origin::Peer { from, id } => {
                    let appended = taken.then_some((term, index));
                    out.push(Effect::ForwardResult { to: from, id, appended });
                }
            }
        }
    }
}
