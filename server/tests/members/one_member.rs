//! One member in this process, over gRPC.

use crate::support::{Client, Cluster, eventually, get, put};
use kvorum_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::response_op::Response;
use kvorum_proto::etcdserverpb::watch_request::RequestUnion;
use kvorum_proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseKeepAliveRequest,
    LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, MemberListRequest, PutRequest,
    RangeRequest, RequestOp, StatusRequest, TxnRequest, WatchCreateRequest, WatchProgressRequest,
    WatchRequest,
};
use kvorum_server::limits::{BLOCKING_THREADS, LARGE_READ_SEND_TIMEOUT, STREAM_CHUNK_BYTES};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

fn with_one(test: impl AsyncFnOnce(Client)) {
    let cluster = Cluster::start(1);
    let client = cluster.client(0);
    cluster.runtime.block_on(test(client));
}

#[test]
fn what_was_put_is_there_with_its_revisions() {
    with_one(async |client| {
        let first = client.put("k", "a").await;
        let second = client.put("k", "b").await;
        assert_eq!(second, first + 1);
        let response = client.kv().range(get("k")).await.unwrap().into_inner();
        assert_eq!(response.count, 1);
        let kv = &response.kvs[0];
        assert_eq!((&kv.value[..], kv.version), (&b"b"[..], 2));
        assert_eq!((kv.create_revision, kv.mod_revision), (first, second));
        let header = response.header.unwrap();
        assert_eq!(header.revision, second);
        assert!(header.cluster_id != 0 && header.member_id != 0 && header.raft_term > 0);
        let old = RangeRequest { revision: first, ..get("k") };
        let response = client.kv().range(old).await.unwrap().into_inner();
        assert_eq!(&response.kvs[0].value[..], b"a");
    });
}

#[test]
fn a_deletion_says_how_many_and_what() {
    with_one(async |client| {
        for key in ["a/1", "a/2", "b"] {
            client.put(key, "v").await;
        }
        let delete = DeleteRangeRequest { key: "a/".into(), range_end: "a0".into(), prev_kv: true };
        let response = client.kv().delete_range(delete.clone()).await.unwrap().into_inner();
        assert_eq!((response.deleted, response.prev_kvs.len()), (2, 2));
        let response = client.kv().delete_range(delete).await.unwrap().into_inner();
        assert_eq!(response.deleted, 0);
        assert_eq!(client.get("b").await.as_deref(), Some("v"));
    });
}

#[test]
fn a_transaction_takes_one_branch() {
    with_one(async |client| {
        client.put("k", "old").await;
        let op = |request| RequestOp { request: Some(request) };
        let txn = TxnRequest {
            compare: vec![Compare {
                result: CompareResult::Equal as i32,
                target: CompareTarget::Value as i32,
                key: "k".into(),
                target_union: Some(TargetUnion::Value("old".into())),
                ..Compare::default()
            }],
            success: vec![
                op(Request::RequestPut(put("k", "new"))),
                op(Request::RequestRange(get("k"))),
            ],
            failure: vec![op(Request::RequestRange(get("k")))],
        };
        let response = client.kv().txn(txn.clone()).await.unwrap().into_inner();
        assert!(response.succeeded);
        assert_eq!(response.responses.len(), 2);
        let response = client.kv().txn(txn).await.unwrap().into_inner();
        assert!(!response.succeeded);
        let Some(Response::ResponseRange(range)) = &response.responses[0].response else {
            panic!("{response:?}");
        };
        assert_eq!(&range.kvs[0].value[..], b"new");
    });
}

#[test]
fn requests_are_refused_with_etcds_codes() {
    with_one(async |client| {
        let mut kv = client.kv();
        let status = kv.put(PutRequest::default()).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, "etcdserver: key is not provided")
        );
        let future = RangeRequest { revision: 1000, ..get("k") };
        let status = kv.range(future).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision")
        );
        let lease = PutRequest { lease: 77, ..put("k", "v") };
        let status = kv.put(lease).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::NotFound, "etcdserver: requested lease not found")
        );
        let large = put("k", &"x".repeat(3 * 512 * 1024));
        let status = kv.put(large).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, "etcdserver: request is too large")
        );
        let larger = put("k", &"x".repeat(2 * 1024 * 1024 + 100));
        let status = kv.put(larger).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(
            status.message().starts_with("grpc: received message larger than max (20972"),
            "{status}"
        );
    });
}

