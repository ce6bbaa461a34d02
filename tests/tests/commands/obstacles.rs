//! A reader that goes away, a disk that is full, a line that is slow: nothing is lost, and it is said.

use std::fs::{self, File};
use std::io::Read as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::{binary, or_skip, slow};
use tempfile::TempDir;

/// With their values more than a pipe holds.
const KEYS: usize = 300;

const VALUE_BYTES: usize = 1000;

/// The fewest round trips say how many there are.
const TRIES: usize = 4;

/// There and back.
const ROUND_TRIP: Duration = Duration::from_millis(300);

struct Place {
    cluster: Cluster,
    kvorum: Program,
    etcdctl: Program,
    folder: TempDir,
}

impl Place {
    fn of(server: &Program) -> Place {
        let names = Names::of(binary!());
        let cluster = Cluster::start(server, 1);
        let (kvorum, etcdctl) = (names.kvorum(), names.etcdctl());
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Place { cluster, kvorum, etcdctl, folder }
    }

    fn ours() -> Place {
        Self::of(&Names::of(binary!()).server())
    }

    fn command(&self, program: &Program, words: &[&str]) -> Command {
        let mut command = program.command();
        command.env("HOME", self.folder.path()).args(["--endpoints", &self.cluster.endpoints()]);
        command.args(words).stdin(Stdio::null());
        command
    }

    fn fill(&self) {
        let script = self.folder.path().join("script");
        let value = "v".repeat(VALUE_BYTES);
        let puts: Vec<_> = (0..KEYS).map(|i| format!("put /many/{i:05} {value}\n")).collect();
        fs::write(&script, puts.concat()).expect("a script can be written");
        let script = File::open(&script).expect("a script can be read");
        let output = self.command(&self.kvorum, &[]).stdin(script).output().expect("kvorum runs");
        assert!(output.status.success(), "{output:?}");
    }
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let place = Place::ours();
    place.fill();
    for (program, words) in [
        (&place.kvorum, &["get", "--prefix", "/many/"][..]),
        (&place.kvorum, &["get", "--prefix", "/many/", "-o", "ndjson"]),
        (&place.kvorum, &["get", "--prefix", "/many/", "-o", "table"]),
        (&place.kvorum, &["grep", "--values", "v"]),
        (&place.kvorum, &["watch", "--prefix", "/many/", "--rev", "1"]),
        (&place.etcdctl, &["get", "--prefix", "/many/"]),
        (&place.etcdctl, &["get", "--prefix", "/many/", "-w", "json"]),
        (&place.etcdctl, &["watch", "--prefix", "/many/", "--rev", "1"]),
    ] {
        let mut command = place.command(program, words);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut reader = child.stdout.take().expect("its output is a pipe");
        reader.read_exact(&mut [0]).expect("it begins to write");
        drop(reader);
        let output = child.wait_with_output().expect("it ends");
        // What the scans say on standard error, they say before the first row.
        let complaint = error_of(&output);
        assert!(output.status.success() && !complaint.contains("rror"), "{words:?}: {output:?}");
    }
}

#[test]
fn output_for_which_there_is_no_room_is_an_error_that_says_so() {
    let place = Place::ours();
    place.fill();
    for words in [
        &["get", "--prefix", "/many/"][..],
        &["get", "/many/00001"],
        &["get", "/many/00001", "-o", "raw"],
        &["ls", "/many/"],
        &["du"],
        &["show", "/many/00001"],
        &["member", "list"],
        &["endpoint", "status"],
        &["doctor", "--report"],
        &["explain", "NOSPACE"],
        &["completion", "bash"],
        &["version"],
    ] {
        let full = File::options().write(true).open("/dev/full").expect("it is on every Linux");
        let output = place.command(&place.kvorum, words).stdout(full).output().expect("it runs");
        let complaint = error_of(&output);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {complaint}");
        let error = complaint.lines().find(|line| line.starts_with("error: "));
        assert!(error.is_some_and(|line| line.contains("No space left")), "{words:?}: {complaint}");
        assert!(complaint.contains("\nhint: the output is cut"), "{words:?}: {complaint}");
    }
    // etcdctl does not look.
    for words in [&["version"][..], &["get", "--help"], &["help"]] {
        let full = File::options().write(true).open("/dev/full").expect("it is on every Linux");
        let output = place.command(&place.etcdctl, words).stdout(full).output().expect("it runs");
        assert_eq!(
            (output.status.code(), error_of(&output)),
            (Some(0), String::new()),
            "{words:?}"
        );
    }
}

