//! Space and what is done about it, hashes, and the member's own figures, over gRPC.

use std::time::{Duration, Instant};

use crate::support::{Client, Cluster, eventually, put};
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::downgrade_request::DowngradeAction;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, CompactionRequest, DefragmentRequest, DeleteRangeRequest,
    DowngradeRequest, HashKvRequest, HashKvResponse, HashRequest, LeaseGrantRequest,
    MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest,
    MemberUpdateRequest, PutRequest, RangeRequest, RequestOp, StatusRequest, StatusResponse,
    TxnRequest,
};
use kvorum_server::config::AutoCompaction;
use tokio::time::timeout;
use tonic::{Code, Status};

const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";

fn with_quota(bytes: i64, test: impl AsyncFnOnce(Client)) {
    let cluster = Cluster::start_with(1, |config| config.quota_backend_bytes = bytes);
    let client = cluster.client(0);
    cluster.runtime.block_on(test(client));
}

fn big(key: &str) -> PutRequest {
    put(key, &"v".repeat(10_000))
}

async fn status(client: &Client) -> StatusResponse {
    client.maintenance().status(StatusRequest {}).await.unwrap().into_inner()
}

async fn alarms(client: &Client) -> Vec<AlarmMember> {
    let get = AlarmRequest { action: AlarmAction::Get as i32, ..AlarmRequest::default() };
    client.maintenance().alarm(get).await.unwrap().into_inner().alarms
}

async fn alarm(client: &Client, action: AlarmAction, member_id: u64) -> Vec<AlarmMember> {
    let alarm = AlarmType::Nospace as i32;
    let request = AlarmRequest { action: action as i32, member_id, alarm };
    client.maintenance().alarm(request).await.unwrap().into_inner().alarms
}

async fn compact(client: &Client, revision: i64, physical: bool) -> Result<(), Status> {
    client.kv().compact(CompactionRequest { revision, physical }).await.map(|_| ())
}

async fn delete_everything(client: &Client) -> i64 {
    let all = DeleteRangeRequest { key: vec![0].into(), range_end: vec![0].into(), prev_kv: false };
    let deleted = client.kv().delete_range(all).await.unwrap().into_inner();
    deleted.header.unwrap().revision
}

/// Puts until there is no space.
async fn fill(client: &Client) -> Status {
    for i in 0.. {
        if let Err(refused) = client.kv().put(big(&format!("fill/{i}"))).await {
            return refused;
        }
    }
    unreachable!("there is no end to numbers")
}

fn assert_no_space<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let refused = answer.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::ResourceExhausted, NO_SPACE));
}

#[test]
fn without_space_only_what_takes_none_is_let_in() {
    with_quota(200_000, async |client| {
        assert_no_space::<()>(Err(fill(&client).await));
        let me = status(&client).await.header.unwrap().member_id;
        let raised = AlarmMember { member_id: me, alarm: AlarmType::Nospace as i32 };
        assert_eq!(alarms(&client).await, [raised]);
        let told = status(&client).await;
        assert_eq!(told.errors, [format!("memberID:{me} alarm:NOSPACE ")]);
        assert_eq!(told.db_size_quota, 200_000);
        assert!(told.db_size_in_use < 200_000 && told.db_size >= told.db_size_in_use);

        let op = |request| RequestOp { request: Some(request) };
        let nested =
            |ops| op(Request::RequestTxn(TxnRequest { failure: ops, ..Default::default() }));
        let tiny = || op(Request::RequestPut(put("tiny", "v")));
        let delete = DeleteRangeRequest { key: "fill/0".into(), ..DeleteRangeRequest::default() };
        let deletes = op(Request::RequestDeleteRange(delete));
        assert_no_space(client.kv().put(put("tiny", "v")).await);
        assert_no_space(client.lease().lease_grant(LeaseGrantRequest { ttl: 60, id: 0 }).await);
        for ops in [vec![tiny()], vec![nested(vec![nested(vec![tiny()])])]] {
            let txn = TxnRequest { success: ops, ..TxnRequest::default() };
            assert_no_space(client.kv().txn(txn).await);
        }
        assert_eq!(client.get("fill/0").await.map(|value| value.len()), Some(10_000));
        let txn = TxnRequest { success: vec![deletes], ..TxnRequest::default() };
        let revision = client.kv().txn(txn).await.unwrap().into_inner().header.unwrap().revision;
        compact(&client, revision, false).await.unwrap();
    });
}

