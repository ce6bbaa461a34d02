//! Watching: over a lost member and a compaction, and what is written most.

use std::collections::BTreeMap;

use kvorum_tests::keyspace::Keyspace;
use kvorum_tests::process::Process;
use kvorum_tests::terminal::Terminal;
use rustix::process::Signal;
use serde_json::Value;

use crate::stage::{Stage, await_that, on_both};

/// What a command of a watch does with an event.
const NOTE: &str =
    "echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY ${KVORUM_WATCH_SYNTHETIC:-real} >> ran";

/// The rows of JSON among what a process has printed.
fn rows(process: &Process) -> Vec<Value> {
    let log = process.log();
    let lines = log.lines().filter(|line| line.starts_with('{') && line.ends_with('}'));
    lines.map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// A row in short: type, key, revision, and whether it was made up.
fn brief(row: &Value) -> String {
    let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let made_up = if row["synthetic"] == true { " synthetic" } else { "" };
    if row["type"] == "GAP" {
        let (from, to) = (&row["from_revision"], &row["to_revision"]);
        return format!("GAP {from} to {to}, deletions {}{made_up}", text("deletions"));
    }
    let revision = row["mod_revision"].as_i64().map(|it| format!(" {it}")).unwrap_or_default();
    format!("{} {}{revision}{made_up}", text("type"), text("key"))
}

/// Applies events to a state, as a program would that keeps one.
fn state(rows: &[Value]) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for row in rows {
        let key = row["key"].as_str().unwrap_or_default().to_owned();
        match row["type"].as_str() {
            Some("PUT") => _ = state.insert(key, row["value"].as_str().unwrap_or("").to_owned()),
            Some("DELETE") => _ = state.remove(&key),
            _ => {}
        }
    }
    state
}

#[test]
fn over_a_compaction_the_missing_revisions_are_named_and_what_they_came_to_is_told() {
    on_both(1, |mut stage| {
        let mut simple = stage.start("simple", &["watch", "--prefix", "/w/"]);
        let mut lines = stage.start("lines", &["watch", "--prefix", "/w/", "-o", "ndjson"]);
        let mut running =
            stage.start("running", &["watch", "--prefix", "/w/", "--", "sh", "-c", NOTE]);
        let keyspace = Keyspace::of(&stage.cluster);
        keyspace.watched(3);
        for key in ["/w/a", "/w/b", "/w/c"] {
            keyspace.put(key, "1");
        }
        await_that("everybody has seen it", || {
            let seen = |text: &str| text.contains("/w/c");
            seen(&simple.log()) && seen(&lines.log()) && seen(&stage.read("ran"))
        });
        // While nobody looks, the member is another process, and has forgotten what happened.
        for watch in [&mut simple, &mut lines, &mut running] {
            watch.suspend();
        }
        stage.cluster.members[0].kill();
        stage.cluster.members[0].start();
        stage.cluster.await_serving();
        let keyspace = Keyspace::of(&stage.cluster);
        keyspace.put("/w/a", "2");
        keyspace.delete("/w/b");
        keyspace.put("/w/d", "1");
        keyspace.delete("/w/d");
        keyspace.put("/w/e", "1");
        keyspace.compact();
        for watch in [&mut simple, &mut lines, &mut running] {
            watch.resume();
        }
        await_that("the difference is told", || {
            let told = |text: &str| text.contains("/w/e");
            told(&simple.log()) && told(&lines.log()) && told(&stage.read("ran"))
        });
        keyspace.put("/w/c", "2");
        await_that("it goes on", || {
            rows(&lines).len() == 8
                && simple.log().ends_with("\nPUT\n/w/c\n2\n")
                && stage.read("ran").lines().count() == 7
        });
        assert_eq!(
            rows(&lines).iter().map(brief).collect::<Vec<_>>(),
            [
                "PUT /w/a 2",
                "PUT /w/b 3",
                "PUT /w/c 4",
                "GAP 5 to 9, deletions told synthetic",
                "PUT /w/a 5 synthetic",
                "DELETE /w/b synthetic",
                "PUT /w/e 9 synthetic",
                "PUT /w/c 10",
            ]
        );
        let log = simple.log();
        assert!(log.contains("the changes of revisions 5 to 9 are missing"), "{log}");
        let told = "SYNTHETIC PUT\n/w/a\n2\nSYNTHETIC DELETE\n/w/b\n\nSYNTHETIC PUT\n/w/e\n1\n";
        assert!(log.contains(told), "{log}");
        assert_eq!(
            stage.read("ran").lines().skip(3).collect::<Vec<_>>(),
            [
                "\"PUT\" \"/w/a\" true",
                "\"DELETE\" \"/w/b\" true",
                "\"PUT\" \"/w/e\" true",
                "\"PUT\" \"/w/c\" real",
            ]
        );
        from_before_the_compaction(&stage);
        let listed = stage.say(&["get", "--prefix", "/w/", "-o", "jsonpath={.kvs[*].value}"]);
        let values: Vec<_> = state(&rows(&lines)).into_values().collect();
        assert_eq!(values, listed.lines().collect::<Vec<_>>());
    });
}

