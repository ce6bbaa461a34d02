//! The store and the watch hub, held against the independent model.
//!
//! Random entries are applied to both, random questions asked of both, and every reply, every
//! revision field and every event must be the same: at the present, at old revisions, through
//! roots held since earlier, after restarts from what the backend has, with values that are on
//! disk only and with sweeps at any moment. The seed of a failure is printed.
//!
//! `KVORUM_MODEL_OPS` sets the number of operations, `KVORUM_SEED` replays one history.

use std::collections::BTreeMap;

use bytes::Bytes;
use kvorum_core::error::StoreError;
use kvorum_core::store::{
    Applied, Change, OpReply, Position, RangeReply, Reply, Revision, Root, Store, Table, TxnReply,
    Version, is_read_only, stored_value,
};
use kvorum_core::watch::{self, Body, Delivery, Hub, StreamId};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::response_op::Response;
use kvorum_proto::etcdserverpb::{
    AlarmRequest, AlarmType, CompactionRequest, DeleteRangeRequest, DeleteRangeResponse,
    InternalRaftRequest, LeaseCheckpoint, LeaseCheckpointRequest, LeaseExpireRequest,
    LeaseGrantRequest, LeaseRevokeRequest, PutResponse, RangeRequest, RangeResponse,
    ResponseHeader, ResponseOp, TxnRequest, TxnResponse, WatchCreateRequest,
    alarm_request::AlarmAction, watch_create_request::FilterType,
};
use kvorum_proto::mvccpb::{Event, KeyValue, event::EventType};
use kvorum_tests::model::{Answer, Model, Outcome, View};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const OPS: usize = 120_000;
const OPS_PER_HISTORY: usize = 6_000;
const KEYS: usize = 20;
const WATCHERS: usize = 4;

/// How often each kind of operation was carried out, not refused.
#[derive(Debug, Default)]
struct Counts {
    operations: usize,
    nested_txns: usize,
    range_deletes: usize,
    old_ranges: usize,
    compactions: usize,
    lease_revokes: usize,
    watch_resumes: usize,
    restarts: usize,
    overtaken: usize,
    events: usize,
}

/// What survives a restart: the log since the backend's position, and the backend.
#[derive(Default)]
struct Disk {
    records: BTreeMap<(Table, Bytes), Bytes>,
    position: Position,
    /// Changes that the backend has not got yet.
    pending: Vec<Change>,
    /// Entries after the backend's position, and what they answered.
    log: Vec<(u64, u64, Option<InternalRaftRequest>)>,
}

impl Disk {
    fn flush(&mut self, position: Position) {
        for change in self.pending.drain(..) {
            let (table, key, value) = change.encode();
            match value {
                Some(value) => self.records.insert((table, key), value),
                None => self.records.remove(&(table, key)),
            };
        }
        self.position = position;
        self.log.clear();
    }

    fn value(&self, at: Revision) -> Bytes {
        let key = (Table::Versions, Bytes::copy_from_slice(&at.to_bytes()));
        stored_value(self.records.get(&key).expect("a stored value is on disk")).unwrap()
    }
}

/// A client that watches, loses its stream, and comes back where it left off.
struct Watcher {
    request: WatchCreateRequest,
    stream: Option<StreamId>,
    /// The first revision it has not seen.
    next: i64,
}

struct World<'a> {
    random: StdRng,
    counts: &'a mut Counts,
    model: Model,
    store: Store,
    disk: Disk,
    term: u64,
    hub: Hub,
    watchers: Vec<Watcher>,
    last_stream: u64,
    /// Roots that readers hold, with what they may know.
    held: Vec<(Root, View)>,
}