#[test]
fn the_alarm_goes_by_itself_once_there_is_space() {
    with_quota(200_000, async |client| {
        fill(&client).await;
        let since = Instant::now();
        let revision = delete_everything(&client).await;
        // History is still there, and so is the alarm.
        assert_no_space(client.kv().put(put("k", "v")).await);
        compact(&client, revision, true).await.unwrap();
        eventually("there is space again", async || {
            client.kv().put(put("k", "v")).await.ok().map(|_| ())
        })
        .await;
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
        assert_eq!(alarms(&client).await, []);
        let in_use = status(&client).await.db_size_in_use;
        assert!(in_use < 10_000, "{in_use}");
    });
}

#[test]
fn an_alarm_that_is_disarmed_too_early_comes_back() {
    with_quota(200_000, async |client| {
        fill(&client).await;
        let me = status(&client).await.header.unwrap().member_id;
        assert_eq!(alarm(&client, AlarmAction::Deactivate, 0).await, []);
        assert_eq!(alarm(&client, AlarmAction::Deactivate, me).await.len(), 1);
        assert_no_space(client.kv().put(big("one more")).await);
        assert_eq!(alarms(&client).await.len(), 1);
    });
}

#[test]
fn an_alarm_that_a_person_raised_stays_until_a_person_takes_it_back() {
    with_quota(0, async |client| {
        let told = status(&client).await;
        assert_eq!(told.db_size_quota, 2 << 30);
        let me = told.header.unwrap().member_id;
        for member in [me, 0] {
            let raised = alarm(&client, AlarmAction::Activate, member).await;
            assert_eq!(raised, [AlarmMember { member_id: member, alarm: 1 }]);
            // Longer than the member takes to look.
            let gone = async {
                while client.kv().put(put("k", "v")).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            assert!(timeout(Duration::from_millis(1200), gone).await.is_err());
            alarm(&client, AlarmAction::Deactivate, member).await;
            client.put("k", "v").await;
        }
    });
}

#[test]
fn without_a_quota_there_is_no_end() {
    with_quota(-1, async |client| {
        client.put("k", "v").await;
        assert_eq!(status(&client).await.db_size_quota, -1);
    });
}

#[test]
fn every_member_refuses_when_one_has_no_space() {
    let cluster = Cluster::start_with(3, |config| config.quota_backend_bytes = 200_000);
    let clients: Vec<Client> = (0..3).map(|index| cluster.client(index)).collect();
    cluster.runtime.block_on(async {
        fill(&clients[0]).await;
        for client in &clients[1..] {
            let refused = eventually("it knows the alarm", async || {
                client.kv().put(put("k", "v")).await.err()
            });
            assert_no_space::<()>(Err(refused.await));
        }
        let revision = delete_everything(&clients[2]).await;
        compact(&clients[2], revision, false).await.unwrap();
        for client in &clients {
            eventually("there is space again", async || {
                client.kv().put(put("k", "v")).await.ok().map(|_| ())
            })
            .await;
        }
        assert_eq!(alarms(&clients[1]).await, []);
    });
}

#[test]
fn the_leader_compacts_by_itself() {
    let wanted = AutoCompaction::Periodic(Duration::from_millis(300));
    let cluster = Cluster::start_with(1, |config| config.auto_compaction = wanted);
    let client = cluster.client(0);
    cluster.runtime.block_on(async {
        let first = client.put("k", "a").await;
        client.put("k", "b").await;
        eventually("the first revision is compacted", async || {
            client.put("k", "more").await;
            let old = HashKvRequest { revision: first };
            let refused = client.maintenance().hash_kv(old).await.err()?;
            assert_eq!(refused.code(), Code::OutOfRange);
            Some(())
        })
        .await;
    });
}

#[test]
fn a_compaction_goes_up_to_the_newest_revision_and_never_back() {
    let cluster = Cluster::start(1);
    let client = cluster.client(0);
    cluster.runtime.block_on(async {
        let refusal = async |revision, physical| {
            let refused = compact(&client, revision, physical).await.unwrap_err();
            assert_eq!(refused.code(), Code::OutOfRange);
            refused.message().to_owned()
        };
        let compacted = "etcdserver: mvcc: required revision has been compacted";
        let future = "etcdserver: mvcc: required revision is a future revision";
        assert_eq!(refusal(-1, false).await, compacted);
        compact(&client, 0, false).await.unwrap();
        for physical in [false, true] {
            assert_eq!(refusal(0, physical).await, compacted);
            assert_eq!(refusal(2, physical).await, future);
        }
        compact(&client, 1, true).await.unwrap();
        let newest = client.put("k", "v").await;
        compact(&client, newest, true).await.unwrap();
        assert_eq!(refusal(newest, true).await, compacted);
    });
}

/// The numbers are those of etcd 3.4.23 after the same requests.
#[test]
fn the_hash_of_the_keys_is_etcds() {
    let cluster = Cluster::start(1);
    let client = cluster.client(0);
    let hash = async |revision| {
        let hashed = client.maintenance().hash_kv(HashKvRequest { revision }).await;
        hashed.unwrap().into_inner().hash
    };
    let delete = |key: &'static str| DeleteRangeRequest { key: key.into(), ..Default::default() };
    cluster.runtime.block_on(async {
        assert_eq!(hash(0).await, 1_084_519_789);
        for (key, value) in [("a", "one"), ("b", "two"), ("a", "three")] {
            client.put(key, value).await;
        }
        for (revision, expected) in [(0, 135_026_552), (3, 1_308_281_141), (2, 2_948_796_561)] {
            assert_eq!(hash(revision).await, expected, "{revision}");
        }
        client.kv().delete_range(delete("a")).await.unwrap();
        client.put("c", "four").await;
        let ops = [
            Request::RequestPut(put("d", "five")),
            Request::RequestDeleteRange(delete("b")),
            Request::RequestPut(put("a", "six")),
        ];
        let success = ops.map(|request| RequestOp { request: Some(request) }).to_vec();
        client.kv().txn(TxnRequest { success, ..TxnRequest::default() }).await.unwrap();
        for (revision, expected) in [(0, 64_923_917), (5, 3_293_938_035), (6, 865_198_214)] {
            assert_eq!(hash(revision).await, expected, "{revision}");
        }
        compact(&client, 5, true).await.unwrap();
        assert_eq!((hash(0).await, hash(6).await), (2_865_145_945, 3_363_799_146));
        compact(&client, 6, true).await.unwrap();
        assert_eq!((hash(0).await, hash(7).await), (2_865_145_945, 2_865_145_945));
        delete_everything(&client).await;
        assert_eq!((hash(0).await, hash(7).await), (784_679_606, 2_865_145_945));
        compact(&client, 7, true).await.unwrap();
        assert_eq!(hash(0).await, 3_628_062_762, "no key is left");
    });
}

#[test]
fn members_hash_alike_and_say_what_they_hashed() {
    let cluster = Cluster::start(3);
    let clients: Vec<Client> = (0..3).map(|index| cluster.client(index)).collect();
    cluster.runtime.block_on(async {
        for i in 0..100 {
            clients[i % 3].put(&format!("k{}", i % 7), "v").await;
        }
        let newest = delete_everything(&clients[0]).await;
        compact(&clients[0], newest - 5, false).await.unwrap();
        let hashed = |revision| {
            clients.iter().map(move |client| {
                let client = client.clone();
                async move {
                    let what = format!("a hash at {revision}");
                    eventually(&what, async || {
                        let hashed = client.maintenance().hash_kv(HashKvRequest { revision }).await;
                        let hashed = hashed.ok()?.into_inner();
                        (hashed.compact_revision == newest - 5).then_some(hashed)
                    })
                    .await
                }
            })
        };
        for revision in [0, newest, newest - 2, newest - 5] {
            let mut seen: Vec<HashKvResponse> = Vec::new();
            for hashed in hashed(revision) {
                seen.push(hashed.await);
            }
            let expected = if revision == 0 { newest } else { revision };
            assert!(seen.iter().all(|one| one.hash == seen[0].hash), "{seen:?}");
            assert!(seen.iter().all(|one| one.hash_revision == expected), "{seen:?}");
        }
        let mut hashes = Vec::new();
        for client in &clients {
            hashes.push(client.maintenance().hash(HashRequest {}).await.unwrap().into_inner().hash);
        }
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
        for (revision, message) in [
            (newest - 6, "etcdserver: mvcc: required revision has been compacted"),
            (newest + 1, "etcdserver: mvcc: required revision is a future revision"),
        ] {
            let refused = clients[1].maintenance().hash_kv(HashKvRequest { revision }).await;
            let refused = refused.unwrap_err();
            assert_eq!((refused.code(), refused.message()), (Code::OutOfRange, message));
        }
    });
}

#[test]
fn room_that_was_freed_is_used_again_and_defragmenting_gives_it_back() {
    let cluster = Cluster::start(1);
    let client = cluster.client(0);
    cluster.runtime.block_on(async {
        let mut sizes = Vec::new();
        for _ in 0..4 {
            for i in 0..300 {
                client.kv().put(big(&format!("fill/{i}"))).await.unwrap();
            }
            let newest = delete_everything(&client).await;
            compact(&client, newest, true).await.unwrap();
            let filled = status(&client).await.db_size;
            let answer = client.maintenance().defragment(DefragmentRequest {}).await.unwrap();
            assert!(answer.into_inner().header.is_none());
            let since = Instant::now();
            client.put("beside", "it").await;
            assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
            let told = status(&client).await;
            assert!(told.db_size_in_use < 100_000, "{}", told.db_size_in_use);
            assert!(told.db_size < filled / 4, "{} of {filled}", told.db_size);
            sizes.push(filled);
        }
        assert!(sizes[3] <= 2 * sizes[0], "{sizes:?}");
    });
}

#[test]
fn a_member_goes_on_while_it_defragments_and_loses_nothing() {
    let mut cluster = Cluster::start(1);
    let client = cluster.client(0);
    let kept = cluster.runtime.block_on(async {
        for i in 0..1500 {
            client.kv().put(big(&format!("fill/{i}"))).await.unwrap();
        }
        let early = client.kv().put(big("early")).await.unwrap().into_inner().header.unwrap();
        client.put("early", "late").await;
        let other = cluster.client(0);
        let defragmenting = tokio::spawn(async move {
            let mut maintenance = other.maintenance();
            let mut one = maintenance.clone();
            let (first, second) = tokio::join!(
                one.defragment(DefragmentRequest {}),
                maintenance.defragment(DefragmentRequest {})
            );
            let refused: Vec<_> = [first, second].into_iter().filter_map(Result::err).collect();
            assert_eq!(refused.len(), 1, "one at a time: {refused:?}");
            assert_eq!(refused[0].code(), Code::ResourceExhausted, "{refused:?}");
        });
        let (mut written, mut longest) = (0, Duration::ZERO);
        while !defragmenting.is_finished() {
            let since = Instant::now();
            client.put(&format!("beside/{written}"), "it").await;
            longest = longest.max(since.elapsed());
            written += 1;
            let old = RangeRequest {
                key: "early".into(),
                revision: early.revision,
                ..RangeRequest::default()
            };
            let read = client.kv().range(old).await.unwrap().into_inner();
            assert_eq!(read.kvs[0].value.len(), 10_000);
        }
        defragmenting.await.unwrap();
        assert!(written > 5 && longest < Duration::from_secs(2), "{written} in {longest:?}");
        written
    });
    cluster.stop(0);
    cluster.restart(0);
    let client = cluster.client(0);
    cluster.runtime.block_on(async {
        for i in 0..kept {
            assert_eq!(client.get(&format!("beside/{i}")).await.as_deref(), Some("it"));
        }
        for i in [0, 749, 1499] {
            let value = client.get(&format!("fill/{i}")).await;
            assert_eq!(value.map(|value| value.len()), Some(10_000));
        }
    });
}

#[test]
fn a_status_says_everything() {
    let cluster = Cluster::start(1);
    let client = cluster.client(0);
    cluster.runtime.block_on(async {
        let revision = client.put("k", "v").await;
        let told = eventually("the cluster has a version", async || {
            let told = status(&client).await;
            (!told.storage_version.is_empty()).then_some(told)
        })
        .await;
        assert_eq!((told.version.as_str(), told.storage_version.as_str()), ("3.6.0", "3.6.0"));
        assert!(told.raft_index > 0 && told.raft_applied_index > 0 && told.raft_term > 0);
        assert!(told.db_size >= told.db_size_in_use && told.db_size_in_use > 0);
        assert!(!told.is_learner && told.errors.is_empty());
        let downgrade = told.downgrade_info.unwrap();
        assert!(!downgrade.enabled && downgrade.target_version.is_empty());
        let header = told.header.unwrap();
        assert_eq!((header.member_id, header.revision), (told.leader, revision));
    });
}

#[test]
fn a_downgrade_is_judged_and_not_done() {
    let cluster = Cluster::start(1);
    let client = cluster.client(0);
    cluster.runtime.block_on(async {
        eventually("the cluster has a version", async || {
            let asked = ask_downgrade(&client, DowngradeAction::Validate as i32, "3.5.0").await;
            asked.ok().map(|version| assert_eq!(version, "3.6"))
        })
        .await;
        let (validate, enable) = (DowngradeAction::Validate as i32, DowngradeAction::Enable as i32);
        for action in [validate, enable] {
            for (version, message) in [
                ("three", "etcdserver: wrong downgrade target version format"),
                ("3.6", "etcdserver: invalid downgrade target version"),
                ("3.4.0", "etcdserver: invalid downgrade target version"),
                ("2.5.0", "etcdserver: invalid downgrade target version"),
            ] {
                let refused = ask_downgrade(&client, action, version).await.unwrap_err();
                assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, message));
            }
        }
        for (action, version, code) in [
            (enable, "3.5", Code::Unimplemented),
            (DowngradeAction::Cancel as i32, "", Code::FailedPrecondition),
            (99, "", Code::Unknown),
        ] {
            let refused = ask_downgrade(&client, action, version).await.unwrap_err();
            assert_eq!(refused.code(), code, "{}", refused.message());
        }
    });
}

