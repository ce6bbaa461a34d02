//! Applying a request that touches every key holds up nobody's heartbeat.
//!
//! `KVORUM_KEYS` sets how many keys there are, where 100,000 are not enough.

#![allow(clippy::print_stdout, reason = "measured times are worth reading")]

use std::time::{Duration, Instant};

use etcd_client::{Client, DeleteOptions, GetOptions, Txn, TxnOp};
use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::load::connect;
use kvorum_tests::program::Names;
use kvorum_tests::wait::until_async;

const KEYS: usize = 100_000;
/// etcd's limit for one transaction.
const OPS: usize = 128;
/// A machine that is held up itself shows late heartbeats too; whoever blocks does so each time.
const ATTEMPTS: usize = 4;
const SETTLES_WITHIN: Duration = Duration::from_secs(300);

/// What the members say of heartbeats that are later than twice their interval.
const LATE: [&str; 2] =
    ["leader failed to send out heartbeat on time", "a heartbeat of the leader came late"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_and_a_deletion_over_all_keys_delay_no_heartbeat() {
    let keys = std::env::var("KVORUM_KEYS")
        .map_or(KEYS, |keys| keys.parse().expect("KVORUM_KEYS is a number"));
    let cluster = Cluster::start(&Names::of(binary!()).server(), 3);
    let mut client = connect(&cluster.members[0].client_url()).await.expect("the member serves");
    let mut late = Vec::new();
    for _ in 0..ATTEMPTS {
        load(&cluster, &mut client, keys).await;
        let (since, term) = (printed(&cluster), term(&mut client).await);
        range_over_all(&mut client, keys).await;
        delete_all(&mut client, keys).await;
        settle(&cluster).await;
        assert_eq!(self::term(&mut client).await, term, "there was an election");
        late = complaints(&cluster, &since);
        if late.is_empty() {
            return;
        }
        println!("{} heartbeats were late", late.len());
    }
    panic!("heartbeats are late every time:\n{}", late.join("\n"));
}

/// A write that has to look at every key, with the number it finds in its answer.
async fn range_over_all(client: &mut Client, keys: usize) {
    let began = Instant::now();
    let few = GetOptions::new().with_prefix().with_min_mod_revision(i64::MAX);
    let ops = vec![TxnOp::get("all/", Some(few)), TxnOp::put("other", "value", None)];
    client.txn(Txn::new().and_then(ops)).await.expect("the transaction is done");
    let took = began.elapsed();
    assert_eq!(count(client).await, Some(keys));
    println!("a transaction that ranges over {keys} keys took {took:.2?}");
}

async fn delete_all(client: &mut Client, keys: usize) {
    let began = Instant::now();
    let gone = until_async(SETTLES_WITHIN, async || {
        // What it answers does not matter, for the answer may come too late and it is done.
        let _ = client.delete("all/", Some(DeleteOptions::new().with_prefix())).await;
        (count(client).await? == 0).then_some(())
    });
    gone.await.expect("all keys are deleted");
    println!("deleting {keys} keys took {:.2?}", began.elapsed());
}

/// How many of the keys there are, if that can be told now.
async fn count(client: &mut Client) -> Option<usize> {
    let all = GetOptions::new().with_prefix().with_count_only();
    let found = client.get("all/", Some(all)).await.ok()?;
    usize::try_from(found.count()).ok()
}

async fn load(cluster: &Cluster, client: &mut Client, keys: usize) {
    let puts: Vec<TxnOp> =
        (0..keys).map(|key| TxnOp::put(format!("all/{key:08}"), "value", None)).collect();
    for ops in puts.chunks(OPS) {
        let put = until_async(SETTLES_WITHIN, async || {
            client.txn(Txn::new().and_then(ops.to_vec())).await.ok()
        });
        put.await.expect("the keys are written");
    }
    settle(cluster).await;
}

/// Waits until every member has applied everything.
async fn settle(cluster: &Cluster) {
    let same = until_async(SETTLES_WITHIN, async || {
        let mut applied = Vec::new();
        for member in &cluster.members {
            let status = connect(&member.client_url()).await.ok()?.status().await.ok()?;
            applied.push((status.raft_index(), status.raft_applied_index()));
        }
        applied
            .iter()
            .all(|(last, done)| last == done && (last, done) == (&applied[0].0, &applied[0].1))
            .then_some(())
    });
    same.await.expect("all members apply everything");
}

async fn term(client: &mut Client) -> u64 {
    client.status().await.expect("the member tells its status").raft_term()
}

/// How much each member has printed.
fn printed(cluster: &Cluster) -> Vec<usize> {
    cluster.members.iter().map(|member| member.log().len()).collect()
}

/// The complaints about late heartbeats since then.
fn complaints(cluster: &Cluster, since: &[usize]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (member, since) in cluster.members.iter().zip(since) {
        let log = member.log();
        let late = log[*since..].lines().filter(|line| LATE.iter().any(|late| line.contains(late)));
        complaints.extend(late.map(|line| format!("{}: {line}", member.name)));
    }
    complaints
}