impl<'a> World<'a> {
    fn new(seed: u64, counts: &'a mut Counts) -> World<'a> {
        let store = Store::bootstrap(Vec::new(), Default::default());
        let mut disk = Disk { pending: store.initial_changes(), ..Disk::default() };
        disk.flush(store.position());
        let mut world = World {
            random: StdRng::seed_from_u64(seed),
            counts,
            model: Model::default(),
            hub: Hub::new(store.root().revision(), watch::RESPONSE_BYTES),
            store,
            disk,
            term: 1,
            watchers: Vec::new(),
            last_stream: 0,
            held: Vec::new(),
        };
        for _ in 0..WATCHERS {
            let watcher = Watcher { request: world.watch_request(), stream: None, next: 1 };
            world.watchers.push(watcher);
        }
        world
    }

    fn step(&mut self) {
        self.counts.operations += 1;
        match self.random.random_range(0..1000) {
            0..250 => self.enter(|world| world.put_entry()),
            250..350 => self.enter(|world| world.delete_entry()),
            350..550 => self.txn(),
            550..740 => self.range(),
            740..772 => self.enter(|world| world.compaction_entry()),
            772..820 => self.enter(|world| world.grant_entry()),
            820..850 => self.enter(|world| world.revoke_entry()),
            850..862 => self.enter(|world| world.expire_entry()),
            862..870 => self.enter(|world| world.checkpoint_entry()),
            870..880 => self.enter(|world| world.alarm_entry()),
            880..925 => self.resume(),
            925..945 => self.advance(),
            945..960 => self.sweep(),
            960..970 => self.flush(),
            970..985 => self.hold(),
            985..990 => self.compare_all(),
            990..995 => {
                self.term += 1;
                self.log(None);
            }
            _ => self.restart(),
        }
        let root = self.store.root();
        let view = View { revision: root.revision(), compacted: root.compacted_revision() };
        assert_eq!(view, self.model.view);
    }

    /// Applies an entry to both.
    fn enter(&mut self, entry: impl FnOnce(&mut Self) -> InternalRaftRequest) {
        let entry = entry(self);
        self.watch_before(&entry);
        let expected = self.model.apply(self.term, &entry);
        if expected.is_ok() {
            let some = |there: bool| usize::from(there);
            self.counts.compactions += some(entry.compaction.is_some());
            self.counts.lease_revokes += some(entry.lease_revoke.is_some());
            let delete = entry.delete_range.as_ref();
            self.counts.range_deletes +=
                some(delete.is_some_and(|delete| !delete.range_end.is_empty()));
            self.counts.nested_txns += some(entry.txn.as_ref().is_some_and(is_nested));
        }
        let applied = self.log(Some(entry)).expect("the entry was applied");
        assert_eq!(self.outcome(applied), expected);
    }

    /// Appends to the log, and applies; `None` is raft's empty entry.
    fn log(&mut self, entry: Option<InternalRaftRequest>) -> Option<Applied> {
        let index = self.store.root().index() + 1;
        self.disk.log.push((index, self.term, entry));
        let (_, _, entry) = self.disk.log.last().expect("just pushed");
        let Some(entry) = entry else {
            self.store.skip(index, self.term);
            return None;
        };
        let mut applied = self.store.apply(index, self.term, entry);
        self.disk.pending.append(&mut applied.changes);
        Some(applied)
    }

    /// A transaction that only reads may be served without the log.
    fn txn(&mut self) {
        let mut entry = InternalRaftRequest::default();
        let txn = self.txn_request();
        if is_read_only(&txn) && self.random.random_bool(0.5) {
            let expected = self.model.txn(&txn);
            let root = self.store.root();
            let got = root.txn_read(&txn).map(|reply| self.txn_response(reply, root.revision()));
            assert_eq!(got.map_err(text), expected.map_err(str::to_owned));
            return;
        }
        entry.txn = Some(txn);
        self.enter(|_| entry);
    }

    fn range(&mut self) {
        let request = self.range_request(true);
        let (root, view) = if !self.held.is_empty() && self.random.random_bool(0.2) {
            self.held[self.random.random_range(0..self.held.len())].clone()
        } else {
            (self.store.root(), self.model.view)
        };
        let expected = self.model.range(&request, view);
        if expected.is_ok() && request.revision > 0 && request.revision < view.revision {
            self.counts.old_ranges += 1;
        }
        let got = root.range(&request).map(|reply| self.range_response(reply, view.revision));
        assert_eq!(got.map_err(text), expected.map_err(str::to_owned), "{request:?}");
    }

    /// A reader takes a root, and keeps it for a while.
    fn hold(&mut self) {
        if self.held.len() == 3 {
            self.held.remove(self.random.random_range(0..3));
        }
        self.held.push((self.store.root(), self.model.view));
    }

    fn sweep(&mut self) {
        let budget = self.random.random_range(1..50);
        let (mut changes, _) = self.store.sweep(budget);
        self.disk.pending.append(&mut changes);
    }

    fn flush(&mut self) {
        self.disk.flush(self.store.position());
        self.store.durable(self.store.root().revision());
    }

    /// Everything in memory is lost; the backend is read back and the rest of the log applied.
    fn restart(&mut self) {
        self.counts.restarts += 1;
        self.held.clear();
        self.disk.pending.clear();
        let records = self.disk.records.iter();
        let records = records.map(|((table, key), value)| (*table, key.clone(), value.clone()));
        self.store = Store::restore(self.disk.position.clone(), records).unwrap();
        for (index, term, entry) in &self.disk.log {
            match entry {
                Some(entry) => {
                    let mut applied = self.store.apply(*index, *term, entry);
                    self.disk.pending.append(&mut applied.changes);
                }
                None => self.store.skip(*index, *term),
            }
        }
        self.hub = Hub::new(self.store.root().revision(), watch::RESPONSE_BYTES);
        for watcher in &mut self.watchers {
            watcher.stream = None;
        }
        self.compare_all();
    }

    /// Everything there is, at the present and at each revision that can still be read.
    fn compare_all(&mut self) {
        let root = self.store.root();
        let view = self.model.view;
        let from = view.compacted.max(view.revision - 20).max(1);
        for revision in from..=view.revision {
            let all = Bytes::from_static(b"\0");
            let request = RangeRequest {
                key: all.clone(),
                range_end: all,
                revision,
                ..RangeRequest::default()
            };
            let reply = root.range(&request).unwrap();
            let got = self.range_response(reply, view.revision);
            assert_eq!(got, self.model.range(&request, view).unwrap());
        }
        let leases: Vec<(i64, i64, i64)> =
            root.leases().map(|lease| (lease.id, lease.ttl_s, lease.remaining_s)).collect();
        let expected: Vec<(i64, i64, i64)> =
            self.model.leases.iter().map(|(id, lease)| (*id, lease.ttl, lease.remaining)).collect();
        assert_eq!(leases, expected);
        for (id, ..) in leases {
            assert_eq!(root.lease_keys(id).collect::<Vec<_>>(), self.model.attached(id));
        }
    }

    /// The hub is given the root before a compaction, so that it does not overtake who keeps up.
    fn watch_before(&mut self, entry: &InternalRaftRequest) {
        if entry.compaction.is_some() && self.random.random_bool(0.5) {
            self.advance();
        }
    }

    fn advance(&mut self) {
        let (root, mut out) = (self.store.root(), Vec::new());
        while self.hub.advance(&root, &mut out) {}
        self.receive(out);
    }

    /// A watcher loses its stream, or comes back and resumes; then it may read little, or all.
    fn resume(&mut self) {
        let number = self.random.random_range(0..WATCHERS);
        if let Some(stream) = self.watchers[number].stream.take() {
            self.hub.close(stream);
        }
        if self.random.random_bool(0.05) {
            let next = self.random.random_range(1..=self.model.view.revision + 3);
            self.watchers[number] = Watcher { request: self.watch_request(), stream: None, next };
        }
        self.counts.watch_resumes += 1;
        self.last_stream += 1;
        let stream = StreamId(self.last_stream);
        let reads_all = self.random.random_bool(0.5);
        let credit = if reads_all { 1_000_000 } else { self.random.random_range(0..6) };
        let watcher = &mut self.watchers[number];
        watcher.stream = Some(stream);
        watcher.request.start_revision = watcher.next;
        let mut out = Vec::new();
        self.hub.open(stream, credit);
        self.hub.create(stream, &watcher.request, &self.store.root(), &mut out);
        self.hub.progress_request(stream, &self.store.root(), &mut out);
        self.receive(out);
        self.advance();
        let watcher = &self.watchers[number];
        if reads_all && watcher.stream.is_some() {
            assert!(watcher.next > self.model.view.revision, "all read, and told so");
        }
    }

    /// Compares what the watchers get with what they are owed.
    fn receive(&mut self, out: Vec<Delivery>) {
        for Delivery { stream, reply } in out {
            let number = self.watchers.iter().position(|watcher| watcher.stream == Some(stream));
            let number = number.expect("replies go to open streams");
            let next = self.watchers[number].next;
            match reply.body {
                Body::Created => {}
                Body::Events { events, fragment } => {
                    assert!(!fragment);
                    let got: Vec<Event> = events.iter().map(|event| self.event(event)).collect();
                    let mut owed = self.model.events(&self.watchers[number].request, next);
                    self.counts.events += got.len();
                    owed.truncate(got.len());
                    assert_eq!(got, owed);
                    self.watchers[number].next = events.last().unwrap().version.at.main + 1;
                }
                Body::Progress => {
                    let upto =
                        |event: &&Event| event.kv.as_ref().unwrap().mod_revision <= reply.revision;
                    let owed = self.model.events(&self.watchers[number].request, next);
                    assert_eq!(owed.iter().find(upto), None, "progress overtook an event");
                    self.watchers[number].next = next.max(reply.revision + 1);
                }
                Body::Overtaken { compact_revision } => {
                    assert_eq!(compact_revision, self.model.view.compacted);
                    assert!(next < compact_revision, "not overtaken at all");
                    self.counts.overtaken += 1;
                    self.hub.close(stream);
                    self.watchers[number].stream = None;
                    self.watchers[number].next = compact_revision;
                }
                Body::Refused(_) | Body::Canceled => panic!("not asked for: {reply:?}"),
            }
        }
    }

    fn event(&self, event: &watch::Event) -> Event {
        let kind =
            if event.version.is_deletion() { EventType::Delete } else { EventType::Put }.into();
        let prev_kv = event.prev.as_ref().map(|prev| self.key_value(prev));
        Event { r#type: kind, kv: Some(self.key_value(&event.version)), prev_kv }
    }

    /// The reply as a message, its values read back from disk.
    fn outcome(&self, applied: Applied) -> Outcome {
        let revision = applied.revision;
        let model_text = |error: StoreError| -> &'static str {
            // Leaked once per refusal kind would do; the texts are compared, not kept.
            Box::leak(error.to_string().into_boxed_str())
        };
        let reply = applied.reply.map_err(model_text)?;
        Ok(match reply {
            Reply::Put(_) => Answer::Op(self.op_response(as_op(reply, revision))),
            Reply::Delete(_) => Answer::Op(self.op_response(as_op(reply, revision))),
            Reply::Txn(txn) => Answer::Op(Response::ResponseTxn(self.txn_response(txn, revision))),
            Reply::LeaseGranted { id, ttl } => Answer::Granted { id, ttl },
            Reply::Done | Reply::Alarms(_) => Answer::Done,
        })
    }

    fn op_response(&self, op: OpReply) -> Response {
        match op {
            OpReply::Range(range, revision) => {
                Response::ResponseRange(self.range_response(range, revision))
            }
            OpReply::Put(put, revision) => Response::ResponsePut(PutResponse {
                header: header(revision),
                prev_kv: put.prev.map(|prev| self.key_value(&prev)),
            }),
            OpReply::Delete(delete, revision) => {
                let prev_kvs = delete.prev.iter().map(|prev| self.key_value(prev)).collect();
                let (header, deleted) = (header(revision), delete.deleted);
                Response::ResponseDeleteRange(DeleteRangeResponse { header, deleted, prev_kvs })
            }
            OpReply::Txn(txn, revision) => Response::ResponseTxn(self.txn_response(txn, revision)),
        }
    }

    fn txn_response(&self, reply: TxnReply, revision: i64) -> TxnResponse {
        let ops = reply.ops.into_iter();
        let responses = ops.map(|op| ResponseOp { response: Some(self.op_response(op)) });
        let (header, succeeded) = (header(revision), reply.succeeded);
        TxnResponse { header, succeeded, responses: responses.collect() }
    }

    fn range_response(&self, mut reply: RangeReply, revision: i64) -> RangeResponse {
        reply.resolve(|at| Ok::<_, StoreError>(self.disk.value(at))).unwrap();
        let kvs = reply.versions.iter().map(|version| {
            if reply.keys_only {
                KeyValue { value: Bytes::new(), ..self.key_value_of(version, Bytes::new()) }
            } else {
                self.key_value(version)
            }
        });
        let (header, more, count) = (header(revision), reply.more, reply.count);
        RangeResponse { header, kvs: kvs.collect(), more, count }
    }

    fn key_value(&self, version: &Version) -> KeyValue {
        let value = version.value.resident().cloned();
        let value = value.unwrap_or_else(|| self.disk.value(version.at));
        assert_eq!(value.len(), version.value_len as usize);
        self.key_value_of(version, value)
    }

    fn key_value_of(&self, version: &Version, value: Bytes) -> KeyValue {
        KeyValue {
            key: version.key.clone(),
            create_revision: version.create_revision,
            mod_revision: version.at.main,
            version: version.version,
            value,
            lease: version.lease,
        }
    }
}

/// What is asked, at random.
mod requests {
    use kvorum_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
    use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
    use kvorum_proto::etcdserverpb::{Compare, PutRequest, RequestOp};

