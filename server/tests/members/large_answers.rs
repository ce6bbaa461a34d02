//! Answers too large to be made as a whole are the same messages, and take little memory.

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::response_op::Response;
use kvorum_proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest,
    RangeResponse, RequestOp, TxnRequest, TxnResponse,
};
use kvorum_proto::mvccpb::KeyValue;
use kvorum_server::limits::WHOLE_ANSWER_BYTES;
use prost::Message;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::{Code, Request as Asked, Streaming};
use tonic_prost::ProstCodec;

use crate::support::{Client, Cluster};

/// Keys whose values are some empty, some short, some long, some leased; more than a large answer.
async fn fill(client: &Client) {
    let grant = LeaseGrantRequest { ttl: 3_600, id: 0 };
    let lease = client.lease().lease_grant(grant).await.unwrap().into_inner().id;
    let mut bytes = 0;
    for i in 0_usize.. {
        let len = [0, 1, 100, 20_000, 70_000][i % 5];
        let value = Bytes::from(vec![b'a' + (i % 26) as u8; len]);
        let lease = if i % 3 == 0 { lease } else { 0 };
        let put = PutRequest { key: key(i), value, lease, ..PutRequest::default() };
        client.kv().put(put).await.unwrap();
        bytes += len;
        if bytes > 3 * WHOLE_ANSWER_BYTES {
            break;
        }
    }
}

fn key(i: usize) -> Bytes {
    format!("k{i:04}").into()
}

fn all() -> RangeRequest {
    RangeRequest { key: "k".into(), range_end: "l".into(), ..RangeRequest::default() }
}

/// What the range holds, read key by key.
async fn one_by_one(client: &Client, revision: i64) -> Vec<KeyValue> {
    let mut kvs = Vec::new();
    for i in 0.. {
        let read = RangeRequest { key: key(i), revision, ..RangeRequest::default() };
        let found = client.kv().range(read).await.unwrap().into_inner().kvs;
        if found.is_empty() {
            break;
        }
        kvs.extend(found);
    }
    kvs
}

