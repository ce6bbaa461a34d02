//! An independent model of etcd's state machine, against which the real one is held.
//!
//! It is as naive as it can be, so that its correctness is seen by reading: every version of every
//! key is kept for ever, every question is answered by looking at all of it, and compaction only
//! moves the number below which questions are refused. It shares nothing with the server but the
//! messages, in which it answers as etcd 3.6 does.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kvorum_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::response_op::Response;
use kvorum_proto::etcdserverpb::{
    AlarmType, Compare, DeleteRangeRequest, DeleteRangeResponse, InternalRaftRequest,
    LeaseGrantRequest, PutRequest, PutResponse, RangeRequest, RangeResponse, ResponseHeader,
    ResponseOp, TxnRequest, TxnResponse, WatchCreateRequest, alarm_request::AlarmAction,
    watch_create_request::FilterType,
};
use kvorum_proto::mvccpb::{Event, KeyValue, event::EventType};

pub const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
pub const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";
pub const NO_LEASE: &str = "etcdserver: requested lease not found";
pub const LEASE_EXISTS: &str = "etcdserver: lease already exists";
pub const TTL_TOO_LARGE: &str = "etcdserver: too large lease TTL";
pub const NO_KEY: &str = "etcdserver: key not found";
pub const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";
pub const CORRUPT: &str = "etcdserver: corrupt cluster";

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

