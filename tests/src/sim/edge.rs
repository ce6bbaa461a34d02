//! What becomes of a client's request at its member, as the edge does it.
//!
//! A write is proposed and answered from what this member applied. A linearizable read asks from
//! which index on it may be served, waits until that is applied, and reads the published state;
//! the values that are on disk only it reads back a little later.

use std::sync::Arc;

use kvorum_core::node::{Input, Refusal};
use kvorum_core::store::{RangeReply, TxnReply};
use kvorum_proto::etcdserverpb::response_op::Response;
use kvorum_proto::etcdserverpb::{InternalRaftRequest, RangeRequest, TxnRequest};
use kvorum_server::limits::MAX_APPLY_GAP;

use super::check::{Answered, Applied, messages};
use super::member::{Place, Reader};
use super::time::{MS, SECOND, Time, US};
use super::world::{CallId, Event, World};
use crate::model::View;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Client(usize),
    /// The member itself: what it says about itself and the cluster.
    Member,
    /// The proof, after healing, that every member takes writes.
    Proof,
}

#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // most are writes, and there are few at a time
pub(super) enum Request {
    Write(InternalRaftRequest),
    Range(RangeRequest),
    /// A transaction that only reads.
    Read {
        txn: TxnRequest,
        serializable: bool,
    },
    KeepAlive {
        lease: i64,
    },
}

/// What the client hears.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Done(Answered),
    /// It surely did not happen and never will.
    NotDone(Refusal),
    /// It may or may not have happened, or may happen yet.
    Unknown(&'static str),
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) origin: Origin,
    pub(super) member: usize,
    /// Where it waits, once it has arrived.
    pub(super) place: Option<Place>,
    pub(super) began: Time,
    /// Everything up to this index was applied somewhere when it began.
    pub(super) floor: u64,
    pub(super) request: Request,
    /// What it found and has not read back yet.
    found: Option<(Found, View)>,
    /// Of a renewal: how often it was tried, and until when it is.
    pub(super) attempt: u64,
    pub(super) until: Time,
    /// Of a renewal: the revision at this member when it arrived.
    pub(super) revision: i64,
    /// It was answered, and the answer is lost.
    pub(super) lost: bool,
}

#[derive(Debug)]
enum Found {
    Range(RangeReply),
    Txn(TxnReply),
}

impl World {
    /// A request sets out for a member.
    pub(super) fn request(&mut self, origin: Origin, member: usize, request: Request) -> CallId {
        self.last_call += 1;
        let call = Call {
            origin,
            member,
            place: None,
            began: self.agenda.now(),
            floor: self.agreement.last(),
            request,
            found: None,
            attempt: 0,
            until: 0,
            revision: 0,
            lost: false,
        };
        self.calls.insert(self.last_call, call);
        let delay = self.random.skewed((50 * US, MS));
        self.agenda.after(delay, Event::Call(self.last_call));
        self.last_call
    }

    /// A request arrives.
    pub(super) fn call_arrives(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let member = call.member;
        let request = call.request.clone();
        let Some(place) = self.place(member) else {
            return self.reply(id, Outcome::NotDone(Refusal::NoLeader));
        };
        if let Some(call) = self.calls.get_mut(&id) {
            call.place = Some(place);
        }
        match request {
            Request::Write(request) => self.write(place, id, request),
            Request::Range(range) if range.serializable => self.serve(place, id),
            Request::Read { serializable: true, .. } => self.serve(place, id),
            Request::Range(_) | Request::Read { .. } => {
                self.read_barrier(place, Reader::Call(id));
            }
            Request::KeepAlive { .. } => self.renew(place, id),
        }
    }

    fn write(&mut self, place: Place, id: CallId, request: InternalRaftRequest) {
        let Some(life) = self.life(place) else { return };
        if life.committed.saturating_sub(life.applied()) > MAX_APPLY_GAP {
            return self.reply(id, Outcome::NotDone(Refusal::TooManyRequests));
        }
        let Some(entry) = self.propose(place, request) else { return };
        if let Some(life) = self.life(place) {
            life.waiters.writes.insert(entry, id);
        }
        self.proposed.insert(id, entry);
    }

