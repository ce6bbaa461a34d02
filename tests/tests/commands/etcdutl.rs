//! etcdutl's verbs over files and data directories: of ours, and of Debian's etcd.

use std::fs;
use std::path::Path;

use kvorum_tests::cluster::{Cluster, contents_of};
use kvorum_tests::etcdctl::{Etcdctl, Outcome};
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::{binary, or_skip};
use serde_json::Value;

fn run(program: &Program, args: &[&str]) -> Outcome {
    let output = program.command().args(args).output().expect("the program runs");
    Outcome {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// History, deletions, leases and a compaction.
fn fill(etcdctl: &Etcdctl) {
    let lease = etcdctl.say(&["lease", "grant", "1000"]);
    let lease = lease.split(' ').nth(1).expect("a lease has an ID").to_owned();
    for round in 0..5 {
        for key in ["a", "b", "c"] {
            etcdctl.say(&["put", key, &format!("{key} {round}")]);
        }
        etcdctl.say(&["put", "leased", "x", "--lease", &lease]);
        etcdctl.say(&["del", "b"]);
    }
    etcdctl.say(&["compaction", "12", "--physical"]);
    etcdctl.say(&["put", "last", "one"]);
}

/// The hash that a member answers up to each revision.
fn hashes(etcdctl: &Etcdctl, revisions: &[i64]) -> Vec<(u64, i64)> {
    let hash = |revision: &i64| {
        let said = etcdctl.json(&["endpoint", "hashkv", "--rev", &revision.to_string()]);
        let hashed: &Value = &said[0]["HashKV"];
        let hash = hashed["hash"].as_u64().expect("there is a hash");
        (hash, hashed["compact_revision"].as_i64().unwrap_or(0))
    };
    revisions.iter().map(hash).collect()
}

fn file_hashes(etcdutl: &Program, file: &Path, revisions: &[i64]) -> Vec<(u64, i64)> {
    let hash = |revision: &i64| {
        let rev = format!("--rev={revision}");
        let said = run(etcdutl, &["hashkv", "-w=json", path(file), &rev]);
        let hashed: Value = serde_json::from_str(&said.stdout)
            .unwrap_or_else(|error| panic!("revision {revision}: {error}: {said:?}"));
        let hash = hashed["hash"].as_u64().expect("there is a hash");
        (hash, hashed["compactRevision"].as_i64().expect("there is a revision"))
    };
    revisions.iter().map(hash).collect()
}

fn a_file_has_the_hash_of_its_member(server: &Program, revisions: &[i64]) {
    let names = Names::of(binary!());
    let mut cluster = Cluster::start(server, 1);
    let etcdctl = Etcdctl::new(&names.etcdctl(), cluster.endpoints());
    fill(&etcdctl);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("backup.db");
    etcdctl.say(&["snapshot", "save", path(&file)]);
    let expected = hashes(&etcdctl, revisions);
    assert_eq!(file_hashes(&names.etcdutl(), &file, revisions), expected);
    // And so has the file that an etcd leaves when it ends.
    let member = &mut cluster.members[0];
    let db = member.data_dir().join("member/snap/db");
    member.terminate();
    if db.exists() {
        assert_eq!(file_hashes(&names.etcdutl(), &db, revisions), expected);
    }
}

#[test]
fn a_snapshot_of_ours_has_the_hash_that_its_member_answers() {
    a_file_has_the_hash_of_its_member(&Names::of(binary!()).server(), &[0, 12, 13, 20, 27]);
}

#[test]
fn a_snapshot_of_etcds_has_the_hash_that_its_member_answers() {
    // etcd 3.4 does not answer for the compacted revision itself.
    a_file_has_the_hash_of_its_member(&or_skip!(real_etcd(), NO_ETCD), &[0, 13, 20, 27]);
}

#[test]
fn a_hash_is_printed_in_each_format_and_refused_with_etcds_words() {
    let names = Names::of(binary!());
    let etcdutl = names.etcdutl();
    let cluster = Cluster::start(&names.server(), 1);
    let etcdctl = Etcdctl::new(&names.etcdctl(), cluster.endpoints());
    fill(&etcdctl);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("backup.db");
    etcdctl.say(&["snapshot", "save", path(&file)]);
    let hash = file_hashes(&etcdutl, &file, &[0])[0].0;
    let digits = hash.to_string();
    let dashes = "-".repeat(digits.len() + 2);
    for (format, expected) in [
        ("simple", format!("{hash}, 27, 12\n")),
        ("json", format!("{{\"hash\":{hash},\"hashRevision\":27,\"compactRevision\":12}}\n")),
        (
            "fields",
            format!("\"Hash\" : {hash}\n\"Hash revision\" : 27\n\"Compact revision\" : 12\n"),
        ),
    ] {
        let said = run(&etcdutl, &["hashkv", path(&file), "-w", format]);
        assert_eq!((said.stdout, said.code), (expected, 0));
    }
    let table = run(&etcdutl, &["-w=table", "hashkv", path(&file)]).stdout;
    assert!(table.starts_with(&format!("+{dashes}+---------------+")), "{table}");
    assert!(table.contains("| HASH REVISION | COMPACT REVISION |"), "{table}");
    let missing = folder.path().join("missing");
    let text = folder.path().join("text");
    fs::write(&text, "no database").expect("a file can be written");
    for (args, message, code) in [
        (&["hashkv", path(&file), "--rev=5"][..], "mvcc: required revision has been compacted", 1),
        (
            &["hashkv", path(&file), "--rev", "99"],
            "mvcc: required revision is a future revision",
            1,
        ),
        (&["hashkv", path(&missing)], "cannot read", 1),
        (&["hashkv", path(&text)], "it is no file of bbolt", 1),
        (&["hashkv"], "accepts 1 arg(s), received 0", 1),
        (&["hashkv", path(&file), "-w", "yaml"], "unsupported output format", 4),
    ] {
        let refused = run(&etcdutl, args);
        assert!(refused.stderr.starts_with("Error: "), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(message), "{args:?}: {refused:?}");
        assert_eq!((refused.stdout.as_str(), refused.code), ("", code), "{args:?}");
    }
    // Under kvorum's own name it is the same.
    let kvorum = run(&names.kvorum(), &["hashkv", path(&file)]);
    assert_eq!(kvorum.stdout, format!("{hash}, 27, 12\n"), "{kvorum:?}");
}

#[test]
fn a_member_that_does_not_run_is_defragmented_and_has_what_it_had() {
    let names = Names::of(binary!());
    let etcdutl = names.etcdutl();
    let mut cluster = Cluster::start(&names.server(), 1);
    let etcdctl = Etcdctl::new(&names.etcdctl(), cluster.endpoints());
    let large = "x".repeat(100_000);
    for _ in 0..60 {
        etcdctl.say(&["put", "large", &large]);
    }
    etcdctl.say(&["put", "small", "stays"]);
    etcdctl.say(&["compaction", "61", "--physical"]);
    let member = &mut cluster.members[0];
    let dir = member.data_dir();
    let defrag = ["defrag", "--data-dir", path(&dir)];
    let running = run(&etcdutl, &defrag);
    assert_eq!(running.code, 1, "{running:?}");
    let message = format!("Error: Failed to defragment etcd data[{}]", dir.display());
    assert!(running.stderr.starts_with(&message), "{running:?}");
    assert!(running.stderr.contains("in use by a member that runs"), "{running:?}");
    member.terminate();
    let size = || fs::metadata(dir.join("kvorum/store.redb")).expect("there is a store").len();
    let before = size();
    let done = run(&etcdutl, &defrag);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str(), done.code), ("", "", 0));
    assert!(size() * 2 < before, "{before} bytes became {}", size());
    // Once more, and by kvorum's own name, which says what it came to.
    let own = run(&names.kvorum(), &[&["server"], &defrag[..]].concat());
    assert!(own.code == 0 && own.stdout.contains(" before, "), "{own:?}");
    let member = &mut cluster.members[0];
    member.start();
    member.await_serving();
    assert_eq!(etcdctl.say(&["get", "small"]), "small\nstays\n");
    assert_eq!(etcdctl.say(&["get", "large", "--print-value-only"]).trim().len(), large.len());
    assert_eq!(etcdctl.json(&["get", "x"])["header"]["revision"], 62);
}

