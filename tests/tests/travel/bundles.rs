//! `export`, `import` and `apply`: what goes into a file comes back, and half a file does nothing.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::keyspace::Keyspace;
use kvorum_tests::memory::peak_bytes;
use kvorum_tests::program::Program;
use kvorum_tests::terminal::Terminal;
use kvorum_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};

use super::transcript;
use crate::person::{Person, far_from_many, stderr};

pub(crate) fn told(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    for (key, value) in [
        ("/c/a", "1"),
        ("/c/b", "two\nlines"),
        ("/c/gone", "x"),
        ("/d", "other"),
        ("/registry/secrets/s", "a secret"),
    ] {
        keyspace.put(key, value);
    }
    let mut told = transcript("bundles", &cluster);
    let home = told.home().display().to_string();
    let (file, all) = (format!("{home}/c.ndjson"), format!("{home}/all.ndjson"));
    let (file, all) = (file.as_str(), all.as_str());
    for words in [
        &["export", "/c/", "--to", file][..],
        &["export", "/c/", "--to", file, "-o", "json", "--rev", "3"],
        &["export", "/c/", "--to", file],
        &["export", "--to", all],
        &["export", "/c/", "--rev", "99"],
        &["export", "/c/", "--to", "/dev/null"],
        &["export", "/c/", "--to", "/nonexistent/x"],
        &["import", file, "--yes"],
    ] {
        told.pipe(words);
    }
    keyspace.put("/c/a", "changed");
    keyspace.delete("/c/gone");
    keyspace.put("/c/new", "n");
    for words in [
        &["import", file][..],
        &["import", file, "--dry-run"],
        &["import", file, "--dry-run", "--quiet", "-o", "ndjson"],
        &["import", file, "--read-only", "--yes"],
        &["apply", file, "--dry-run"],
        &["import", file, "--yes"],
        &["import", file, "--yes"],
        &["get", "--prefix", "/c/"],
        &["apply", file, "--yes", "-o", "json"],
        &["apply", file, "--yes"],
        &["get", "--prefix", "/c/", "-o", "keys"],
        &["undo", "--yes"],
        &["get", "--prefix", "/c/", "-o", "keys"],
        &["import", file, "--to", "/copy/", "--yes"],
        &["import", file, "--only", "/c/b", "--to", "/b", "--yes"],
        &["import", file, "--only", "/x"],
        &["get", "--prefix", "/b", "--keys-only"],
        &["import", "/nonexistent/x"],
        &["import", "/dev/null"],
    ] {
        told.pipe(words);
    }
    let bundle = fs::read_to_string(file).expect("it is text");
    told.typed(&["import", "-", "--to", "/typed/"], &bundle);
    told.typed(&["apply", "-", "--to", "/typed/", "--yes"], &bundle);
    told.typed(&["import", "-", "--yes"], "{\"a\": 1}\n");
    told.typed(&["import", "-", "--yes"], &bundle.replace("two", "2"));
    told.asked(&["apply", file, "--to", "/typed/sub/"], "[y/N]", "n\r");
    told.check();
}

/// Keys and values that are no text, and a text of every kind of character.
const STRANGE: [(&[u8], &[u8]); 4] = [
    (b"/s/\x00\xff", b"\xfe\x00"),
    (b"/s/empty", b""),
    (b"/s/text", "\u{1b}[31m\u{202e}\t\r\n\u{0}\u{7f}é日\u{10ffff}\"\\".as_bytes()),
    (b"/s/\xf0\x9f\x92", b"cut emoji: \xf0\x9f\x92"),
];

pub(crate) fn round_trip(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    for (key, value) in STRANGE {
        keyspace.put(key, value);
    }
    keyspace.lease_put(0x77, "/s/leased", "l");
    let person = Person::at(&cluster.endpoints());
    let file = person.file("s.ndjson");
    person.says(&["export", "/s/", "--to", &file]);
    let mode = fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "what is in it may be a secret");
    let bundle = fs::read_to_string(&file).expect("a bundle is text");
    assert!(!bundle.contains('\u{1b}') && !bundle.contains('\u{0}'), "{bundle}");
    let leased = r#""lease":{"id":"0000000000000077","granted_ttl_s":604800}"#;
    assert!(bundle.contains(leased), "{bundle}");

    let without_revisions = || {
        let rows = person.says(&["get", "--prefix", "/s/", "-o", "ndjson"]);
        let rows = rows.lines().map(|row| {
            let mut row: serde_json::Value = serde_json::from_str(row).expect("a row is JSON");
            let fields = row.as_object_mut().expect("it has fields");
            fields.retain(|name, _| ["key", "value", "lease"].contains(&name.as_str()));
            row
        });
        rows.collect::<Vec<_>>()
    };
    let before = without_revisions();
    assert_eq!(before.len(), 5);
    person.says(&["del", "--prefix", "/s/", "--yes"]);
    assert_eq!(person.says(&["import", &file, "--yes"]), "5 keys imported at revision 8\n");
    assert_eq!(without_revisions(), before);
    // What is already so is left alone, and the same keys make the same lines.
    assert_eq!(person.says(&["apply", &file, "--yes"]), "nothing is left to write\n");
    let again = person.says(&["export", "/s/"]);
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("{\"key\":"));
        lines
            .map(|line| line.split(",\"create_revision\"").next().unwrap_or(line).to_owned())
            .collect()
    };
    assert_eq!(values(&again), values(&bundle));
}