#[test]
fn a_large_answer_is_the_message_that_a_small_one_would_be() {
    let cluster = Cluster::start(1);
    let client = cluster.client(0);
    cluster.runtime.block_on(async {
        fill(&client).await;
        let kvs = one_by_one(&client, 0).await;
        let whole = client.kv().range(all()).await.unwrap().into_inner();
        let revision = whole.header.unwrap().revision;
        assert_eq!((whole.count, whole.more), (kvs.len() as i64, false));
        assert_eq!(whole.kvs, kvs);
        // Sorted by value, which is another way to find them, and cut short.
        let limit = kvs.len() as i64 - 3;
        let (sort_order, sort_target) = (SortOrder::Descend.into(), SortTarget::Value.into());
        let sorted = RangeRequest { sort_order, sort_target, limit, ..all() };
        let mut by_value = kvs.clone();
        by_value.sort_by(|a, b| b.value.cmp(&a.value));
        by_value.truncate(limit as usize);
        let answer = client.kv().range(sorted.clone()).await.unwrap().into_inner();
        assert_eq!((answer.count, answer.more), (kvs.len() as i64, true));
        assert!(answer.kvs.iter().map(|kv| &kv.value).eq(by_value.iter().map(|kv| &kv.value)));
        // A transaction, with all of it twice, before and after it is deleted, and nested.
        let op = |request| RequestOp { request: Some(request) };
        let read = || op(Request::RequestRange(all()));
        let delete = DeleteRangeRequest { key: "k".into(), range_end: "l".into(), prev_kv: true };
        let nested = TxnRequest { success: vec![read()], ..TxnRequest::default() };
        let success = vec![
            op(Request::RequestTxn(nested)),
            op(Request::RequestDeleteRange(delete.clone())),
            read(),
        ];
        let txn = TxnRequest { success, ..TxnRequest::default() };
        let answer = client.kv().txn(txn).await.unwrap().into_inner();
        assert!(answer.succeeded);
        let mut responses = answer.responses.into_iter().map(|op| op.response.unwrap());
        let Some(Response::ResponseTxn(nested)) = responses.next() else { panic!("no txn") };
        let Some(Response::ResponseRange(range)) = &nested.responses[0].response else {
            panic!("no range")
        };
        assert_eq!((&range.kvs, range.header.unwrap().revision), (&kvs, revision));
        let Some(Response::ResponseDeleteRange(deleted)) = responses.next() else {
            panic!("no deletion")
        };
        assert_eq!((deleted.deleted, &deleted.prev_kvs), (kvs.len() as i64, &kvs));
        let Some(Response::ResponseRange(after)) = responses.next() else { panic!("no range") };
        assert_eq!((after.count, after.kvs.len()), (0, 0));
        // The past, whose values are on the disk only.
        let past = client.kv().range(RangeRequest { revision, ..all() }).await.unwrap();
        assert_eq!(past.into_inner().kvs, kvs);
        let past = client.kv().range(RangeRequest { revision, ..sorted.clone() }).await.unwrap();
        assert!(
            past.into_inner()
                .kvs
                .iter()
                .map(|kv| &kv.value)
                .eq(by_value.iter().map(|kv| &kv.value))
        );
        // The same in a transaction, where what is cut off must not be counted as sent.
        let past = RangeRequest { revision, ..sorted };
        let read = RequestOp { request: Some(Request::RequestRange(past)) };
        let txn = TxnRequest { success: vec![read.clone(), read], ..TxnRequest::default() };
        for response in client.kv().txn(txn).await.unwrap().into_inner().responses {
            let Some(Response::ResponseRange(past)) = response.response else { panic!("no range") };
            assert!(past.more);
            let values = past.kvs.iter().map(|kv| &kv.value);
            assert!(values.eq(by_value.iter().map(|kv| &kv.value)));
        }
        fill(&client).await;
        let deleted = client.kv().delete_range(delete).await.unwrap().into_inner();
        assert_eq!(deleted.prev_kvs.len(), kvs.len());
        assert!(deleted.prev_kvs.iter().map(|kv| &kv.value).eq(kvs.iter().map(|kv| &kv.value)));
    });
}

/// Asks for one answer and reads nothing of it yet.
async fn unread<Q, A>(client: &Client, method: &'static str, question: Q) -> Streaming<A>
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = Grpc::new(client.channel()).max_decoding_message_size(usize::MAX);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(method);
    let codec = ProstCodec::<Q, A>::default();
    grpc.server_streaming(Asked::new(question), path, codec).await.unwrap().into_inner()
}

#[test]
fn what_a_large_answer_of_the_past_has_yet_to_read_is_not_compacted_away() {
    const KEYS: usize = 32;
    let mut cluster = Cluster::start(1);
    let client = cluster.client(0);
    let value = |i: usize| Bytes::from(vec![b'a' + i as u8; 1 << 20]);
    let revision = cluster.runtime.block_on(async {
        let mut revision = 0;
        for i in 0..KEYS {
            let put = PutRequest { key: key(i), value: value(i), ..PutRequest::default() };
            revision = client.kv().put(put).await.unwrap().into_inner().header.unwrap().revision;
        }
        let delete = DeleteRangeRequest { key: "k".into(), range_end: "l".into(), prev_kv: false };
        client.kv().delete_range(delete).await.unwrap();
        revision
    });
    // After a start old values are on the disk only.
    cluster.stop(0);
    cluster.restart(0);
    let (slow, client) = (cluster.client(0), cluster.client(0));
    cluster.runtime.block_on(async {
        let past = RangeRequest { revision, ..all() };
        let op = RequestOp { request: Some(Request::RequestRange(past.clone())) };
        let txn = TxnRequest { success: vec![op], ..TxnRequest::default() };
        let mut range = unread(&slow, "/etcdserverpb.KV/Range", past).await;
        let mut txn = unread(&slow, "/etcdserverpb.KV/Txn", txn).await;
        let compaction = CompactionRequest { revision: revision + 1, physical: true };
        let mut kv = client.kv();
        let mut compacted = Box::pin(kv.compact(compaction));
        // It waits for those who read. Would it not, it were done by then.
        let done = timeout(Duration::from_secs(2), &mut compacted).await;
        assert!(done.is_err(), "what is read is gone: {done:?}");
        let range: RangeResponse = range.message().await.unwrap().unwrap();
        let answer: TxnResponse = txn.message().await.unwrap().unwrap();
        let Some(Response::ResponseRange(in_txn)) = &answer.responses[0].response else {
            panic!("no range")
        };
        for kvs in [&range.kvs, &in_txn.kvs] {
            assert!((0..KEYS).map(value).eq(kvs.iter().map(|kv| kv.value.clone())));
        }
        compacted.await.unwrap();
    });
}

