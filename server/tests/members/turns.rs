//! Locks and elections, on one member in this process, over gRPC.

use std::collections::BTreeMap;

use crate::support::{Client, Cluster, PATIENCE, eventually};
use kvorum_proto::etcdserverpb::{
    CompactionRequest, LeaseGrantRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, RangeRequest,
};
use kvorum_proto::mvccpb::KeyValue;
use kvorum_proto::v3electionpb::{
    CampaignRequest, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest, ResignRequest,
};
use kvorum_proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

fn with_one(test: impl AsyncFnOnce(Client)) {
    let cluster = Cluster::start(1);
    let client = cluster.client(0);
    cluster.runtime.block_on(test(client));
}

/// A lease that outlives the test.
async fn lease(client: &Client, id: i64) -> i64 {
    lease_for(client, id, 600).await
}

async fn lease_for(client: &Client, id: i64, ttl: i64) -> i64 {
    client.lease().lease_grant(LeaseGrantRequest { id, ttl }).await.unwrap().into_inner().id
}

async fn revoke(client: &Client, id: i64) {
    client.lease().lease_revoke(LeaseRevokeRequest { id }).await.unwrap();
}

async fn lock(client: &Client, name: &str, lease: i64) -> Result<LockResponse, Status> {
    let request = LockRequest { name: name.to_owned().into(), lease };
    client.lock().lock(request).await.map(tonic::Response::into_inner)
}

/// Asks for the lock, and returns once that is in the queue.
async fn queued(
    client: &Client,
    name: &str,
    lease: i64,
) -> JoinHandle<Result<LockResponse, Status>> {
    let key = format!("{name}/{lease:x}");
    let asking = tokio::spawn({
        let (client, name) = (client.clone(), name.to_owned());
        async move { lock(&client, &name, lease).await }
    });
    eventually("it queues", async || client.get(&key).await).await;
    asking
}

async fn unlock(client: &Client, key: impl Into<bytes::Bytes>) {
    client.lock().unlock(UnlockRequest { key: key.into() }).await.unwrap();
}

async fn under(client: &Client, name: &str) -> Vec<KeyValue> {
    let range = RangeRequest {
        key: format!("{name}/").into(),
        range_end: format!("{name}0").into(),
        ..RangeRequest::default()
    };
    client.kv().range(range).await.unwrap().into_inner().kvs
}

async fn ended<T>(task: JoinHandle<T>) -> T {
    timeout(PATIENCE, task).await.expect("it does not end").unwrap()
}

fn assert_status(result: Result<impl std::fmt::Debug, Status>, message: &str) {
    let status = result.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unknown, message));
}

#[test]
fn a_lock_is_a_key_under_its_name_with_a_fencing_token() {
    with_one(async |client| {
        client.put("x", "1").await;
        let lease = lease(&client, 0x1234).await;
        let held = lock(&client, "n", lease).await.unwrap();
        assert_eq!(&held.key[..], b"n/1234");
        let key = &under(&client, "n").await[0];
        assert_eq!((&key.key, key.lease, &key.value[..]), (&held.key, lease, &b""[..]));
        let token = key.create_revision;
        assert_eq!(held.header.unwrap().revision, token);
        // With the same lease it is the same lock, however often it is asked for.
        client.put("x", "2").await;
        assert_eq!(lock(&client, "n", lease).await.unwrap().key, held.key);
        assert_eq!(under(&client, "n").await[0].create_revision, token);
        unlock(&client, held.key).await;
        assert_eq!(under(&client, "n").await, []);
        lock(&client, "n", lease).await.unwrap();
        assert!(under(&client, "n").await[0].create_revision > token, "tokens do not grow");
    });
}

#[test]
fn without_a_lease_one_is_made() {
    with_one(async |client| {
        let held = lock(&client, "n", 0).await.unwrap();
        let id = under(&client, "n").await[0].lease;
        assert_eq!(held.key, format!("n/{id:x}"));
        let request = LeaseTimeToLiveRequest { id, keys: false };
        let lease = client.lease().lease_time_to_live(request).await.unwrap().into_inner();
        assert_eq!(lease.granted_ttl, 60);
    });
}

