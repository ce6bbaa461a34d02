//! etcd's rules for keys: what a request means, what it makes of the keys that are there, and
//! what it answers.
//!
//! They are the same for the model ([`crate::model`]) and for the checker's state, which hold keys
//! each in its own way and tell the rules about them as a [`Store`]. The rules hold nothing.

use std::cmp::Ordering;
use std::ops::Bound;

use bytes::Bytes;
use kvorum_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::response_op::Response;
use kvorum_proto::etcdserverpb::watch_create_request::FilterType;
use kvorum_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest,
    RangeResponse, ResponseHeader, ResponseOp, TxnRequest, TxnResponse, WatchCreateRequest,
};
use kvorum_proto::mvccpb::KeyValue;

/// Why the state machine refuses, where the reason lies in the state it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    Compacted,
    FutureRevision,
    NoLease,
    LeaseExists,
    NoKey,
}

/// What a reader may know: the store as it was when its revisions were these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    pub revision: i64,
    pub compacted: i64,
}

/// The keys that a request means: `key` and `range_end` as etcd reads them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    key: &'a Bytes,
    end: &'a Bytes,
}

/// What a watch wants to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interest<'a> {
    span: Span<'a>,
    puts: bool,
    deletes: bool,
}

/// What the rules ask of whoever holds the keys.
pub(crate) trait Store {
    /// As it was before the operation at hand.
    fn view(&self) -> View;

    /// The revision that the operation at hand sees: its own writes are of the next one.
    fn seen(&self) -> i64;

    /// The key as it was at `revision`.
    fn at(&self, key: &Bytes, revision: i64) -> Option<&KeyValue>;

    /// All keys of a span as they were at `revision`, sorted.
    fn select(&self, span: &Span, revision: i64) -> Vec<&KeyValue>;

    fn has_lease(&self, id: i64) -> bool;

    /// Changes a key at the next revision; without a pair it is deleted. `prev` is what was there.
    fn write(&mut self, key: Bytes, kv: Option<KeyValue>, prev: Option<KeyValue>);

    /// What stands at the head of an answer of this revision, if anything does.
    fn header(&self, revision: i64) -> Option<ResponseHeader>;
}

/// A put as a request of its own.
pub(crate) fn put(store: &mut impl Store, put: &PutRequest) -> Result<PutResponse, Refusal> {
    lease_is_there(store, put)?;
    old_is_there(store, put)?;
    Ok(write_put(store, put))
}

/// A range as a request of its own, by a reader who has `view`.
pub(crate) fn range(
    store: &impl Store,
    range: &RangeRequest,
    view: View,
) -> Result<RangeResponse, Refusal> {
    if range.revision > 0 {
        readable(range.revision, view)?;
    }
    Ok(read_range(store, range, view.revision))
}

pub(crate) fn delete_range(
    store: &mut impl Store,
    delete: &DeleteRangeRequest,
) -> DeleteRangeResponse {
    let found = store.select(&Span::new(&delete.key, &delete.range_end), store.seen());
    let gone: Vec<KeyValue> = found.into_iter().cloned().collect();
    for kv in &gone {
        store.write(kv.key.clone(), None, Some(kv.clone()));
    }
    DeleteRangeResponse {
        header: store.header(store.seen()),
        deleted: gone.len() as i64,
        prev_kvs: if delete.prev_kv { gone } else { Vec::new() },
    }
}

/// A transaction; nothing of it happens if anything in it is refused.
pub(crate) fn txn(store: &mut impl Store, txn: &TxnRequest) -> Result<TxnResponse, Refusal> {
    let path = choose(store, txn);
    check(store, &path)?;
    let mut response = execute(store, &path);
    response.header = store.header(store.seen());
    Ok(response)
}

/// Whether a store with `view` can be compacted to `revision`.
pub(crate) fn check_compaction(revision: i64, view: View) -> Result<(), Refusal> {
    if revision <= view.compacted {
        return Err(Refusal::Compacted);
    }
    not_future(revision, view)
}

fn readable(revision: i64, view: View) -> Result<(), Refusal> {
    not_future(revision, view)?;
    (revision >= view.compacted).then_some(()).ok_or(Refusal::Compacted)
}

fn not_future(revision: i64, view: View) -> Result<(), Refusal> {
    (revision <= view.revision).then_some(()).ok_or(Refusal::FutureRevision)
}

fn lease_is_there(store: &impl Store, put: &PutRequest) -> Result<(), Refusal> {
    let there = put.lease == 0 || store.has_lease(put.lease);
    there.then_some(()).ok_or(Refusal::NoLease)
}

