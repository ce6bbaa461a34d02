//! What the cluster has agreed on: one entry at each index, applied with one outcome everywhere.
//!
//! Whoever applies an index first says which entry is there; the model applies it too. From then
//! on every member that applies the index must find the same entry, give the model's answer and
//! have the model's revisions, whatever it crashed through before.

use std::collections::{BTreeMap, BTreeSet};

use kvorum_core::store::{Root, StateHash};
use kvorum_proto::etcdserverpb::response_op::Response;
use kvorum_proto::etcdserverpb::{InternalRaftRequest, RangeRequest, TxnRequest};
use kvorum_server::stage::Batch;
use prost::Message;
use raft_proto::eraftpb::Entry;

use super::{Applied, messages};
use crate::model::{Answer, Model, View};
use crate::sim::edge::Request;
use crate::sim::member::Place;
use crate::sim::time::{MS, Time};
use crate::sim::trace::digest;
use crate::sim::world::World;

/// One entry of the log, and what it did.
struct Agreed {
    term: u64,
    digest: u64,
    outcome: Option<Result<Answer, String>>,
    view: View,
    leases: usize,
}

#[derive(Default)]
pub(in crate::sim) struct Agreement {
    pub(in crate::sim) model: Model,
    /// From index 1 on.
    entries: Vec<Agreed>,
    ids: BTreeMap<u64, u64>,
    /// Requests of which a member said that they were not proposed and never will be.
    never: BTreeSet<u64>,
    leaders: BTreeMap<u64, usize>,
    /// The hash of the state at each index at which one was looked at.
    hashes: BTreeMap<u64, StateHash>,
    /// Until when a lease must live, by what its clients were told.
    promised: BTreeMap<i64, Time>,
    /// When a lease was revoked, and when one expired; no id is granted twice.
    revoked: BTreeMap<i64, Time>,
    expired: BTreeMap<i64, Time>,
    pub(in crate::sim) counts: Counts,
}

/// How often something was agreed on.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sim) struct Counts {
    pub(in crate::sim) compactions: u64,
    pub(in crate::sim) expired: u64,
}

