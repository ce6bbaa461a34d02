//! The store and the watch hub, held against the independent model.
//!
//! Random entries are applied to both, random questions asked of both, and every reply, every
//! revision field and every event must be the same: at the present, at old revisions, through
//! roots held since earlier, after restarts from what the backend has, with values that are on
//! disk only and with sweeps at any moment. The seed of a failure is printed.
//!
//! `KVORUM_MODEL_OPS` sets the number of operations, `KVORUM_SEED` replays one history.

mod messages;
mod requests;

use std::collections::BTreeMap;

use bytes::Bytes;
use kvorum_core::error::StoreError;
use kvorum_core::store::{
    Applied, Change, Position, Revision, Root, Store, Table, is_read_only, stored_value,
};
use kvorum_core::watch::{self, Body, Delivery, Hub, StreamId};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    InternalRaftRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest,
};
use kvorum_proto::mvccpb::Event;
use kvorum_tests::model::{Model, View};
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
        stored_value(self.records.get(&key).expect("a stored value is on disk"))
            .expect("what the store wrote can be read")
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
        let store = Store::bootstrap(Vec::new(), Position::default().conf_state);
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
            0..250 => self.enter(World::put_entry),
            250..350 => self.enter(World::delete_entry),
            350..550 => self.txn(),
            550..740 => self.range(),
            740..772 => self.enter(World::compaction_entry),
            772..820 => self.enter(World::grant_entry),
            820..850 => self.enter(World::revoke_entry),
            850..862 => self.enter(World::expire_entry),
            862..870 => self.enter(World::checkpoint_entry),
            870..880 => self.enter(World::alarm_entry),
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
        assert_eq!(self.outcome(applied), expected.map_err(str::to_owned));
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
        self.store = Store::restore(self.disk.position.clone(), records)
            .expect("what the store wrote can be read");
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
            let reply = root.range(&request).expect("a readable revision");
            let got = self.range_response(reply, view.revision);
            assert_eq!(Ok(got), self.model.range(&request, view));
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

    /// Watchers that read little read a little more.
    fn advance(&mut self) {
        let (root, mut out) = (self.store.root(), Vec::new());
        for stream in self.watchers.iter().filter_map(|watcher| watcher.stream) {
            self.hub.credit(stream, self.random.random_range(0..2), &mut out);
        }
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
                    let last = events.last().expect("no reply without events");
                    self.watchers[number].next = last.version.at.main + 1;
                }
                Body::Progress => {
                    let upto = |event: &&Event| {
                        event.kv.as_ref().is_some_and(|kv| kv.mod_revision <= reply.revision)
                    };
                    let owed = self.model.events(&self.watchers[number].request, next);
                    assert_eq!(owed.iter().find(upto), None, "progress overtook an event");
                    self.watchers[number].next = next.max(reply.revision + 1);
                }
                Body::Overtaken { compact_revision } => {
                    assert!(compact_revision <= self.model.view.compacted);
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
}

fn text(error: StoreError) -> String {
    error.to_string()
}

fn is_nested(txn: &TxnRequest) -> bool {
    let nested = |op: &RequestOp| matches!(op.request, Some(Request::RequestTxn(_)));
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
