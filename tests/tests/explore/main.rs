//! Looking into a keyspace, as a person and a script meet it: `ls`, `tree`, `du`, `count`, `grep`,
//! `leases`, `locks`, `roles-for` and `wait`, in a pipe and on a terminal, against our server and
//! Debian's etcd.
//!
//! What is said stands in `transcripts/`, one for each scene and the same for both servers;
//! `KVORUM_UPDATE=1` writes them anew.

mod meanwhile;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kvorum_tests::cluster::Cluster;
use kvorum_tests::keyspace::Keyspace;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::transcript::Transcript;
use kvorum_tests::wait::until;
use kvorum_tests::{binary, or_skip, workspace};

/// Which server a scene is played on.
fn ours() -> Program {
    Names::of(binary!()).server()
}

fn transcript(scene: &str, cluster: &Cluster) -> Transcript {
    Transcript::of(path_of(scene), Names::of(binary!()).kvorum(), cluster)
}

fn path_of(scene: &str) -> PathBuf {
    workspace::root().join("tests/tests/explore/transcripts").join(format!("{scene}.txt"))
}

/// Plays a scene on both servers.
macro_rules! on_both {
    ($ours:ident, $etcd:ident, $scene:path) => {
        #[test]
        fn $ours() {
            $scene(&ours());
        }

        #[test]
        fn $etcd() {
            $scene(&or_skip!(real_etcd(), NO_ETCD));
        }
    };
}

on_both!(keys_that_are_not_there_on_ours, keys_that_are_not_there_on_etcd, missing);
on_both!(a_small_keyspace_on_ours, a_small_keyspace_on_etcd, small);
on_both!(keys_that_are_no_text_on_ours, keys_that_are_no_text_on_etcd, binary_keys);
on_both!(a_user_with_few_rights_on_ours, a_user_with_few_rights_on_etcd, denied);
on_both!(without_a_quorum_on_ours, without_a_quorum_on_etcd, no_quorum);
on_both!(a_hundred_thousand_keys_on_ours, a_hundred_thousand_keys_on_etcd, many);
on_both!(a_lost_member_on_ours, a_lost_member_on_etcd, meanwhile::a_member_is_lost);
on_both!(a_compaction_on_ours, a_compaction_on_etcd, meanwhile::history_is_given_up);
on_both!(waiting_on_ours, waiting_on_etcd, waiting);

fn missing(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let mut told = transcript("missing", &cluster);
    for words in [
        &["ls"][..],
        &["tree"],
        &["du"],
        &["count"],
        &["grep", "x"],
        &["leases"],
        &["locks"],
        &["roles-for", "/nope"],
        &["wait", "/nope", "--timeout", "50ms"],
        &["ls", "/nope"],
        &["ls", "/nope", "--exit-status"],
        &["tree", "/nope", "-o", "json"],
        &["grep", "x", "/nope", "-o", "json"],
        &["grep", "a(b"],
        &["wait", "/nope", "--for", "gone"],
    ] {
        told.pipe(words);
    }
    for words in [&["tree"][..], &["du", "/nope"], &["grep", "x"]] {
        told.terminal(words);
    }
    told.check();
}