fn old_is_there(store: &impl Store, put: &PutRequest) -> Result<(), Refusal> {
    let wanted = put.ignore_value || put.ignore_lease;
    let there = !wanted || store.at(&put.key, store.seen()).is_some();
    there.then_some(()).ok_or(Refusal::NoKey)
}

fn write_put(store: &mut impl Store, put: &PutRequest) -> PutResponse {
    let revision = store.view().revision + 1;
    let prev = store.at(&put.key, store.seen()).cloned();
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
    let prev_kv = if put.prev_kv { prev.clone() } else { None };
    store.write(put.key.clone(), Some(kv), prev);
    PutResponse { header: store.header(revision), prev_kv }
}

/// A range whose revision can be read, when the store is at `now`.
fn read_range(store: &impl Store, request: &RangeRequest, now: i64) -> RangeResponse {
    let revision = if request.revision > 0 { request.revision } else { now };
    let mut kvs = store.select(&Span::new(&request.key, &request.range_end), revision);
    let (header, count) = (store.header(now), kvs.len() as i64);
    if request.count_only {
        return RangeResponse { header, count, ..RangeResponse::default() };
    }
    let limit = usize::try_from(request.limit).unwrap_or(0);
    let bounds = [
        (request.min_mod_revision, request.max_mod_revision),
        (request.min_create_revision, request.max_create_revision),
    ];
    // As etcd does, a limit that nothing else depends on is kept to before filters and sorting.
    if limit > 0 && request.sort_order() == SortOrder::None && bounds == [(0, 0); 2] {
        kvs.truncate(limit.saturating_add(1));
    }
    let within = |(min, max): (i64, i64), it: i64| it >= min && (max == 0 || it <= max);
    kvs.retain(|kv| within(bounds[0], kv.mod_revision) && within(bounds[1], kv.create_revision));
    sort(&mut kvs, request);
    let more = limit > 0 && kvs.len() > limit;
    if more {
        kvs.truncate(limit);
    }
    let mut kvs: Vec<KeyValue> = kvs.into_iter().cloned().collect();
    if request.keys_only {
        for kv in &mut kvs {
            kv.value.clear();
        }
    }
    RangeResponse { header, kvs, more, count }
}

/// Keys come sorted, and what compares equal stays in that order. Without an order, anything but
/// the key is sorted in ascending order.
fn sort(kvs: &mut [&KeyValue], request: &RangeRequest) {
    let descending = request.sort_order() == SortOrder::Descend;
    if !descending && request.sort_target() == SortTarget::Key {
        return;
    }
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

/// The branches that a transaction takes.
struct Path<'a> {
    succeeded: bool,
    steps: Vec<Step<'a>>,
}