    /// This member applied an entry, whose writer may wait here.
    pub(super) fn write_applied(&mut self, place: Place, applied: Applied) {
        let Some(life) = self.life(place) else { return };
        let Some(id) = life.waiters.writes.remove(&applied.id) else { return };
        let Some(call) = self.calls.get(&id) else { return };
        assert!(
            applied.index > call.floor,
            "a write was applied at {}, but {} was applied before it was asked for: {:?}",
            applied.index,
            call.floor,
            call.request
        );
        if let Request::Write(InternalRaftRequest { compaction: Some(compaction), .. }) =
            &call.request
            && compaction.physical
            && applied.answer.is_ok()
        {
            let revision = compaction.revision;
            if life_swept(self, place) < revision {
                self.found_applied(place, id, applied, revision);
                return;
            }
        }
        self.reply(id, Outcome::Done(Answered::Write(applied)));
    }

    pub(super) fn write_refused(&mut self, id: CallId, refusal: Refusal) {
        let outcome = match refusal {
            Refusal::NoLeader | Refusal::TooManyRequests => Outcome::NotDone(refusal),
            Refusal::LeaderChanged => Outcome::Unknown("the leader changed"),
            Refusal::LeaderFailed => Outcome::Unknown("the leader failed"),
            Refusal::ConnectionLost => Outcome::Unknown("the way to the leader broke"),
            Refusal::Timeout => Outcome::Unknown("the member gave it up"),
        };
        self.reply(id, outcome);
    }

    /// The answer to a compaction that waits until its history is gone from the disk.
    fn found_applied(&mut self, place: Place, id: CallId, applied: Applied, revision: i64) {
        self.sweeping.insert(id, applied);
        if let Some(life) = self.life(place) {
            life.waiters.sweeping.push((revision, id));
        }
    }

    /// The history up to this compaction is gone from the disk.
    pub(super) fn swept(&mut self, place: Place, revision: i64) {
        let Some(life) = self.life(place) else { return };
        life.swept = revision;
        let waiting = std::mem::take(&mut life.waiters.sweeping);
        let (done, waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(upto, _)| *upto <= revision);
        life.waiters.sweeping = waiting;
        for (_, id) in done {
            if let Some(applied) = self.sweeping.remove(&id) {
                self.figures.note("physical compactions");
                self.reply(id, Outcome::Done(Answered::Write(applied)));
            }
        }
    }

    pub(super) fn read_barrier(&mut self, place: Place, reader: Reader) {
        let Some(life) = self.life(place) else { return };
        let id = life.ids.next();
        life.waiters.asking.insert(id, reader);
        self.input(place.member, Input::Read { id });
    }

    /// These reads may be served once `index` is applied.
    pub(super) fn reads_ready(&mut self, place: Place, ids: &[u64], index: u64) {
        for id in ids {
            let Some(life) = self.life(place) else { return };
            let Some(reader) = life.waiters.asking.remove(id) else { continue };
            if life.waiters.applied >= index {
                self.barrier_passed(place, reader);
            } else {
                life.waiters.reading.entry(index).or_default().push(reader);
            }
        }
    }

    /// Everything up to `index` can be read.
    pub(super) fn reads_advance(&mut self, place: Place, index: u64) {
        if let Some(life) = self.life(place) {
            life.waiters.applied = index;
        }
        loop {
            let Some(life) = self.life(place) else { return };
            let Some(first) = life.waiters.reading.first_entry() else { return };
            if *first.key() > index {
                return;
            }
            for reader in first.remove() {
                self.barrier_passed(place, reader);
            }
        }
    }

    fn barrier_passed(&mut self, place: Place, reader: Reader) {
        match reader {
            Reader::Call(id) => self.serve(place, id),
            Reader::Renewal { .. } => self.renewal_confirmed(place, reader),
        }
    }

    pub(super) fn read_refused(&mut self, place: Place, reader: Reader, refusal: Refusal) {
        match reader {
            Reader::Call(id) => self.reply(id, Outcome::NotDone(refusal)),
            Reader::Renewal { .. } => self.renewal_failed(place, reader, refusal),
        }
    }

