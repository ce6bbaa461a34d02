//! Three members in this process, over gRPC between them and to them.

use std::time::{Duration, Instant};

use crate::support::{Client, Cluster, PATIENCE, eventually, get, put};
use futures::FutureExt;
use kvorum_proto::etcdserverpb::watch_request::RequestUnion;
use kvorum_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseRevokeRequest,
    LeaseTimeToLiveRequest, MemberListRequest, MoveLeaderRequest, PutRequest, RangeRequest,
    StatusRequest, WatchCreateRequest, WatchRequest,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status};

/// The index of the leader, asked of `client`.
async fn leader(clients: &[(usize, Client)]) -> usize {
    eventually("somebody leads", async || {
        for (index, client) in clients {
            let Ok(status) = client.maintenance().status(StatusRequest {}).await else {
                continue;
            };
            let status = status.into_inner();
            if status.leader != 0 && status.leader == status.header.unwrap().member_id {
                return Some(*index);
            }
        }
        None
    })
    .await
}

fn clients(cluster: &Cluster, indexes: &[usize]) -> Vec<(usize, Client)> {
    indexes.iter().map(|index| (*index, cluster.client(*index))).collect()
}

#[test]
fn every_member_takes_writes_and_reads_what_was_written_anywhere() {
    let cluster = Cluster::start(3);
    let clients = clients(&cluster, &[0, 1, 2]);
    cluster.runtime.block_on(async {
        for (index, client) in &clients {
            client.put(&format!("by{index}"), "v").await;
            for (_, other) in &clients {
                assert_eq!(other.get(&format!("by{index}")).await.as_deref(), Some("v"));
            }
        }
        let list = MemberListRequest { linearizable: true };
        let members = clients[0].1.cluster().member_list(list).await.unwrap().into_inner().members;
        let mut names: Vec<_> = members.iter().map(|member| member.name.clone()).collect();
        names.sort();
        assert_eq!(names, ["m1", "m2", "m3"]);
        assert!(members.iter().all(|member| member.client_ur_ls.len() == 1));
    });
}

