//! Clients: each does one thing after another, at the member it is bound to or at any.

mod requests;
mod watcher;

use kvorum_proto::etcdserverpb::InternalRaftRequest;
use kvorum_proto::etcdserverpb::response_op::Response;

use super::check::Answered;
use super::edge::{Call, Origin, Outcome, Request};
use super::random::Random;
use super::report::Operation;
use super::time::{MS, SECOND, Time};
use super::world::{CallId, Event, World};
use crate::model::Answer;

pub(super) use watcher::{Watcher, WatcherEvent};

pub(super) struct Client {
    random: Random,
    /// The member it is bound to, if it does not hop.
    bound: Option<usize>,
    waiting: Option<CallId>,
    /// What makes its values unlike any other.
    number: u64,
    lease: Option<i64>,
    /// The newest revision it has heard of.
    revision: i64,
    /// The newest revision that a linearizable operation of its own answered.
    seen: i64,
    /// A key and its mod revision, as it last saw them.
    known: Option<(bytes::Bytes, i64)>,
    /// The revision of its last deletion.
    deleted: Option<i64>,
}

impl Client {
    pub(super) fn new(mut random: Random, members: usize) -> Client {
        let bound = random.chance(60).then(|| random.index(members));
        Client {
            random,
            bound,
            waiting: None,
            number: 0,
            lease: None,
            revision: 1,
            seen: 0,
            known: None,
            deleted: None,
        }
    }

    pub(super) fn waits_for(&self, call: CallId) -> bool {
        self.waiting == Some(call)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_none()
    }
}

impl World {
    /// A client has thought long enough.
    pub(super) fn think(&mut self, client: usize) {
        if !self.is_loaded() {
            return;
        }
        let (members, compactions) = (self.members.len(), self.plan.compactions);
        let who = &mut self.clients[client];
        let request = who.next_request(client, compactions);
        let member = who.bound.unwrap_or_else(|| who.random.index(members));
        let patience = who.random.skewed((300 * MS, 4 * SECOND));
        let call = self.request(Origin::Client(client), member, request);
        self.clients[client].waiting = Some(call);
        self.agenda.after(patience, Event::GiveUp { client, call });
    }

    /// A client waits no longer; what it asked for may yet happen.
    pub(super) fn give_up(&mut self, client: usize, call: CallId) {
        if self.clients[client].waiting != Some(call) {
            return;
        }
        if let Some(under_way) = self.calls.get(&call) {
            let lost = under_way.lost;
            let operation = self.operation((client, call), under_way, None);
            self.history.push(operation);
            if lost {
                self.calls.remove(&call);
            }
        }
        self.figures.unknown += 1;
        self.clients[client].waiting = None;
        self.think_soon(client);
    }

    /// An answer arrives at whoever asked.
    pub(super) fn answered(&mut self, id: CallId, outcome: Outcome) {
        let Some(call) = self.calls.remove(&id) else { return };
        match call.origin {
            Origin::Client(client) => self.client_answered(client, id, &call, outcome),
            Origin::Member => self.member_answered(&call, &outcome),
            Origin::Proof => {
                // A client of its own for every member.
                let client = self.clients.len() + call.member;
                self.proof_answered(call.member, &outcome);
                let operation = self.operation((client, id), &call, Some(outcome));
                self.history.push(operation);
            }
        }
    }

    fn client_answered(&mut self, client: usize, id: CallId, call: &Call, outcome: Outcome) {
        let now = self.agenda.now();
        if self.clients[client].waiting != Some(id) {
            return;
        }
        let kind = match &outcome {
            Outcome::Done(_) => 0,
            Outcome::NotDone(_) => 1,
            Outcome::Unknown(_) => 2,
        };
        let who = &mut self.clients[client];
        who.waiting = None;
        let revision = who.learn(&call.request, &outcome);
        let numbers = [client as u64, id, kind, revision as u64];
        self.trace.note(now, "answer", &numbers, || {
            format!("c{client} from m{}: {:?} → {outcome:?}", call.member, call.request)
        });
        match &outcome {
            Outcome::Done(answered) => self.figures.done(&call.request, answered),
            Outcome::NotDone(_) => self.figures.refused += 1,
            Outcome::Unknown(_) => self.figures.unknown += 1,
        }
        self.remember_lease(call, &outcome);
        let operation = self.operation((client, id), call, Some(outcome));
        self.history.push(operation);
        self.think_soon(client);
    }

