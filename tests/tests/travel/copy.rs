//! `cp`, `mv` and `cas`.

use std::time::Duration;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::keyspace::Keyspace;
use kvorum_tests::program::Program;
use kvorum_tests::terminal::Terminal;
use kvorum_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};

use super::transcript;
use crate::person::{Person, far_from_many, stderr};

pub(crate) fn told(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    for (key, value) in [("/c/a", "1"), ("/c/b", "x"), ("/d/a", "other"), ("/c/a", "2")] {
        keyspace.put(key, value);
    }
    keyspace.lease_put(0x77, "/c/leased", "l");
    keyspace.put(&b"/c/\xff\x00"[..], &b"\xfe"[..]);
    let mut told = transcript("copies", &cluster);
    for words in [
        &["cp", "/c/a", "/new", "--dry-run"][..],
        &["cp", "/c/a", "/new"],
        &["cp", "/c/a", "/new"],
        &["cp", "/c/b", "/new"],
        &["cp", "/c/b", "/new", "--yes"],
        &["cp", "/c/a", "/new", "--no-clobber"],
        &["cp", "/c/a", "/new", "--rev", "2", "--yes"],
        &["get", "/new"],
        &["cp", "/nope", "/new"],
        &["cp", "/nope", "/new", "--exit-status"],
        &["cp", "/nope/", "/new/", "--yes"],
        &["mv", "/nope/", "/new/", "--exit-status"],
        &["cp", "/c/", "/d/"],
        &["cp", "/c/", "/d/", "--dry-run"],
        &["cp", "/c/", "/d/", "--no-clobber", "--yes"],
        &["cp", "/c/", "/d/", "--yes", "-o", "json"],
        &["cp", "/c/", "/d/", "--yes"],
        &["diff", "/c/", "/d/"],
        &["get", "/d/leased", "-o", "ndjson"],
        &["cp", "/c/", "/then/", "--rev", "3", "--leases", "none", "--yes"],
        &["get", "--prefix", "/then/"],
        &["cp", "/c/", "/c/sub/"],
        &["cp", "/c/", "/d"],
        &["cp", "/c/a", "/c/a"],
        &["cp", "/c/", "/e/", "--read-only"],
        &["cp", "/c/", "/e/", "--rev", "9999"],
        &["mv", "/new", "/moved"],
        &["get", "--prefix", "/new"],
        &["get", "/moved"],
        &["mv", "/new", "/moved"],
        &["mv", "/d/", "/moved/", "--dry-run"],
        &["mv", "/d/", "/moved/", "--yes"],
        &["diff", "/c/", "/moved/"],
        &["mv", "/moved/a", "/c/a"],
        &["mv", "/moved/b", "/c/a", "--no-clobber"],
        &["mv", "/moved/", "/c/", "--yes"],
        &["undo", "--yes"],
        &["count", "/moved/"],
    ] {
        told.pipe(words);
    }
    told.check();
}