async fn ask_downgrade(client: &Client, action: i32, version: &str) -> Result<String, Status> {
    let request = DowngradeRequest { action, version: version.to_owned() };
    let answer = client.maintenance().downgrade(request).await?;
    Ok(answer.into_inner().version)
}

#[test]
fn changes_of_members_are_checked_and_not_made() {
    let cluster = Cluster::start(1);
    let client = cluster.client(0);
    cluster.runtime.block_on(async {
        let mut api = client.cluster();
        let listed = api.member_list(MemberListRequest { linearizable: true }).await.unwrap();
        let me = listed.into_inner().members.remove(0);
        let free = || vec!["http://127.0.0.1:1".to_owned()];
        let add = |peer_ur_ls| MemberAddRequest { peer_ur_ls, is_learner: false };
        let mut codes = Vec::new();
        for urls in [vec![], vec!["nowhere".to_owned()], me.peer_ur_ls.clone(), free()] {
            codes.push(api.member_add(add(urls)).await.unwrap_err().code());
        }
        use Code::{FailedPrecondition, InvalidArgument, NotFound, Unimplemented};
        assert_eq!(codes, [InvalidArgument, InvalidArgument, FailedPrecondition, Unimplemented]);
        for (id, expected) in [(7, NotFound), (me.id, Unimplemented)] {
            let removed = api.member_remove(MemberRemoveRequest { id }).await;
            assert_eq!(removed.unwrap_err().code(), expected);
            let update = MemberUpdateRequest { id, peer_ur_ls: free() };
            assert_eq!(api.member_update(update).await.unwrap_err().code(), expected);
        }
        for (id, expected) in [(7, NotFound), (me.id, FailedPrecondition)] {
            let promoted = api.member_promote(MemberPromoteRequest { id }).await;
            assert_eq!(promoted.unwrap_err().code(), expected);
        }
    });
}
