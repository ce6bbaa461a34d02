//! A member as its users meet it: ports, flags, logs, followers, a lost quorum, watches.
//!
//! With `KVORUM_SERVER` naming etcd's own, all but the last must pass as well.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, Error, EventType, GetOptions, LeaseGrantOptions, Txn, TxnOp,
    WatchFilterType, WatchOptions, WatchStream,
};
use kvorum_tests::binary;
use kvorum_tests::cluster::{Cluster, Member};
use kvorum_tests::load::connect;
use kvorum_tests::ports;
use kvorum_tests::process::Process;
use kvorum_tests::program::Names;
use kvorum_tests::wait::until;
use serde_json::Value;
use tonic::Code;

/// How long something that must happen may take.
const SOON: Duration = Duration::from_secs(20);

fn cluster(size: usize) -> Cluster {
    Cluster::start(&Names::of(binary!()).server(), size)
}

async fn client_of(member: &Member) -> Client {
    connect(&member.client_url()).await.expect("the member serves")
}

async fn single() -> (Cluster, Client) {
    let cluster = cluster(1);
    let client = client_of(&cluster.members[0]).await;
    (cluster, client)
}

#[test]
fn a_member_logs_json_lines_and_says_when_it_is_ready() {
    let cluster = cluster(1);
    // etcd 3.4 says it in two sentences of its own.
    let ready = ["ready to serve client requests", "serving client traffic insecurely"];
    let said = until(SOON, || {
        let log = cluster.members[0].log();
        ready.iter().any(|ready| log.contains(ready)).then_some(log)
    });
    let log = said.unwrap_or_else(|| panic!("{}", cluster.members[0].log()));
    // The first line is the harness's own.
    for line in log.lines().skip(1) {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for field in ["level", "ts", "caller", "msg"] {
            assert!(line[field].is_string(), "no {field} in {line}");
        }
    }
}

#[test]
fn health_and_version_are_told_over_http() {
    let cluster = cluster(1);
    let member = &cluster.members[0];
    let (status, body) = get(&member.endpoint(), "/health");
    assert_eq!((status, &body["health"]), (200, &"true".into()), "{body}");
    // A member serves before its cluster has agreed on a version.
    let decided = until(SOON, || {
        let (status, body) = get(&member.endpoint(), "/version");
        (status == 200 && body["etcdcluster"] != "not_decided").then_some(body)
    });
    let body = decided.expect("the cluster decides on a version");
    for field in ["etcdserver", "etcdcluster"] {
        let version = body[field].as_str().unwrap_or_default();
        assert_eq!(version.split('.').count(), 3, "{field}: {body}");
    }
}

#[test]
fn flags_have_one_dash_or_two_and_variables_of_their_own() {
    let names = Names::of(binary!());
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let ports = ports::free(2);
    let (client, peer) =
        (format!("http://127.0.0.1:{}", ports[0]), format!("http://127.0.0.1:{}", ports[1]));
    let mut command = names.server().command();
    command
        .current_dir(folder.path())
        .env("ETCD_NAME", "from-the-environment")
        .env("ETCD_LISTEN_PEER_URLS", &peer)
        .env("ETCD_INITIAL_ADVERTISE_PEER_URLS", &peer)
        .env("ETCD_INITIAL_CLUSTER", format!("from-the-environment={peer}"))
        .args(["-listen-client-urls", &client])
        .arg(format!("-advertise-client-urls={client}"))
        .args(["--initial-cluster-state", "new"]);
    let process = Process::start(command, &folder.path().join("log")).expect("it can be run");
    let address = client.trim_start_matches("http://");
    let healthy = until(SOON, || (try_get(address, "/health").ok()?.0 == 200).then_some(()));
    assert!(healthy.is_some(), "it does not serve: {}", process.log());
    let data = folder.path().join("from-the-environment.etcd");
    assert!(data.is_dir(), "the data directory is named after the member");
}

#[tokio::test]
async fn initial_flags_are_ignored_on_a_restart() {
    let (mut cluster, mut client) = single().await;
    client.put("before", "the restart", None).await.expect("a put is answered");
    let id = member_id(&mut client).await;
    let member = &mut cluster.members[0];
    member.kill();
    member.flags.push("--initial-cluster-token=another".into());
    member.flags.push("--initial-cluster-state=existing".into());
    member.start();
    member.await_serving();
    let mut client = client_of(member).await;
    let got = client.get("before", None).await.expect("a get is answered");
    assert_eq!(got.kvs()[0].value(), b"the restart");
    assert_eq!(member_id(&mut client).await, id, "a member keeps its id");
}