#[test]
fn what_is_no_data_directory_of_ours_is_left_as_it_is() {
    let etcdutl = Names::of(binary!()).etcdutl();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let etcds = folder.path().join("etcd");
    fs::create_dir_all(etcds.join("member/snap")).expect("a folder can be made");
    fs::write(etcds.join("member/snap/db"), "the state of an etcd").expect("it can be written");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("a folder can be made");
    let missing = folder.path().join("missing");
    let before = contents_of(folder.path());
    for (dir, message) in [
        (&etcds, "is a data directory of etcd itself, and is left as it is"),
        (&empty, "holds no member"),
        (&missing, "holds no member"),
    ] {
        let refused = run(&etcdutl, &["defrag", "--data-dir", path(dir)]);
        assert_eq!((refused.stdout.as_str(), refused.code), ("", 1), "{refused:?}");
        assert!(refused.stderr.contains(message), "{refused:?}");
    }
    let migrate = ["migrate", "--target-version=3.6", "--data-dir", path(&etcds)];
    let refused = run(&etcdutl, &migrate);
    assert_eq!((refused.stdout.as_str(), refused.code), ("", 1), "{refused:?}");
    assert!(refused.stderr.contains("is left as it is"), "{refused:?}");
    assert_eq!(contents_of(folder.path()), before);
}