#[test]
fn a_watch_on_one_member_sees_what_another_took() {
    let cluster = Cluster::start(3);
    let clients = clients(&cluster, &[0, 1, 2]);
    cluster.runtime.block_on(async {
        let (requests, receiver) = mpsc::channel(1);
        let create = WatchCreateRequest {
            key: "k".into(),
            range_end: "l".into(),
            ..WatchCreateRequest::default()
        };
        let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        requests.send(create).await.unwrap();
        let mut responses =
            clients[0].1.watch().watch(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        assert!(responses.message().await.unwrap().unwrap().created);
        for (index, client) in &clients {
            client.put(&format!("k{index}"), "v").await;
        }
        let mut seen = Vec::new();
        while seen.len() < 3 {
            let response = responses.message().await.unwrap().unwrap();
            seen.extend(response.events.into_iter().map(|event| event.kv.unwrap().key));
        }
        assert_eq!(seen, ["k0", "k1", "k2"]);
    });
}

#[test]
fn leases_are_kept_alive_through_any_member_and_outlive_their_leader() {
    let mut cluster = Cluster::start(3);
    let all = clients(&cluster, &[0, 1, 2]);
    let (lease, first) = cluster.runtime.block_on(async {
        let grant = LeaseGrantRequest { ttl: 100, id: 0 };
        let lease = all[0].1.lease().lease_grant(grant).await.unwrap().into_inner().id;
        all[1].1.kv().put(PutRequest { lease, ..put("leased", "v") }).await.unwrap();
        for (_, client) in &all {
            let (sender, receiver) = mpsc::channel(1);
            sender.send(LeaseKeepAliveRequest { id: lease }).await.unwrap();
            let mut answers = client
                .lease()
                .lease_keep_alive(ReceiverStream::new(receiver))
                .await
                .unwrap()
                .into_inner();
            assert_eq!(answers.message().await.unwrap().unwrap().ttl, 100);
            let asked = LeaseTimeToLiveRequest { id: lease, keys: true };
            let left = client.lease().lease_time_to_live(asked).await.unwrap().into_inner();
            assert!(left.ttl > 90 && left.ttl <= 100, "{left:?}");
            assert_eq!(left.keys, ["leased"]);
        }
        (lease, leader(&all).await)
    });
    cluster.stop(first);
    let left: Vec<usize> = (0..3).filter(|index| *index != first).collect();
    let rest = clients(&cluster, &left);
    cluster.runtime.block_on(async {
        let asked = LeaseTimeToLiveRequest { id: lease, keys: false };
        let left = rest[0].1.lease().lease_time_to_live(asked).await.unwrap().into_inner();
        assert!(left.ttl > 50 && left.ttl <= 102, "{left:?}");
    });
}

/// What is left of a lease, as soon as somebody can say.
async fn left_of(client: &Client, lease: i64) -> i64 {
    eventually("somebody knows what is left", async || {
        let asked = LeaseTimeToLiveRequest { id: lease, keys: false };
        let answer = client.lease().lease_time_to_live(asked).await;
        Some(answer.ok()?.into_inner().ttl)
    })
    .await
}

/// A leader starts leases anew from what is written down of them (etcd #17132).
#[test]
fn what_is_left_of_a_lease_survives_three_changes_of_leaders() {
    const TTL_S: i64 = 60;
    const REIGN_S: i64 = 4;
    const CHANGES: i64 = 3;
    /// Each gives back what has passed since the last checkpoint, at most a round second with all
    /// that is in between, and an election; and answers are in whole seconds.
    const GIVEN_BACK_S: i64 = 3;
    let cluster = Cluster::start_with(3, |config| {
        config.lease_checkpoint_interval = Duration::from_millis(500);
    });
    let all = clients(&cluster, &[0, 1, 2]);
    cluster.runtime.block_on(async {
        let grant = LeaseGrantRequest { ttl: TTL_S, id: 0 };
        let granted = Instant::now();
        let lease = all[0].1.lease().lease_grant(grant).await.unwrap().into_inner().id;
        for _ in 0..CHANGES {
            let before = left_of(&all[0].1, lease).await;
            eventually("time passes", async || {
                (left_of(&all[0].1, lease).await <= before - REIGN_S).then_some(())
            })
            .await;
            let from = leader(&all).await;
            let to = (from + 1) % 3;
            let target_id = cluster.members[to].as_ref().unwrap().identity().member_id;
            let request = MoveLeaderRequest { target_id };
            all[from].1.maintenance().move_leader(request).await.unwrap();
            eventually("leadership has moved", async || (leader(&all).await == to).then_some(()))
                .await;
        }
        let left = left_of(&all[0].1, lease).await;
        let lived = granted.elapsed().as_secs_f64();
        let right = TTL_S as f64 - lived;
        let most = right + (CHANGES * GIVEN_BACK_S) as f64;
        assert!(left as f64 > right - 2.0 && (left as f64) < most, "{left} s after {lived} s");
    });
}

#[test]
fn a_revoked_lease_is_kept_alive_by_nobody() {
    let cluster = Cluster::start(3);
    let all = clients(&cluster, &[0, 1, 2]);
    cluster.runtime.block_on(async {
        let grant = LeaseGrantRequest { ttl: 100, id: 0 };
        let lease = all[0].1.lease().lease_grant(grant).await.unwrap().into_inner().id;
        all[1].1.lease().lease_revoke(LeaseRevokeRequest { id: lease }).await.unwrap();
        for (_, client) in &all {
            let (sender, receiver) = mpsc::channel(1);
            sender.send(LeaseKeepAliveRequest { id: lease }).await.unwrap();
            let requests = ReceiverStream::new(receiver);
            let answers = client.lease().lease_keep_alive(requests).await.unwrap();
            assert_eq!(answers.into_inner().message().await.unwrap().unwrap().ttl, 0);
        }
    });
}

#[test]
fn a_leader_without_a_quorum_keeps_no_lease_alive() {
    const ATTEMPTS: usize = 3;
    let told = (0..ATTEMPTS).find_map(|_| renewal_by_a_leader_without_a_quorum());
    let renewal = told.expect("the leader is asked before it notices, not too late each time");
    let status = renewal.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}

/// What a leader that is suddenly alone answers to a keep-alive. Nothing if it has noticed that it
/// leads no more: that is then all it would say.
fn renewal_by_a_leader_without_a_quorum() -> Option<Result<LeaseKeepAliveResponse, Status>> {
    let mut cluster = Cluster::start(3);
    let all = clients(&cluster, &[0, 1, 2]);
    let (lease, first) = cluster.runtime.block_on(async {
        let grant = LeaseGrantRequest { ttl: 100, id: 0 };
        let lease = all[0].1.lease().lease_grant(grant).await.unwrap().into_inner().id;
        (lease, leader(&all).await)
    });
    // Both at once, so that the leader is asked before it notices.
    let others = cluster.members.iter_mut().enumerate().filter(|(index, _)| *index != first);
    let others: Vec<_> = others.map(|(_, member)| member.take().unwrap()).collect();
    let stops = others.into_iter().map(|member| std::thread::spawn(|| member.stop()));
    for stop in stops.collect::<Vec<_>>() {
        stop.join().unwrap();
    }
    cluster.runtime.block_on(async {
        let status = all[first].1.maintenance().status(StatusRequest {}).await.unwrap();
        let status = status.into_inner();
        if status.leader != status.header.unwrap().member_id {
            return None;
        }
        // It still believes that it leads; the others may have revoked the lease by now.
        let (sender, receiver) = mpsc::channel(1);
        sender.send(LeaseKeepAliveRequest { id: lease }).await.unwrap();
        let requests = ReceiverStream::new(receiver);
        let answers = all[first].1.lease().lease_keep_alive(requests).await;
        Some(answers.unwrap().into_inner().message().await.map(Option::unwrap))
    })
}

#[test]
fn leadership_moves_where_it_is_sent() {
    let cluster = Cluster::start(3);
    let clients = clients(&cluster, &[0, 1, 2]);
    cluster.runtime.block_on(async {
        let from = leader(&clients).await;
        let to = (from + 1) % 3;
        let target_id = cluster.members[to].as_ref().unwrap().identity().member_id;
        let request = MoveLeaderRequest { target_id };
        let status = clients[to].1.maintenance().move_leader(request).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::FailedPrecondition, "etcdserver: not leader")
        );
        let unknown = MoveLeaderRequest { target_id: 1 };
        let status = clients[from].1.maintenance().move_leader(unknown).await.unwrap_err();
        assert_eq!(status.message(), "etcdserver: bad leader transferee");
        clients[from].1.maintenance().move_leader(request).await.unwrap();
        assert_eq!(leader(&clients).await, to);
        clients[from].1.put("k", "v").await;
    });
}

