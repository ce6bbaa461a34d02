//! Items in one order, from many writers at once.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kvorum_tests::etcdctl::Outcome;
use kvorum_tests::process::Process;
use serde_json::Value;

use crate::stage::{Stage, await_that, on_both};

fn run(command: &mut Command, input: Stdio) -> Outcome {
    let output = command.stdin(input).output().expect("kvorum runs");
    Outcome {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}

fn items(stage: &Stage, more: &[&str]) -> Vec<(i64, i64, i64)> {
    let text = stage.say(&[&["seq", "list", "/jobs", "-o", "json"], more].concat());
    let Value::Array(items) = serde_json::from_str(&text).expect("it is JSON") else {
        panic!("{text}")
    };
    let field = |item: &Value, name: &str| item[name].as_i64().expect("it is a number");
    let all = ["number", "create_revision", "value_bytes"];
    items.iter().map(|item| all.map(|name| field(item, name)).into()).collect()
}

#[test]
fn eight_writers_make_one_order_without_a_gap_or_a_duplicate_while_items_are_taken_away() {
    const WRITERS: usize = 8;
    const EACH: usize = 10;
    on_both(1, |stage| {
        let script = format!(
            "for n in $(seq {EACH}); do kvorum seq put /jobs \"$1 $n\" -o keys || exit 1; done"
        );
        let writer = |name: String| {
            let mut command = stage.shell(&script);
            command.arg(&name);
            Process::start(command, &stage.path(&name)).expect("a shell runs")
        };
        let writers: Vec<_> = (0..WRITERS).map(|n| writer(format!("writer-{n}"))).collect();
        // Whoever takes the last item away must not make its number free again.
        for _ in 0..5 {
            await_that("there is something to take", || stage.count("/jobs/") > 0);
            let last = stage.say(&[
                "get",
                "--prefix",
                "/jobs/",
                "--order=DESCEND",
                "--limit=1",
                "-o",
                "keys",
            ]);
            stage.say(&["del", last.trim()]);
        }
        for process in writers {
            let log = process.log();
            assert!(process.ended().success(), "{log}");
        }
        let mut given: Vec<String> = Vec::new();
        for n in 0..WRITERS {
            let log = stage.read(&format!("writer-{n}"));
            let own: Vec<_> = log.lines().filter(|line| line.starts_with("/jobs/")).collect();
            assert!(own.is_sorted() && own.len() == EACH, "{log}");
            given.extend(own.iter().map(|&key| key.to_owned()));
        }
        given.sort();
        let expected: Vec<_> = (0..WRITERS * EACH).map(|n| format!("/jobs/{n:016}")).collect();
        assert_eq!(given, expected, "each number once, from 0 on");
        let listed = items(&stage, &[]);
        assert_eq!(listed.len(), WRITERS * EACH - 5);
        assert!(listed.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "{listed:?}");

        stage.say(&["del", "--prefix", "/jobs/", "--yes"]);
        let next = stage.say(&["seq", "put", "/jobs/", "after all", "-o", "jsonpath={[0].number}"]);
        assert_eq!(next.trim(), (WRITERS * EACH).to_string());
    });
}

#[test]
fn lines_are_put_together_and_the_list_begins_where_it_is_told() {
    on_both(1, |stage| {
        let lines: Vec<_> = (0..200).map(|n| format!("line {n}")).collect();
        let lines = lines.join("\n") + "\n";
        stage.write("lines", &lines);
        let input = std::fs::File::open(stage.path("lines")).expect("it was written");
        let mut command = stage.command(&["seq", "put", "/jobs", "--lines", "-o", "keys"]);
        let put = run(&mut command, input.into());
        assert_eq!((put.code, put.stdout.lines().count()), (0, 200), "{put:?}");
        let all = items(&stage, &[]);
        assert_eq!((all.len(), all[0].0, all[199].0), (200, 0, 199));
        let revisions: std::collections::BTreeSet<_> = all.iter().map(|item| item.1).collect();
        assert_eq!(revisions.len(), 2, "127 in one transaction, and the rest in another");
        let some = items(&stage, &["--from", "150", "--limit", "2"]);
        assert_eq!(some.iter().map(|item| item.0).collect::<Vec<_>>(), [150, 151]);
        let values = stage.say(&["seq", "list", "/jobs", "--from", "199", "-o", "raw"]);
        assert_eq!(values, "line 199");
        let table = ["seq", "list", "/jobs", "--values", "--from", "199", "-o"];
        let told = stage.say(&[&table[..], &["jsonpath={[0].value}"]].concat());
        assert_eq!(told, "line 199\n");
        let told = stage.say(&[&table[..], &["simple"]].concat());
        assert!(told.starts_with("/jobs/0000000000000199  8 B, revision "), "{told}");
        assert!(told.ends_with("  line 199\n"), "{told}");

        // The layout is that of etcd's recipes: whoever writes by those goes on from the last key.
        assert_eq!(stage.value("__/jobs").split(' ').next(), Some("199"));
        stage.say(&["put", "__/jobs", ""]);
        stage.say(&["put", "/jobs/0000000000000200", "theirs"]);
        let next = stage.say(&["seq", "put", "/jobs", "ours", "-o", "keys"]);
        assert_eq!(next, "/jobs/0000000000000201\n");
        let rehearsed = stage.say(&["seq", "put", "/jobs", "x", "--dry-run"]);
        assert_eq!(rehearsed, "would put 1 item, from number 202 on\n");
        let refused = stage.run(&["seq", "put", "/jobs", "x", "--read-only"]);
        assert_eq!((refused.code, stage.count("/jobs/")), (1, 202));
        assert_eq!(stage.run(&["seq", "list", "/none", "--exit-status"]).code, 12);
    });
}

#[test]
fn what_was_put_before_a_failure_is_told_and_what_is_masked_stays_so() {
    on_both(1, |stage| {
        let lines: Vec<_> = (0..127).map(|n| format!("line {n}")).collect();
        let lines = lines.join("\n") + "\n" + &"x".repeat(3 << 20);
        stage.write("lines", &lines);
        let input = std::fs::File::open(stage.path("lines")).expect("it was written");
        let mut command = stage.command(&["seq", "put", "/jobs", "--lines", "-o", "json"]);
        let put = run(&mut command, input.into());
        assert_eq!(put.code, 1, "{}", put.stderr);
        assert!(put.stderr.contains("127 items were put before"), "{}", put.stderr);
        assert!(put.stderr.contains("trying to send message larger than max"), "{}", put.stderr);
        let told: Value = serde_json::from_str(&put.stdout).expect("it is JSON all the same");
        assert_eq!(told.as_array().map(Vec::len), Some(127));

        let says = |args: &[&str]| {
            run(stage.command(args).env("HOME", stage.folder.path()), Stdio::null())
        };
        let endpoints = stage.cluster.endpoints();
        let added = says(&["ctx", "add", "quiet", "--endpoints", &endpoints, "--mask", "/jobs/"]);
        assert_eq!(added.code, 0, "{added:?}");
        let raw = ["--context", "quiet", "seq", "list", "/jobs", "-o", "raw"];
        let refused = says(&raw);
        assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{refused:?}");
        let told = says(&[&raw[..], &["--reveal"]].concat());
        assert!(told.stdout.starts_with("line 0line 1"), "{told:?}");
        let values = ["--context", "quiet", "seq", "list", "/jobs", "--values", "-o", "ndjson"];
        let told = says(&values);
        let hidden = r#""value_bytes":6,"value":"(masked, 6 bytes; --reveal shows it)"#;
        assert_eq!(told.stdout.matches(hidden).count(), 10, "{told:?}");
        assert!(!told.stdout.contains("line 0"), "{told:?}");
    });
}

#[test]
fn an_item_whose_answer_was_lost_is_found_out_about_and_never_put_twice() {
    on_both(1, |stage| {
        let port = stage.cluster.members[0].client_port();
        for (number, passed_on) in [true, false].into_iter().enumerate() {
            let line = line_that_breaks_once(port, b"unmistakable", passed_on);
            let args = ["seq", "put", "/jobs", "unmistakable", "-o", "jsonpath={[0].number}"];
            let outcome = stage.run(&[&["--endpoints", &line], &args[..]].concat());
            assert_eq!((outcome.code, outcome.stdout.trim()), (0, number.to_string().as_str()));
            assert_eq!(stage.count("/jobs/"), number + 1);
        }
    });
}

/// Passes connections on to `port`; the first of them that brings these bytes breaks, before or
/// after they are passed on.
fn line_that_breaks_once(port: u16, at: &'static [u8], passed_on: bool) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let endpoint = listener.local_addr().expect("it has an address").to_string();
    let is_broken = Arc::new(AtomicBool::new(false));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(member) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let clones = || Ok::<_, io::Error>((client.try_clone()?, member.try_clone()?));
            let Ok((mut to_client, mut from_member)) = clones() else { continue };
            thread::spawn(move || io::copy(&mut from_member, &mut to_client));
            let is_broken = Arc::clone(&is_broken);
            thread::spawn(move || {
                let (mut client, mut member) = (client, member);
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = client.read(&mut buffer) {
                    let breaks = buffer[..length].windows(at.len()).any(|bytes| bytes == at)
                        && !is_broken.swap(true, Ordering::SeqCst);
                    if (!breaks || passed_on) && member.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                    if breaks {
                        let _ = client.shutdown(Shutdown::Both);
                        break;
                    }
                }
            });
        }
    });
    endpoint
}