#[test]
fn twenty_get_the_lock_one_after_the_other_in_the_order_they_came() {
    with_one(async |client| {
        let first = lock(&client, "n", lease(&client, 1).await).await.unwrap();
        // A lock of another name has a queue of its own.
        lock(&client, "nn", 1).await.unwrap();
        let mut waiting = Vec::new();
        for id in 2..22 {
            waiting.push(queued(&client, "n", lease(&client, id).await).await);
        }
        let created: BTreeMap<_, _> =
            under(&client, "n").await.into_iter().map(|kv| (kv.key, kv.create_revision)).collect();
        let mut held = first.key;
        for (id, next) in (2..).zip(waiting) {
            assert!(!next.is_finished(), "{id} has it beside another");
            unlock(&client, held.clone()).await;
            let got = ended(next).await.unwrap();
            assert_eq!(got.key, format!("n/{id:x}"));
            assert!(created[&got.key] > created[&held]);
            held = got.key;
        }
    });
}

#[test]
fn when_the_holders_lease_ends_the_next_has_the_lock() {
    with_one(async |client| {
        // The shortest there is: it ends by itself.
        let short = lease_for(&client, 1, 1).await;
        lock(&client, "n", short).await.unwrap();
        let next = queued(&client, "n", lease(&client, 2).await).await;
        assert_eq!(ended(next).await.unwrap().key, "n/2");
        assert_eq!(under(&client, "n").await.len(), 1);
    });
}

#[test]
fn who_loses_its_lease_while_it_waits_is_told_so() {
    with_one(async |client| {
        let held = lock(&client, "n", lease(&client, 1).await).await.unwrap();
        let waiting = queued(&client, "n", lease(&client, 2).await).await;
        let last = queued(&client, "n", lease(&client, 3).await).await;
        revoke(&client, 2).await;
        assert_status(ended(waiting).await, "mutex: session is expired");
        assert!(!last.is_finished());
        unlock(&client, held.key).await;
        assert_eq!(ended(last).await.unwrap().key, "n/3");
    });
}

#[test]
fn a_lease_that_is_gone_gets_no_lock() {
    with_one(async |client| {
        assert_status(lock(&client, "n", 77).await, "etcdserver: requested lease not found");
        assert_eq!(under(&client, "n").await, []);
        let status = client.lock().unlock(UnlockRequest::default()).await;
        assert_status(status, "etcdserver: key is not provided");
    });
}

#[test]
fn who_goes_away_leaves_the_queue() {
    with_one(async |client| {
        let held = lock(&client, "n", lease(&client, 1).await).await.unwrap();
        let waiting = queued(&client, "n", lease(&client, 2).await).await;
        let last = queued(&client, "n", lease(&client, 3).await).await;
        waiting.abort();
        eventually("the key is deleted", async || client.get("n/2").await.is_none().then_some(()))
            .await;
        assert!(!last.is_finished(), "the holder is still there");
        unlock(&client, held.key).await;
        assert_eq!(ended(last).await.unwrap().key, "n/3");
    });
}

#[test]
fn who_holds_the_lock_keeps_it_though_it_asks_again_and_goes_away() {
    with_one(async |client| {
        let lease = lease(&client, 1).await;
        lock(&client, "n", lease).await.unwrap();
        let token = under(&client, "n").await[0].create_revision;
        for _ in 0..50 {
            let again = queued(&client, "n", lease).await;
            again.abort();
        }
        // Whatever they left behind has happened once a later request is answered.
        lock(&client, "n", lease).await.unwrap();
        assert_eq!(under(&client, "n").await[0].create_revision, token);
    });
}

