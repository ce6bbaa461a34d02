//! Whatever happens in whatever order, every watch gets exactly its events.
//!
//! A seeded loop writes, compacts, sweeps, opens and closes streams, creates and cancels watches,
//! hands out credit and asks for progress at random. Each watch is then held against a plain list
//! of all that was ever written. A failing seed is printed; `KVORUM_SEED` replays it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kvorum_core::store::{Root, Store, Version};
use kvorum_core::watch::{Body, Budget, Delivery, Event, Hub, StreamId, WatchId};
use kvorum_proto::etcdserverpb::watch_create_request::FilterType;
use kvorum_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, InternalRaftRequest, PutRequest, RequestOp, TxnRequest,
    WatchCreateRequest, request_op,
};
use raft_proto::eraftpb::ConfState;

use crate::oracle::{Change, Client, Log};

const SEEDS: u64 = 1000;
const STEPS: usize = 400;
const KEYS: [&str; 6] = ["a", "aa", "b", "c", "d", "e"];
/// Small, so that fragments are common.
const RESPONSE_BYTES: usize = 250;

/// SplitMix64: all the randomness a test of pure code needs.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn key(&mut self) -> Bytes {
        Bytes::from_static(KEYS[self.below(KEYS.len())].as_bytes())
    }
}

struct World {
    random: Random,
    store: Store,
    hub: Hub,
    out: Vec<Delivery>,
    live: BTreeMap<Bytes, (Bytes, i64)>,
    log: Log,
    /// Open streams and the credit they have left.
    streams: BTreeMap<StreamId, usize>,
    clients: BTreeMap<(StreamId, WatchId), Client>,
    finished: Vec<Client>,
    overtaken: BTreeSet<(StreamId, WatchId)>,
    /// The requests whose answers have not come, by stream, in order.
    waiting: BTreeMap<StreamId, Vec<WatchCreateRequest>>,
    next_stream: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let store = Store::bootstrap(Vec::new(), ConfState::default());
        let mut random = Random(seed);
        let mut hub = Hub::new(store.root().revision(), RESPONSE_BYTES);
        if random.chance(50) {
            hub = hub.with_budget(small_budget(&mut random));
        }
        World {
            random,
            store,
            hub,
            out: Vec::new(),
            live: BTreeMap::new(),
            log: Log::default(),
            streams: BTreeMap::new(),
            clients: BTreeMap::new(),
            finished: Vec::new(),
            overtaken: BTreeSet::new(),
            waiting: BTreeMap::new(),
            next_stream: 0,
        }
    }

    fn step(&mut self) {
        let root = self.store.root();
        match self.random.below(100) {
            0..30 => self.write(),
            30..33 => self.compact(&root),
            33..36 => {
                drop(root);
                self.store.sweep(1 + self.random.0 as usize % 4);
            }
            36..38 => self.store.durable(root.revision()),
            38..42 => self.open(),
            42..54 => self.create(&root),
            54..57 => self.cancel(&root),
            57..58 => self.close(),
            58..72 => self.credit(),
            72..75 => {
                if let Some(stream) = self.any_stream() {
                    self.hub.progress_request(stream, &root, &mut self.out);
                }
            }
            75..78 => self.hub.tick(&mut self.out),
            _ => {
                self.hub.advance(&root, &mut self.out);
            }
        }
        self.receive();
    }

    /// Lets everybody read all, and compares.
    fn finish(mut self) -> Vec<Client> {
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            *self.streams.get_mut(&stream).expect("an open stream") += 100_000;
            self.hub.credit(stream, 100_000, &mut self.out);
        }
        let root = self.store.root();
        while self.hub.advance(&root, &mut self.out) {}
        self.receive();
        assert!(self.waiting.values().all(Vec::is_empty), "every request was answered");
        for (_, client) in std::mem::take(&mut self.clients) {
            assert!(!client.in_fragment, "nothing ends with a fragment");
            assert_eq!(client.got, self.log.owed(&client, i64::MAX), "{:?}", client.request);
            self.finished.push(client);
        }
        self.finished
    }

    fn write(&mut self) {
        let at = self.store.root().revision() + 1;
        let mut ops = Vec::new();
        let mut changes = Vec::new();
        for _ in 0..if self.random.chance(40) { 1 + self.random.below(4) } else { 1 } {
            let key = self.random.key();
            if changes.iter().any(|change: &Change| change.key == key) {
                continue;
            }
            let prev = self.live.get(&key).cloned();
            let value =
                (!self.random.chance(30)).then(|| Bytes::from(vec![b'v'; self.random.below(120)]));
            ops.push(match &value {
                Some(value) => request_op::Request::RequestPut(PutRequest {
                    key: key.clone(),
                    value: value.clone(),
                    ..PutRequest::default()
                }),
                None => request_op::Request::RequestDeleteRange(DeleteRangeRequest {
                    key: key.clone(),
                    ..DeleteRangeRequest::default()
                }),
            });
            match &value {
                Some(value) => drop(self.live.insert(key.clone(), (value.clone(), at))),
                None if prev.is_none() => continue,
                None => drop(self.live.remove(&key)),
            }
            let (prev, prev_at) = prev.map_or((None, 0), |(value, at)| (Some(value), at));
            changes.push(Change { at, key, value, prev, prev_at });
        }
        self.log.changes.extend(changes);
        let success = ops.into_iter().map(|op| RequestOp { request: Some(op) }).collect();
        let txn = TxnRequest { success, ..TxnRequest::default() };
        self.apply(&InternalRaftRequest { txn: Some(txn), ..InternalRaftRequest::default() });
    }

    fn compact(&mut self, root: &Root) {
        let revision = root.revision() - self.random.below(12) as i64;
        if revision <= self.log.compacted {
            return;
        }
        if self.random.chance(70) {
            while self.hub.advance(root, &mut self.out) {}
        }
        self.log.compacted = revision;
        let compaction = Some(CompactionRequest { revision, physical: false });
        self.apply(&InternalRaftRequest { compaction, ..InternalRaftRequest::default() });
    }

    fn apply(&mut self, request: &InternalRaftRequest) {
        let index = self.store.root().index() + 1;
        self.store.apply(index, 1, request).reply.expect("only what can be done is asked");
    }

    fn open(&mut self) {
        if self.streams.len() == 5 {
            return;
        }
        self.next_stream += 1;
        let (stream, credit) = (StreamId(self.next_stream), self.random.below(6));
        self.hub.open(stream, credit);
        self.streams.insert(stream, credit);
    }

    fn create(&mut self, root: &Root) {
        let Some(stream) = self.any_stream() else { return };
        let start_revision = match self.random.below(8) {
            0..3 => 0,
            3 => 1 + self.random.below(root.revision() as usize + 3) as i64,
            _ => (root.revision() - self.random.below(12) as i64).max(1),
        };
        let key = self.random.key();
        let range_end = match self.random.below(4) {
            0 => Bytes::new(),
            1 => Bytes::from_static(b"\0"),
            _ => self.random.key(),
        };
        let mut filters = Vec::new();
        for filter in [FilterType::Noput, FilterType::Nodelete] {
            if self.random.chance(15) {
                filters.push(filter.into());
            }
        }
        let request = WatchCreateRequest {
            key,
            range_end,
            start_revision,
            progress_notify: self.random.chance(50),
            filters,
            prev_kv: self.random.chance(50),
            watch_id: if self.random.chance(10) { self.random.below(9) as i64 } else { 0 },
            fragment: self.random.chance(40),
        };
        self.waiting.entry(stream).or_default().push(request.clone());
        self.hub.create(stream, &request, root, &mut self.out);
    }

    fn cancel(&mut self, root: &Root) {
        let chosen = self.random.below(self.clients.len().max(1));
        if let Some((stream, id)) = self.clients.keys().nth(chosen).copied() {
            self.hub.cancel(stream, id, root, &mut self.out);
        }
    }

    fn close(&mut self) {
        let Some(stream) = self.any_stream() else { return };
        self.hub.close(stream);
        self.streams.remove(&stream);
        self.waiting.remove(&stream);
        self.clients.retain(|(of, _), _| *of != stream);
    }

    fn credit(&mut self) {
        let Some(stream) = self.any_stream() else { return };
        let replies = 1 + self.random.below(4);
        *self.streams.get_mut(&stream).expect("an open stream") += replies;
        self.hub.credit(stream, replies, &mut self.out);
    }

    fn any_stream(&mut self) -> Option<StreamId> {
        let chosen = self.random.below(self.streams.len().max(1));
        self.streams.keys().nth(chosen).copied()
    }

    /// Plays the clients, and checks what can be checked at once.
    fn receive(&mut self) {
        for Delivery { stream, reply } in std::mem::take(&mut self.out) {
            let credit = self.streams.get_mut(&stream).expect("replies go to open streams");
            *credit = credit.checked_sub(1).expect("no reply without credit");
            let key = (stream, reply.watch_id);
            match reply.body {
                Body::Created => {
                    let request = self.waiting.get_mut(&stream).expect("it asked").remove(0);
                    let from = if request.start_revision > 0 {
                        request.start_revision
                    } else {
                        reply.revision + 1
                    };
                    let client = Client {
                        request,
                        from,
                        got: Vec::new(),
                        progress: 0,
                        in_fragment: false,
                        fragments: 0,
                        ended: None,
                    };
                    assert!(self.clients.insert(key, client).is_none(), "ids are unique");
                }
                Body::Refused(_) => {
                    let request = self.waiting.get_mut(&stream).expect("it asked").remove(0);
                    let empty = !request.range_end.is_empty()
                        && request.range_end != b"\0"[..]
                        && request.key >= request.range_end;
                    assert!(empty || request.watch_id != 0, "{request:?}");
                }
                Body::Canceled => match self.clients.remove(&key) {
                    Some(client) => self.finished.push(client),
                    // Its client did not know yet.
                    None => assert!(self.overtaken.remove(&key), "canceled once"),
                },
                Body::Overtaken { compact_revision } => {
                    let mut client = self.clients.remove(&key).expect("overtaken once");
                    assert!(compact_revision <= self.log.compacted);
                    let got = client.got.len();
                    let owed = self.log.owed(&client, i64::MAX);
                    assert_eq!(client.got, owed[..got], "all before was in order");
                    client.ended = Some(Body::Overtaken { compact_revision });
                    self.overtaken.insert(key);
                    self.finished.push(client);
                }
                Body::Events { events, fragment } => {
                    self.events(key, &events, fragment, reply.revision);
                }
                Body::Progress if reply.watch_id == -1 => {
                    let all: Vec<_> =
                        self.clients.keys().filter(|(of, _)| *of == stream).copied().collect();
                    for key in all {
                        self.progress(key, reply.revision);
                    }
                }
                Body::Progress => {
                    assert!(self.clients[&key].request.progress_notify);
                    self.progress(key, reply.revision);
                }
            }
        }
    }

    fn events(&mut self, key: (StreamId, WatchId), events: &[Event], fragment: bool, header: i64) {
        let client = self.clients.get_mut(&key).expect("events go to watches that live");
        assert!(!events.is_empty());
        let mut last = client.got.last().map_or(0, |change| change.at);
        for (n, event) in events.iter().enumerate() {
            let at = event.version.at.main;
            assert!(at >= client.from && at > client.progress && at <= header);
            assert!(at > last || n > 0 || client.in_fragment, "a revision came in two replies");
            last = at;
            let value = |version: &Version| {
                // What is stored only can not be compared here, but for its length.
                version
                    .value
                    .resident()
                    .cloned()
                    .unwrap_or_else(|| vec![b'v'; version.value_len as usize].into())
            };
            client.got.push(Change {
                at,
                key: event.version.key.clone(),
                value: (!event.version.is_deletion()).then(|| value(&event.version)),
                prev: event.prev.as_ref().map(|prev| value(prev)),
                prev_at: event.prev.as_ref().map_or(0, |prev| prev.at.main),
            });
        }
        assert!(!fragment || client.request.fragment);
        client.in_fragment = fragment;
        client.fragments += usize::from(fragment);
        let client = &self.clients[&key];
        let from = client.got.len() - events.len();
        let mut owed = self.log.owed(client, i64::MAX);
        owed.truncate(client.got.len());
        assert_eq!(client.got[from..], owed[from..], "{:?}", client.request);
        if !fragment {
            let rest = self.log.owed(client, last);
            assert_eq!(rest.len(), client.got.len(), "the revision was not whole");
        }
    }

    fn progress(&mut self, key: (StreamId, WatchId), revision: i64) {
        let client = &self.clients[&key];
        let begun = client.request.start_revision.max(client.from - 1);
        assert!(revision >= begun, "too early: {revision} is before {begun}");
        assert!(!client.in_fragment);
        let owed = self.log.owed(client, revision);
        assert_eq!(client.got.len(), owed.len(), "progress overtook events");
        let client = self.clients.get_mut(&key).expect("looked up above");
        client.progress = client.progress.max(revision);
    }
}