    use super::*;

    impl World<'_> {
        pub(super) fn put_entry(&mut self) -> InternalRaftRequest {
            let key = self.key();
            InternalRaftRequest { put: Some(self.put_request(key)), ..Default::default() }
        }

        pub(super) fn delete_entry(&mut self) -> InternalRaftRequest {
            let delete = Some(self.delete_request(0, KEYS));
            InternalRaftRequest { delete_range: delete, ..Default::default() }
        }

        pub(super) fn compaction_entry(&mut self) -> InternalRaftRequest {
            let View { revision, compacted } = self.model.view;
            let revision = match self.random.random_range(0..10) {
                0 => self.random.random_range(compacted - 1..=revision + 1),
                1 => revision,
                _ => revision - self.random.random_range(0..200),
            };
            let compaction = Some(CompactionRequest { revision, physical: false });
            InternalRaftRequest { compaction, ..Default::default() }
        }

        pub(super) fn grant_entry(&mut self) -> InternalRaftRequest {
            let ttl = match self.random.random_range(0..20) {
                0 => 9_000_000_001,
                1 => 0,
                2 => -5,
                _ => self.random.random_range(1..1000),
            };
            let lease_grant = Some(LeaseGrantRequest { ttl, id: self.lease() });
            InternalRaftRequest { lease_grant, ..Default::default() }
        }