#[test]
fn a_wait_outlives_the_compaction_of_all_it_knew() {
    with_one(async |client| {
        let held = lock(&client, "n", lease(&client, 1).await).await.unwrap();
        let waiting = queued(&client, "n", lease(&client, 2).await).await;
        let mut revision = 0;
        for n in 0..100 {
            revision = client.put("x", &n.to_string()).await;
        }
        let compaction = CompactionRequest { revision, physical: true };
        client.kv().compact(compaction).await.unwrap();
        assert!(!waiting.is_finished());
        unlock(&client, held.key).await;
        assert_eq!(ended(waiting).await.unwrap().key, "n/2");
    });
}

async fn campaign(client: &Client, lease: i64, value: &str) -> Result<LeaderKey, Status> {
    let (name, value) = ("e".into(), value.to_owned().into());
    let campaigned = client.election().campaign(CampaignRequest { name, lease, value }).await?;
    Ok(campaigned.into_inner().leader.unwrap())
}

async fn candidate(
    client: &Client,
    lease: i64,
    value: &'static str,
) -> JoinHandle<Result<LeaderKey, Status>> {
    let client_ = client.clone();
    let campaigning = tokio::spawn(async move { campaign(&client_, lease, value).await });
    eventually("it queues", async || client.get(&format!("e/{lease:x}")).await).await;
    campaigning
}

async fn proclaim(client: &Client, leader: &LeaderKey, value: &str) -> Result<i64, Status> {
    let (leader, value) = (Some(leader.clone()), value.to_owned().into());
    let proclaimed = client.election().proclaim(ProclaimRequest { leader, value }).await?;
    Ok(proclaimed.into_inner().header.unwrap().revision)
}

async fn resign(client: &Client, leader: &LeaderKey) {
    client.election().resign(ResignRequest { leader: Some(leader.clone()) }).await.unwrap();
}

async fn leader(client: &Client) -> Result<KeyValue, Status> {
    let leader = client.election().leader(LeaderRequest { name: "e".into() }).await?;
    Ok(leader.into_inner().kv.unwrap())
}

#[test]
fn the_first_candidate_leads_until_it_resigns() {
    with_one(async |client| {
        assert_status(leader(&client).await, "election: no leader");
        let first = campaign(&client, lease(&client, 1).await, "a").await.unwrap();
        assert_eq!((&first.name[..], &first.key[..], first.lease), (&b"e"[..], &b"e/1"[..], 1));
        assert_eq!(leader(&client).await.unwrap().create_revision, first.rev);
        let next = candidate(&client, lease(&client, 2).await, "b").await;
        proclaim(&client, &first, "a2").await.unwrap();
        assert_eq!(&leader(&client).await.unwrap().value[..], b"a2");
        assert!(!next.is_finished());
        resign(&client, &first).await;
        let second = ended(next).await.unwrap();
        assert_eq!(&leader(&client).await.unwrap().value[..], b"b");
        assert_status(proclaim(&client, &first, "a3").await, "election: not leader");
        // Who is not leader resigns from nothing.
        resign(&client, &first).await;
        resign(&client, &LeaderKey { rev: second.rev - 1, ..second.clone() }).await;
        assert_eq!(leader(&client).await.unwrap().key, second.key);
        revoke(&client, 2).await;
        assert_status(leader(&client).await, "election: no leader");
    });
}

#[test]
fn who_campaigns_again_says_what_it_says_now() {
    with_one(async |client| {
        let first = campaign(&client, lease(&client, 1).await, "a").await.unwrap();
        let again = campaign(&client, 1, "b").await.unwrap();
        assert_eq!(first, again);
        assert_eq!(&leader(&client).await.unwrap().value[..], b"b");
    });
}

#[test]
fn a_candidate_that_goes_away_or_loses_its_lease_does_not_come_to_lead() {
    with_one(async |client| {
        let first = campaign(&client, lease(&client, 1).await, "a").await.unwrap();
        let gone = candidate(&client, lease(&client, 2).await, "b").await;
        let expired = candidate(&client, lease(&client, 3).await, "c").await;
        let last = candidate(&client, lease(&client, 4).await, "d").await;
        gone.abort();
        revoke(&client, 3).await;
        assert_status(ended(expired).await, "election: session is expired");
        eventually("the key is deleted", async || client.get("e/2").await.is_none().then_some(()))
            .await;
        resign(&client, &first).await;
        assert_eq!(&ended(last).await.unwrap().key[..], b"e/4");
    });
}

