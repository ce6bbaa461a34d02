//! The node thread: steps the node with all that waits, and hands its effects over in their order.

use kvorum_core::node::{Effect, Input, Refusal, Role};

use super::apply::ApplyWork;
use super::{Leadership, Place, Thread};
use crate::sim::network::Payload;
use crate::sim::time::{MS, Time, US};
use crate::sim::world::World;

impl World {
    /// Ticks that were missed are left out, as in production.
    pub(super) fn node_begins(&mut self, place: Place) -> Option<Time> {
        let now = self.agenda.now();
        let tick = Time::from(self.plan.heartbeat_ms) * MS;
        let life = self.life(place)?;
        let mut inputs = std::mem::take(&mut life.inbox);
        if now >= life.next_tick {
            inputs.push(Input::Tick);
            life.next_tick = (life.next_tick + tick).max(now);
        }
        let next_tick = life.next_tick;
        if inputs.is_empty() {
            self.call_at(place, Thread::Node, next_tick);
            return None;
        }
        let mut effects = std::mem::take(&mut life.effects);
        let taken = inputs.len();
        life.node.step_all(inputs, &mut effects);
        life.committed = life.node.status().committed;
        let numbers = [place.member as u64, taken as u64, effects.len() as u64];
        self.trace.note(now, "step", &numbers, || {
            let [member, inputs, effects] = numbers;
            format!("m{member}: {inputs} inputs, {effects} effects")
        });
        for effect in effects.drain(..) {
            self.perform(place, effect);
        }
        if let Some(life) = self.life(place) {
            life.effects = effects;
        }
        self.call_at(place, Thread::Node, next_tick);
        Some(self.random.between((10 * US, 60 * US)))
    }

    fn perform(&mut self, place: Place, effect: Effect) {
        let member = place.member;
        match effect {
            Effect::Send(message) => self.send_raft(member, message),
            Effect::Append(group) => self.append(place, group),
            Effect::Commit(entries) => self.commit(place, &entries),
            Effect::ReadReady { ids, index } => self.reads_ready(place, &ids, index),
            Effect::Forward { to, proposal } => {
                let id = proposal.id;
                let peer = self.member_of(to);
                if !self.send(member, peer, Payload::Forward(proposal)) {
                    self.input(member, Input::ForwardResult { from: to, id, appended: None });
                }
            }
            Effect::ForwardResult { to, id, appended } => {
                let peer = self.member_of(to);
                self.send(member, peer, Payload::Result { id, appended });
            }
            Effect::Refused { id, refusal } => self.refused(place, id, refusal),
            Effect::Role { role, term, leader } => {
                self.role(place, Leadership { role, term, leader });
            }
            Effect::Compact { index } => self.release(place, index),
            Effect::TakeSnapshot { to } => self.apply_work(place, ApplyWork::Hold(to)),
            Effect::DropSnapshot { to } => self.drop_snapshot(place, to),
            Effect::SendSnapshot(message) => self.send_snapshot(place, message),
            Effect::Install { index, .. } => self.apply_work(place, ApplyWork::Install(index)),
            Effect::DiscardSnapshot { index } => {
                self.apply_work(place, ApplyWork::Discard(index));
            }
            Effect::AskBound { to, nonce, last } => {
                let peer = self.member_of(to);
                self.send(member, peer, Payload::AskBound { nonce, last });
            }
            Effect::TellBound { to, nonce, term, index } => {
                let peer = self.member_of(to);
                self.send(member, peer, Payload::TellBound { nonce, term, index });
            }
            Effect::LogComplete => self.log_complete(place),
            Effect::Fetch { low, high, max_bytes } => self.fetch(place, (low, high), max_bytes),
            Effect::ConfChanged { index, .. } => {
                panic!("entry {index} changes the members, and nobody proposed that")
            }
        }
    }

    /// The index of the member with an id.
    pub(in crate::sim) fn member_of(&self, id: u64) -> usize {
        let found = self.members.iter().position(|member| member.id == id);
        found.unwrap_or_else(|| panic!("nobody has the id {id}"))
    }

    fn send_raft(&mut self, member: usize, message: raft_proto::eraftpb::Message) {
        let now = self.agenda.now();
        let peer = message.to;
        let to = self.member_of(peer);
        let numbers = [
            member as u64,
            to as u64,
            message.msg_type as u64,
            message.term,
            message.index,
            message.commit,
            message.entries.len() as u64,
            u64::from(message.reject),
        ];
        self.trace.note(now, "send", &numbers, || {
            format!(
                "m{member} → m{to}: {:?} term {} index {} commit {} entries {} reject {}",
                message.get_msg_type(),
                message.term,
                message.index,
                message.commit,
                message.entries.len(),
                message.reject
            )
        });
        if !self.send(member, to, Payload::Raft(message)) {
            self.input(member, Input::Unreachable { peer });
        }
    }

    fn role(&mut self, place: Place, leadership: Leadership) {
        let now = self.agenda.now();
        let Some(life) = self.life(place) else { return };
        let before = std::mem::replace(&mut life.leadership, leadership);
        life.lease_news = true;
        let Leadership { role, term, leader } = leadership;
        let numbers = [place.member as u64, role as u64, term, leader];
        self.trace.note(now, "role", &numbers, || {
            format!("m{}: {role:?} in term {term}, leader {leader}", place.member)
        });
        if role == Role::Leader {
            self.agreement.leads(term, place.member);
            if before.role != Role::Leader || before.term != term {
                self.figures.note("elections");
                self.cluster_version(place);
            }
        }
        self.call(place.member, Thread::Lease);
    }

    fn refused(&mut self, place: Place, id: u64, refusal: Refusal) {
        let Some(life) = self.life(place) else { return };
        if let Some(reader) = life.waiters.asking.remove(&id) {
            return self.read_refused(place, reader, refusal);
        }
        let waiting = life.waiters.writes.remove(&id);
        if matches!(refusal, Refusal::NoLeader | Refusal::TooManyRequests) {
            self.agreement.never(id);
        }
        if let Some(call) = waiting {
            self.write_refused(call, refusal);
        }
    }
}