pub(crate) fn cut(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    for number in 0..20 {
        keyspace.put(format!("/c/{number:02}"), "value");
    }
    let person = Person::at(&cluster.endpoints());
    let file = person.file("c.ndjson");
    person.says(&["export", "/c/", "--to", &file]);
    let whole = fs::read(&file).expect("it is there");
    person.says(&["del", "--prefix", "/c/", "--yes"]);
    keyspace.put("/c/later", "stays");
    let revision = keyspace.revision();
    let last_line = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n');
    let last_line = last_line.expect("a bundle has lines") + 1;
    let lengths =
        [0, 1, 60, whole.len() / 2, last_line - 1, last_line, last_line + 9, whole.len() - 2];
    for length in lengths {
        fs::write(&file, &whole[..length]).expect("it can be cut");
        for verb in ["import", "apply"] {
            let refused = person.runs(&[verb, &file, "--yes"]);
            let said = stderr(&refused);
            assert_eq!(refused.status.code(), Some(1), "{verb} of {length} bytes: {said}");
            assert!(said.contains("it is cut") && said.contains("nothing was written"), "{said}");
        }
    }
    // A line in the middle is lost, and another is damaged.
    let text = String::from_utf8(whole).expect("it is text");
    let lines: Vec<_> = text.lines().collect();
    let without = [&lines[..5], &lines[6..]].concat().join("\n");
    let damaged = text.replace(r#"{"key":"/c/07""#, r#"{"key":"/c/77""#);
    let refused = |text: &str| {
        fs::write(&file, text).expect("it can be damaged");
        stderr(&person.runs(&["apply", &file, "--yes"]))
    };
    let said = refused(&without);
    assert!(said.contains("it has 19 keys, but its last line says 20"), "{said}");
    let said = refused(&damaged);
    assert!(said.contains("line 10: the keys are not in their order"), "{said}");
    assert_eq!(keyspace.revision(), revision, "nothing was written");
}

pub(crate) fn leases(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    keyspace.lease_put(0x77, "/l/alive", "a");
    keyspace.lease_put(0x88, "/l/gone", "g");
    keyspace.put_under(0x88, "/l/gone-too", "g");
    keyspace.put("/l/none", "n");
    let mut told = transcript("bundle_leases", &cluster);
    let file = format!("{}/l.ndjson", told.home().display());
    let file = file.as_str();
    told.pipe(&["export", "/l/", "--to", file]);
    told.pipe(&["lease", "revoke", "88"]);
    keyspace.put_under(0x77, "/l/none", "n");
    for words in [
        &["import", file, "--dry-run"][..],
        &["import", file, "--dry-run", "--leases", "none"],
        &["import", file, "--dry-run", "--leases", "new"],
        &["import", file, "--yes"],
        &["get", "--prefix", "/l/", "-o", "jsonpath={.kvs[*].lease}"],
        &["del", "/l/gone"],
        &["import", file, "--leases", "new", "--yes"],
        &["import", file, "--leases", "new", "--yes"],
        &["del", "/l/gone-too"],
        &["import", file, "--leases", "new", "--yes"],
    ] {
        told.pipe(words);
    }
    told.check();
    // The key that was gone alone has come under a lease of its own: that of the other may be kept
    // by somebody else meanwhile.
    let person = Person::at(&cluster.endpoints());
    let lease = |key| person.says(&["get", key, "-o", "jsonpath={.kvs[0].lease}"]);
    assert_ne!(lease("/l/gone"), lease("/l/gone-too"));
    let leases = person.says(&["lease", "list", "-o", "jsonpath={.leases[*].id}"]);
    assert_eq!(leases.lines().count(), 3, "{leases}");
    for key in ["/l/gone", "/l/gone-too"] {
        let ttl = person.says(&["show", key, "-o", "jsonpath={.lease.granted_ttl_s}"]);
        assert_eq!(ttl, "604800\n");
    }
}

pub(crate) fn no_room(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    let value = "v".repeat(10_000);
    for number in 0..10 {
        keyspace.put(format!("/c/{number}"), &value);
    }
    let person = Person::at(&cluster.endpoints());
    let file = person.file("c.ndjson");
    fs::write(&file, "what was there").expect("it can be written");
    let kvorum = person.command(&["export", "/c/", "--to", &file]);
    // 32 blocks of 1 KiB, and no signal for it.
    let mut limited = Command::new("bash");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 32; exec \"$0\" \"$@\""]);
    limited.arg(kvorum.get_program()).args(kvorum.get_args());
    limited.env("HOME", person.home.path());
    let output = limited.output().expect("bash runs");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("could not be written") && said.contains("hint: "), "{said}");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "what was there");
    let entries = fs::read_dir(person.home.path()).expect("it is a folder");
    let names: Vec<_> = entries.map(|entry| entry.expect("it is there").file_name()).collect();
    assert!(!names.iter().any(|name| name == "c.ndjson.part"), "{names:?}");

    let full = fs::File::options().write(true).open("/dev/full").expect("it is on every Linux");
    let mut command = person.command(&["export", "/c/"]);
    let output = command.stdout(full).output().expect("kvorum runs");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("hint: the output is cut"), "{said}");
}