#[test]
fn a_compaction_takes_history_away() {
    with_one(async |client| {
        let first = client.put("k", "a").await;
        let second = client.put("k", "b").await;
        let compaction = CompactionRequest { revision: second, physical: true };
        client.kv().compact(compaction).await.unwrap();
        let status =
            client.kv().range(RangeRequest { revision: first, ..get("k") }).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted")
        );
        assert_eq!(client.get("k").await.as_deref(), Some("b"));
        let status = client.kv().compact(compaction).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange);
    });
}

#[test]
fn a_large_range_is_answered_whole_and_in_chunks() {
    with_one(async |client| {
        let value = "v".repeat(20_000);
        for i in 0..300 {
            client.put(&format!("k{i:03}"), &value).await;
        }
        let range =
            RangeRequest { key: "k".into(), range_end: "l".into(), ..RangeRequest::default() };
        let whole = client.kv().range(range.clone()).await.unwrap().into_inner();
        assert_eq!((whole.kvs.len(), whole.count, whole.more), (300, 300, false));
        let mut stream = client.kv().range_stream(range.clone()).await.unwrap().into_inner();
        let (mut kvs, mut chunks, mut last) = (Vec::new(), 0, None);
        while let Some(message) = stream.message().await.unwrap() {
            let chunk = message.range_response.unwrap();
            kvs.extend(chunk.kvs.clone());
            chunks += 1;
            last = Some(chunk);
        }
        let last = last.unwrap();
        assert_eq!(kvs, whole.kvs);
        assert_eq!((last.count, last.more), (300, false));
        assert!(last.header.is_some() && chunks > 2, "{chunks} chunks");
        let mut stream = client
            .kv()
            .range_stream(RangeRequest { limit: 15, ..range })
            .await
            .unwrap()
            .into_inner();
        let mut kvs = 0;
        let mut last = None;
        while let Some(message) = stream.message().await.unwrap() {
            let chunk = message.range_response.unwrap();
            kvs += chunk.kvs.len();
            last = Some(chunk);
        }
        let last = last.unwrap();
        assert_eq!((kvs, last.count, last.more), (15, 300, true));
    });
}

#[test]
fn range_streams_that_are_not_read_hold_up_no_other_read() {
    let cluster = Cluster::start(1);
    let (slow, client) = (cluster.client(0), cluster.client(0));
    cluster.runtime.block_on(async {
        let value = "v".repeat(1 << 18);
        let mut revision = 0;
        for i in 0..32 {
            revision = client.put(&format!("k{i:02}"), &value).await;
        }
        let range =
            RangeRequest { key: "k".into(), range_end: "l".into(), ..RangeRequest::default() };
        let mut unread = Vec::new();
        for _ in 0..BLOCKING_THREADS + 4 {
            unread.push(slow.kv().range_stream(range.clone()).await.unwrap());
        }
        // Well before the slow ones are given up.
        let patience = LARGE_READ_SEND_TIMEOUT / 2;
        let mut kv = client.kv();
        let of_history = kv.range(RangeRequest { revision, ..range.clone() });
        let whole = timeout(patience, of_history).await.unwrap().unwrap().into_inner();
        let mut stream = kv.range_stream(range).await.unwrap().into_inner();
        let (mut kvs, mut largest) = (Vec::new(), 0);
        while let Some(message) = timeout(patience, stream.message()).await.unwrap().unwrap() {
            let chunk = message.range_response.unwrap();
            largest = largest.max(chunk.kvs.iter().map(|kv| kv.value.len()).sum());
            kvs.extend(chunk.kvs);
        }
        assert_eq!((whole.kvs.len(), &kvs), (32, &whole.kvs));
        assert!(largest <= STREAM_CHUNK_BYTES + value.len(), "a chunk of {largest} bytes");
        drop(unread);
    });
}

/// A watch stream: requests go in by the sender.
async fn watch(
    client: &Client,
) -> (mpsc::Sender<WatchRequest>, tonic::Streaming<kvorum_proto::etcdserverpb::WatchResponse>) {
    let (sender, receiver) = mpsc::channel(16);
    let responses = client.watch().watch(ReceiverStream::new(receiver)).await.unwrap();
    (sender, responses.into_inner())
}

