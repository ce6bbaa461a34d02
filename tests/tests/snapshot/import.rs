//! From the data directory of an etcd that was killed: what it had acknowledged is there, and nothing
//! that it had refused.

use etcd_client::{Client, ConnectOptions, PutOptions, Txn, TxnOp};
use kvorum_tests::cluster::{Cluster, contents_of};
use kvorum_tests::program::{NO_ETCD, Names, real_etcd};
use kvorum_tests::{binary, or_skip};

use super::server::{Auth, LAST, LEASES, Server};
use super::{folder, must, path, run};

#[test]
fn the_data_directory_of_an_etcd_that_was_killed_is_taken_over() {
    taken_over(Auth::Disabled);
}

#[test]
fn the_data_directory_of_an_etcd_that_was_killed_is_taken_over_with_its_users() {
    taken_over(Auth::Enabled);
}

fn taken_over(auth: Auth) {
    let etcd = or_skip!(real_etcd(), NO_ETCD);
    let names = Names::of(binary!());
    let mut theirs = Server::filled(&etcd, auth);
    let from = theirs.cluster.members[0].data_dir();
    let kvorum = names.kvorum();
    let (folder, _) = folder();
    let to = format!("--data-dir={}", folder.path().join("new").display());
    let while_it_runs = run(&kvorum, &["server", "import", path(&from), &to]);
    assert_eq!(while_it_runs.code, 1);
    assert!(while_it_runs.stderr.contains("its etcd runs; stop it first"), "{while_it_runs:?}");
    let before = theirs.contents();
    // Acknowledged, and most likely not in the store but in the log alone.
    theirs.etcdctl.say(&["put", "last", "words"]);
    theirs.cluster.members[0].kill();
    let files = contents_of(&from);
    let ours = Server::of(&names.server(), auth, |_, flags| {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        must(&kvorum, &[&["server", "import", path(&from)], &flags[..]].concat());
    });
    assert_eq!(contents_of(&from), files, "nothing of it was changed");
    assert_eq!(ours.revision(), LAST + 1);
    assert_eq!(ours.contents(), before);
    assert_eq!(ours.etcdctl.say(&["get", "last"]), "last\nwords\n");
    ours.expect_auth(auth);
    // Started on etcd's own directory, the server names this way.
    let started = run(&names.kvorum(), &["server", &format!("--data-dir={}", path(&from))]);
    assert!(started.stderr.contains("kvorum server import"), "{started:?}");
}

/// A put is acknowledged when it is on two of three disks; that it is committed comes into the log
/// with a later write.
#[test]
fn what_three_etcds_acknowledged_just_before_they_were_killed_is_taken_over() {
    let etcd = or_skip!(real_etcd(), NO_ETCD);
    let kvorum = Names::of(binary!()).kvorum();
    let mut cluster = Cluster::start(&etcd, 3);
    let acknowledged = put_some(&cluster.endpoints());
    cluster.kill_all();
    let (folder, _) = folder();
    let mut whole = 0;
    for member in &cluster.members {
        let to = format!("--data-dir={}", folder.path().join(&member.name).display());
        let said = must(&kvorum, &["server", "import", path(&member.data_dir()), &to]);
        whole += usize::from(said.starts_with(&format!("20 keys at revision {acknowledged} ")));
    }
    assert!(whole >= 2, "{whole} of three members have what was acknowledged");
}

/// Puts 20 keys one after the other; answers the revision of the last acknowledgement.
#[tokio::main(flavor = "current_thread")]
async fn put_some(endpoints: &str) -> i64 {
    let endpoints: Vec<&str> = endpoints.split(',').collect();
    let mut client = Client::connect(endpoints, None).await.expect("the servers are there");
    let mut revision = 0;
    for key in 0..20 {
        let done = client.put(format!("key/{key}"), "value", None).await.expect("a put is done");
        revision = done.header().expect("an answer has a header").revision();
    }
    revision
}

/// What etcd 3.4 asks nobody about, and what it does not look at in a transaction, has happened all
/// the same. What it refused has not.
#[test]
fn what_an_etcd_with_users_did_is_taken_over_by_its_rules() {
    let etcd = or_skip!(real_etcd(), NO_ETCD);
    let names = Names::of(binary!());
    let mut theirs = Server::filled(&etcd, Auth::Enabled);
    // From here on everything is in the log alone.
    let member = &mut theirs.cluster.members[0];
    member.terminate();
    member.flags.push("--backend-batch-interval=1h".to_owned());
    member.flags.push("--backend-batch-limit=1000000".to_owned());
    member.start();
    member.await_serving();
    let anyone = theirs.anyone();
    anyone.say(&["compaction", "200"]);
    anyone.say(&["lease", "grant", "1000"]);
    try_as_alice(&theirs.cluster.endpoints());
    anyone.say(&["lease", "grant", "2000"]);
    theirs.etcdctl.say(&["put", "last", "words"]);
    let from = theirs.cluster.members[0].data_dir();
    theirs.cluster.members[0].kill();
    let ours = Server::of(&names.server(), Auth::Enabled, |_, flags| {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        must(&names.kvorum(), &[&["server", "import", path(&from)], &flags[..]].concat());
    });
    theirs.cluster.members[0].start();
    theirs.cluster.await_serving();
    assert_eq!(ours.revision(), LAST + 3);
    assert_eq!(ours.revision(), theirs.revision());
    assert_eq!(ours.leases(), theirs.leases());
    assert_eq!(ours.leases().len(), 4);
    let all = ["get", "", "--from-key"];
    assert_eq!(ours.etcdctl.json(&all)["kvs"], theirs.etcdctl.json(&all)["kvs"]);
    assert_eq!(ours.hash_at(0), theirs.hash_at(0));
}

/// Writes through a transaction in a transaction what she may not, attaches a key to a lease that is
/// not hers; and is refused a plain put.
#[tokio::main(flavor = "current_thread")]
async fn try_as_alice(endpoint: &str) {
    let options = ConnectOptions::new().with_user("alice", "wonder/land");
    let mut client = Client::connect([endpoint], Some(options)).await.expect("she may log in");
    let within = Txn::new().and_then(vec![TxnOp::put("forbidden", "done", None)]);
    let lease = PutOptions::new().with_lease(LEASES[0]);
    for op in [TxnOp::txn(within), TxnOp::put("empty", "leased", Some(lease))] {
        client.txn(Txn::new().and_then(vec![op])).await.expect("etcd 3.4 does not look");
    }
    client.put("forbidden/too", "", None).await.expect_err("she may not");
}

#[test]
fn the_log_of_an_etcd_may_be_elsewhere() {
    let etcd = or_skip!(real_etcd(), NO_ETCD);
    let kvorum = Names::of(binary!()).kvorum();
    let (folder, _) = folder();
    let elsewhere = folder.path().join("wal");
    let flag = format!("--wal-dir={}", elsewhere.display());
    let mut cluster = Cluster::start_with(&etcd, 1, &[&flag]);
    let acknowledged = put_some(&cluster.endpoints());
    cluster.kill_all();
    let from = cluster.members[0].data_dir();
    let to = format!("--data-dir={}", folder.path().join("new").display());
    let import = ["server", "import", path(&from), &to];
    let without = run(&kvorum, &import);
    assert!(without.code == 1 && without.stderr.contains("--wal-dir"), "{without:?}");
    let said = must(&kvorum, &[&import[..], &[&flag]].concat());
    assert!(said.starts_with(&format!("20 keys at revision {acknowledged} ")), "{said}");
}