enum Step<'a> {
    Put(&'a PutRequest),
    Range(&'a RangeRequest),
    DeleteRange(&'a DeleteRangeRequest),
    Txn(Path<'a>),
}

/// The branches are chosen before anything is done.
fn choose<'a>(store: &impl Store, txn: &'a TxnRequest) -> Path<'a> {
    let succeeded = txn.compare.iter().all(|compare| holds(store, compare));
    let ops = if succeeded { &txn.success } else { &txn.failure };
    let steps = ops.iter().filter_map(|op| op.request.as_ref()).map(|request| match request {
        Request::RequestPut(put) => Step::Put(put),
        Request::RequestRange(range) => Step::Range(range),
        Request::RequestDeleteRange(delete) => Step::DeleteRange(delete),
        Request::RequestTxn(nested) => Step::Txn(choose(store, nested)),
    });
    Path { succeeded, steps: steps.collect() }
}

/// Unlike requests of their own: a put's key is looked for before its lease, and a negative
/// revision is not the newest one.
fn check(store: &impl Store, path: &Path) -> Result<(), Refusal> {
    for step in &path.steps {
        match step {
            Step::Txn(nested) => check(store, nested)?,
            Step::Put(put) => {
                old_is_there(store, put)?;
                lease_is_there(store, put)?;
            }
            Step::Range(range) if range.revision != 0 => readable(range.revision, store.view())?,
            Step::Range(_) | Step::DeleteRange(_) => {}
        }
    }
    Ok(())
}

/// The revision in the header of a nested one is 0.
fn execute(store: &mut impl Store, path: &Path) -> TxnResponse {
    let mut responses = Vec::with_capacity(path.steps.len());
    for step in &path.steps {
        let response = match step {
            Step::Txn(nested) => Response::ResponseTxn(execute(store, nested)),
            Step::Put(put) => Response::ResponsePut(write_put(store, put)),
            Step::Range(range) => Response::ResponseRange(read_range(store, range, store.seen())),
            Step::DeleteRange(delete) => Response::ResponseDeleteRange(delete_range(store, delete)),
        };
        responses.push(ResponseOp { response: Some(response) });
    }
    TxnResponse { header: store.header(0), succeeded: path.succeeded, responses }
}

fn holds(store: &impl Store, compare: &Compare) -> bool {
    let span = Span::new(&compare.key, &compare.range_end);
    let found = store.select(&span, store.view().revision);
    if found.is_empty() {
        // A value that is not there equals nothing, its numbers are 0.
        return compare.target() != CompareTarget::Value && agrees(compare, &KeyValue::default());
    }
    found.into_iter().all(|kv| agrees(compare, kv))
}

fn agrees(compare: &Compare, kv: &KeyValue) -> bool {
    let order = order(compare, kv);
    match compare.result() {
        CompareResult::Equal => order.is_eq(),
        CompareResult::NotEqual => order.is_ne(),
        CompareResult::Greater => order.is_gt(),
        CompareResult::Less => order.is_lt(),
    }
}

/// An operand of another kind than the target counts as none.
fn order(compare: &Compare, kv: &KeyValue) -> Ordering {
    match (compare.target(), &compare.target_union) {
        (CompareTarget::Version, Some(TargetUnion::Version(it))) => kv.version.cmp(it),
        (CompareTarget::Create, Some(TargetUnion::CreateRevision(it))) => {
            kv.create_revision.cmp(it)
        }
        (CompareTarget::Mod, Some(TargetUnion::ModRevision(it))) => kv.mod_revision.cmp(it),
        (CompareTarget::Lease, Some(TargetUnion::Lease(it))) => kv.lease.cmp(it),
        (CompareTarget::Value, Some(TargetUnion::Value(it))) => kv.value.cmp(it),
        (CompareTarget::Version, _) => kv.version.cmp(&0),
        (CompareTarget::Create, _) => kv.create_revision.cmp(&0),
        (CompareTarget::Mod, _) => kv.mod_revision.cmp(&0),
        (CompareTarget::Lease, _) => kv.lease.cmp(&0),
        (CompareTarget::Value, _) => kv.value[..].cmp(&[]),
    }
}

impl Refusal {
    const ALL: [Refusal; 5] = [
        Refusal::Compacted,
        Refusal::FutureRevision,
        Refusal::NoLease,
        Refusal::LeaseExists,
        Refusal::NoKey,
    ];

    /// Recognises etcd's text.
    pub fn from_message(message: &str) -> Option<Refusal> {
        Refusal::ALL.into_iter().find(|refusal| refusal.message() == message)
    }

    pub fn message(self) -> &'static str {
        match self {
            Refusal::Compacted => "etcdserver: mvcc: required revision has been compacted",
            Refusal::FutureRevision => "etcdserver: mvcc: required revision is a future revision",
            Refusal::NoLease => "etcdserver: requested lease not found",
            Refusal::LeaseExists => "etcdserver: lease already exists",
            Refusal::NoKey => "etcdserver: key not found",
        }
    }
}

impl<'a> Span<'a> {
    pub(crate) fn new(key: &'a Bytes, end: &'a Bytes) -> Span<'a> {
        Span { key, end }
    }

    pub(crate) fn single(&self) -> Option<&'a Bytes> {
        self.end.is_empty().then_some(self.key)
    }

    pub(crate) fn holds(&self, key: &Bytes) -> bool {
        match &self.end[..] {
            [] => key == self.key,
            [0] => key >= self.key,
            end => key >= self.key && key[..] < *end,
        }
    }

    pub(crate) fn bounds(&self) -> (Bound<&'a Bytes>, Bound<&'a Bytes>) {
        let from = Bound::Included(self.key);
        match &self.end[..] {
            [] => (from, Bound::Included(self.key)),
            [0] => (from, Bound::Unbounded),
            // A map wants its bounds in order.
            end if *end <= self.key[..] => (from, Bound::Excluded(self.key)),
            _ => (from, Bound::Excluded(self.end)),
        }
    }
}

impl<'a> Interest<'a> {
    pub(crate) fn new(request: &'a WatchCreateRequest) -> Interest<'a> {
        let without = |filter: FilterType| request.filters.contains(&filter.into());
        Interest {
            span: Span::new(&request.key, &request.range_end),
            puts: !without(FilterType::Noput),
            deletes: !without(FilterType::Nodelete),
        }
    }

    pub(crate) fn covers(&self, key: &Bytes, put: bool) -> bool {
        let kind = if put { self.puts } else { self.deletes };
        kind && self.span.holds(key)
    }
}