#[test]
fn what_lacks_a_leader_or_a_lease_is_refused_in_etcds_words() {
    with_one(async |client| {
        let missing = "\"leader\" field must be provided";
        assert_status(client.election().proclaim(ProclaimRequest::default()).await, missing);
        assert_status(client.election().resign(ResignRequest::default()).await, missing);
        assert_status(campaign(&client, 77, "a").await, "etcdserver: requested lease not found");
        assert_status(leader(&client).await, "election: no leader");
    });
}

#[test]
fn who_says_much_leads_as_well() {
    with_one(async |client| {
        // More than is answered as a whole.
        let long = "v".repeat(1_200_000);
        let first = campaign(&client, lease(&client, 1).await, &long).await.unwrap();
        assert_eq!(leader(&client).await.unwrap().value.len(), long.len());
        let again = campaign(&client, 1, &long).await.unwrap();
        assert_eq!(first, again);
        let next = candidate(&client, lease(&client, 2).await, "b").await;
        assert!(!next.is_finished());
        let observe = LeaderRequest { name: "e".into() };
        let mut leaders = client.election().observe(observe).await.unwrap().into_inner();
        assert_eq!(told(&mut leaders).await, (long, first.rev));
        resign(&client, &first).await;
        let second = ended(next).await.unwrap();
        assert_eq!(told(&mut leaders).await, ("b".to_owned(), second.rev));
    });
}

async fn told(leaders: &mut Streaming<LeaderResponse>) -> (String, i64) {
    let response = timeout(PATIENCE, leaders.message()).await.expect("nothing is told");
    let response = response.unwrap().expect("the observation ended");
    let kv = response.kv.unwrap();
    assert!(response.header.unwrap().revision >= kv.mod_revision);
    (String::from_utf8(kv.value.to_vec()).unwrap(), kv.mod_revision)
}

#[test]
fn an_observer_is_told_every_leader_and_all_it_says() {
    with_one(async |client| {
        let observe = LeaderRequest { name: "e".into() };
        let mut leaders = client.election().observe(observe.clone()).await.unwrap().into_inner();
        client.put("e", "not under the name").await;
        let first = campaign(&client, lease(&client, 1).await, "a").await.unwrap();
        assert_eq!(told(&mut leaders).await, ("a".to_owned(), first.rev));
        let mut late = client.election().observe(observe).await.unwrap().into_inner();
        assert_eq!(told(&mut late).await.0, "a");
        for value in ["a1", "a2", "a3"] {
            let revision = proclaim(&client, &first, value).await.unwrap();
            assert_eq!(told(&mut leaders).await, (value.to_owned(), revision));
            assert_eq!(told(&mut late).await, (value.to_owned(), revision));
        }
        let next = candidate(&client, lease(&client, 2).await, "b").await;
        resign(&client, &first).await;
        let second = ended(next).await.unwrap();
        assert_eq!(told(&mut leaders).await, ("b".to_owned(), second.rev));
        resign(&client, &second).await;
        // Nobody leads for a while, and history goes.
        let revision = client.put("x", "1").await;
        let compaction = CompactionRequest { revision, physical: true };
        client.kv().compact(compaction).await.unwrap();
        let third = campaign(&client, lease(&client, 3).await, "c").await.unwrap();
        assert_eq!(told(&mut leaders).await, ("c".to_owned(), third.rev));
        // Who was slow to look may not hear of the one in between.
        let mut heard = told(&mut late).await.0;
        if heard == "b" {
            heard = told(&mut late).await.0;
        }
        assert_eq!(heard, "c");
    });
}