        pub(super) fn revoke_entry(&mut self) -> InternalRaftRequest {
            let lease_revoke = Some(LeaseRevokeRequest { id: self.lease() });
            InternalRaftRequest { lease_revoke, ..Default::default() }
        }

        pub(super) fn expire_entry(&mut self) -> InternalRaftRequest {
            let i_ds = (0..self.random.random_range(1..4)).map(|_| self.lease()).collect();
            let term = self.term - u64::from(self.random.random_bool(0.2));
            let lease_expire = Some(LeaseExpireRequest { i_ds, term });
            InternalRaftRequest { lease_expire, ..Default::default() }
        }

        pub(super) fn checkpoint_entry(&mut self) -> InternalRaftRequest {
            let remaining_ttl = self.random.random_range(0..100);
            let checkpoints = vec![LeaseCheckpoint { id: self.lease(), remaining_ttl }];
            let lease_checkpoint = Some(LeaseCheckpointRequest { checkpoints });
            InternalRaftRequest { lease_checkpoint, ..Default::default() }
        }

        /// Alarms are taken back far more often than raised, so that most entries get through.
        pub(super) fn alarm_entry(&mut self) -> InternalRaftRequest {
            let raise = self.random.random_bool(0.05);
            let nospace = self.random.random_bool(0.5);
            let action = if raise { AlarmAction::Activate } else { AlarmAction::Deactivate };
            let alarm = Some(AlarmRequest {
                action: action.into(),
                member_id: 1,
                alarm: if nospace { AlarmType::Nospace } else { AlarmType::Corrupt }.into(),
            });
            InternalRaftRequest { alarm, ..Default::default() }
        }

