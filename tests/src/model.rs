//! An independent model of etcd's state machine, against which the real one is held.
//!
//! It is as naive as it can be, so that its correctness is seen by reading: every version of every
//! key is kept for ever, every question is answered by looking at all of it, and compaction only
//! moves the number below which questions are refused. It shares nothing with the server but the
//! messages, in which it answers as etcd 3.6 does; what requests mean is in `rules`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::response_op::Response;
use kvorum_proto::etcdserverpb::{
    AlarmType, InternalRaftRequest, LeaseGrantRequest, RangeRequest, RangeResponse, ResponseHeader,
    TxnRequest, TxnResponse, WatchCreateRequest, alarm_request::AlarmAction,
};
use kvorum_proto::mvccpb::{Event, KeyValue, event::EventType};

use crate::rules::{self, Interest, Refusal, Span, Store};

pub use crate::rules::View;

const TTL_TOO_LARGE: &str = "etcdserver: too large lease TTL";
const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";
const CORRUPT: &str = "etcdserver: corrupt cluster";

/// What an entry answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Done,
    Op(Response),
    Granted { id: i64, ttl: i64 },
}

pub type Outcome = Result<Answer, &'static str>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lease {
    pub ttl: i64,
    pub remaining: i64,
}

/// One change of one key; a deletion has no key-value pair.
#[derive(Clone, Debug)]
struct Change {
    revision: i64,
    key: Bytes,
    kv: Option<KeyValue>,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub view: View,
    /// Everything that ever happened, in order.
    log: Vec<Change>,
    /// Where in the log each key changed.
    keys: BTreeMap<Bytes, Vec<usize>>,
    pub leases: BTreeMap<i64, Lease>,
    alarms: BTreeSet<AlarmType>,
    /// The changes of the entry at hand, which later operations of a transaction see.
    writes: usize,
}

impl Default for Model {
    fn default() -> Self {
        Model {
            view: View { revision: 1, compacted: -1 },
            log: Vec::new(),
            keys: BTreeMap::new(),
            leases: BTreeMap::new(),
            alarms: BTreeSet::new(),
            writes: 0,
        }
    }
}

impl Model {
    /// Applies one entry of the log, written in `term`.
    pub fn apply(&mut self, term: u64, entry: &InternalRaftRequest) -> Outcome {
        self.refuse(entry)?;
        let outcome = self.perform(term, entry);
        self.end_revision();
        outcome
    }