#[tokio::test]
async fn every_member_takes_writes_and_reads_what_others_wrote() {
    let cluster = cluster(3);
    let mut clients = Vec::new();
    for member in &cluster.members {
        clients.push(client_of(member).await);
    }
    for round in 0..10 {
        for writer in 0..3 {
            let value = format!("{round} by {writer}");
            clients[writer].put("shared", value.as_str(), None).await.expect("a put is answered");
            let reader = (writer + 1) % 3;
            let got = clients[reader].get("shared", None).await.expect("a get is answered");
            let read = String::from_utf8_lossy(got.kvs()[0].value()).into_owned();
            assert_eq!(read, value, "member {reader} must read what member {writer} was told");
        }
    }
    // A lease granted at one member, used at the second and ended at the third.
    let options = LeaseGrantOptions::new().with_id(77);
    clients[0].lease_grant(600, Some(options)).await.expect("a grant is answered");
    let attach = etcd_client::PutOptions::new().with_lease(77);
    clients[1].put("leased", "x", Some(attach)).await.expect("a put is answered");
    let (mut keeper, mut renewals) = clients[2].lease_keep_alive(77).await.expect("it is kept");
    keeper.keep_alive().await.expect("a follower takes keep-alives");
    let renewal = renewals.message().await.expect("it is answered").expect("it goes on");
    assert_eq!((renewal.id(), renewal.ttl()), (77, 600));
    clients[2].lease_revoke(77).await.expect("a revoke is answered");
    let got = clients[1].get("leased", None).await.expect("a get is answered");
    assert_eq!(got.count(), 0, "the key is gone with its lease");
}

#[tokio::test]
async fn without_a_quorum_only_serializable_reads_are_answered() {
    let mut cluster = cluster(3);
    let mut client = client_of(&cluster.members[0]).await;
    client.put("k", "v", None).await.expect("a put is answered");
    let read_here = || Some(GetOptions::new().with_serializable());
    let here = until_read(&mut client, b"v").await;
    assert!(here, "the write arrives at this member");
    cluster.members[1].kill();
    cluster.members[2].kill();

    let got = client.get("k", read_here()).await.expect("a serializable get needs nobody");
    assert_eq!(got.kvs()[0].value(), b"v");
    let put = tokio::time::timeout(SOON, client.put("k", "lost", None)).await;
    let refused = put.expect("a write without a quorum is refused and does not hang");
    assert!(refused.is_err(), "a write without a quorum cannot be acknowledged");
    let get = tokio::time::timeout(SOON, client.get("k", None)).await;
    let refused = get.expect("a read without a quorum is refused and does not hang");
    assert!(refused.is_err(), "a linearizable read needs a quorum");

    cluster.start_all();
    cluster.await_serving();
    client.put("k", "again", None).await.expect("with a quorum it goes on");
}

#[tokio::test]
async fn one_stream_carries_many_watches() {
    let (_cluster, mut client) = single().await;
    for (key, value) in [("a/1", "one"), ("b/1", "one"), ("a/2", "two")] {
        client.put(key, value, None).await.expect("a put is answered");
    }
    client.delete("a/1", None).await.expect("a delete is answered");

    let from_the_past =
        WatchOptions::new().with_prefix().with_start_revision(2).with_watch_id(5).with_prev_key();
    let mut stream = client.watch("a/", Some(from_the_past)).await.expect("a watch begins");
    let events = events_of(&mut stream, 5, 3).await;
    assert_eq!(events, ["PUT a/1 one", "PUT a/2 two", "DELETE a/1  was one"]);

    let no_puts = WatchOptions::new()
        .with_key("b/")
        .with_prefix()
        .with_start_revision(2)
        .with_watch_id(6)
        .with_filters([WatchFilterType::NoPut]);
    stream.watch("b/", Some(no_puts)).await.expect("a second watch begins on the stream");
    client.put("b/1", "more", None).await.expect("a put is answered");
    client.delete("b/1", None).await.expect("a delete is answered");
    assert_eq!(events_of(&mut stream, 6, 1).await, ["DELETE b/1 "]);

    stream.cancel(5).await.expect("a cancel is sent");
    let cancelled = message(&mut stream).await;
    assert!(cancelled.canceled() && cancelled.watch_id() == 5, "{cancelled:?}");
    client.put("a/3", "unseen", None).await.expect("a put is answered");
    client.put("b/2", "unseen", None).await.expect("a put is answered");
    client.delete("b/2", None).await.expect("a delete is answered");
    assert_eq!(events_of(&mut stream, 6, 1).await, ["DELETE b/2 "]);
}

#[tokio::test]
async fn a_watch_from_a_revision_ahead_waits_for_it() {
    let (_cluster, mut client) = single().await;
    let put = client.put("elsewhere", "x", None).await.expect("a put is answered");
    let now = put.header().expect("an answer has a header").revision();
    let options = WatchOptions::new().with_prefix().with_start_revision(now + 2);
    let mut stream = client.watch("future/", Some(options)).await.expect("a watch begins");
    let created = message(&mut stream).await;
    assert!(created.created() && created.events().is_empty(), "{created:?}");
    for (key, value) in [("a", "too early"), ("b", "in time"), ("a", "later")] {
        client.put(format!("future/{key}"), value, None).await.expect("a put is answered");
    }
    let events = events_of(&mut stream, created.watch_id(), 2).await;
    assert_eq!(events, ["PUT future/b in time", "PUT future/a later"]);
}