        pub(super) fn watch_request(&mut self) -> WatchCreateRequest {
            let (key, range_end) = match self.random.random_range(0..3) {
                0 => (key(0), Bytes::from_static(b"\0")),
                1 => (key(0), key(self.random.random_range(1..KEYS))),
                _ => (self.key(), Bytes::new()),
            };
            let mut filters = Vec::new();
            for filter in [FilterType::Noput, FilterType::Nodelete] {
                if self.random.random_bool(0.1) {
                    filters.push(filter.into());
                }
            }
            let prev_kv = self.random.random_bool(0.5);
            WatchCreateRequest { key, range_end, filters, prev_kv, ..Default::default() }
        }

        pub(super) fn range_request(&mut self, old: bool) -> RangeRequest {
            let (key, range_end) = self.key_range(0, KEYS);
            let now = self.model.view.revision;
            let revision = match self.random.random_range(0..10) {
                0..5 if old => self.random.random_range((now - 30).max(-1)..=now + 1),
                5 if old => self.random.random_range(-2..=now + 1),
                _ => 0,
            };
            let mut request = RangeRequest { key, range_end, revision, ..Default::default() };
            if self.random.random_bool(0.3) {
                request.limit = self.random.random_range(-1..8);
            }
            if self.random.random_bool(0.3) {
                request.sort_order = self.random.random_range(0..3);
                request.sort_target = self.random.random_range(0..5);
                assert!(SortOrder::try_from(request.sort_order).is_ok());
                assert!(SortTarget::try_from(request.sort_target).is_ok());
            }
            request.keys_only = self.random.random_bool(0.1);
            request.count_only = self.random.random_bool(0.1);
            if self.random.random_bool(0.2) {
                request.min_mod_revision = self.random.random_range(0..=now);
                request.max_mod_revision = self.random.random_range(0..=now);
            }
            if self.random.random_bool(0.1) {
                request.min_create_revision = self.random.random_range(0..=now);
                request.max_create_revision = self.random.random_range(0..=now);
            }
            request
        }