    /// What a client is told about a lease must come true.
    fn remember_lease(&mut self, call: &Call, outcome: &Outcome) {
        let Outcome::Done(answered) = outcome else { return };
        let (lease, ttl) = match (&call.request, answered) {
            (Request::KeepAlive { lease }, Answered::KeptAlive { ttl }) if *ttl > 0 => {
                (*lease, *ttl)
            }
            (_, Answered::Write(applied)) => match &applied.answer {
                Ok(Answer::Granted { id, ttl }) => (*id, *ttl),
                _ => return,
            },
            _ => return,
        };
        let least = ttl as u64 * SECOND / self.plan.fastest_clock() * 100;
        self.agreement.promised(lease, call.began, call.began + least);
    }

    fn operation(
        &self,
        (client, id): (usize, CallId),
        call: &Call,
        outcome: Option<Outcome>,
    ) -> Operation {
        Operation {
            call: id,
            client,
            member: call.member,
            call_ns: call.began,
            return_ns: outcome.as_ref().map(|_| self.agenda.now()),
            revision: call.revision,
            request: call.request.clone(),
            outcome,
        }
    }

    pub(super) fn think_soon(&mut self, client: usize) {
        let delay: Time = self.clients[client].random.skewed(self.plan.think);
        self.agenda.after(delay, Event::Think(client));
    }
}

impl Client {
    /// What an answer teaches; says the revision in it.
    fn learn(&mut self, request: &Request, outcome: &Outcome) -> i64 {
        let Outcome::Done(answered) = outcome else { return 0 };
        let revision = match answered {
            Answered::KeptAlive { ttl } => {
                if *ttl == 0 {
                    self.lease = None;
                }
                return 0;
            }
            Answered::Write(applied) => {
                self.learn_write(request, &applied.answer, applied.revision);
                applied.revision
            }
            Answered::Read { view, answer } => {
                if let Ok(Response::ResponseRange(range)) = answer
                    && let Some(kv) = range.kvs.first()
                {
                    self.known = Some((kv.key.clone(), kv.mod_revision));
                }
                view.revision
            }
        };
        let linearizable = match request {
            Request::Range(range) => !range.serializable,
            Request::Read { serializable, .. } => !serializable,
            Request::Write(_) => true,
            Request::KeepAlive { .. } => false,
        };
        if linearizable {
            assert!(
                revision >= self.seen,
                "a client saw revision {} and then {revision}: {request:?}",
                self.seen
            );
            self.seen = revision;
        }
        self.revision = self.revision.max(revision);
        revision
    }

    fn learn_write(&mut self, request: &Request, answer: &Result<Answer, String>, revision: i64) {
        let Request::Write(request) = request else { return };
        let InternalRaftRequest { put, delete_range, lease_revoke, .. } = request;
        if let Ok(Answer::Op(Response::ResponseDeleteRange(deletion))) = answer
            && delete_range.is_some()
            && deletion.deleted > 0
        {
            self.deleted = Some(revision);
        }
        match (answer, put) {
            (Ok(Answer::Granted { id, .. }), _) => self.lease = Some(*id),
            (Ok(_), Some(put)) => self.known = Some((put.key.clone(), revision)),
            (Err(_), Some(put)) if put.lease != 0 => self.lease = None,
            _ => {}
        }
        if lease_revoke.is_some() {
            self.lease = None;
        }
    }
}
