//! The way in and the way out: snapshots and data directories go from our server to etcd and from
//! etcd to ours, and on both sides there is the same: keys, revisions, history, leases, users and
//! roles, with auth enabled or not.
//!
//! `HashKV` of Debian's etcd is the judge of keys and history: it hashes every revision that a
//! compaction has kept.

mod deep;
mod import;
mod server;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kvorum_tests::cluster::Cluster;
use kvorum_tests::etcdctl::Outcome;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd, real_etcdctl};
use kvorum_tests::{binary, or_skip};
use serde_json::Value;
use server::{Auth, LAST, Server};

fn run(program: &Program, args: &[&str]) -> Outcome {
    let mut command: Command = program.command();
    let output = command.args(args).stdin(Stdio::null()).output().expect("the program runs");
    Outcome {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}

fn must(program: &Program, args: &[&str]) -> String {
    let outcome = run(program, args);
    assert_eq!(outcome.code, 0, "{args:?}: {outcome:?}");
    outcome.stdout
}

/// `snapshot restore` of one of the three programs.
fn restore(program: &Program, file: &Path, flags: &[String], more: &[&str]) {
    let file = file.to_str().expect("the path is text");
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    must(program, &[&["snapshot", "restore", file], &flags[..], more].concat());
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("backup.db");
    (folder, file)
}

#[test]
fn an_etcd_started_from_our_snapshot_has_what_an_etcd_has_that_got_the_same() {
    from_ours_to_etcd(Auth::Disabled);
}

#[test]
fn an_etcd_started_from_our_snapshot_asks_for_the_same_passwords() {
    from_ours_to_etcd(Auth::Enabled);
}

fn from_ours_to_etcd(auth: Auth) {
    let (etcd, etcdctl) = (or_skip!(real_etcd(), NO_ETCD), or_skip!(real_etcdctl(), NO_ETCD));
    let names = Names::of(binary!());
    let (_folder, file) = folder();
    let (theirs, ours) = (Server::filled(&etcd, auth), Server::filled(&names.server(), auth));
    assert_eq!(ours.contents(), theirs.contents());
    assert_eq!(ours.hashes(), theirs.hashes());
    ours.snapshot(&file);
    // etcd's own look through the file finds no fault, and says what is in it.
    let said = must(&etcdctl, &["snapshot", "status", "-w", "json", path(&file)]);
    let status: Value = serde_json::from_str(&said).expect("the status is JSON");
    assert_eq!(status["revision"], LAST, "{status}");
    let size = fs::metadata(&file).expect("the file is there").len();
    assert_eq!(status["totalSize"].as_u64(), Some(size - 32));
    let own = must(&names.kvorum(), &["snapshot", "status", "-w", "json", path(&file)]);
    let own: Value = serde_json::from_str(&own).expect("the status is JSON");
    assert_eq!((&own["hash"], &own["revision"]), (&status["hash"], &status["revision"]));
    assert_eq!(own["version"], "3.6.0");
    let restored = Server::of(&etcd, auth, |_, flags| restore(&etcdctl, &file, flags, &[]));
    assert_eq!(restored.contents(), theirs.contents());
    assert_eq!(restored.hashes(), theirs.hashes());
    assert_eq!(restored.revision(), LAST);
    // And it goes on from there as any etcd.
    restored.expect_auth(auth);
    let last = restored.revision();
    restored.etcdctl.say(&["put", "after", "all"]);
    restored.etcdctl.say(&["lease", "revoke", "4d"]);
    assert_eq!(restored.etcdctl.say(&["get", "leased/a"]), "");
    restored.etcdctl.say(&["compaction", &LAST.to_string()]);
    restored.etcdctl.say(&["defrag"]);
    assert_eq!(restored.revision(), last + 2);
}

#[test]
fn our_server_started_from_etcds_snapshot_has_what_etcd_has() {
    from_etcd_to_ours(Auth::Disabled);
}

#[test]
fn our_server_started_from_etcds_snapshot_asks_for_the_same_passwords() {
    from_etcd_to_ours(Auth::Enabled);
}

fn from_etcd_to_ours(auth: Auth) {
    let (etcd, etcdctl) = (or_skip!(real_etcd(), NO_ETCD), or_skip!(real_etcdctl(), NO_ETCD));
    let names = Names::of(binary!());
    let (_folder, file) = folder();
    let theirs = Server::filled(&etcd, auth);
    theirs.snapshot(&file);
    let ours = Server::of(&names.server(), auth, |_, flags| {
        restore(&names.kvorum(), &file, flags, &[]);
    });
    assert_eq!(ours.contents(), theirs.contents());
    assert_eq!(ours.hashes(), theirs.hashes());
    assert_eq!(ours.revision(), LAST);
    // What we took over is what we give back.
    let (_folder, again) = folder();
    ours.snapshot(&again);
    let back = Server::of(&etcd, auth, |_, flags| restore(&etcdctl, &again, flags, &[]));
    assert_eq!(back.contents(), theirs.contents());
    assert_eq!(back.hashes(), theirs.hashes());
    back.expect_auth(auth);
    // And a restart reads back what the restore wrote.
    let mut ours = ours;
    ours.etcdctl.say(&["put", "after", "all"]);
    ours.cluster.members[0].kill();
    ours.cluster.members[0].start();
    ours.cluster.await_serving();
    assert_eq!(ours.revision(), LAST + 1);
    assert_eq!(ours.contents()[..5], theirs.contents()[..5]);
    ours.expect_auth(auth);
}

#[test]
fn three_members_restored_from_one_snapshot_are_a_cluster() {
    let names = Names::of(binary!());
    let (_folder, file) = folder();
    let mut cluster = Cluster::start(&names.server(), 3);
    let kvorum = names.kvorum();
    let endpoint = cluster.members[0].endpoint();
    let with = ["--endpoints", &endpoint];
    for key in ["a", "b", "c"] {
        must(&kvorum, &[&with[..], &["put", key, "before"]].concat());
    }
    must(&kvorum, &[&with[..], &["snapshot", "save", path(&file)]].concat());
    cluster.kill_all();
    let peers: Vec<String> = cluster
        .members
        .iter()
        .map(|member| format!("{}={}", member.name, member.peer_url()))
        .collect();
    for member in &cluster.members {
        fs::remove_dir_all(member.data_dir()).expect("a folder can be removed");
        let flags = [
            format!("--name={}", member.name),
            format!("--data-dir={}", member.data_dir().display()),
            format!("--initial-cluster={}", peers.join(",")),
            format!("--initial-advertise-peer-urls={}", member.peer_url()),
        ];
        restore(&kvorum, &file, &flags, &["--bump-revision=1000", "--mark-compacted"]);
    }
    cluster.start_all();
    cluster.await_serving();
    for member in &cluster.members {
        let endpoint = member.endpoint();
        let got = must(&kvorum, &["--endpoints", &endpoint, "get", "a", "-w", "json"]);
        let got: Value = serde_json::from_str(&got).expect("the answer is JSON");
        assert_eq!(got["header"]["revision"], 1004, "{got}");
        assert_eq!(got["kvs"][0]["mod_revision"], 2, "{got}");
    }
    assert_eq!(must(&kvorum, &["--endpoints", &endpoint, "put", "d", "after"]), "OK\n");
}

#[test]
fn a_raised_revision_is_told_to_watchers_and_understood_by_etcd() {
    let (etcd, etcdctl) = (or_skip!(real_etcd(), NO_ETCD), or_skip!(real_etcdctl(), NO_ETCD));
    let names = Names::of(binary!());
    let (_folder, file) = folder();
    let auth = Auth::Disabled;
    let theirs = Server::filled(&etcd, auth);
    theirs.snapshot(&file);
    let raise = ["--bump-revision", "1000000", "--mark-compacted"];
    let ours = Server::of(&names.server(), auth, |_, flags| {
        restore(&names.etcdutl(), &file, flags, &raise);
    });
    assert_eq!(ours.revision(), LAST + 1_000_000);
    let watch = ours.etcdctl.run(&["watch", "key/000", "--rev", &(LAST + 1).to_string()]);
    assert!(watch.stderr.contains("required revision has been compacted"), "{watch:?}");
    let mut latest = theirs.contents();
    let now = ours.etcdctl.json(&["get", "", "--from-key"])["kvs"].clone();
    assert_eq!(now, latest.remove(5));
    ours.etcdctl.say(&["put", "after", "all"]);
    let (_folder, again) = folder();
    ours.snapshot(&again);
    let back = Server::of(&etcd, auth, |_, flags| restore(&etcdctl, &again, flags, &[]));
    assert_eq!(back.revision(), LAST + 1_000_001);
    assert_eq!(back.etcdctl.say(&["get", "key/029"]), ours.etcdctl.say(&["get", "key/029"]));
}

/// Of members that are no more, NOSPACE would be taken back by nobody: whoever is restored judges by
/// its own quota. CORRUPT is about the data, which is the same.
#[test]
fn alarms_go_along_but_for_that_of_a_quota_of_others() {
    let (etcd, etcdctl) = (or_skip!(real_etcd(), NO_ETCD), or_skip!(real_etcdctl(), NO_ETCD));
    let names = Names::of(binary!());
    let (folder, file) = folder();
    let ours = Server::start(&names.server());
    ours.etcdctl.say(&["put", "key", "value"]);
    ours.raise_alarms();
    let both = ["memberID:7 alarm:CORRUPT", "memberID:8 alarm:NOSPACE"];
    assert_eq!(ours.alarms(), both);
    ours.snapshot(&file);
    let auth = Auth::Disabled;
    let theirs = Server::made(&etcd, auth, |_, flags| restore(&etcdctl, &file, flags, &[]));
    assert_eq!(theirs.alarms(), both);
    let again = folder.path().join("again.db");
    theirs.snapshot(&again);
    let back = Server::made(&names.server(), auth, |_, flags| {
        restore(&names.kvorum(), &again, flags, &[]);
    });
    assert_eq!(back.alarms(), both[..1]);
    back.etcdctl.say(&["alarm", "disarm"]);
    assert_eq!(back.etcdctl.say(&["put", "key", "value"]), "OK\n");
}

#[test]
fn a_backup_is_private_and_one_that_was_changed_is_refused_and_leaves_nothing() {
    let names = Names::of(binary!());
    let (folder, file) = folder();
    let cluster = Cluster::start(&names.server(), 1);
    let (kvorum, endpoint) = (names.kvorum(), cluster.endpoints());
    let with = ["--endpoints", endpoint.as_str()];
    must(&kvorum, &[&with[..], &["put", "key", "value"]].concat());
    let said = must(&kvorum, &[&with[..], &["snapshot", "save", path(&file)]].concat());
    assert_eq!(said, format!("Snapshot saved at {}\nServer version 3.6.0\n", file.display()));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let good = fs::read(&file).unwrap();
    let dir = folder.path().join("data");
    let to = format!("--data-dir={}", dir.display());
    let restore =
        |more: &[&str]| run(&kvorum, &[&["snapshot", "restore", path(&file), &to], more].concat());
    let left = || -> Vec<_> {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).filter(|name| name != "backup.db").collect()
    };
    for (at, complaint) in
        [(good.len() / 2, "expected sha256 ["), (good.len() - 1, "expected sha256 [")]
    {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&file, bad).unwrap();
        let outcome = restore(&[]);
        assert!(outcome.code == 1 && outcome.stderr.contains(complaint), "{outcome:?}");
        assert_eq!(left(), Vec::<std::ffi::OsString>::new());
    }
    fs::write(&file, &good[..good.len() - 32]).unwrap();
    let outcome = restore(&[]);
    assert!(
        outcome.stderr.contains("snapshot missing hash but --skip-hash-check=false"),
        "{outcome:?}"
    );
    fs::write(&file, &good[..good.len() / 2]).unwrap();
    let outcome = restore(&["--skip-hash-check"]);
    assert!(outcome.stderr.contains("its end is lost"), "{outcome:?}");
    assert_eq!(left(), Vec::<std::ffi::OsString>::new());
    fs::write(&file, &good[..good.len() - 32]).unwrap();
    assert_eq!(restore(&["--skip-hash-check"]).code, 0);
    let outcome = restore(&["--skip-hash-check"]);
    assert!(outcome.stderr.contains("not empty or could not be read"), "{outcome:?}");
}