impl Agreement {
    /// The last index that was applied anywhere.
    pub(in crate::sim) fn last(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(in crate::sim) fn leads(&mut self, term: u64, member: usize) {
        let first = *self.leaders.entry(term).or_insert(member);
        assert_eq!(first, member, "two members lead in term {term}");
    }

    /// What became of the entry with this request, if there is one.
    pub(in crate::sim) fn outcome(&self, id: u64) -> Option<Applied> {
        let index = *self.ids.get(&id)?;
        let agreed = &self.entries[index as usize - 1];
        let answer = agreed.outcome.clone()?;
        Some(Applied { id, index, revision: agreed.view.revision, answer })
    }

    /// A member said that the request surely does not happen.
    pub(in crate::sim) fn never(&mut self, id: u64) {
        assert!(!self.ids.contains_key(&id), "request {id:x} was refused, and had happened");
        self.never.insert(id);
    }

    /// A client that asked at `began` was told that the lease lives until then.
    pub(in crate::sim) fn promised(&mut self, lease: i64, began: Time, until: Time) {
        if let Some(expired) = self.expired.get(&lease) {
            assert!(*expired >= until, "lease {lease:x} was kept alive, and expired meanwhile");
        }
        if let Some(revoked) = self.revoked.get(&lease) {
            assert!(*revoked >= began, "lease {lease:x} was kept alive after it was revoked");
        }
        let promised = self.promised.entry(lease).or_default();
        *promised = (*promised).max(until);
    }

    /// A member applies an entry.
    fn apply(&mut self, entry: &Entry, now: Time) -> &Agreed {
        let index = entry.index;
        let digest = digest(&entry.data);
        if index > self.last() {
            assert_eq!(index, self.last() + 1, "entries are applied without a gap");
            self.agree(entry, digest, now);
        }
        let agreed = &self.entries[index as usize - 1];
        assert!(
            (agreed.term, agreed.digest) == (entry.term, digest),
            "at index {index} one member applied an entry of term {}, another one of term {}: {}",
            agreed.term,
            entry.term,
            if agreed.digest == digest { "the same entry" } else { "another entry" }
        );
        agreed
    }

    fn agree(&mut self, entry: &Entry, digest: u64, now: Time) {
        let mut outcome = None;
        if !entry.data.is_empty() {
            let request = InternalRaftRequest::decode(entry.data.clone())
                .expect("what was proposed can be read");
            let id = request.header.as_ref().map_or(0, |header| header.id);
            let before = self.ids.insert(id, entry.index);
            assert_eq!(before, None, "request {id:x} happened twice");
            assert!(!self.never.contains(&id), "request {id:x} was refused as never proposed");
            let leases = self.model.leases.len();
            self.note(&request, entry.term, now);
            let done = self.model.apply(entry.term, &request).map_err(str::to_owned);
            self.counts.compactions += u64::from(request.compaction.is_some() && done.is_ok());
            if request.lease_expire.is_some() {
                self.counts.expired += (leases - self.model.leases.len()) as u64;
            }
            outcome = Some(done);
        }
        self.entries.push(Agreed {
            term: entry.term,
            digest,
            outcome,
            view: self.model.view,
            leases: self.model.leases.len(),
        });
    }

    /// Notes the ends of leases; none must expire before it may.
    fn note(&mut self, request: &InternalRaftRequest, term: u64, now: Time) {
        if let Some(revoke) = &request.lease_revoke
            && self.model.leases.contains_key(&revoke.id)
        {
            self.revoked.insert(revoke.id, now);
        }
        let Some(expire) = request.lease_expire.as_ref().filter(|expire| expire.term == term)
        else {
            return;
        };
        for id in expire.i_ds.iter().filter(|id| self.model.leases.contains_key(id)) {
            self.expired.insert(*id, now);
            if let Some(until) = self.promised.get(id) {
                assert!(
                    now >= *until,
                    "lease {id:x} expires {} ms before it may",
                    (until - now) / MS
                );
            }
        }
    }

    /// A member is at the state after `root.index()`.
    pub(in crate::sim) fn check_root(&mut self, root: &Root, who: usize) {
        let view = View { revision: root.revision(), compacted: root.compacted_revision() };
        let at = (view, root.lease_count() as usize);
        let agreed = match root.index() {
            0 => (Model::default().view, 0),
            index => self.entries.get(index as usize - 1).map_or_else(
                || panic!("m{who} has applied {index}, and nobody saw it happen"),
                |agreed| (agreed.view, agreed.leases),
            ),
        };
        assert_eq!(at, agreed, "m{who} has another state at index {}", root.index());
        let hash = *self.hashes.entry(root.index()).or_insert(root.state_hash());
        assert_eq!(root.state_hash(), hash, "m{who} has another hash at index {}", root.index());
    }

    /// All keys at the state of `root`, and the leases if it is the newest.
    pub(in crate::sim) fn check_contents(
        &mut self,
        root: &Root,
        who: usize,
        read: &mut messages::Read,
    ) {
        self.check_root(root, who);
        let told = root.recompute_hash(&mut *read).expect("all that is readable is stored");
        assert_eq!(told, root.state_hash(), "m{who}'s records do not make its hash");
        let all = RangeRequest { key: "\0".into(), range_end: "\0".into(), ..Default::default() };
        let view = View { revision: root.revision(), compacted: root.compacted_revision() };
        let found = root.range(&all).map_err(|error| error.to_string());
        let found = found.and_then(|reply| messages::range(reply, view.revision, read));
        let expected = self.model.range(&all, view).map_err(str::to_owned);
        assert_eq!(found, expected, "m{who} has other keys at index {}", root.index());
        if root.index() == self.last() {
            let leases: Vec<(i64, i64)> =
                root.leases().map(|lease| (lease.id, lease.ttl_s)).collect();
            let expected: Vec<(i64, i64)> =
                self.model.leases.iter().map(|(id, lease)| (*id, lease.ttl)).collect();
            assert_eq!(leases, expected, "m{who} has other leases");
        }
    }

    /// What a read answered, from a state with `view`.
    pub(in crate::sim) fn check_read(
        &mut self,
        request: &Request,
        view: View,
        answer: &Result<Response, String>,
    ) {
        let expected = match request {
            Request::Range(range) => self.model.range(range, view).map(Response::ResponseRange),
            Request::Read { txn, .. } => self.read(txn, view).map(Response::ResponseTxn),
            Request::Write(_) | Request::KeepAlive { .. } => return,
        };
        let expected = expected.map_err(str::to_owned);
        assert_eq!(*answer, expected, "a read at {view:?} answers otherwise: {request:?}");
    }

    /// A transaction that only reads, as of an earlier state.
    fn read(
        &mut self,
        txn: &TxnRequest,
        view: View,
    ) -> Result<kvorum_proto::etcdserverpb::TxnResponse, &'static str> {
        let now = std::mem::replace(&mut self.model.view, view);
        let response = self.model.txn(txn);
        self.model.view = now;
        response
    }
}

impl World {
    /// A member has applied entries, and nobody has seen it yet.
    pub(in crate::sim) fn check_applied(
        &mut self,
        place: Place,
        entries: &[Entry],
        batch: &mut Batch,
    ) -> Vec<Applied> {
        let now = self.agenda.now();
        let Some(life) = self.members[place.member].life.as_deref() else { return Vec::new() };
        let values = std::sync::Arc::clone(&life.values);
        let mut read = |at| messages::stored(&*values, at);
        let mut answers = std::mem::take(&mut batch.answers).into_iter();
        let mut applied = Vec::new();
        for entry in entries {
            let agreed = self.agreement.apply(entry, now);
            let numbers = [place.member as u64, entry.index, entry.term, agreed.digest];
            self.trace.note(now, "apply", &numbers, || {
                let [member, index, term, digest] = numbers;
                format!("m{member}: {index} of term {term}, {digest:016x}")
            });
            let Some(expected) = &agreed.outcome else { continue };
            let (id, outcome) = answers.next().expect("every request has an answer");
            let (revision, answer) = match outcome {
                Err(error) => (agreed.view.revision, Err(error.to_string())),
                Ok(outcome) => {
                    let revision = outcome.revision;
                    (revision, messages::answer(outcome.reply, revision, &mut read))
                }
            };
            assert_eq!(
                (&answer, revision),
                (expected, agreed.view.revision),
                "m{} answers entry {} otherwise",
                place.member,
                entry.index
            );
            applied.push(Applied { id, index: entry.index, revision, answer });
        }
        self.agreement.check_root(&batch.root, place.member);
        self.figures.applied += entries.len() as u64;
        applied
    }

    /// A member has read its state from its disk.
    pub(in crate::sim) fn check_state(&mut self, member: usize) {
        let Some(life) = self.members[member].life.as_deref() else { return };
        let (root, values) =
            (std::sync::Arc::clone(&life.root), std::sync::Arc::clone(&life.values));
        let mut read = |at| messages::stored(&*values, at);
        self.agreement.check_contents(&root, member, &mut read);
    }
}