fn small(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    for key in ["/app/a", "/app/b", "/app/db/host", "/app/db/port", "/app-old", "/svc/web/1", "z"] {
        keyspace.put(key, &format!("value of {key}\nsecond line"));
    }
    keyspace.put("/app/a", "again");
    keyspace.lease_put(0x694d, "/svc/web/2", "leased");
    for (lease, name) in [(0x7777, "/locks/cron"), (0x5555, "/locks/cron"), (0x1234, "/locks/x")] {
        keyspace.lease_put(lease, &format!("{name}/{lease:x}"), "");
    }
    keyspace.put("/registry/secrets/default/token", "value of a secret");
    let mut told = transcript("small", &cluster);
    let verbs: &[&[&str]] = &[
        &["ls"],
        &["ls", "/app"],
        &["ls", "-l", "/"],
        &["ls", "-l", "/app/"],
        &["ls", "/app/", "-o", "ndjson"],
        &["ls", "/app/", "-o", "keys", "--rev", "3"],
        &["tree"],
        &["tree", "--depth", "1"],
        &["tree", "--depth", "0", "/app/"],
        &["tree", "--depth", "1", "-o", "json"],
        &["du"],
        &["du", "/app/", "-o", "ndjson"],
        &["du", "--depth", "2", "-o", "table"],
        &["count"],
        &["count", "/app/", "-o", "json"],
        &["grep", "^/app/[ab]$"],
        &["grep", "-c", "app"],
        &["grep", "-i", "APP/D"],
        &["grep", "--values", "value of"],
        &["grep", "--values", "-F", "(", "/app/"],
        &["grep", "--values", "-l", "second", "/app/"],
        &["grep", "--values", "a secret", "--reveal", "-o", "ndjson"],
        &["leases"],
        &["leases", "--keys", "-o", "table"],
        &["locks"],
        &["locks", "/locks/x", "-o", "ndjson"],
        &["locks", "/app/"],
        &["roles-for", "/app/a"],
        &["wait", "/app/a", "--for", "exists"],
        &["wait", "/app/a", "--for", "value=again"],
        &["wait", "/gone", "--for", "deleted", "-o", "json"],
    ];
    for words in verbs {
        told.pipe(words);
    }
    for words in [
        &["ls", "-l", "/app/"][..],
        &["tree"],
        &["du"],
        &["count"],
        &["grep", "--values", "value of", "/app/"],
        &["leases"],
        &["locks"],
        &["roles-for", "/app/a"],
        &["wait", "/app/a"],
        &["tree", "--quiet"],
        &["grep", "nobody"],
        &["grep", "--values", "nobody"],
        &["grep", "nobody", "--quiet"],
    ] {
        told.terminal(words);
    }
    told.check();
}

fn binary_keys(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    let keys: [&[u8]; 6] = [
        b"/b/line\nbreak",
        b"/b/nul\0byte",
        b"/b/\x1b[31mred\x1b]0;title\x07",
        "/b/日本語/ключ".as_bytes(),
        "/b/\u{202e}txet".as_bytes(),
        b"/b/\xff\xfe",
    ];
    for key in keys {
        keyspace.put(key, &[key, b" \x1b[2J\n\xff value"].concat()[..]);
    }
    let long = format!("{}needle{}", "x".repeat(500_000), "y".repeat(500_000));
    keyspace.put("/long", &long);
    let mut told = transcript("binary", &cluster);
    for words in [
        &["ls", "/b/"][..],
        &["ls", "/b/", "-o", "ndjson"],
        &["tree"],
        &["du", "/b/"],
        &["grep", r"(?-u)\xff"],
        &["grep", "--values", r"(?-u)\xff value", "/b/"],
        &["grep", "--values", "(?-u)\\x1b", "/b/", "-o", "ndjson"],
        &["grep", "--values", "-c", "needle"],
    ] {
        told.pipe(words);
    }
    for words in [
        &["ls", "/b/"][..],
        &["tree", "/b/"],
        &["grep", "--values", "(?-u)\\x1b", "/b/"],
        &["grep", "--values", "needle"],
        &["ls", "/b/", "-o", "keys"],
    ] {
        told.terminal(words);
    }
    told.check();
}

