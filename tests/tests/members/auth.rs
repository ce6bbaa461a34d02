//! Debian's etcdctl turns auth on, works under it and turns it off, against our member as against
//! Debian's etcd: the same commands, the same answers.

use kvorum_tests::cluster::Cluster;
use kvorum_tests::etcdctl::Etcdctl;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd, real_etcdctl};
use kvorum_tests::{binary, or_skip};

#[test]
fn etcdctl_works_under_auth_with_our_member() {
    under_auth(&Names::of(binary!()).server());
}

#[test]
fn etcdctl_works_under_auth_with_debians_etcd() {
    under_auth(&or_skip!(real_etcd(), NO_ETCD));
}

const ROOT: &str = "--user=root:secret";
const ALICE: &str = "--user=alice:hidden";

fn under_auth(server: &Program) {
    let etcdctl = or_skip!(real_etcdctl(), NO_ETCD);
    let cluster = Cluster::start(server, 1);
    let etcdctl = Etcdctl::new(&etcdctl, cluster.endpoints());
    prepare(&etcdctl);
    work(&etcdctl);
    end(&etcdctl);
}

fn refused(etcdctl: &Etcdctl, args: &[&str], why: &str) {
    let outcome = etcdctl.run(args);
    assert_ne!(outcome.code, 0, "{args:?}: {outcome:?}");
    assert!(outcome.stderr.contains(why), "{args:?}: {outcome:?}");
}

fn prepare(etcdctl: &Etcdctl) {
    refused(etcdctl, &["auth", "enable"], "root user does not exist");
    assert_eq!(etcdctl.say(&["user", "add", "root:secret"]), "User root created\n");
    assert_eq!(etcdctl.say(&["user", "add", "alice:hidden"]), "User alice created\n");
    refused(etcdctl, &["user", "add", "alice:other"], "user name already exists");
    refused(etcdctl, &["user", "grant-role", "alice", "app"], "role name not found");
    assert_eq!(etcdctl.say(&["role", "add", "app"]), "Role app created\n");
    let grant = ["role", "grant-permission", "app", "readwrite", "app/", "--prefix"];
    assert_eq!(etcdctl.say(&grant), "Role app updated\n");
    let granted = etcdctl.say(&["user", "grant-role", "alice", "app"]);
    assert_eq!(granted, "Role app is granted to user alice\n");
    etcdctl.say(&["user", "grant-role", "root", "root"]);
    let shown = etcdctl.say(&["role", "get", "app"]);
    assert!(shown.contains("[app/, app0) (prefix app/)"), "{shown}");
    assert_eq!(etcdctl.say(&["auth", "enable"]), "Authentication Enabled\n");
}

fn work(etcdctl: &Etcdctl) {
    refused(etcdctl, &["put", "app/a", "1"], "etcdserver: user name is empty");
    let wrong = ["put", "app/a", "1", "--user=alice:wrong"];
    refused(etcdctl, &wrong, "authentication failed, invalid user ID or password");
    assert_eq!(etcdctl.say(&["put", "app/a", "1", ALICE]), "OK\n");
    assert_eq!(etcdctl.say(&["get", "app/", "--prefix", ALICE]), "app/a\n1\n");
    refused(etcdctl, &["put", "other", "1", ALICE], "etcdserver: permission denied");
    refused(etcdctl, &["get", "", "--from-key", ALICE], "etcdserver: permission denied");
    refused(etcdctl, &["user", "list", ALICE], "etcdserver: permission denied");
    assert_eq!(etcdctl.say(&["user", "list", ROOT]), "alice\nroot\n");
    let shown = etcdctl.say(&["user", "get", "alice", ALICE]);
    assert_eq!(shown, "User: alice\nRoles: app\n");
    refused(etcdctl, &["user", "delete", "root", ROOT], "invalid auth management");
    let revoke = ["role", "revoke-permission", "app", "app/", "--prefix", ROOT];
    etcdctl.say(&revoke);
    refused(etcdctl, &["get", "app/a", ALICE], "etcdserver: permission denied");
    refused(etcdctl, &revoke, "permission is not granted to the role");
}

fn end(etcdctl: &Etcdctl) {
    refused(etcdctl, &["auth", "disable", ALICE], "etcdserver: permission denied");
    assert_eq!(etcdctl.say(&["auth", "disable", ROOT]), "Authentication Disabled\n");
    assert_eq!(etcdctl.say(&["put", "other", "1"]), "OK\n");
}
