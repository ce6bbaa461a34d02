//! Scenes in which nothing happens but what is typed.

use kvorum_tests::cluster::Cluster;
use kvorum_tests::keyspace::Keyspace;
use kvorum_tests::program::Program;

use super::transcript;

pub(crate) fn history(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    for (key, value) in [("/c/a", "1"), ("/c/b", "x"), ("/c/a", "2"), ("/other", "y")] {
        keyspace.put(key, value);
    }
    keyspace.put("/c/a", "3\nsecond line");
    keyspace.delete("/c/b");
    keyspace.put("/c/b", "again");
    keyspace.delete("/c/b");
    keyspace.put("/registry/secrets/s", "a secret");
    let mut told = transcript("history", &cluster);
    for words in [
        &["history", "/c/a"][..],
        &["history", "/c/a", "--values"],
        &["history", "/c/a", "--limit", "2"],
        &["history", "/c/a", "--values", "-o", "ndjson"],
        &["history", "/c/a", "-o", "table"],
        &["history", "/c/b"],
        &["history", "/c/b", "--exit-status"],
        &["history", "/c/b", "--all"],
        &["history", "/c/b", "--all", "--limit", "3", "--quiet"],
        &["history", "/c/", "--prefix", "--values"],
        &["history", "/c/", "--prefix", "-o", "ndjson"],
        &["history", "", "--prefix", "-o", "keys", "--quiet"],
        &["history", "/nope", "--all"],
        &["history", "/registry/secrets/s", "--values"],
        &["history", ""],
    ] {
        told.pipe(words);
    }
    told.terminal(&["history", "/c/a", "--values"]);
    told.terminal(&["history", "/c/", "--prefix"]);
    told.check();
}

pub(crate) fn differences(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    for (key, value) in [
        ("/c/a", "1"),
        ("/c/gone", "x"),
        ("/c/json", "{\n  \"max\": 20,\n  \"min\": 1\n}\n"),
        ("/c/same", "s"),
        ("/d/a", "2"),
        ("/d/same", "s"),
        ("/registry/secrets/s", "a secret"),
    ] {
        keyspace.put(key, value);
    }
    keyspace.delete("/c/gone");
    keyspace.put("/c/json", "{\n  \"max\": 50,\n  \"min\": 1\n}\n");
    keyspace.put("/c/new", "n");
    keyspace.put("/c/same", "s");
    keyspace.put("/registry/secrets/s", "another");
    let mut told = transcript("differences", &cluster);
    for words in [
        &["diff", "/c/@8"][..],
        &["diff", "/c/", "--rev", "8", "--names"],
        &["diff", "/c/@8", "-o", "ndjson"],
        &["diff", "/c/@8", "/c/@9"],
        &["diff", "/c/json@4", "/c/json@10"],
        &["diff", "/c/json@4", "-o", "json"],
        &["diff", "/c/gone@4", "--quiet"],
        &["diff", "/c/", "/d/"],
        &["diff", "--rev", "8", "-o", "table"],
        &["diff", "/c/@8", "--exit-status", "--quiet", "--names"],
        &["diff", "/c/a@8", "--exit-status"],
        &["diff", "/registry/secrets/s@8"],
        &["diff", "/registry/secrets/s@8", "--reveal"],
        &["diff", "/c@8"],
        &["diff", "/c/a"],
        &["diff", "/c/", "/d"],
        &["diff", "/c/@99999"],
        &["diff", "/nope/@3"],
    ] {
        told.pipe(words);
    }
    told.terminal(&["diff", "/c/@8"]);
    told.check();
}

