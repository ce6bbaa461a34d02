//! Backups, and members that are defragmented one after the other.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use kvorum_tests::slow::line_to;
use rustix::process::Signal;
use serde_json::Value;

use crate::stage::{Stage, await_that, on_both};

fn names(stage: &Stage) -> Vec<String> {
    let entries = fs::read_dir(stage.path("backups")).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A backup of a revision that none was made of.
fn backup(stage: &Stage, more: &[&str]) -> String {
    stage.say(&["put", "/key", "value"]);
    let args = ["backup", "backups", "-o", "jsonpath={.file}"];
    let file = stage.say(&[&args, more].concat());
    file.trim().strip_prefix("backups/").expect("it is in the folder").to_owned()
}

#[test]
fn the_newest_backups_are_kept_a_damaged_one_is_not_counted_and_nothing_else_is_touched() {
    on_both(1, |stage| {
        let oldest = backup(&stage, &[]);
        let damaged = backup(&stage, &[]);
        let file = stage.path("backups").join(&damaged);
        let bytes = fs::read(&file).expect("it was written");
        fs::write(&file, &bytes[..bytes.len() / 2]).expect("it can be cut");
        let of_another_cluster = "kvorum-5eed-20200101T000000Z-r1.db";
        let others = ["backup.db", "kvorum-20200101T000000Z-r1.db", of_another_cluster];
        for other in others {
            fs::write(stage.path("backups").join(other), "").expect("a file can be written");
        }
        let (id, _) = oldest["kvorum-".len()..].split_once('-').expect("the id comes first");
        let folder = format!("backups/kvorum-{id}-20200101T000000Z-r1.db");
        fs::create_dir(stage.path(&folder)).expect("so can a folder");

        stage.say(&["put", "/key", "value"]);
        let outcome = stage.run(&["backup", "backups", "--keep", "2"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(outcome.stderr.contains("a backup is damaged, and not counted"), "{outcome:?}");
        assert!(outcome.stdout.contains(", verified"), "{outcome:?}");
        assert!(names(&stage).contains(&oldest) && names(&stage).contains(&damaged));

        let newest = backup(&stage, &["--keep", "2"]);
        let left = names(&stage);
        assert!(!left.contains(&oldest) && !left.contains(&damaged), "{left:?}");
        assert!(others.iter().all(|other| left.contains(&(*other).to_owned())), "{left:?}");
        assert_eq!(left.len(), others.len() + 3, "two backups and a folder: {left:?}");
        let file = stage.path("backups").join(&newest);
        let file = file.to_str().expect("it is text");
        stage.say(&["snapshot", "status", file]);
        stage.say(&["snapshot", "restore", file, "--data-dir", "restored"]);
    });
}

#[test]
fn a_full_disk_leaves_what_was_there_and_no_part() {
    let stage = Stage::ours(1);
    stage.say(&["put", "/large", &"x".repeat(100_000)]);
    backup(&stage, &[]);
    let before = names(&stage);
    // A limit on the size of files stands in for a full disk: 8 KiB.
    let script = "ulimit -f 8; trap '' XFSZ; exec kvorum backup backups --keep 1";
    let output = stage.shell(script).output().expect("a shell runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("File too large"), "{said}");
    assert_eq!(names(&stage), before);
}

#[test]
fn a_backup_that_is_interrupted_leaves_nothing() {
    let stage = Stage::ours(1);
    stage.say(&["put", "/key", "value"]);
    let port = stage.cluster.members[0].client_port();
    let line = line_to(port, Duration::from_millis(300)).expect("a port is free");
    let mut process = stage.start("backup", &["--endpoints", &line, "backup", "backups"]);
    await_that("it receives", || stage.path("backups/kvorum-backup.part").exists());
    process.signal(Signal::INT);
    let ended = process.ended();
    assert_eq!((ended.code(), ended.signal()), (Some(130), None), "{}", stage.read("backup"));
    assert!(names(&stage).is_empty(), "{:?}", names(&stage));
}

#[test]
fn members_are_defragmented_one_after_the_other_the_leader_last_and_replaced() {
    on_both(3, |stage| {
        let leader = || {
            let status = stage.say(&["endpoint", "status", "-w", "json"]);
            let status: Value = serde_json::from_str(&status).expect("it is JSON");
            status[0]["Status"]["leader"].as_u64().expect("there is a leader")
        };
        let from = stage.say(&["backup", "backups", "-o", "jsonpath={.from}"]);
        assert!(from.contains(", not the leader"), "{from}");
        let before = leader();
        let round = stage.run(&["defrag", "--rolling", "-o", "json"]);
        assert_eq!(round.code, 0, "{round:?}");
        assert!(round.stderr.contains(" leads, in the place of "), "{round:?}");
        let rows: Vec<Value> = serde_json::from_str(&round.stdout).expect("it is one document");
        let mut done: Vec<_> = rows.iter().filter_map(|row| row["member"].as_str()).collect();
        let last = done[2];
        assert!(round.stderr.contains(&format!("in the place of {last}")), "{round:?}");
        done.sort_unstable();
        assert_eq!(done, ["m1", "m2", "m3"]);
        assert_ne!(leader(), before);
        let rehearsed = stage.say(&["defrag", "--rolling", "--dry-run"]);
        assert!(rehearsed.starts_with("would defragment every member, the leader last"));
    });
}

#[test]
fn nobody_is_defragmented_while_a_member_is_away() {
    let mut stage = Stage::ours(3);
    stage.cluster.members[2].running().suspend();
    let round = stage.run(&["defrag", "--rolling"]);
    stage.cluster.members[2].running().resume();
    assert_eq!((round.code, round.stdout.as_str()), (1, ""), "{round:?}");
    assert!(
        round
            .stderr
            .contains("m3 does not answer; defragmented: none; not defragmented: m1, m2, m3"),
        "{round:?}"
    );
}