    /// The alarms that matter to the entry.
    fn refuse(&self, entry: &InternalRaftRequest) -> Result<(), &'static str> {
        let harmless = entry.alarm.is_some() || entry.lease_checkpoint.is_some();
        if self.alarms.contains(&AlarmType::Corrupt) && !harmless {
            return Err(CORRUPT);
        }
        let grows = entry.put.is_some()
            || entry.lease_grant.is_some()
            || entry.txn.as_ref().is_some_and(writes_values);
        if self.alarms.contains(&AlarmType::Nospace) && grows {
            return Err(NO_SPACE);
        }
        Ok(())
    }

    fn perform(&mut self, term: u64, entry: &InternalRaftRequest) -> Outcome {
        if let Some(put) = &entry.put {
            let response = rules::put(self, put).map_err(Refusal::message)?;
            return Ok(Answer::Op(Response::ResponsePut(response)));
        }
        if let Some(delete) = &entry.delete_range {
            let response = rules::delete_range(self, delete);
            return Ok(Answer::Op(Response::ResponseDeleteRange(response)));
        }
        if let Some(txn) = &entry.txn {
            return Ok(Answer::Op(Response::ResponseTxn(self.txn(txn)?)));
        }
        if let Some(compaction) = &entry.compaction {
            return self.compact(compaction.revision);
        }
        if let Some(grant) = &entry.lease_grant {
            return self.grant(grant);
        }
        if let Some(revoke) = &entry.lease_revoke {
            return if self.end_lease(revoke.id) {
                Ok(Answer::Done)
            } else {
                Err(Refusal::NoLease.message())
            };
        }
        if let Some(expire) = entry.lease_expire.as_ref().filter(|expire| expire.term == term) {
            for id in &expire.i_ds {
                self.end_lease(*id);
                self.end_revision();
            }
        }
        if let Some(checkpoint) = &entry.lease_checkpoint {
            for left in &checkpoint.checkpoints {
                if let Some(lease) = self.leases.get_mut(&left.id) {
                    lease.remaining = left.remaining_ttl;
                }
            }
        }
        if let Some(alarm) = &entry.alarm {
            match alarm.action() {
                AlarmAction::Get => {}
                AlarmAction::Activate => drop(self.alarms.insert(alarm.alarm())),
                AlarmAction::Deactivate => drop(self.alarms.remove(&alarm.alarm())),
            }
        }
        Ok(Answer::Done)
    }

    /// A range read as a request of its own, by a reader who has `view`.
    pub fn range(&self, request: &RangeRequest, view: View) -> Result<RangeResponse, &'static str> {
        rules::range(self, request, view).map_err(Refusal::message)
    }

    /// A transaction; nothing of it happens if anything in it is refused.
    pub fn txn(&mut self, txn: &TxnRequest) -> Result<TxnResponse, &'static str> {
        rules::txn(self, txn).map_err(Refusal::message)
    }

    /// What a watch is owed from revision `from` on.
    pub fn events(&self, watch: &WatchCreateRequest, from: i64) -> Vec<Event> {
        let interest = Interest::new(watch);
        let mut events = Vec::new();
        let first = self.log.partition_point(|change| change.revision < from);
        for change in &self.log[first..] {
            if !interest.covers(&change.key, change.kv.is_some()) {
                continue;
            }
            let before = change.revision - 1;
            let known = watch.prev_kv && before >= self.view.compacted;
            let prev_kv = if known { self.at(&change.key, before).cloned() } else { None };
            let kind = if change.kv.is_some() { EventType::Put } else { EventType::Delete };
            let kv = change.kv.clone().unwrap_or_else(|| KeyValue {
                key: change.key.clone(),
                mod_revision: change.revision,
                ..KeyValue::default()
            });
            events.push(Event { r#type: kind.into(), kv: Some(kv), prev_kv });
        }
        events
    }

    /// The keys attached to a lease.
    pub fn attached(&self, lease: i64) -> Vec<Bytes> {
        let now = self.seen();
        let attached = |key: &&Bytes| self.at(key, now).is_some_and(|kv| kv.lease == lease);
        self.keys.keys().filter(attached).cloned().collect()
    }

    fn end_revision(&mut self) {
        self.view.revision = self.seen();
        self.writes = 0;
    }

    fn compact(&mut self, revision: i64) -> Outcome {
        rules::check_compaction(revision, self.view).map_err(Refusal::message)?;
        self.view.compacted = revision;
        Ok(Answer::Done)
    }

    fn grant(&mut self, grant: &LeaseGrantRequest) -> Outcome {
        if grant.id == 0 {
            return Err(Refusal::NoLease.message());
        }
        if grant.ttl > 9_000_000_000 {
            return Err(TTL_TOO_LARGE);
        }
        if self.leases.contains_key(&grant.id) {
            return Err(Refusal::LeaseExists.message());
        }
        let ttl = grant.ttl.max(1);
        self.leases.insert(grant.id, Lease { ttl, remaining: 0 });
        Ok(Answer::Granted { id: grant.id, ttl })
    }

    fn end_lease(&mut self, id: i64) -> bool {
        if self.leases.remove(&id).is_none() {
            return false;
        }
        for key in self.attached(id) {
            self.write(key, None, None);
        }
        true
    }
}

impl Store for Model {
    fn view(&self) -> View {
        self.view
    }

    fn seen(&self) -> i64 {
        self.view.revision + i64::from(self.writes > 0)
    }

    fn at(&self, key: &Bytes, revision: i64) -> Option<&KeyValue> {
        let changes = self.keys.get(key)?.iter().rev().map(|index| &self.log[*index]);
        changes.into_iter().find(|change| change.revision <= revision)?.kv.as_ref()
    }

    fn select(&self, span: &Span, revision: i64) -> Vec<&KeyValue> {
        let keys = self.keys.keys().filter(|key| span.holds(key));
        keys.filter_map(|key| self.at(key, revision)).collect()
    }

    fn has_lease(&self, id: i64) -> bool {
        self.leases.contains_key(&id)
    }

    fn write(&mut self, key: Bytes, kv: Option<KeyValue>, _prev: Option<KeyValue>) {
        let revision = self.view.revision + 1;
        self.keys.entry(key.clone()).or_default().push(self.log.len());
        self.log.push(Change { revision, key, kv });
        self.writes += 1;
    }

    fn header(&self, revision: i64) -> Option<ResponseHeader> {
        Some(ResponseHeader { revision, ..ResponseHeader::default() })
    }
}

fn writes_values(txn: &TxnRequest) -> bool {
    txn.success.iter().chain(&txn.failure).any(|op| match &op.request {
        Some(Request::RequestPut(_)) => true,
        Some(Request::RequestTxn(nested)) => writes_values(nested),
        _ => false,
    })
}