fn create(create: WatchCreateRequest) -> WatchRequest {
    WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }
}

#[test]
fn a_watch_sees_the_past_and_the_present_in_order() {
    with_one(async |client| {
        let first = client.put("k", "a").await;
        let (requests, mut responses) = watch(&client).await;
        let past = WatchCreateRequest {
            key: "k".into(),
            start_revision: first,
            prev_kv: true,
            ..WatchCreateRequest::default()
        };
        requests.send(create(past)).await.unwrap();
        let created = responses.message().await.unwrap().unwrap();
        assert!(created.created && !created.canceled);
        client.put("k", "b").await;
        client
            .kv()
            .delete_range(DeleteRangeRequest { key: "k".into(), ..Default::default() })
            .await
            .unwrap();
        let mut events = Vec::new();
        while events.len() < 3 {
            events.extend(responses.message().await.unwrap().unwrap().events);
        }
        let seen: Vec<_> = events
            .iter()
            .map(|event| {
                let kv = event.kv.as_ref().unwrap();
                let prev = event.prev_kv.as_ref().map(|prev| prev.value.to_vec());
                (event.r#type, kv.value.to_vec(), kv.mod_revision, prev)
            })
            .collect();
        assert_eq!(
            seen,
            [
                (0, b"a".to_vec(), first, None),
                (0, b"b".to_vec(), first + 1, Some(b"a".to_vec())),
                (1, Vec::new(), first + 2, Some(b"b".to_vec())),
            ]
        );
        let progress = RequestUnion::ProgressRequest(WatchProgressRequest {});
        requests.send(WatchRequest { request_union: Some(progress) }).await.unwrap();
        let progress = responses.message().await.unwrap().unwrap();
        assert_eq!((progress.watch_id, progress.events.len()), (-1, 0));
        assert_eq!(progress.header.unwrap().revision, first + 2);
    });
}

#[test]
fn a_watch_behind_a_compaction_is_told_where_to_go_on() {
    with_one(async |client| {
        for value in ["a", "b", "c"] {
            client.put("k", value).await;
        }
        let revision = client.put("k", "d").await;
        client.kv().compact(CompactionRequest { revision, physical: false }).await.unwrap();
        let (requests, mut responses) = watch(&client).await;
        let past = WatchCreateRequest { key: "k".into(), start_revision: 2, ..Default::default() };
        requests.send(create(past)).await.unwrap();
        assert!(responses.message().await.unwrap().unwrap().created);
        let canceled = responses.message().await.unwrap().unwrap();
        assert!(canceled.canceled);
        assert_eq!((canceled.compact_revision, canceled.cancel_reason.as_str()), (revision, ""));
    });
}

#[test]
fn a_watch_that_keeps_up_is_not_overtaken_by_compactions_right_behind_the_writer() {
    const ROUNDS: i64 = 150;
    const PUTS: i64 = 4;
    with_one(async |client| {
        let mut last = client.put("k", "v").await;
        let (requests, mut responses) = watch(&client).await;
        let now = WatchCreateRequest { key: "k".into(), ..WatchCreateRequest::default() };
        requests.send(create(now)).await.unwrap();
        assert!(responses.message().await.unwrap().unwrap().created);
        let mut compacted = 0;
        for _ in 0..ROUNDS {
            // Under way together with the writes, so that it comes right after them or, for a
            // revision that is not there yet, too early.
            let revision = last + PUTS;
            let mut kv = client.kv();
            let compact = kv.compact(CompactionRequest { revision, physical: false });
            let puts = async {
                tokio::join!(
                    client.put("k", "v"),
                    client.put("k", "v"),
                    client.put("k", "v"),
                    client.put("k", "v"),
                )
            };
            let (_, compaction) = tokio::join!(puts, compact);
            compacted += i64::from(compaction.is_ok());
            while last < revision {
                let response = responses.message().await.unwrap().unwrap();
                assert!(!response.canceled, "overtaken at {last} by {}", response.compact_revision);
                for event in response.events {
                    last += 1;
                    assert_eq!(event.kv.unwrap().mod_revision, last);
                }
            }
        }
        assert!(compacted > 0, "no compaction came in time");
    });
}

#[test]
fn a_lease_takes_its_keys_with_it() {
    with_one(async |client| {
        let mut leases = client.lease();
        let grant = LeaseGrantRequest { ttl: 600, id: 0 };
        let granted = leases.lease_grant(grant).await.unwrap().into_inner();
        assert!(granted.id > 0 && granted.ttl == 600);
        let attached = PutRequest { lease: granted.id, ..put("k", "v") };
        client.kv().put(attached).await.unwrap();
        let asked = LeaseTimeToLiveRequest { id: granted.id, keys: true };
        let left = leases.lease_time_to_live(asked).await.unwrap().into_inner();
        assert!(left.ttl > 590 && left.ttl <= 600 && left.granted_ttl == 600);
        assert_eq!(left.keys, ["k"]);
        let all = leases.lease_leases(LeaseLeasesRequest {}).await.unwrap().into_inner();
        assert_eq!(all.leases.len(), 1);
        leases.lease_revoke(LeaseRevokeRequest { id: granted.id }).await.unwrap();
        assert_eq!(client.get("k").await, None);
        let left = leases.lease_time_to_live(asked).await.unwrap().into_inner();
        assert_eq!(left.ttl, -1);
        let status = leases.lease_revoke(LeaseRevokeRequest { id: granted.id }).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
    });
}

#[test]
fn a_lease_expires_unless_it_is_kept_alive() {
    with_one(async |client| {
        let mut leases = client.lease();
        let mut grant = async |ttl| {
            let grant = LeaseGrantRequest { ttl, id: 0 };
            leases.lease_grant(grant).await.unwrap().into_inner()
        };
        let shortest = grant(1).await;
        assert_eq!(shortest.ttl, 2, "one and a half elections, rounded up");
        // Seconds enough for a slow machine; the one that is kept would be the first to end.
        let kept = grant(5).await;
        let dying = grant(6).await;
        for (key, lease) in [("dying", dying.id), ("kept", kept.id)] {
            client.kv().put(PutRequest { lease, ..put(key, "v") }).await.unwrap();
        }
        let (sender, receiver) = mpsc::channel(1);
        let requests = ReceiverStream::new(receiver);
        let mut answers = client.lease().lease_keep_alive(requests).await.unwrap().into_inner();
        eventually("the lease that nobody keeps alive ends", async || {
            sender.send(LeaseKeepAliveRequest { id: kept.id }).await.unwrap();
            let answer = answers.message().await.unwrap().unwrap();
            assert_eq!((answer.id, answer.ttl), (kept.id, 5));
            client.get("dying").await.is_none().then_some(())
        })
        .await;
        assert_eq!(client.get("kept").await.as_deref(), Some("v"));
        sender.send(LeaseKeepAliveRequest { id: dying.id }).await.unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap().ttl, 0);
    });
}

