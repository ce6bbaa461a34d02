//! What a hub holds is bounded, whatever is written and whoever does not read.

use bytes::Bytes;
use kvorum_core::store::Store;
use kvorum_core::watch::{Body, Budget, Delivery, Hub, RESPONSE_BYTES, StreamId};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    InternalRaftRequest, PutRequest, RequestOp, TxnRequest, WatchCreateRequest,
};
use raft_proto::eraftpb::ConfState;

/// Keys of one revision.
const CHANGES: usize = 100;
const WATCHERS: usize = 50;

/// A store that changes `CHANGES` keys at once, so many times.
fn written(revisions: u64) -> Store {
    let mut store = Store::bootstrap(Vec::new(), ConfState::default());
    for index in 1..=revisions {
        let puts = (0..CHANGES).map(|n| {
            let key = format!("k{n:03}").into();
            let put = PutRequest { key, value: vec![b'v'; 100].into(), ..PutRequest::default() };
            RequestOp { request: Some(Request::RequestPut(put)) }
        });
        let txn = Some(TxnRequest { success: puts.collect(), ..TxnRequest::default() });
        let entry = InternalRaftRequest { txn, ..InternalRaftRequest::default() };
        store.apply(index, 1, &entry).reply.expect("the puts are done");
    }
    store
}

/// A watch of all keys that is like no other.
fn watch(n: usize) -> WatchCreateRequest {
    let (key, range_end) = (Bytes::from("k"), Bytes::from(format!("l{n}")));
    WatchCreateRequest { key, range_end, start_revision: 1, ..WatchCreateRequest::default() }
}

/// The revisions of the events on a stream, a list for each reply.
fn got(out: &[Delivery], stream: usize) -> Vec<Vec<i64>> {
    let of_it = out.iter().filter(|it| it.stream == StreamId(stream as u64));
    let events = of_it.filter_map(|it| match &it.reply.body {
        Body::Events { events, .. } => Some(events.iter().map(|it| it.version.at.main).collect()),
        _ => None,
    });
    events.collect()
}

#[test]
fn a_revision_that_is_too_large_for_all_ranges_at_once_comes_to_some_of_them_later() {
    let revisions = 3;
    let (empty, root) = (written(0).root(), written(revisions).root());
    // The watches are behind, or wait for what comes.
    for begins in [&root, &empty] {
        let events = 4 * CHANGES;
        let budget = Budget { events, ..Budget::default() };
        let mut hub = Hub::new(begins.revision(), RESPONSE_BYTES).with_budget(budget);
        let mut out = Vec::new();
        for n in 0..WATCHERS {
            hub.open(StreamId(n as u64), 1_000);
            hub.create(StreamId(n as u64), &watch(n), begins, &mut out);
        }
        let mut seen = 0;
        while hub.advance(&root, &mut out) {
            let found: usize =
                (0..WATCHERS).flat_map(|n| got(&out[seen..], n)).map(|it| it.len()).sum();
            // Those that are behind and the others have a budget each.
            assert!(found <= 2 * (events + WATCHERS), "{found} events at a time");
            seen = out.len();
        }
        for n in 0..WATCHERS {
            let replies = got(&out, n);
            for pair in replies.windows(2) {
                assert!(pair[0].last() < pair[1].first(), "a revision came in two replies");
            }
            let all = (2..2 + revisions as i64).flat_map(|main| vec![main; CHANGES]);
            assert!(replies.into_iter().flatten().eq(all), "watcher {n}");
        }
    }
}

#[test]
fn a_stream_whose_client_takes_nothing_holds_so_many_bytes_and_one_reply_more() {
    let root = written(40).root();
    let stream_bytes = 50_000;
    // About one revision for each reply.
    let budget = Budget { stream_bytes, bytes: 10_000, ..Budget::default() };
    let mut hub = Hub::new(root.revision(), RESPONSE_BYTES).with_budget(budget);
    let (stream, mut out) = (StreamId(1), Vec::new());
    hub.open(stream, 1_000);
    hub.create(stream, &watch(0), &root, &mut out);
    let (mut untaken, mut replies) = (0, 0);
    let mut took = 0;
    loop {
        while hub.advance(&root, &mut out) {}
        let sent: usize = out.iter().map(|it| it.reply.bytes()).sum();
        let largest = out.iter().map(|it| it.reply.bytes()).max().unwrap_or(0);
        untaken += sent;
        replies += out.len();
        assert!(untaken < stream_bytes + largest, "{untaken} bytes are untaken");
        out.clear();
        if untaken == 0 {
            break;
        }
        took += 1;
        hub.taken(stream, untaken, &mut out);
        untaken = 0;
    }
    assert!(took > 10, "{took} times was enough");
    assert_eq!(replies, 1 + 40);
}