        /// As the edge lets it through: no key is put twice or both put and deleted. So some
        /// keys are put, each once in a branch, and the others are deleted.
        pub(super) fn txn_request(&mut self) -> TxnRequest {
            let split = self.random.random_range(0..=KEYS);
            let puts_below = self.random.random_bool(0.5);
            let read_only = self.random.random_bool(0.2);
            let (puts, deletes) =
                if puts_below { (0..split, split..KEYS) } else { (split..KEYS, 0..split) };
            let mut txn = TxnRequest { compare: self.compares(), ..Default::default() };
            for branch in [&mut txn.success, &mut txn.failure] {
                let mut free: Vec<usize> =
                    if read_only { Vec::new() } else { puts.clone().collect() };
                let deletes = if read_only { 0..0 } else { deletes.clone() };
                *branch = self.ops(&mut free, &deletes, 0);
            }
            txn
        }

        fn ops(
            &mut self,
            free: &mut Vec<usize>,
            deletes: &std::ops::Range<usize>,
            depth: usize,
        ) -> Vec<RequestOp> {
            let mut ops = Vec::new();
            for _ in 0..self.random.random_range(0..4) {
                let request = match self.random.random_range(0..10) {
                    0..4 if !free.is_empty() => {
                        let chosen = self.random.random_range(0..free.len());
                        let key = key(free.swap_remove(chosen));
                        Request::RequestPut(self.put_request(key))
                    }
                    4..6 if !deletes.is_empty() => {
                        let delete = self.delete_request(deletes.start, deletes.end);
                        Request::RequestDeleteRange(delete)
                    }
                    6..8 if depth < 3 => Request::RequestTxn(TxnRequest {
                        compare: self.compares(),
                        success: self.ops(free, deletes, depth + 1),
                        failure: self.ops(free, deletes, depth + 1),
                    }),
                    _ => {
                        let old = self.random.random_bool(0.3);
                        Request::RequestRange(self.range_request(old))
                    }
                };
                ops.push(RequestOp { request: Some(request) });
            }
            ops
        }

        fn compares(&mut self) -> Vec<Compare> {
            (0..self.random.random_range(0..3)).map(|_| self.compare()).collect()
        }

        fn compare(&mut self) -> Compare {
            let (key, range_end) = self.key_range(0, KEYS);
            let now = self.model.view.revision;
            let small = self.random.random_range(0..3);
            let recent = if self.random.random_bool(0.3) { 0 } else { (now - small).max(0) };
            let (target, union) = match self.random.random_range(0..5) {
                0 => (CompareTarget::Version, TargetUnion::Version(small)),
                1 => (CompareTarget::Create, TargetUnion::CreateRevision(recent)),
                2 => (CompareTarget::Mod, TargetUnion::ModRevision(recent)),
                3 => (CompareTarget::Lease, TargetUnion::Lease(small)),
                _ => (CompareTarget::Value, TargetUnion::Value(self.value())),
            };
            let results = [
                CompareResult::Equal,
                CompareResult::NotEqual,
                CompareResult::Greater,
                CompareResult::Less,
            ];
            Compare {
                result: results[self.random.random_range(0..4)].into(),
                target: target.into(),
                key,
                range_end,
                target_union: self.random.random_bool(0.95).then_some(union),
            }
        }