#[test]
fn a_member_that_was_away_catches_up() {
    let mut cluster = Cluster::start(3);
    let away = {
        let all = clients(&cluster, &[0, 1, 2]);
        let leader = cluster.runtime.block_on(leader(&all));
        (leader + 1) % 3
    };
    cluster.stop(away);
    let rest: Vec<usize> = (0..3).filter(|index| *index != away).collect();
    let others = clients(&cluster, &rest);
    let last = cluster.runtime.block_on(async {
        let mut last = 0;
        for i in 0..100 {
            last = others[0].1.put(&format!("k{i}"), "v").await;
        }
        last
    });
    cluster.restart(away);
    let back = cluster.client(away);
    cluster.runtime.block_on(async {
        assert_eq!(back.get("k99").await.as_deref(), Some("v"));
        let all = RangeRequest {
            key: "k".into(),
            range_end: "l".into(),
            serializable: true,
            ..RangeRequest::default()
        };
        let local = back.kv().range(all.clone()).await.unwrap().into_inner();
        let remote = others[0].1.kv().range(all).await.unwrap().into_inner();
        assert_eq!(local.kvs, remote.kvs);
        assert_eq!(local.header.unwrap().revision, last);
    });
}

/// Waits until the member knows no leader.
async fn without_leader(client: &Client) {
    eventually("it notices", async || {
        let status = client.maintenance().status(StatusRequest {}).await.unwrap().into_inner();
        (status.leader == 0).then_some(())
    })
    .await;
}

#[test]
fn without_a_quorum_only_serializable_reads_are_answered() {
    let mut cluster = Cluster::start(3);
    let client = cluster.client(0);
    cluster.runtime.block_on(client.put("k", "v"));
    cluster.runtime.block_on(eventually("the first member has applied it", async || {
        let read = RangeRequest { serializable: true, ..get("k") };
        let response = client.kv().range(read).await.unwrap().into_inner();
        (response.count == 1).then_some(())
    }));
    cluster.stop(1);
    cluster.stop(2);
    cluster.runtime.block_on(async {
        without_leader(&client).await;
        let (mut reader, mut writer) = (client.kv(), client.kv());
        let (read, written) = tokio::join!(reader.range(get("k")), writer.put(put("k", "w")));
        for status in [read.unwrap_err(), written.unwrap_err()] {
            assert_eq!((status.code(), status.message()), NO_LEADER);
        }
        let read = RangeRequest { serializable: true, ..get("k") };
        let response = client.kv().range(read).await.unwrap().into_inner();
        assert_eq!(&response.kvs[0].value[..], b"v");
    });
}