#[test]
fn a_snapshot_for_which_there_is_no_room_leaves_the_old_one_as_it_was() {
    let place = Place::ours();
    place.fill();
    let file = place.folder.path().join("backup.db");
    fs::write(&file, "the backup of yesterday").expect("a file can be written");
    for program in [&place.kvorum, &place.etcdctl] {
        let saving = place.command(program, &["snapshot", "save", &file.display().to_string()]);
        // A limit on the size of files stands in for a full disk: 8 KiB.
        let mut shell = Command::new("bash");
        shell
            .args(["-c", "ulimit -f 8; trap '' XFSZ; exec \"$@\"", "bash"])
            .arg(saving.get_program());
        shell.args(saving.get_args()).env("HOME", place.folder.path());
        let output = shell.output().expect("bash runs");
        let complaint = error_of(&output);
        assert!(!output.status.success(), "{complaint}");
        assert!(complaint.contains("could not write snapshot: File too large"), "{complaint}");
        let kept = fs::read_to_string(&file).expect("the file is there");
        assert_eq!(kept, "the backup of yesterday");
        assert!(!place.folder.path().join("backup.db.part").exists(), "half a file is left");
    }
}

#[test]
fn a_snapshot_takes_the_place_of_no_device() {
    let place = Place::ours();
    let pipe = place.folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    for program in [&place.kvorum, &place.etcdctl] {
        for path in [pipe.as_path(), place.folder.path()] {
            let words = ["snapshot", "save", &path.display().to_string()];
            let output = place.command(program, &words).output().expect("it runs");
            let complaint = error_of(&output);
            assert!(!output.status.success(), "{complaint}");
            assert!(complaint.contains("is no regular file: it is not replaced"), "{complaint}");
            assert!(
                fs::metadata(path).is_ok_and(|there| !there.is_file()),
                "{path:?} was replaced"
            );
        }
    }
}

fn far_away(server: &Program) {
    let place = Place::of(server);
    let put = place.command(&place.kvorum, &["put", "/app/a", "1"]).output().expect("it runs");
    assert!(put.status.success(), "{put:?}");
    let port = place.cluster.members[0].client_port();
    let far = slow::line_to(port, ROUND_TRIP / 2).expect("a port can be had");
    // How often each may go back and forth.
    for (words, round_trips) in [
        (&["put", "/app/b", "2"][..], 2),
        (&["get", "/app/a"], 2),
        (&["get", "--prefix", "/app/"], 2),
        (&["del", "/app/b"], 2),
        (&["ls", "/app/"], 3),
        (&["tree"], 4),
        (&["count"], 3),
        (&["grep", "a"], 4),
        (&["show", "/app/a"], 2),
        (&["leases"], 2),
        (&["locks"], 4),
        (&["endpoint", "status"], 2),
        (&["member", "list"], 2),
        (&["lease", "grant", "60"], 2),
        (&["lock", "/locks/l", "--", "true"], 4),
        (&["wait", "/app/a"], 2),
        (&["doctor"], 3),
    ] {
        // One more for the program itself, which a busy machine starts late, and not always.
        let limit = ROUND_TRIP * (round_trips + 1);
        let mut tries = (0..TRIES).map(|_| {
            let mut command = place.kvorum.command();
            command.env("HOME", place.folder.path()).args(["--endpoints", &far]).args(words);
            let began = Instant::now();
            let output = command.stdin(Stdio::null()).output().expect("it runs");
            assert!(output.status.success(), "{words:?}: {output:?}");
            began.elapsed()
        });
        let is_within = tries.any(|took| took <= limit);
        assert!(is_within, "{words:?} takes more than {limit:?} each time");
    }
}

#[test]
fn a_member_of_ours_that_is_far_away_answers_in_few_round_trips() {
    far_away(&Names::of(binary!()).server());
}

#[test]
fn an_etcd_that_is_far_away_answers_in_few_round_trips() {
    far_away(&or_skip!(real_etcd(), NO_ETCD));
}
