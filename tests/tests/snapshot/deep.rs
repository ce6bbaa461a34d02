//! A file of many pages: trees of three levels, and names as long as pages.

use etcd_client::{Client, Txn, TxnOp};
use kvorum_tests::program::{NO_ETCD, Names, real_etcd, real_etcdctl};
use kvorum_tests::{binary, or_skip};
use serde_json::Value;

use super::server::{Auth, Server};
use super::{folder, must, path, restore};

/// On a page are some 60 of them, and on a branch 120 pages.
const KEYS: usize = 50_000;
/// As many as a transaction takes.
const AT_ONCE: usize = 125;

#[test]
fn etcd_finds_no_fault_in_a_deep_tree_and_goes_on_with_it() {
    let (etcd, etcdctl) = (or_skip!(real_etcd(), NO_ETCD), or_skip!(real_etcdctl(), NO_ETCD));
    let names = Names::of(binary!());
    let (_folder, file) = folder();
    let ours = Server::start(&names.server());
    fill(&ours.cluster.endpoints());
    ours.snapshot(&file);
    // This goes through bbolt's own check of the whole file.
    let said = must(&etcdctl, &["snapshot", "status", "-w", "json", path(&file)]);
    let status: Value = serde_json::from_str(&said).expect("the status is JSON");
    let last = (KEYS / AT_ONCE) as i64 + 1;
    assert_eq!(status["revision"], last);
    let own = must(&names.kvorum(), &["snapshot", "status", "-w", "json", path(&file)]);
    let own: Value = serde_json::from_str(&own).expect("the status is JSON");
    assert_eq!((&own["hash"], &own["totalKey"]), (&status["hash"], &KEYS.into()));
    let theirs = Server::of(&etcd, Auth::Disabled, |_, flags| {
        restore(&etcdctl, &file, flags, &[]);
    });
    assert_eq!(theirs.hash_at(0), ours.hash_at(0));
    assert_eq!(theirs.hash_at(last / 2), ours.hash_at(last / 2));
    let roles = |server: &Server| server.etcdctl.json(&["role", "list"])["roles"].clone();
    assert_eq!(roles(&theirs), roles(&ours));
    assert_eq!(theirs.etcdctl.say(&["put", "key/00000", "after"]), "OK\n");
    ours.etcdctl.say(&["put", "key/00000", "after"]);
    assert_eq!(theirs.hash_at(0), ours.hash_at(0));
}

#[tokio::main(flavor = "current_thread")]
async fn fill(endpoint: &str) {
    let mut client = Client::connect([endpoint], None).await.expect("the server is there");
    for first in (0..KEYS).step_by(AT_ONCE) {
        let put = |key| TxnOp::put(format!("key/{key:05}"), "value", None);
        let puts: Vec<TxnOp> = (first..first + AT_ONCE).map(put).collect();
        client.txn(Txn::new().and_then(puts)).await.expect("a transaction");
    }
    for role in 0..20 {
        let name = format!("{role:02}").repeat(200 * role + 1);
        client.role_add(name).await.expect("a role is made");
    }
}