        fn put_request(&mut self, key: Bytes) -> PutRequest {
            let ignore_value = self.random.random_bool(0.05);
            let ignore_lease = self.random.random_bool(0.05);
            let leased = self.random.random_bool(0.3) && !ignore_lease;
            PutRequest {
                key,
                value: if ignore_value { Bytes::new() } else { self.value() },
                lease: if leased { self.lease() } else { 0 },
                prev_kv: self.random.random_bool(0.4),
                ignore_value,
                ignore_lease,
            }
        }

        fn delete_request(&mut self, low: usize, high: usize) -> DeleteRangeRequest {
            let (key, range_end) = self.key_range(low, high);
            DeleteRangeRequest { key, range_end, prev_kv: self.random.random_bool(0.4) }
        }

        fn key(&mut self) -> Bytes {
            key(self.random.random_range(0..KEYS))
        }

        /// One key, or a range, of the keys `low..high`; sometimes an empty one.
        fn key_range(&mut self, low: usize, high: usize) -> (Bytes, Bytes) {
            let start = self.random.random_range(low..high);
            let end = match self.random.random_range(0..20) {
                0..10 => Bytes::new(),
                10 if high == KEYS => Bytes::from_static(b"\0"),
                11 => key(self.random.random_range(low..=high)),
                _ => key(self.random.random_range(start..=start + 5).min(high)),
            };
            (key(start), end)
        }

        fn value(&mut self) -> Bytes {
            Bytes::from(vec![self.random.random_range(b'a'..b'e'); self.random.random_range(0..5)])
        }

        fn lease(&mut self) -> i64 {
            self.random.random_range(0..9)
        }
    }

    /// The key just above the last one ends every range.
    fn key(number: usize) -> Bytes {
        Bytes::from(format!("key{number:02}"))
    }
}

fn as_op(reply: Reply, revision: i64) -> OpReply {
    match reply {
        Reply::Put(put) => OpReply::Put(put, revision),
        Reply::Delete(delete) => OpReply::Delete(delete, revision),
        other => unreachable!("not an operation: {other:?}"),
    }
}

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}

fn text(error: StoreError) -> String {
    error.to_string()
}

fn is_nested(txn: &TxnRequest) -> bool {
    let nested = |op: &kvorum_proto::etcdserverpb::RequestOp| {
        matches!(op.request, Some(Request::RequestTxn(_)))
    };
    txn.success.iter().chain(&txn.failure).any(nested)
}

#[test]
fn store_and_watches_agree_with_the_model() {
    let from_env = |name: &str| std::env::var(name).ok().map(|value| value.parse().unwrap());
    let ops = from_env("KVORUM_MODEL_OPS").map_or(OPS, |ops: u64| ops as usize);
    let histories = ops.div_ceil(OPS_PER_HISTORY) as u64;
    let only: Option<u64> = from_env("KVORUM_SEED");
    let mut counts = Counts::default();
    for seed in only.map_or(0..histories, |seed| seed..seed + 1) {
        let history = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut world = World::new(seed, &mut counts);
            for _ in 0..OPS_PER_HISTORY {
                world.step();
            }
        }));
        assert!(history.is_ok(), "see above; replay with KVORUM_SEED={seed}");
    }
    if only.is_none() && ops >= 100_000 {
        let kinds = [
            counts.nested_txns,
            counts.range_deletes,
            counts.old_ranges,
            counts.compactions,
            counts.lease_revokes,
            counts.watch_resumes,
        ];
        assert!(kinds.iter().all(|count| *count >= 1_000), "{counts:?}");
        assert!(counts.operations >= 100_000 && counts.restarts >= 100, "{counts:?}");
        assert!(counts.events >= 10_000 && counts.overtaken >= 100, "{counts:?}");
    }
}
