//! Keeping a lease alive: by whoever leads, after it has confirmed that it does.

use kvorum_core::node::{Refusal, Role};

use super::check::Answered;
use super::edge::{Outcome, Request};
use super::member::{Place, Reader};
use super::network::{Packet, Payload};
use super::time::{MS, SECOND, Time};
use super::world::{CallId, Event, World};

/// As in the runtime: between two tries to reach the leader.
const RETRY: Time = 50 * MS;
/// How long one try at a peer may take.
const PATIENCE: Time = SECOND;

impl World {
    /// A client of this member keeps a lease alive.
    pub(super) fn renew(&mut self, place: Place, id: CallId) {
        let now = self.agenda.now();
        let requests = Time::from(self.plan.election_ms) * 2 * MS + 5 * SECOND;
        let revision = self.life(place).map_or(0, |life| life.root.revision());
        if let Some(call) = self.calls.get_mut(&id) {
            call.until = now + requests;
            call.revision = revision;
        }
        self.try_to_renew(place, id);
    }

    pub(super) fn try_to_renew(&mut self, place: Place, id: CallId) {
        let now = self.agenda.now();
        let Some(life) = self.life(place) else { return };
        let leader = life.leadership.leader;
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.place != Some(place) {
            return;
        }
        if now >= call.until {
            return self.reply(id, Outcome::Unknown("no leader kept it alive in time"));
        }
        let Request::KeepAlive { lease } = call.request else { return };
        call.attempt += 1;
        let attempt = call.attempt;
        let reader = Reader::Renewal { call: id, attempt, lease, asker: None };
        if leader == 0 {
            self.renewal_failed(place, reader, Refusal::NoLeader);
        } else if leader == self.members[place.member].id {
            self.renew_here(place, reader);
        } else {
            let to = self.member_of(leader);
            let payload = Payload::Renew { call: id, attempt, lease };
            self.throw(Packet { from: place.member, to, payload });
            self.agenda.after(PATIENCE, Event::RenewAgain { place, id, attempt });
        }
    }

    /// A try came to nothing, unless another is under way already.
    pub(super) fn renew_again(&mut self, place: Place, id: CallId, attempt: u64) {
        if self.calls.get(&id).is_some_and(|call| call.attempt == attempt) {
            self.try_to_renew(place, id);
        }
    }

    /// A peer asks this member, which it takes for the leader.
    pub(super) fn renew_for_peer(
        &mut self,
        member: usize,
        asker: usize,
        call: CallId,
        attempt: u64,
        lease: i64,
    ) {
        let Some(place) = self.place(member) else { return };
        self.renew_here(place, Reader::Renewal { call, attempt, lease, asker: Some(asker) });
    }

    /// The leader's answer.
    pub(super) fn renewed(
        &mut self,
        member: usize,
        id: CallId,
        attempt: u64,
        ttl: Result<i64, Refusal>,
    ) {
        let Some(place) = self.place(member) else { return };
        let Some(call) = self.calls.get(&id) else { return };
        if call.place != Some(place) || call.attempt != attempt {
            return;
        }
        match ttl {
            Ok(ttl) => self.reply(id, Outcome::Done(Answered::KeptAlive { ttl })),
            Err(_) => self.agenda.after(RETRY, Event::RenewAgain { place, id, attempt }),
        }
    }

    /// This member must lead, its lessor must know all leases, and a quorum must confirm it.
    fn renew_here(&mut self, place: Place, reader: Reader) {
        let Some(life) = self.life(place) else { return };
        if life.leadership.role != Role::Leader || life.since != life.leadership.term {
            return self.renewal_failed(place, reader, Refusal::LeaderChanged);
        }
        self.read_barrier(place, reader);
    }

    pub(super) fn renewal_confirmed(&mut self, place: Place, reader: Reader) {
        let now = self.agenda.now();
        let now_ms = self.members[place.member].clock.now_ms(now);
        let Reader::Renewal { lease, .. } = reader else { return };
        let Some(life) = self.life(place) else { return };
        if life.leadership.role != Role::Leader || life.since != life.leadership.term {
            return self.renewal_failed(place, reader, Refusal::LeaderChanged);
        }
        let renewal = life.lessor.renew(lease, now_ms);
        if renewal.is_none() && life.root.lease(lease).is_some() {
            // Its end is on the way.
            return self.renewal_failed(place, reader, Refusal::LeaderChanged);
        }
        let ttl = renewal.map_or(0, |renewal| {
            assert!(!renewal.clear_checkpoint, "leases here are too short for checkpoints");
            renewal.ttl_s
        });
        self.renewal_ends(place, reader, Ok(ttl));
    }

    pub(super) fn renewal_failed(&mut self, place: Place, reader: Reader, refusal: Refusal) {
        self.renewal_ends(place, reader, Err(refusal));
    }

    fn renewal_ends(&mut self, place: Place, reader: Reader, ttl: Result<i64, Refusal>) {
        let Reader::Renewal { call, attempt, asker, .. } = reader else { return };
        match (asker, ttl) {
            (Some(asker), ttl) => {
                let payload = Payload::Renewed { call, attempt, ttl };
                self.throw(Packet { from: place.member, to: asker, payload });
            }
            (None, Ok(ttl)) => self.reply(call, Outcome::Done(Answered::KeptAlive { ttl })),
            (None, Err(_)) => {
                self.agenda.after(RETRY, Event::RenewAgain { place, id: call, attempt });
            }
        }
    }
}