pub(crate) fn at_once(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    keyspace.put("/a", "1");
    let person = Person::at(&cluster.endpoints());
    let said = person.says(&["mv", "/a", "/b"]);
    assert_eq!(said, "1 key moved at revision 3\n");
    let moved = person.says(&["get", "/b", "-o", "jsonpath={.kvs[0].mod_revision}"]);
    let deleted = person.says(&["history", "/a", "--all", "-o", "ndjson"]);
    assert_eq!(moved, "3\n");
    assert!(deleted.contains(r#""revision":3,"what":"delete""#), "{deleted}");

    // Somebody changes it between the plan and the yes: then it is moved by nobody.
    for (key, value) in [("/b", "theirs"), ("/c", "theirs")] {
        let mut terminal = Terminal::start(person.command(&["mv", "/b", "/c"]), 100, 40);
        terminal.shows("[y/N]");
        keyspace.put(key, value);
        terminal.keys("y\r");
        let code = terminal.ended().code();
        let said = terminal.screen();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("since the plan was made; nothing was written"), "{said}");
    }
    assert_eq!(person.says(&["get", "/b"]), "/b\ntheirs\n");
}

pub(crate) fn interrupted(server: &Program) {
    let (_cluster, keyspace, person) = far_from_many(server);
    let before = keyspace.revision();
    let words = ["mv", "/many/", "/moved/", "--yes"];
    let moving = person.begins_far_away(&words);
    let two_are_done = || (keyspace.revision() >= before + 2).then_some(());
    until(Duration::from_secs(60), two_are_done).expect("transactions happen one by one");
    kill_process(Pid::from_child(&moving), Signal::INT).expect("it is there");
    let output = moving.wait_with_output().expect("it ends");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains(" of 2,000 puts and deletes are written, at revisions "), "{said}");
    let count = |prefix: &str| -> i64 {
        let count = person.says(&["count", prefix]);
        count.trim().parse().expect("it is a number")
    };
    let moved = (keyspace.revision() - before) * 64;
    assert_eq!((count("/many/"), count("/moved/")), (1000 - moved, moved));
    person.says(&words);
    assert_eq!((count("/many/"), count("/moved/")), (0, 1000));
    let diff = person.says(&["diff", &format!("/many/@{before}"), "/moved/"]);
    assert_eq!(diff, "");
}

pub(crate) fn from_elsewhere(server: &Program) {
    let (here, there) = (Cluster::start(server, 1), Cluster::start(server, 1));
    let keyspace = Keyspace::of(&there);
    keyspace.put("/c/a", "1");
    keyspace.lease_put(0x77, "/c/leased", "l");
    let person = Person::at(&here.endpoints());
    person.says(&["ctx", "add", "there", "--endpoints", &there.endpoints(), "--read-only"]);
    let words = ["cp", "--from-context", "there", "/c/", "/c/"];
    let planned = person.runs(&[&words[..], &["--dry-run"]].concat());
    let said = stderr(&planned);
    assert!(
        said.contains("1 key without the lease that was had, which is of another cluster"),
        "{said}"
    );
    let said = person.says(&[&words[..], &["--leases", "new", "--yes"]].concat());
    assert!(said.starts_with("2 keys copied"), "{said}");
    let ttl = person.says(&["show", "/c/leased", "-o", "jsonpath={.lease.granted_ttl_s}"]);
    assert_eq!(ttl, "604800\n");
    assert_eq!(person.says(&["diff", "/c/", "--with-context", "there"]), "");
}

pub(crate) fn swapped(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    keyspace.lease_put(0x77, "/leased", "l");
    keyspace.put("/registry/secrets/s", "a secret");
    let mut told = transcript("swapped", &cluster);
    for words in [
        &["cas", "--absent", "/k", "one", "--dry-run"][..],
        &["cas", "--absent", "/k", "one"],
        &["cas", "--absent", "/k", "two"],
        &["cas", "--rev", "4", "/k", "two"],
        &["cas", "--rev", "4", "/k", "three"],
        &["cas", "--rev", "4", "/k", "three", "--dry-run"],
        &["cas", "--value", "two", "/k", "three", "-o", "json"],
        &["cas", "--value", "two", "/k", "four", "-o", "json"],
        &["cas", "--value", "two", "/nope", "four"],
        &["cas", "--value", "two", "/nope", "four", "-o", "ndjson"],
        &["cas", "--value", "l", "/leased", "m"],
        &["get", "/leased", "-o", "ndjson"],
        &["cas", "--value", "m", "/leased", "n", "--lease", "0"],
        &["get", "/leased", "-o", "ndjson"],
        &["cas", "--rev", "1", "/registry/secrets/s", "x"],
        &["cas", "--rev", "1", "/k", "x", "--read-only"],
        &["cas", "/k", "x"],
        &["undo", "--yes"],
    ] {
        told.pipe(words);
    }
    told.typed(&["cas", "--absent", "/typed"], "from\nstandard input");
    told.pipe(&["get", "/typed"]);
    told.check();
}