#[tokio::test]
async fn a_watch_sees_a_transaction_whole_and_one_of_the_compacted_is_cancelled() {
    let (_cluster, mut client) = single().await;
    let both = Txn::new()
        .when([Compare::version("x", CompareOp::Equal, 0)])
        .and_then([TxnOp::put("x", "1", None), TxnOp::put("y", "1", None)]);
    client.txn(both).await.expect("a transaction is answered");
    let options = WatchOptions::new().with_all_keys().with_start_revision(2);
    let mut stream = client.watch("", Some(options)).await.expect("a watch begins");
    let both = loop {
        let message = message(&mut stream).await;
        if !message.created() {
            break message;
        }
    };
    let revisions: Vec<i64> =
        both.events().iter().filter_map(|event| Some(event.kv()?.mod_revision())).collect();
    assert_eq!(revisions, [2, 2], "two changes of one revision come in one message");

    client.put("x", "2", None).await.expect("a put is answered");
    client.compact(3, None).await.expect("a compaction is answered");
    let options = WatchOptions::new().with_start_revision(2);
    let mut late = client.watch("x", Some(options)).await.expect("a watch is asked for");
    let cancelled = loop {
        let message = message(&mut late).await;
        if message.canceled() {
            break message;
        }
    };
    assert_eq!(cancelled.compact_revision(), 3, "it says from where on it can go on");
}

#[tokio::test]
async fn move_leader_at_the_leader_makes_the_chosen_member_lead() {
    let cluster = cluster(3);
    let mut ids = Vec::new();
    let mut clients = Vec::new();
    for member in &cluster.members {
        let mut client = client_of(member).await;
        ids.push(member_id(&mut client).await);
        clients.push(client);
    }
    let leader = clients[0].status().await.expect("status is answered").leader();
    let at = ids.iter().position(|id| *id == leader).expect("the leader is a member");
    let to = ids[(at + 1) % 3];
    let follower = clients[(at + 2) % 3].move_leader(to).await;
    assert_eq!(code_of(follower.expect_err("a follower cannot")), Code::FailedPrecondition);
    clients[at].move_leader(to).await.expect("the leader hands over");
    let mut leads = false;
    for client in &mut clients {
        leads |= client.status().await.expect("status is answered").leader() == to;
    }
    assert!(leads, "the chosen member leads");
}

/// Events of one watch as text, until there are `count`.
async fn events_of(stream: &mut WatchStream, watch: i64, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    while events.len() < count {
        let message = message(stream).await;
        assert!(!message.canceled(), "{message:?}");
        assert!(message.created() || message.watch_id() == watch, "{message:?}");
        for event in message.events() {
            let kv = event.kv().expect("an event has a key");
            let kind = if event.event_type() == EventType::Put { "PUT" } else { "DELETE" };
            let (key, value) = (text(kv.key()), text(kv.value()));
            let was = event.prev_kv().map(|previous| format!(" was {}", text(previous.value())));
            events.push(format!("{kind} {key} {value}{}", was.unwrap_or_default()));
        }
    }
    events
}

async fn message(stream: &mut WatchStream) -> etcd_client::WatchResponse {
    let message = tokio::time::timeout(SOON, stream.message()).await;
    let message = message.expect("a message comes in time").expect("the stream is sound");
    message.expect("the stream goes on")
}

async fn until_read(client: &mut Client, value: &[u8]) -> bool {
    let read = kvorum_tests::wait::until_async(SOON, async || {
        let options = GetOptions::new().with_serializable();
        let got = client.get("k", Some(options)).await.ok()?;
        (got.kvs().first()?.value() == value).then_some(())
    });
    read.await.is_some()
}

async fn member_id(client: &mut Client) -> u64 {
    let status = client.status().await.expect("status is answered");
    status.header().expect("an answer has a header").member_id()
}

fn code_of(error: Error) -> Code {
    match error {
        Error::GRpcStatus(status) => status.code(),
        other => panic!("no status: {other}"),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn get(address: &str, path: &str) -> (u16, Value) {
    try_get(address, path).expect("HTTP is answered")
}

/// Status and JSON body of a GET.
fn try_get(address: &str, path: &str) -> std::io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SOON))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    // Chunked or not, the JSON object is what stands between its braces.
    let object = body.find('{').zip(body.rfind('}')).map(|(from, to)| &body[from..=to]);
    Ok((status, serde_json::from_str(object.unwrap_or_default()).unwrap_or_default()))
}