#[test]
fn a_transaction_that_reads_too_much_is_refused_before_it_is_read_or_written() {
    let cluster = Cluster::start(1);
    let client = cluster.client(0);
    cluster.runtime.block_on(async {
        for i in 0..1_000 {
            client.kv().put(PutRequest { key: key(i), ..PutRequest::default() }).await.unwrap();
        }
        let op = |request| RequestOp { request: Some(request) };
        let of = |op: &RequestOp, times| TxnRequest {
            success: vec![op.clone(); times],
            ..TxnRequest::default()
        };
        let read = op(Request::RequestRange(all()));
        let some = op(Request::RequestTxn(of(&read, 44)));
        let many = op(Request::RequestTxn(of(&some, 42)));
        let refusal = "kvorum: the transaction reads more than one may; divide it, or ask for \
                       fewer keys";
        let mut writing = of(&many, 6);
        writing.success.push(op(Request::RequestPut(crate::support::put("written", "1"))));
        let compare = Compare { key: "k".into(), range_end: "l".into(), ..Compare::default() };
        let compares = TxnRequest { compare: vec![compare; 44], ..TxnRequest::default() };
        let compares = of(&op(Request::RequestTxn(compares)), 42);
        let comparing = of(&op(Request::RequestTxn(compares)), 6);
        for too_much in [of(&many, 6), writing, comparing] {
            let status = client.kv().txn(too_much).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, refusal));
        }
        assert_eq!(client.get("written").await, None);
        // Large, but not too large.
        let answer = client.kv().txn(of(&some, 1)).await.unwrap().into_inner();
        let Some(Response::ResponseTxn(nested)) = &answer.responses[0].response else {
            panic!("no txn")
        };
        for response in &nested.responses {
            let Some(Response::ResponseRange(range)) = &response.response else {
                panic!("no range")
            };
            assert_eq!(range.kvs.len(), 1_000);
        }
    });
}

#[test]
fn large_answers_that_nobody_reads_leave_room_for_others() {
    let cluster = Cluster::start(1);
    let (slow, client) = (cluster.client(0), cluster.client(0));
    cluster.runtime.block_on(async {
        let value = "v".repeat(1 << 18);
        for i in 0..32 {
            client.put(&format!("k{i:02}"), &value).await;
        }
        // They are asked for on one connection, whose window they fill.
        let mut unread = Vec::new();
        for _ in 0..40 {
            let mut kv = slow.kv();
            unread.push(tokio::spawn(async move { kv.range(all()).await }));
        }
        let mut kv = client.kv();
        let read = kv.range(all());
        let whole = timeout(Duration::from_secs(15), read).await.unwrap().unwrap().into_inner();
        assert_eq!(whole.kvs.len(), 32);
        for read in unread {
            read.abort();
        }
    });
}