/// What a reader may know: the store as it was when its revisions were these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    pub revision: i64,
    pub compacted: i64,
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
            if put.lease != 0 && !self.leases.contains_key(&put.lease) {
                return Err(NO_LEASE);
            }
            self.check_put(put)?;
            return Ok(Answer::Op(Response::ResponsePut(self.put(put))));
        }
        if let Some(delete) = &entry.delete_range {
            return Ok(Answer::Op(Response::ResponseDeleteRange(self.delete_range(delete))));
        }
        if let Some(txn) = &entry.txn {
            let response = self.txn(txn)?;
            return Ok(Answer::Op(Response::ResponseTxn(response)));
        }
        if let Some(compaction) = &entry.compaction {
            return self.compact(compaction.revision);
        }
        if let Some(grant) = &entry.lease_grant {
            return self.grant(grant);
        }
        if let Some(revoke) = &entry.lease_revoke {
            return if self.end_lease(revoke.id) { Ok(Answer::Done) } else { Err(NO_LEASE) };
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
        if request.revision > view.revision {
            return Err(FUTURE);
        }
        let at = if request.revision <= 0 { view.revision } else { request.revision };
        if at < view.compacted {
            return Err(COMPACTED);
        }
        let mut kvs: Vec<KeyValue> = self
            .keys
            .keys()
            .filter(|key| within(key, &request.key, &request.range_end))
            .filter_map(|key| self.at(key, at).cloned())
            .collect();
        let count = kvs.len() as i64;
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let filters = [
            request.min_mod_revision,
            request.max_mod_revision,
            request.min_create_revision,
            request.max_create_revision,
        ];
        if limit > 0 && request.sort_order() == SortOrder::None && filters == [0; 4] {
            kvs.truncate(limit.saturating_add(1));
        }
        let [min_mod, max_mod, min_create, max_create] = filters;
        kvs.retain(|kv| {
            kv.mod_revision >= min_mod
                && (max_mod == 0 || kv.mod_revision <= max_mod)
                && kv.create_revision >= min_create
                && (max_create == 0 || kv.create_revision <= max_create)
        });
        sort(&mut kvs, request);
        let more = limit > 0 && kvs.len() > limit;
        if more {
            kvs.truncate(limit);
        }
        if request.keys_only {
            for kv in &mut kvs {
                kv.value.clear();
            }
        }
        let header = Some(header(view.revision));
        if request.count_only {
            return Ok(RangeResponse { header, count, ..RangeResponse::default() });
        }
        Ok(RangeResponse { header, kvs, more, count })
    }

    /// A transaction; nothing of it happens if anything in it is refused.
    pub fn txn(&mut self, txn: &TxnRequest) -> Result<TxnResponse, &'static str> {
        let path = self.choose(txn);
        self.check(&path)?;
        let mut response = self.execute(&path);
        response.header = Some(header(self.seen().revision));
        Ok(response)
    }

    /// What a watch is owed from revision `from` on.
    pub fn events(&self, watch: &WatchCreateRequest, from: i64) -> Vec<Event> {
        let without = |filter: FilterType| watch.filters.contains(&filter.into());
        let (no_put, no_delete) = (without(FilterType::Noput), without(FilterType::Nodelete));
        let mut events = Vec::new();
        let first = self.log.partition_point(|change| change.revision < from);
        for change in &self.log[first..] {
            let filtered = if change.kv.is_some() { no_put } else { no_delete };
            if filtered || !within(&change.key, &watch.key, &watch.range_end) {
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
        let now = self.seen().revision;
        let attached = |key: &&Bytes| self.at(key, now).is_some_and(|kv| kv.lease == lease);
        self.keys.keys().filter(attached).cloned().collect()
    }

    /// The key as it was at `revision`.
    fn at(&self, key: &Bytes, revision: i64) -> Option<&KeyValue> {
        let changes = self.keys.get(key)?.iter().rev().map(|index| &self.log[*index]);
        changes.into_iter().find(|change| change.revision <= revision)?.kv.as_ref()
    }

    /// What the operation at hand sees: its transaction's own writes are of the next revision.
    fn seen(&self) -> View {
        let revision = self.view.revision + i64::from(self.writes > 0);
        View { revision, ..self.view }
    }

    fn end_revision(&mut self) {
        self.view = self.seen();
        self.writes = 0;
    }

    fn write(&mut self, key: &Bytes, kv: Option<KeyValue>) {
        let revision = self.view.revision + 1;
        self.keys.entry(key.clone()).or_default().push(self.log.len());
        self.log.push(Change { revision, key: key.clone(), kv });
        self.writes += 1;
    }

    fn check_put(&self, put: &PutRequest) -> Result<(), &'static str> {
        let absent = self.at(&put.key, self.seen().revision).is_none();
        if (put.ignore_value || put.ignore_lease) && absent {
            return Err(NO_KEY);
        }
        if put.lease != 0 && !self.leases.contains_key(&put.lease) {
            return Err(NO_LEASE);
        }
        Ok(())
    }

    fn put(&mut self, put: &PutRequest) -> PutResponse {
        let revision = self.view.revision + 1;
        let prev = self.at(&put.key, self.seen().revision).cloned();
        let mut kv = KeyValue {
            key: put.key.clone(),
            value: put.value.clone(),
            create_revision: revision,
            mod_revision: revision,
            version: 1,
            lease: put.lease,
        };
        if let Some(prev) = &prev {
            kv.create_revision = prev.create_revision;
            kv.version = prev.version + 1;
            if put.ignore_value {
                kv.value = prev.value.clone();
            }
            if put.ignore_lease {
                kv.lease = prev.lease;
            }
        }
        self.write(&put.key, Some(kv));
        PutResponse { header: Some(header(revision)), prev_kv: prev.filter(|_| put.prev_kv) }
    }

    fn delete_range(&mut self, delete: &DeleteRangeRequest) -> DeleteRangeResponse {
        let now = self.seen().revision;
        let doomed: Vec<KeyValue> = self
            .keys
            .keys()
            .filter(|key| within(key, &delete.key, &delete.range_end))
            .filter_map(|key| self.at(key, now).cloned())
            .collect();
        for kv in &doomed {
            self.write(&kv.key, None);
        }
        DeleteRangeResponse {
            header: Some(header(self.seen().revision)),
            deleted: doomed.len() as i64,
            prev_kvs: if delete.prev_kv { doomed } else { Vec::new() },
        }
    }

    fn compact(&mut self, revision: i64) -> Outcome {
        if revision <= self.view.compacted {
            return Err(COMPACTED);
        }
        if revision > self.view.revision {
            return Err(FUTURE);
        }
        self.view.compacted = revision;
        Ok(Answer::Done)
    }

    fn grant(&mut self, grant: &LeaseGrantRequest) -> Outcome {
        if grant.id == 0 {
            return Err(NO_LEASE);
        }
        if grant.ttl > 9_000_000_000 {
            return Err(TTL_TOO_LARGE);
        }
        if self.leases.contains_key(&grant.id) {
            return Err(LEASE_EXISTS);
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
            self.write(&key, None);
        }
        true
    }

    fn choose<'a>(&self, txn: &'a TxnRequest) -> Path<'a> {
        let succeeded = txn.compare.iter().all(|compare| self.holds(compare));
        let ops = if succeeded { &txn.success } else { &txn.failure };
        let steps = ops.iter().map(|op| match op.request.as_ref().expect("an operation") {
            Request::RequestTxn(nested) => Step::Txn(self.choose(nested)),
            request => Step::Op(request),
        });
        Path { succeeded, steps: steps.collect() }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let now = self.view.revision;
        let found: Vec<&KeyValue> = self
            .keys
            .keys()
            .filter(|key| within(key, &compare.key, &compare.range_end))
            .filter_map(|key| self.at(key, now))
            .collect();
        if found.is_empty() {
            return compare.target() != CompareTarget::Value
                && relation_holds(compare, &KeyValue::default());
        }
        found.into_iter().all(|kv| relation_holds(compare, kv))
    }

    fn check(&self, path: &Path) -> Result<(), &'static str> {
        for step in &path.steps {
            match step {
                Step::Txn(nested) => self.check(nested)?,
                Step::Op(Request::RequestPut(put)) => self.check_put(put)?,
                Step::Op(Request::RequestRange(range)) if range.revision != 0 => {
                    if range.revision > self.view.revision {
                        return Err(FUTURE);
                    }
                    if range.revision < self.view.compacted {
                        return Err(COMPACTED);
                    }
                }
                Step::Op(_) => {}
            }
        }
        Ok(())
    }

    fn execute(&mut self, path: &Path) -> TxnResponse {
        let mut responses = Vec::new();
        for step in &path.steps {
            let response = match step {
                Step::Txn(nested) => Response::ResponseTxn(self.execute(nested)),
                Step::Op(Request::RequestRange(range)) => Response::ResponseRange(
                    self.range(range, self.seen()).expect("the revision was checked"),
                ),
                Step::Op(Request::RequestPut(put)) => Response::ResponsePut(self.put(put)),
                Step::Op(Request::RequestDeleteRange(delete)) => {
                    Response::ResponseDeleteRange(self.delete_range(delete))
                }
                Step::Op(Request::RequestTxn(_)) => unreachable!("a nested one is a path"),
            };
            responses.push(ResponseOp { response: Some(response) });
        }
        TxnResponse { header: Some(header(0)), succeeded: path.succeeded, responses }
    }
}