fn denied(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    for key in ["/app/a", "/app/b/c", "/app/b/d", "/other/x", "/shared", "/top/1"] {
        keyspace.put(key, "v");
    }
    keyspace.lease_put(0x77, "/app/lock/77", "");
    keyspace.enable_auth();
    let mut told = transcript("denied", &cluster);
    let verbs: [&[&str]; 12] = [
        &["ls"],
        &["ls", "-l", "/app/"],
        &["ls", "/other/"],
        &["tree"],
        &["du"],
        &["count"],
        &["count", "/o"],
        &["grep", "."],
        &["locks"],
        &["roles-for", "/app/a"],
        &["wait", "/other/x"],
        &["wait", "/app/a"],
    ];
    for user in ["--user=alice:hidden", "--user=bob:hidden"] {
        for words in verbs {
            told.pipe(&[words, &[user]].concat());
        }
    }
    told.pipe(&["tree"]);
    told.pipe(&["leases", "--keys", "--user=alice:hidden"]);
    told.pipe(&["ls", "--user=bob:hidden", "--exit-status"]);
    told.pipe(&["roles-for", "/app/a", "--user=root:secret"]);
    told.pipe(&["roles-for", "/top/1", "--user=root:secret", "-o", "ndjson"]);
    told.terminal(&["tree", "--user=alice:hidden"]);
    told.terminal(&["ls", "--user=bob:hidden"]);
    told.check();
}

fn no_quorum(server: &Program) {
    let mut cluster = Cluster::start(server, 3);
    let keyspace = Keyspace::of(&cluster);
    for key in ["/app/a", "/app/b"] {
        keyspace.put(key, "v");
    }
    keyspace.lease_put(0x77, "/locks/l/77", "");
    // What the leader has said, the first member has heard.
    keyspace.read_linearizably();
    cluster.members[1].kill();
    cluster.members[2].kill();
    let told_by_status = until(Duration::from_secs(30), || keyspace.lacks_leader().then_some(()));
    told_by_status.expect("the member notices that it is alone");
    let endpoint = cluster.members[0].endpoint();
    let mut told = Transcript::at(path_of("no_quorum"), Names::of(binary!()).kvorum(), &endpoint);
    let patience = "--command-timeout=2s";
    for words in [
        &["ls", "/app/"][..],
        &["tree"],
        &["du"],
        &["count"],
        &["grep", "a"],
        &["locks", patience],
        &["wait", "/app/a"],
    ] {
        told.pipe(words);
    }
    for words in [
        &["roles-for", "/app/a", patience][..],
        &["leases", patience],
        &["wait", "/nope", patience],
    ] {
        told.fails(words, 1);
    }
    told.terminal(&["tree"]);
    told.check();
}

fn many(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    keyspace.fill(100_000);
    let mut told = transcript("many", &cluster);
    for words in [
        &["ls", "/many/"][..],
        &["ls", "-l", "/many/"],
        &["tree", "/many/", "--depth", "1"],
        &["tree", "--depth", "1"],
        &["du", "/many/"],
        &["count", "/many/"],
        &["grep", "-c", "key-[0-9]*7$"],
        &["grep", "--values", "value 99999$"],
        &["locks"],
    ] {
        told.pipe(words);
    }
    told.terminal(&["du", "/many/"]);
    told.terminal(&["tree", "/many/", "--depth", "1"]);
    told.lines(&["tree", "--depth", "0"], 100_011);
    told.check();
}

fn waiting(server: &Program) {
    let mut cluster = Cluster::start(server, 1);
    let mut told = transcript("waiting", &cluster);
    let keyspace = Keyspace::of(&cluster);
    let exists = told.begin(&["wait", "/w/a"]);
    keyspace.watched(1);
    keyspace.put("/w/a", "1");
    told.ended(exists);
    keyspace.watched(0);
    let done = told.begin(&["wait", "/w/a", "--for", "value=done"]);
    keyspace.watched(1);
    keyspace.put("/w/a", "almost");
    // The watch outlives the member that it was opened at.
    cluster.members[0].kill();
    cluster.members[0].start();
    cluster.await_serving();
    let keyspace = Keyspace::of(&cluster);
    keyspace.put("/w/a", "done");
    told.ended_with(done, "the watch was lost and is opened again: ");
    keyspace.watched(0);
    let deleted = told.begin(&["wait", "/w/a", "--for", "deleted"]);
    keyspace.watched(1);
    keyspace.delete("/w/a");
    told.ended(deleted);
    let began = Instant::now();
    told.pipe(&["wait", "/w/a", "--timeout", "300ms"]);
    assert!(began.elapsed() >= Duration::from_millis(300));
    told.check();
}