#[test]
fn a_member_knows_itself() {
    with_one(async |client| {
        let status = client.maintenance().status(StatusRequest {}).await.unwrap().into_inner();
        assert_eq!(status.version, "3.6.0");
        assert_eq!(status.leader, status.header.unwrap().member_id);
        assert!(status.raft_index >= status.raft_applied_index && status.db_size > 0);
        assert!(status.errors.is_empty());
        let list = MemberListRequest { linearizable: true };
        let members = client.cluster().member_list(list).await.unwrap().into_inner().members;
        assert_eq!(members.len(), 1);
        assert_eq!(members[0].name, "m1");
        assert_eq!(members[0].client_ur_ls.len(), 1);
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let mut cluster = Cluster::start(1);
    let client = cluster.client(0);
    let last = cluster.runtime.block_on(async {
        for i in 0..200 {
            client.put(&format!("k{i}"), "v").await;
        }
        client.put("last", "v").await
    });
    let identity = cluster.members[0].as_ref().unwrap().identity();
    cluster.stop(0);
    cluster.restart(0);
    assert_eq!(cluster.members[0].as_ref().unwrap().identity(), identity);
    let client = cluster.client(0);
    cluster.runtime.block_on(async {
        let response = client.kv().range(get("last")).await.unwrap().into_inner();
        assert_eq!(response.kvs[0].mod_revision, last);
        assert_eq!(response.header.unwrap().revision, last);
        let all = RangeRequest {
            key: "k".into(),
            range_end: "l".into(),
            count_only: true,
            ..Default::default()
        };
        assert_eq!(client.kv().range(all).await.unwrap().into_inner().count, 200);
        assert_eq!(client.put("more", "v").await, last + 1);
    });
}