/// The branches that a transaction takes.
struct Path<'a> {
    succeeded: bool,
    steps: Vec<Step<'a>>,
}

enum Step<'a> {
    Op(&'a Request),
    Txn(Path<'a>),
}

fn header(revision: i64) -> ResponseHeader {
    ResponseHeader { revision, ..ResponseHeader::default() }
}

/// Whether a request's key and range end mean this key.
fn within(candidate: &Bytes, key: &Bytes, range_end: &Bytes) -> bool {
    match &range_end[..] {
        [] => candidate == key,
        [0] => candidate >= key,
        _ => candidate >= key && candidate < range_end,
    }
}

fn writes_values(txn: &TxnRequest) -> bool {
    txn.success.iter().chain(&txn.failure).any(|op| match &op.request {
        Some(Request::RequestPut(_)) => true,
        Some(Request::RequestTxn(nested)) => writes_values(nested),
        _ => false,
    })
}

/// Keys come sorted; what compares equal stays in that order.
fn sort(kvs: &mut [KeyValue], request: &RangeRequest) {
    let descending = request.sort_order() == SortOrder::Descend;
    kvs.sort_by(|a, b| {
        let order = match request.sort_target() {
            SortTarget::Key => a.key.cmp(&b.key),
            SortTarget::Version => a.version.cmp(&b.version),
            SortTarget::Create => a.create_revision.cmp(&b.create_revision),
            SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
            SortTarget::Value => a.value.cmp(&b.value),
        };
        if descending { order.reverse() } else { order }
    });
}

fn relation_holds(compare: &Compare, kv: &KeyValue) -> bool {
    let operand = compare.target_union.clone();
    let number = |found: i64, wanted: Option<i64>| found.cmp(&wanted.unwrap_or(0));
    let order = match (compare.target(), operand) {
        (CompareTarget::Version, Some(TargetUnion::Version(n))) => number(kv.version, Some(n)),
        (CompareTarget::Version, _) => number(kv.version, None),
        (CompareTarget::Create, Some(TargetUnion::CreateRevision(n))) => {
            number(kv.create_revision, Some(n))
        }
        (CompareTarget::Create, _) => number(kv.create_revision, None),
        (CompareTarget::Mod, Some(TargetUnion::ModRevision(n))) => number(kv.mod_revision, Some(n)),
        (CompareTarget::Mod, _) => number(kv.mod_revision, None),
        (CompareTarget::Lease, Some(TargetUnion::Lease(n))) => number(kv.lease, Some(n)),
        (CompareTarget::Lease, _) => number(kv.lease, None),
        (CompareTarget::Value, Some(TargetUnion::Value(value))) => kv.value.cmp(&value),
        (CompareTarget::Value, _) => kv.value.cmp(&Bytes::new()),
    };
    match compare.result() {
        CompareResult::Equal => order.is_eq(),
        CompareResult::NotEqual => order.is_ne(),
        CompareResult::Greater => order.is_gt(),
        CompareResult::Less => order.is_lt(),
    }
}
