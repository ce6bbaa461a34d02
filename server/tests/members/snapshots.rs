//! Snapshots for clients that are slow or gone, and beside compactions.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    CompactionRequest, PutRequest, RequestOp, SnapshotRequest, SnapshotResponse, TxnRequest,
};
use kvorum_proto::mvccpb::KeyValue;
use kvorum_server::etcd::snapshot;
use kvorum_server::limits::MAX_SENT_SNAPSHOTS;
use prost::Message;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::support::{Client, Cluster, PATIENCE, eventually};

/// In each transaction all get the same value, so that a state of any one moment shows as such.
const KEYS: usize = 40;
/// In all more than a connection and a stream take up unread.
const VALUE_BYTES: usize = 500_000;

async fn put_all(client: &Client, round: u8, value_bytes: usize) -> i64 {
    let put = |key| {
        let (key, value) = (format!("key/{key:02}").into(), vec![round; value_bytes].into());
        let put = PutRequest { key, value, ..PutRequest::default() };
        RequestOp { request: Some(Request::RequestPut(put)) }
    };
    let mut revision = 0;
    // No more at once than a request may be large.
    let keys_at_once = (1_000_000 / value_bytes).clamp(1, KEYS);
    for from in (0..KEYS).step_by(keys_at_once) {
        let success = (from..(from + keys_at_once).min(KEYS)).map(put).collect();
        let txn = TxnRequest { success, ..TxnRequest::default() };
        revision = client.kv().txn(txn).await.unwrap().into_inner().header.unwrap().revision;
    }
    revision
}

async fn open(client: &Client) -> Result<Streaming<SnapshotResponse>, Status> {
    Ok(client.maintenance().snapshot(SnapshotRequest {}).await?.into_inner())
}

/// Reads a snapshot to its end.
async fn read(mut stream: Streaming<SnapshotResponse>) -> Result<Vec<u8>, Status> {
    let (mut file, mut remaining) = (Vec::new(), 1);
    while let Some(message) = stream.message().await? {
        file.extend_from_slice(&message.blob);
        remaining = message.remaining_bytes;
    }
    if remaining == 0 { Ok(file) } else { Err(Status::data_loss("the stream ended early")) }
}

async fn compact(client: &Client, revision: i64) {
    client.kv().compact(CompactionRequest { revision, physical: true }).await.unwrap();
}

#[test]
fn clients_that_read_nothing_hold_up_nobody_and_are_left_after_a_while() {
    const STALL: Duration = Duration::from_secs(3);
    let cluster = Cluster::start_with(1, |config| config.snapshot_stall_timeout = STALL);
    let client = cluster.client(0);
    cluster.runtime.block_on(async {
        put_all(&client, 1, VALUE_BYTES).await;
        let mut stuck = Vec::new();
        let since = Instant::now();
        for _ in 0..MAX_SENT_SNAPSHOTS {
            // Each its own connection: what one takes nothing of is full.
            let client = cluster.client(0);
            let mut stream = open(&client).await.unwrap();
            stream.message().await.unwrap().unwrap();
            stuck.push((client, stream));
        }
        let refused = open(&client).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        assert!(refused.message().contains("as many snapshots as it can"), "{refused}");
        let (mut longest, mut newest) = (Duration::ZERO, 0);
        for round in 0..20 {
            let begun = Instant::now();
            newest = client.put(&format!("beside/{round}"), "it").await;
            assert!(client.get("key/07").await.is_some());
            longest = longest.max(begun.elapsed());
        }
        assert!(since.elapsed() < STALL || longest < STALL / 2, "{longest:?}");
        // History that they read is kept until they are left, and then goes.
        timeout(PATIENCE, compact(&client, newest)).await.unwrap();
        let again = eventually("there is room for a snapshot", async || open(&client).await.ok());
        let file = read(again.await).await.unwrap();
        assert!(file.len() > KEYS * VALUE_BYTES, "{}", file.len());
        for (_client, stream) in stuck {
            let error = read(stream).await.unwrap_err();
            assert!([Code::Aborted, Code::DataLoss].contains(&error.code()), "{error}");
        }
    });
}

/// The values of all keys at the newest revision of a snapshot, of which there is one.
fn round_in(file: &[u8], folder: &Path) -> (i64, u8) {
    let path = folder.join("snapshot.db");
    fs::write(&path, file).unwrap();
    let status = snapshot::status(&path).unwrap();
    // With its hash checked.
    let bolt = snapshot::open(&path, false).unwrap();
    assert_eq!(status.total_keys, KEYS as u64);
    let mut newest = vec![None; KEYS];
    for entry in bolt.bucket("key").unwrap().unwrap() {
        let kv = KeyValue::decode(entry.unwrap().1).unwrap();
        let number: usize = String::from_utf8_lossy(&kv.key)[4..].parse().unwrap();
        assert!(kv.value.iter().all(|byte| *byte == kv.value[0]));
        newest[number] = Some((kv.mod_revision, kv.value[0]));
    }
    assert!(newest.iter().all(|value| *value == newest[0]), "of one moment: {newest:?}");
    let (revision, round) = newest[0].unwrap();
    assert_eq!(status.revision, revision);
    (revision, round)
}

#[test]
fn a_snapshot_is_of_one_moment_however_much_is_written_and_compacted_meanwhile() {
    let cluster = Cluster::start(1);
    let (client, other) = (cluster.client(0), cluster.client(0));
    let folder = tempfile::tempdir().unwrap();
    cluster.runtime.block_on(async {
        put_all(&client, 0, 20_000).await;
        let writing = tokio::spawn(async move {
            for round in 1..=60 {
                let revision = put_all(&other, round, 20_000).await;
                let compacting = CompactionRequest { revision, physical: round % 2 == 0 };
                other.kv().compact(compacting).await.unwrap();
            }
        });
        let mut rounds = Vec::new();
        while !writing.is_finished() {
            let file = read(open(&client).await.unwrap()).await.unwrap();
            let (revision, round) = round_in(&file, folder.path());
            assert_eq!(revision, i64::from(round) + 2);
            rounds.push(round);
        }
        writing.await.unwrap();
        assert!(rounds.is_sorted(), "{rounds:?}");
        assert!(rounds.len() > 1 && rounds.iter().any(|round| *round > 0), "{rounds:?}");
        let file = read(open(&client).await.unwrap()).await.unwrap();
        assert_eq!(round_in(&file, folder.path()), (62, 60));
    });
}