    /// Reads the published state, and what is on disk only now or a little later.
    fn serve(&mut self, place: Place, id: CallId) {
        let slow = self.random.chance(30);
        let Some(life) = self.life(place) else { return };
        let root = Arc::clone(&life.root);
        let view = View { revision: root.revision(), compacted: root.compacted_revision() };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let found = match &call.request {
            Request::Range(range) => {
                if !range.serializable {
                    see_enough(call, root.index());
                }
                root.range(range).map(Found::Range)
            }
            Request::Read { txn, serializable } => {
                if !serializable {
                    see_enough(call, root.index());
                }
                root.txn_read(txn).map(Found::Txn)
            }
            Request::Write(_) | Request::KeepAlive { .. } => return,
        };
        match found {
            Err(error) => {
                let answer = Err(error.to_string());
                let answered = check_read(self, id, view, answer);
                self.reply(id, Outcome::Done(answered));
            }
            Ok(found) => {
                call.found = Some((found, view));
                if slow {
                    let delay = self.random.skewed((100 * US, SECOND));
                    self.agenda.after(delay, Event::ReadBack { place, id });
                } else {
                    self.read_back(place, id);
                }
            }
        }
    }

    /// Reads back the values that an answer lacks, and gives it.
    pub(super) fn read_back(&mut self, place: Place, id: CallId) {
        let Some(life) = self.life(place) else { return };
        let values = Arc::clone(&life.values);
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some((found, view)) = call.found.take() else { return };
        let mut read = |at| messages::stored(&*values, at);
        let response = match found {
            Found::Range(reply) => {
                messages::range(reply, view.revision, &mut read).map(Response::ResponseRange)
            }
            Found::Txn(reply) => {
                messages::txn(reply, view.revision, &mut read).map(Response::ResponseTxn)
            }
        };
        match response {
            Ok(response) => {
                let answered = check_read(self, id, view, Ok(response));
                self.reply(id, Outcome::Done(answered));
            }
            Err(reason) => {
                self.not_read_back(place, &reason);
                self.reply(id, Outcome::Unknown("a value cannot be read back"));
            }
        }
    }

    /// The member answers; now and then the answer is lost.
    pub(super) fn reply(&mut self, id: CallId, outcome: Outcome) {
        let delay = self.random.skewed((50 * US, MS));
        let lost = self.random.below(500) == 0;
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.place = None;
        match call.origin {
            Origin::Client(client) if lost => {
                call.lost = true;
                if !self.clients[client].waits_for(id) {
                    self.calls.remove(&id);
                }
            }
            _ => self.agenda.after(delay, Event::Reply(id, Box::new(outcome))),
        }
    }

    /// Whoever waits for a member whose life has ended learns it: at once if the process died, and
    /// by a deadline of its own if the machine is gone.
    pub(super) fn connections_lost(&mut self, member: usize) {
        let waiting: Vec<CallId> = self
            .calls
            .iter()
            .filter(|(_, call)| call.place.is_some_and(|place| place.member == member))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.sweeping.remove(&id);
            if let Some(call) = self.calls.get_mut(&id) {
                call.place = None;
                call.found = None;
            }
            self.reply(id, Outcome::Unknown("the connection was lost"));
        }
        self.watchers_lose(member);
    }
}

fn life_swept(world: &mut World, place: Place) -> i64 {
    world.life(place).map_or(i64::MAX, |life| life.swept)
}

/// A linearizable read sees all that was applied anywhere before it began.
fn see_enough(call: &Call, index: u64) {
    assert!(
        index >= call.floor,
        "a linearizable read was served at {index}, but {} was applied before it began: {:?}",
        call.floor,
        call.request
    );
}

fn check_read(
    world: &mut World,
    id: CallId,
    view: View,
    answer: Result<Response, String>,
) -> Answered {
    let call = &world.calls[&id];
    world.agreement.check_read(&call.request, view, &answer);
    Answered::Read { view, answer }
}