#[test]
fn flags_that_are_missing_or_make_no_sense_are_named_as_etcdutl_names_them() {
    let etcdutl = Names::of(binary!()).etcdutl();
    for (line, message, code) in [
        ("defrag", "required flag(s) \"data-dir\" not set", 1),
        ("migrate", "required flag(s) \"data-dir\", \"target-version\" not set", 1),
        ("migrate --data-dir d", "required flag(s) \"target-version\" not set", 1),
        (
            "migrate --data-dir d --target-version 3",
            "wrong target version format, expected \"X.Y\", got \"3\"",
            128,
        ),
        (
            "migrate --data-dir d --target-version 3.4",
            "target version \"3.4\" not supported. Minimal \"3.5\"",
            128,
        ),
        ("completion", "accepts 1 arg(s), received 0", 1),
        ("completion tcsh", "invalid argument \"tcsh\" for \"etcdutl completion\"", 1),
        ("get k", "unknown command \"get\" for \"etcdutl\"", 1),
    ] {
        let refused = run(&etcdutl, &line.split(' ').collect::<Vec<_>>());
        let first = refused.stderr.lines().next().unwrap_or_default();
        assert_eq!((first, refused.code), (&*format!("Error: {message}"), code), "{line}");
        assert_eq!(refused.stdout, "", "{line}");
    }
    let completion = run(&Names::of(binary!()).etcdctl(), &["completion", "ba"]);
    assert_eq!(completion.stderr, "Error: invalid argument \"ba\" for \"etcdctl completion\"\n");
    assert!(completion.code == 1 && completion.stdout.contains("USAGE:"), "{completion:?}");
    let version = run(&etcdutl, &["version"]);
    assert_eq!(version.stdout, "etcdutl version: 3.6.0\nAPI version: 3.6\n");
}

#[test]
fn etcdctl_sends_whoever_has_a_snapshot_to_etcdutl_and_does_it_all_the_same() {
    let names = Names::of(binary!());
    let cluster = Cluster::start(&names.server(), 1);
    let etcdctl = Etcdctl::new(&names.etcdctl(), cluster.endpoints());
    etcdctl.say(&["put", "a", "1"]);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("backup.db");
    etcdctl.say(&["snapshot", "save", path(&file)]);
    let dir = folder.path().join("restored");
    let data_dir = format!("--data-dir={}", dir.display());
    for (verb, args) in [
        ("status", &["snapshot", "status", path(&file)][..]),
        ("restore", &["snapshot", "restore", path(&file), &data_dir]),
    ] {
        let said = run(&names.etcdctl(), args);
        let expected = format!("Deprecated: Use `etcdutl snapshot {verb}` instead.\n\n");
        assert_eq!((said.stderr, said.code), (expected, 0));
    }
    assert!(dir.join("kvorum").is_dir());
    let own = run(&names.etcdutl(), &["snapshot", "status", path(&file)]);
    assert_eq!((own.stderr.as_str(), own.code), ("", 0), "{own:?}");
    assert_eq!(own.stdout, run(&names.etcdctl(), &["snapshot", "status", path(&file)]).stdout);
}

#[test]
fn a_script_for_bash_offers_the_commands_of_its_program() {
    let names = Names::of(binary!());
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (program, name, line, offered) in [
        (names.etcdctl(), "etcdctl", "etcdctl mak", "make-mirror"),
        (names.etcdctl(), "etcdctl", "etcdctl check ", "perf datascale"),
        (names.etcdutl(), "etcdutl", "etcdutl has", "hashkv"),
    ] {
        let script = run(&program, &["completion", "bash"]);
        assert_eq!((script.stderr.as_str(), script.code), ("", 0));
        let file = folder.path().join(name);
        fs::write(&file, script.stdout).expect("a file can be written");
        let words = line.split(' ').count();
        let ask = format!(
            "source {}; COMP_WORDS=({line}{}); COMP_CWORD={}; _{name} {name} \
             \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\"",
            file.display(),
            if line.ends_with(' ') { "''" } else { "" },
            words - 1,
        );
        let bash = std::process::Command::new("bash").args(["-c", &ask]).output();
        let bash = bash.expect("bash runs");
        let said = String::from_utf8_lossy(&bash.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&bash.stderr).into_owned();
        assert!(said.contains(offered), "{line}: {said}{stderr}");
    }
}