/// `--rev` names a revision that is no longer kept.
fn from_before_the_compaction(stage: &Stage) {
    let early = stage.start("early", &["watch", "--prefix", "/w/", "--rev", "3", "-o", "ndjson"]);
    await_that("it comes to what is kept", || rows(&early).len() == 5);
    assert_eq!(
        rows(&early).iter().map(brief).collect::<Vec<_>>(),
        [
            "GAP 3 to 9, deletions unknown synthetic",
            "PUT /w/a 5 synthetic",
            "PUT /w/c 4 synthetic",
            "PUT /w/e 9 synthetic",
            "PUT /w/c 10",
        ]
    );
    let told = early.log();
    assert!(told.contains("every key that was there after them follows"), "{told}");
    // Before the first revision there was nothing, so that nothing can be missing.
    let whole = stage.start("whole", &["watch", "--prefix", "/w/", "--rev", "1", "-o", "ndjson"]);
    await_that("it comes to what is kept", || rows(&whole).len() == 5);
    assert_eq!(brief(&rows(&whole)[0]), "GAP 1 to 9, deletions told synthetic");
    // As etcdctl, that is the end.
    let mut etcdctl = stage.names.etcdctl().command();
    etcdctl.args(["--endpoints", &stage.cluster.endpoints(), "watch", "--prefix", "/w/"]);
    let ended = etcdctl.args(["--rev", "1"]).output().expect("etcdctl runs");
    let complaint = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && ended.stdout.is_empty(), "{ended:?}");
    assert!(complaint.contains("required revision has been compacted"), "{complaint}");
}

#[test]
fn how_far_the_server_is_stands_in_rows_of_its_own() {
    let stage = Stage::ours(1);
    let mut command = stage.command(&["watch", "-i", "-o", "ndjson"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("kvorum runs");
    let mut input = child.stdin.take().expect("its input is a pipe");
    std::io::Write::write_all(&mut input, b"watch /p\n").expect("it reads");
    Keyspace::of(&stage.cluster).watched(1);
    std::io::Write::write_all(&mut input, b"progress\n").expect("it reads");
    let mut line = String::new();
    let mut output = std::io::BufReader::new(child.stdout.take().expect("its output is a pipe"));
    std::io::BufRead::read_line(&mut output, &mut line).expect("a line comes");
    assert_eq!(line, "{\"type\":\"PROGRESS\",\"revision\":1}\n");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn top_tells_what_is_written_most_and_ends_well() {
    let stage = Stage::ours(1);
    let keyspace = Keyspace::of(&stage.cluster);
    let mut by_branch = stage.start("by-branch", &["top", "/t/", "--depth", "1"]);
    let mut each = stage.start("each", &["top", "/t/", "-o", "ndjson", "--interval", "50ms"]);
    keyspace.watched(2);
    for key in ["/t/hot/1", "/t/hot/2", "/t/hot/1", "/t/cold", "/elsewhere"] {
        keyspace.put(key, "12");
    }
    keyspace.delete("/t/cold");
    await_that("the rows have everything", || {
        let named = |row: &&Value| row["name"] == "/t/cold";
        let rows = rows(&each);
        rows.iter().filter(named).filter_map(|row| row["deletes"].as_i64()).sum::<i64>() == 1
    });
    let sum = |field: &str| -> i64 {
        let of = |row: &&Value| row["kind"] == "total";
        rows(&each).iter().filter(of).filter_map(|row| row[field].as_i64()).sum()
    };
    assert_eq!((sum("puts"), sum("deletes"), sum("bytes")), (4, 1, 3 * 10 + 9 + 7));
    for top in [&mut by_branch, &mut each] {
        top.signal(Signal::INT);
    }
    assert_eq!(each.ended().code(), Some(0));
    let log = || stage.read("by-branch");
    await_that("the sum is told", || log().contains("(total)"));
    assert_eq!(by_branch.ended().code(), Some(0));
    let words = |name: &str| -> Vec<String> {
        let log = log();
        let line = log.lines().find(|line| line.ends_with(name)).unwrap_or_default();
        line.split_whitespace().skip(1).take(2).map(str::to_owned).collect()
    };
    assert_eq!(
        [words("/t/hot/"), words("/t/cold"), words("(total)")],
        [["3", "0"], ["1", "1"], ["4", "1"]]
    );
    let short = stage.say(&["top", "--for", "100ms", "-o", "jsonpath={[*].kind}"]);
    assert_eq!(short, "total\n");
}

#[test]
fn top_is_drawn_in_place_on_a_narrow_terminal() {
    let stage = Stage::ours(1);
    let keyspace = Keyspace::of(&stage.cluster);
    let args = ["top", "--interval", "50ms", "--limit", "3"];
    let mut top = Terminal::start(stage.command(&args), 50, 12);
    keyspace.watched(1);
    keyspace.put("/a/very/long/name/that/is/wider/than/the/terminal", "1");
    top.shows("/a/very");
    let once = |screen: &str| screen.matches("events/s").count() == 1;
    top.becomes("one table", once);
    assert!(!top.is_coloured());
    top.keys("\x03");
    assert!(top.ended().success());
    assert!(top.screen().contains("(total)"));
}