#[test]
fn arguments_are_refused_as_etcdutl_refuses_them() {
    let names = Names::of(binary!());
    for (args, code, text) in [
        (&["snapshot", "save"][..], 128, "snapshot save expects one argument"),
        (&["snapshot", "status"], 128, "snapshot status requires exactly one argument"),
        (&["snapshot", "restore", "a", "b"], 128, "snapshot restore requires exactly one argument"),
        (
            &["snapshot", "restore", "a", "--bump-revision", "5"],
            128,
            "--mark-compacted required if --revision-bump > 0",
        ),
        (&["snapshot", "restore", "a", "--mark-compacted"], 128, "--mark-compacted required"),
        (&["snapshot", "restore", "a", "--wal-dir", "w"], 128, "leave it out"),
        (&["snapshot", "restore", "a", "--name", "x"], 1, "couldn't find local name \"x\""),
        (&["snapshot", "restore", "no such file"], 1, "No such file"),
        (&["snapshot", "status", "no such file"], 1, "No such file"),
        (&["--endpoints", "a:1,b:1", "snapshot", "save", "f"], 5, "not multiple [a:1 b:1]"),
    ] {
        for program in [names.etcdctl(), names.kvorum()] {
            let outcome = run(&program, args);
            assert_eq!(outcome.code, code, "{args:?}: {outcome:?}");
            assert!(outcome.stderr.contains(text), "{args:?}: {outcome:?}");
        }
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}