const MANY: usize = 100_000;
/// In the name of a key, so that the keys are as large as those of the limit.
const MORE_BYTES: usize = 250;
/// That of a million keys; a debug build has the same pages and buffers.
const MOST_MEMORY_BYTES: u64 = 64 << 20;

pub(crate) fn many(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    keyspace.fill_with(MANY, MORE_BYTES);
    let person = Person::at(&cluster.endpoints());
    let mut export = person.begins_far_away(&["export", "/many/"]);
    let mut out = export.stdout.take().expect("it is a pipe");
    // All but what a pipe holds: then it runs still.
    let mut bundle = vec![0; MANY * (MORE_BYTES + 50)];
    out.read_exact(&mut bundle).expect("so much comes at least");
    let peak = peak_bytes(export.id());
    out.read_to_end(&mut bundle).expect("the rest comes");
    assert!(export.wait().expect("it ends").success());
    assert!(peak <= MOST_MEMORY_BYTES, "{} MiB", peak >> 20);
    let lines = bundle.split(|byte| *byte == b'\n').count() - 1;
    assert_eq!(lines, MANY + 2);

    // A plan that is waited with has read everything.
    let file = person.file("many.ndjson");
    fs::write(&file, &bundle).expect("it can be written");
    keyspace.fill_again_with(1000, MORE_BYTES, "changed");
    let mut import = person.command(&["apply", &file, "--dry-run"]);
    import.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut import = import.spawn().expect("kvorum runs");
    let mut rows = String::new();
    let mut out = import.stdout.take().expect("it is a pipe");
    let mut first = vec![0; 200_000];
    out.read_exact(&mut first).expect("most rows come");
    let peak = peak_bytes(import.id());
    out.read_to_string(&mut rows).expect("rows are text");
    assert!(import.wait().expect("it ends").success());
    assert!(peak <= MOST_MEMORY_BYTES, "{} MiB", peak >> 20);
    let rows = String::from_utf8_lossy(&first).into_owned() + &rows;
    assert_eq!(rows.lines().count(), 1000, "{}", rows.lines().next().unwrap_or_default());
}

pub(crate) fn interrupted(server: &Program) {
    let (_cluster, keyspace, person) = far_from_many(server);
    let file = person.file("many.ndjson");
    person.says(&["export", "/many/", "--to", &file]);
    let before = keyspace.revision();
    let words = ["import", &file, "--to", "/copy/", "--yes"];
    let import = person.begins_far_away(&words);
    let two_are_done = || (keyspace.revision() >= before + 2).then_some(());
    until(Duration::from_secs(60), two_are_done).expect("transactions happen one by one");
    kill_process(Pid::from_child(&import), Signal::INT).expect("it is there");
    let output = import.wait_with_output().expect("it ends");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(130), "{said}");
    let done = (keyspace.revision() - before) * 128;
    assert!(said.contains(&format!("{done} of 1,000 keys are written")), "{said}");
    assert!(said.contains(&format!(" import --to /copy/ {file}")), "{said}");
    let rest = person.says(&words);
    assert!(rest.starts_with(&format!("{} keys imported", 1000 - done)), "{rest}");
    assert_eq!(person.says(&["diff", "/many/", "/copy/"]), "");
}

pub(crate) fn another_writer(server: &Program) {
    let cluster = Cluster::start(server, 1);
    let keyspace = Keyspace::of(&cluster);
    keyspace.put("/c/a", "1");
    keyspace.put("/c/b", "1");
    let person = Person::at(&cluster.endpoints());
    let file = person.file("c.ndjson");
    person.says(&["export", "/c/", "--to", &file]);
    keyspace.put("/c/a", "2");
    keyspace.delete("/c/b");
    for meanwhile in ["/c/a", "/c/b"] {
        let mut terminal = Terminal::start(person.command(&["import", &file]), 100, 40);
        terminal.shows("[y/N]");
        keyspace.put(meanwhile, "theirs");
        terminal.keys("y\r");
        let code = terminal.ended().code();
        let said = terminal.screen();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(meanwhile) && said.contains("since the plan was made"), "{said}");
        assert!(said.contains("nothing was written"), "{said}");
    }
    assert_eq!(person.says(&["get", "--prefix", "/c/"]), "/c/a\ntheirs\n/c/b\ntheirs\n");
}