/// Another cluster, and a file.
pub(crate) fn elsewhere(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let other = Cluster::start(server, 1);
    let (keyspace, there) = (Keyspace::of(&cluster), Keyspace::of(&other));
    for (key, value) in [("/c/a", "1"), ("/c/same", "s"), ("/c/z", "z"), ("/other", "o")] {
        keyspace.put(key, value);
    }
    for (key, value) in [("/c/same", "s"), ("/c/a", "2"), ("/c/more", "m")] {
        there.put(key, value);
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("backup.db").display().to_string();
    let mut told = transcript("elsewhere", &cluster).hiding(&file, "FILE");
    told = told.hiding(&other.endpoints(), "OTHER");
    told.silently(&["snapshot", "save", &file]);
    keyspace.put("/c/a", "changed");
    keyspace.delete("/c/z");
    keyspace.put("/c/new", "n");
    told.pipe(&["ctx", "add", "there", "--endpoints", &other.endpoints()]);
    for words in [
        &["diff", "/c/", "--snapshot", &file][..],
        &["diff", "/c/a", "--snapshot", &file, "-o", "ndjson"],
        &["diff", "--snapshot", &file, "--names"],
        &["diff", "/c/", "--with-context", "there"],
        &["diff", "/c/a@2", "--with-context", "there", "--names"],
        &["diff", "/c/", "--with-context", "nobody"],
        &["diff", "/c/", "--snapshot", "/nonexistent/file"],
        &["diff", "/c/@2", "--snapshot", &file],
    ] {
        told.pipe(words);
    }
    std::fs::write(&file, "this is no snapshot").expect("it can be written");
    told.pipe(&["diff", "/c/", "--snapshot", &file]);
    told.check();
}

pub(crate) fn restored(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    for (key, value) in [("/c/a", "1"), ("/c/b", "x"), ("/c/c", "untouched"), ("/c/a", "2")] {
        keyspace.put(key, value);
    }
    keyspace.delete("/c/b");
    keyspace.put("/c/new", "n");
    let mut told = transcript("restored", &cluster);
    for words in [
        &["restore", "/c/a@2", "--dry-run"][..],
        &["restore", "/c/a@2"],
        &["restore", "/c/a@2"],
        &["restore", "/c/b@3", "-o", "json"],
        &["restore", "/c/b@6"],
        &["restore", "/c/b@6", "--exit-status"],
        &["restore", "/c/b"],
        &["restore", "/c/b@99999"],
        &["rollback", "/c/", "--to", "5", "--dry-run"],
        &["rollback", "/c/", "--to", "5", "--dry-run", "-o", "ndjson", "--quiet"],
        &["rollback", "/c/", "--to", "5"],
        &["rollback", "/c/", "--to", "5", "--yes"],
        &["rollback", "/c/", "--to", "5", "--yes"],
        &["rollback", "/c/", "--to", "7", "--yes", "-o", "json"],
        &["get", "--prefix", "/c/"],
        &["rollback", "/c/", "--to", "5", "--read-only", "--yes"],
        &["rollback", "/nope/", "--to", "5"],
    ] {
        told.pipe(words);
    }
    told.asked(&["rollback", "/c/", "--to", "5"], "[y/N]", "n\r");
    told.asked(&["rollback", "/c/", "--to", "5"], "[y/N]", "y\r");
    told.asked(&["restore", "/c/a@2"], "[y/N]", "y\r");
    told.check();
}

pub(crate) fn leases(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    keyspace.lease_put(0x77, "/l/alive", "a");
    keyspace.lease_put(0x88, "/l/gone", "g");
    keyspace.put("/l/none", "n");
    // Revision 5 on: out from under the leases, or under one.
    keyspace.put("/l/alive", "a");
    keyspace.put_under(0x77, "/l/none", "n");
    let mut told = transcript("leases", &cluster);
    for words in [
        &["lease", "revoke", "88"][..],
        &["diff", "/l/@4"],
        &["history", "/l/alive", "-o", "ndjson"],
        &["rollback", "/l/", "--to", "4", "--dry-run"],
        &["rollback", "/l/", "--to", "4", "--yes"],
        &["get", "--prefix", "/l/", "-o", "ndjson"],
        &["rollback", "/l/", "--to", "4", "--yes"],
        &["undo", "--yes"],
        &["get", "--prefix", "/l/", "-o", "jsonpath={.kvs[*].lease}"],
        &["restore", "/l/gone@4", "--dry-run"],
        &["restore", "/l/alive@2", "--dry-run"],
        &["restore", "/l/none@4", "--dry-run"],
    ] {
        told.pipe(words);
    }
    told.check();
}

pub(crate) fn binary(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    let keys: [&[u8]; 3] = [b"/b/\x1b[31mred\x1b]0;title\x07", b"/b/\xff\xfe", b"/b/line\nbreak"];
    for round in [&b"\xff first\x1b[2J"[..], b"second \x1b]0;x\x07"] {
        for key in keys {
            keyspace.put(key, round);
        }
    }
    let mut told = transcript("binary", &cluster);
    for words in [
        &["history", "/b/", "--prefix", "--values"][..],
        &["history", "/b/", "--prefix", "--values", "-o", "ndjson"],
        &["diff", "/b/@4"],
        &["diff", "/b/@4", "-o", "ndjson"],
        &["rollback", "/b/", "--to", "4", "--yes"],
        &["get", "--prefix", "/b/", "-o", "ndjson"],
        &["undo", "--yes"],
        &["get", "--prefix", "/b/", "-o", "ndjson"],
        &["undo", "--list", "-o", "jsonpath={[*].verb}"],
    ] {
        told.pipe(words);
    }
    told.terminal(&["diff", "/b/@4"]);
    told.terminal(&["history", "/b/", "--prefix", "--values"]);
    told.terminal(&["rollback", "/b/", "--to", "4", "--dry-run"]);
    told.check();
}

pub(crate) fn compacted(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    for value in ["1", "2", "3"] {
        keyspace.put("/c/a", value);
    }
    keyspace.put("/c/b", "lost");
    let mut told = transcript("compacted", &cluster);
    told.pipe(&["put", "/c/mine", "m"]);
    keyspace.compact();
    keyspace.delete("/c/b");
    keyspace.put("/c/a", "4");
    for words in [
        &["history", "/c/a"][..],
        &["history", "/c/b", "--all"],
        &["history", "/c/", "--prefix", "-o", "ndjson"],
        &["diff", "/c/@3"],
        &["diff", "/c/@6"],
        &["restore", "/c/a@3"],
        &["restore", "/c/b@6"],
        &["rollback", "/c/", "--to", "3", "--yes"],
        &["undo", "--list", "-o", "jsonpath={[*].revision}"],
        &["undo"],
        &["rollback", "/c/", "--to", "6", "--yes"],
        &["get", "--prefix", "/c/"],
    ] {
        told.pipe(words);
    }
    told.check();
}

pub(crate) fn undone(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let mut told = transcript("undone", &cluster);
    for words in [
        &["undo"][..],
        &["undo", "--list", "-o", "ndjson"],
        &["put", "/c/a", "1"],
        &["put", "/c/a", "2"],
        &["put", "/c/b", "b"],
        &["del", "--prefix", "/c/", "--yes"],
        &["undo", "--dry-run"],
        &["undo", "--yes"],
        &["get", "--prefix", "/c/"],
        &["undo"],
        &["get", "--prefix", "/c/"],
        &["undo", "9"],
        &["undo", "--rev", "9999"],
        &["undo", "--list", "-o", "jsonpath={[*].verb}"],
        &["del", "/nope"],
        &["undo", "--list", "-o", "jsonpath={[*].revision}"],
    ] {
        told.pipe(words);
    }
    let keyspace = Keyspace::of(&cluster);
    keyspace.put("/c/a", "somebody else's");
    for words in [
        &["undo"][..],
        &["undo", "--rest"],
        &["get", "--prefix", "/c/"],
        &["put", "/c/x", "x", "--read-only"],
        &["undo", "--list", "--read-only", "-o", "jsonpath={[*].verb}"],
    ] {
        told.pipe(words);
    }
    told.typed(&["txn"], "\nput /t/a 1\nput /t/b 2\ndel --prefix /c/\n\n\n");
    told.pipe(&["undo", "--yes"]);
    told.pipe(&["get", "--prefix", "/"]);
    told.check();
}

pub(crate) fn denied(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    for key in ["/app/a", "/other/x", "/shared"] {
        keyspace.put(key, "v");
    }
    keyspace.put("/app/a", "w");
    keyspace.enable_auth();
    let mut told = transcript("denied", &cluster);
    for user in ["--user=alice:hidden", "--user=bob:hidden"] {
        for words in [
            &["history", "/app/a"][..],
            &["history", "/app/a", "--all"],
            &["history", "/", "--prefix"],
            &["diff", "/app/@2"],
            &["diff", "/@2"],
            &["restore", "/other/x@3"],
            &["rollback", "/", "--to", "3", "--yes"],
            &["rollback", "/app/", "--to", "4", "--yes"],
            &["undo", "--yes"],
        ] {
            told.pipe(&[words, &[user]].concat());
        }
    }
    told.check();
}