/// So small that it takes many steps to catch up, and that some are left behind.
fn small_budget(random: &mut Random) -> Budget {
    Budget {
        step_versions: 1 + random.below(8),
        walk_versions: 1 + random.below(12),
        events: 1 + random.below(8),
        bytes: 1 + random.below(600),
        stream_bytes: usize::MAX,
        riders: 1 + random.below(6),
    }
}

#[test]
fn every_watch_gets_exactly_its_events_in_order() {
    let seeds = match std::env::var("KVORUM_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("KVORUM_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    };
    let (mut events, mut overtaken, mut fragments) = (0, 0, 0);
    for seed in seeds.clone() {
        let result = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
            world.finish()
        });
        let Ok(clients) = result else { panic!("see above; replay with KVORUM_SEED={seed}") };
        events += clients.iter().map(|client| client.got.len()).sum::<usize>();
        overtaken += clients.iter().filter(|client| client.ended.is_some()).count();
        fragments += clients.iter().map(|client| client.fragments).sum::<usize>();
    }
    if seeds.end - seeds.start > 1 {
        let counts = (events, overtaken, fragments);
        assert!(events > 70_000 && overtaken > 1_000 && fragments > 1_000, "{counts:?}");
    }
}

/// The hub holds no events: a stream that never reads costs what its watches cost.
#[test]
fn a_stream_that_does_not_read_holds_no_history() {
    let mut store = Store::bootstrap(Vec::new(), ConfState::default());
    let mut hub = Hub::new(1, RESPONSE_BYTES);
    let (reader, stuck) = (StreamId(1), StreamId(2));
    hub.open(reader, usize::MAX);
    hub.open(stuck, 1);
    let mut out = Vec::new();
    let request =
        WatchCreateRequest { key: Bytes::from_static(b"a"), ..WatchCreateRequest::default() };
    hub.create(reader, &request, &store.root(), &mut out);
    hub.create(stuck, &request, &store.root(), &mut out);
    let value = Bytes::from(vec![b'v'; 1000]);
    let (mut delivered, mut index) = (0, 0);
    for _ in 0..50_000 {
        let key = Bytes::from_static(b"a");
        let put = Some(PutRequest { key, value: value.clone(), ..PutRequest::default() });
        index += 1;
        store
            .apply(index, 1, &InternalRaftRequest { put, ..InternalRaftRequest::default() })
            .reply
            .unwrap();
        let root = store.root();
        while hub.advance(&root, &mut out) {}
        for Delivery { stream, reply } in out.drain(..) {
            if let Body::Events { events, .. } = reply.body {
                assert_eq!(stream, reader, "the stuck stream has no credit");
                delivered += events.len();
            }
        }
    }
    assert_eq!(delivered, 50_000, "the reader was not delayed");
    hub.credit(stuck, 100, &mut out);
    let root = store.root();
    while hub.advance(&root, &mut out) {}
    let events = out.iter().map(|delivery| match &delivery.reply.body {
        Body::Events { events, .. } => events.len(),
        _ => 0,
    });
    assert_eq!(events.sum::<usize>(), 50_000, "and the stuck one has lost nothing");
}