/// More large writes than a member holds back are refused at once, and surely do not happen. (etcd
/// says so with the code `Unknown`, which its Go client turns into this one.)
#[test]
fn writes_that_wait_for_a_leader_are_refused_when_there_are_too_many() {
    let mut cluster = Cluster::start(3);
    let client = cluster.client(0);
    cluster.stop(1);
    cluster.stop(2);
    cluster.runtime.block_on(async {
        without_leader(&client).await;
        let value = "v".repeat(1 << 20);
        let mut puts = tokio::task::JoinSet::new();
        for number in 0..100 {
            let (client, put) = (client.clone(), put(&format!("k{number}"), &value));
            puts.spawn(async move { client.kv().put(put).await });
        }
        let mut outcomes = Vec::new();
        while let Some(put) = puts.join_next().await {
            let status = put.unwrap().unwrap_err();
            outcomes.push((status.code(), status.message().to_owned()));
        }
        let too_many = (Code::ResourceExhausted, "etcdserver: too many requests".to_owned());
        let no_leader = (NO_LEADER.0, NO_LEADER.1.to_owned());
        let refused = outcomes.iter().take_while(|outcome| **outcome == too_many).count();
        // 64 MiB are held back.
        assert!((36..100).contains(&refused), "{refused}");
        assert!(outcomes[refused..].iter().all(|outcome| *outcome == no_leader), "{outcomes:?}");
        let read = RangeRequest { serializable: true, range_end: "l".into(), ..get("k") };
        assert_eq!(client.kv().range(read).await.unwrap().into_inner().count, 0);
    });
}

/// What is told when nobody leads.
const NO_LEADER: (Code, &str) = (Code::Unavailable, "etcdserver: no leader");

fn wants_leader<Message>(message: Message) -> Request<Message> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("hasleader", "true".parse().unwrap());
    request
}

/// A watch of `k`, on a stream that lasts as long as the sender.
fn watching() -> (mpsc::Sender<WatchRequest>, ReceiverStream<WatchRequest>) {
    let (requests, receiver) = mpsc::channel(1);
    let create = WatchCreateRequest { key: "k".into(), ..WatchCreateRequest::default() };
    let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    requests.try_send(create).unwrap();
    (requests, ReceiverStream::new(receiver))
}

#[test]
fn who_wants_a_leader_is_refused_without_one_and_an_open_stream_ends() {
    let mut cluster = Cluster::start(3);
    let client = cluster.client(0);
    let election_timeout = cluster.config(0).election_timeout();
    let (open, other) = cluster.runtime.block_on(async {
        let (sender, requests) = watching();
        let mut open = client.watch().watch(wants_leader(requests)).await.unwrap().into_inner();
        assert!(open.message().await.unwrap().unwrap().created);
        let (other_sender, requests) = watching();
        let mut other = client.watch().watch(requests).await.unwrap().into_inner();
        assert!(other.message().await.unwrap().unwrap().created);
        ((sender, open), (other_sender, other))
    });
    let alone_since = Instant::now();
    cluster.stop(1);
    cluster.stop(2);
    cluster.runtime.block_on(async {
        let ((_sender, mut open), (_other_sender, mut other)) = (open, other);
        let ended = timeout(PATIENCE, open.message()).await.expect("the stream ends");
        let status = ended.unwrap_err();
        assert_eq!((status.code(), status.message()), NO_LEADER);
        assert!(alone_since.elapsed() >= election_timeout * 3, "an election takes that long");
        // Even what needs no leader.
        let read = RangeRequest { serializable: true, ..get("k") };
        let status = client.kv().range(wants_leader(read)).await.unwrap_err();
        assert_eq!((status.code(), status.message()), NO_LEADER);
        let (_sender, requests) = watching();
        let status = client.watch().watch(wants_leader(requests)).await.unwrap_err();
        assert_eq!((status.code(), status.message()), NO_LEADER);
        // Whoever has not asked for a leader waits for one.
        assert!(other.message().now_or_never().is_none());
    });
}
