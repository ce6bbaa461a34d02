//! A server that is started wrongly says in one sentence what is wrong, ends with an error, and
//! leaves the disk as it was.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use kvorum_tests::cluster::{Cluster, Files, Member, contents_of};
use kvorum_tests::load::connect;
use kvorum_tests::ports;
use kvorum_tests::process::{Process, tail};
use kvorum_tests::program::{NO_ETCD, Names, real_etcd};
use kvorum_tests::wait::until;
use kvorum_tests::{binary, or_skip};
use tempfile::TempDir;

/// So long a server may take to see that it cannot start.
const REFUSES_WITHIN: Duration = Duration::from_secs(10);

/// Holds the process id of whoever looked last, so it alone may change.
const LOCK: &str = "kvorum.lock";

/// A server that will not start, in a folder of its own.
struct Bad {
    names: Names,
    folder: TempDir,
    client_port: u16,
    peer_port: u16,
}

/// How it refused.
struct Refusal {
    status: ExitStatus,
    printed: String,
}

impl Bad {
    fn new() -> Bad {
        let ports = ports::free(2);
        Bad {
            names: Names::of(binary!()),
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            client_port: ports[0],
            peer_port: ports[1],
        }
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A start that would go well but for `flags`, which may repeat what is already there.
    fn refusal_of(&self, flags: &[&str]) -> Refusal {
        self.end_of(self.names.server().command(), flags)
    }

    fn end_of(&self, mut command: Command, flags: &[&str]) -> Refusal {
        let (client, peer) = (self.client_port, self.peer_port);
        command
            .arg("--name=m1")
            .arg(format!("--data-dir={}", self.data_dir().display()))
            .arg(format!("--listen-client-urls=http://127.0.0.1:{client}"))
            .arg(format!("--advertise-client-urls=http://127.0.0.1:{client}"))
            .arg(format!("--listen-peer-urls=http://127.0.0.1:{peer}"))
            .arg(format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"))
            .arg(format!("--initial-cluster=m1=http://127.0.0.1:{peer}"))
            .args(flags)
            .current_dir(self.folder.path());
        let outside = tempfile::tempdir().expect("a temporary folder can be made");
        let mut process = Process::start(command, &outside.path().join("printed"))
            .expect("the server can be run");
        let ended = until(REFUSES_WITHIN, || process.has_ended());
        let printed = process.log();
        let status = ended.unwrap_or_else(|| panic!("{flags:?}: it goes on:\n{printed}"));
        Refusal { status, printed }
    }

    /// Refuses `flags` with all of `words`, and neither makes nor changes anything on disk.
    fn refuses(&self, flags: &[&str], words: &[&str]) {
        let before = unchanging(self.folder.path());
        self.refusal_of(flags).says(words);
        let after = unchanging(self.folder.path());
        assert_eq!(differing(&before, &after), NOTHING, "{flags:?} changed the disk");
    }
}

impl Refusal {
    /// Ended with an error and one sentence with all of `words`, perhaps with a hint below it.
    fn says(&self, words: &[&str]) {
        let Refusal { status, printed } = self;
        assert!(status.code().is_some_and(|code| code != 0), "it ended with {status}: {printed}");
        // Besides log lines, and the line with which the harness begins a log.
        let said: Vec<&str> = printed
            .lines()
            .filter(|line| !line.starts_with('{') && !line.starts_with("--- "))
            .collect();
        assert!(!said.is_empty(), "it says nothing but log lines: {printed}");
        let hints = said[1..].iter().all(|line| line.starts_with("hint:"));
        assert!(said.len() <= 2 && hints, "one sentence and a hint, not more: {printed}");
        assert!(!printed.contains("panicked"), "{printed}");
        let sentence = said.join(" ").to_lowercase();
        for word in words {
            assert!(sentence.contains(&word.to_lowercase()), "no {word:?} in: {printed}");
        }
    }
}

#[test]
fn flags_that_do_not_exist_or_have_no_sense_are_named() {
    let bad = Bad::new();
    bad.refuses(&["--no-such-flag"], &["no-such-flag"]);
    bad.refuses(&["--nmae=m1"], &["nmae", "name"]);
    bad.refuses(&["stray"], &["stray"]);
    bad.refuses(&["--heartbeat-interval=soon"], &["soon", "heartbeat-interval"]);
    bad.refuses(&["--heartbeat-interval=0"], &["heartbeat-interval"]);
    bad.refuses(
        &["--heartbeat-interval=500", "--election-timeout=1000"],
        &["election-timeout", "heartbeat-interval", "5 times"],
    );
    bad.refuses(&["--election-timeout=60000"], &["election-timeout", "50000"]);
    bad.refuses(&["--initial-cluster-state=old"], &["old"]);
    bad.refuses(&["--listen-client-urls=http://example.com:1"], &["example.com"]);
    bad.refuses(&["--listen-client-urls=nonsense"], &["nonsense", "listen-client-urls"]);
}

#[test]
fn as_kvorum_server_it_refuses_in_the_same_way() {
    let bad = Bad::new();
    let mut command = bad.names.kvorum().command();
    command.arg("server");
    bad.end_of(command, &["--no-such-flag"]).says(&["no-such-flag"]);
    assert!(!bad.data_dir().exists(), "a refused start makes no data directory");
}

#[test]
fn a_malformed_initial_cluster_is_shown() {
    let bad = Bad::new();
    for (cluster, shown) in [
        ("m1", "m1"),
        ("m1=", "m1"),
        // As etcd reads it: a member without a name, so m1 is not among them.
        ("=http://127.0.0.1:1", "m1"),
        ("m1=127.0.0.1:1", "127.0.0.1:1"),
        ("m1=http://127.0.0.1:port", "127.0.0.1:port"),
        ("m1=ftp://127.0.0.1:1", "ftp"),
    ] {
        bad.refuses(&[&format!("--initial-cluster={cluster}")], &["initial", "cluster", shown]);
    }
}

#[test]
fn a_name_that_is_not_in_the_initial_cluster_is_named() {
    let bad = Bad::new();
    bad.refuses(&["--name=stranger"], &["stranger", "initial", "cluster"]);
}

#[test]
fn a_port_in_use_is_named() {
    for flag in ["listen-client-urls", "listen-peer-urls"] {
        let bad = Bad::new();
        let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = taken.local_addr().expect("it has an address").port().to_string();
        bad.refuses(&[&format!("--{flag}=http://127.0.0.1:{port}")], &[&port, "in use"]);
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let bad = Bad::new();
    // Modes do not stop root, so: a file in the directory's place, one in its parent's place,
    // and a file system in which nobody can make anything.
    let file = bad.folder.path().join("file");
    std::fs::write(&file, "not a directory").expect("a file can be written");
    let below = file.join("data");
    for path in [&file, &below, Path::new("/proc/kvorum")] {
        let flag = format!("--data-dir={}", path.display());
        bad.refuses(&[&flag], &[&path.display().to_string(), "--data-dir"]);
    }
}

#[test]
fn etcds_own_data_directory_is_left_as_it_is() {
    let bad = Bad::new();
    let data = bad.data_dir();
    for folder in ["member/snap", "member/wal"] {
        std::fs::create_dir_all(data.join(folder)).expect("a folder can be made");
    }
    std::fs::write(data.join("member/snap/db"), "pages").expect("a file can be written");
    let segment = "member/wal/0000000000000000-0000000000000000.wal";
    std::fs::write(data.join(segment), "records").expect("a file can be written");
    bad.refuses(&[], &["etcd", "--data-dir", &data.display().to_string()]);
}

#[test]
fn a_data_directory_that_real_etcd_made_is_left_as_it_is() {
    let etcd = or_skip!(real_etcd(), NO_ETCD);
    let mut cluster = Cluster::start(&etcd, 1);
    cluster.kill_all();
    let bad = Bad::new();
    let data = cluster.members[0].data_dir();
    let before = contents_of(&data);
    let flag = format!("--data-dir={}", data.display());
    bad.refusal_of(&[&flag]).says(&["etcd", "--data-dir", &data.display().to_string()]);
    assert_eq!(differing(&before, &contents_of(&data)), NOTHING, "etcd's directory was changed");
}

#[tokio::test]
async fn a_damaged_log_is_shown_and_left_as_it_is() {
    let bad = Bad::new();
    let mut cluster = Cluster::start(&bad.names.server(), 1);
    let member = &mut cluster.members[0];
    let mut client = connect(&member.client_url()).await.expect("the member serves");
    for index in 0..100 {
        let value = format!("value-{index:03}-{}", "x".repeat(100));
        client.put("key", value, None).await.expect("a put is answered");
    }
    member.kill();

    // In the middle of what was acknowledged: this is no torn end of a crash.
    let log = damage(&member.data_dir(), b"value-050-xxxx");
    let before = unchanging(&member.data_dir());
    member.start();
    let mut words = vec!["damaged".to_owned(), log.display().to_string()];
    let ended = until(REFUSES_WITHIN, || member.running().has_ended());
    let status = ended.expect("a member with a damaged log does not run");
    let log = member.log();
    let (_, printed) = log.rsplit_once("--- ").expect("every run is marked in the log");
    let printed = printed.split_once('\n').map_or("", |(_, rest)| rest).to_owned();
    words.push("backup".into());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Refusal { status, printed }.says(&words);
    let after = unchanging(&member.data_dir());
    assert_eq!(differing(&before, &after), NOTHING, "the data directory was changed");
}

#[tokio::test]
async fn a_second_process_on_one_data_directory_ends_at_once() {
    let bad = Bad::new();
    let cluster = Cluster::start(&bad.names.server(), 1);
    let member = &cluster.members[0];
    let data = member.data_dir();
    let flag = format!("--data-dir={}", data.display());
    bad.refusal_of(&[&flag]).says(&["in use by another process", &data.display().to_string()]);

    let mut client = connect(&member.client_url()).await.expect("the first still serves");
    client.put("still", "there", None).await.expect("the first still writes");
}

/// Turns one bit in the log where `text` stands, and says in which file.
#[tokio::test]
async fn a_member_that_lost_its_data_does_not_begin_again_under_its_old_id() {
    let mut cluster = Cluster::start(&Names::of(binary!()).server(), 3);
    cluster.members[2].kill();
    std::fs::remove_dir_all(cluster.members[2].data_dir()).expect("the data can be removed");
    cluster.members[2].start();
    let log = ended(&mut cluster.members[2]);
    assert!(log.contains("has already been bootstrapped"), "{log}");
    assert!(log.contains("add it again"), "{log}");
    assert!(!cluster.members[2].data_dir().join("kvorum").exists(), "it made data");

    // With nobody there to ask it begins; but nobody listens to it, and when it hears why it ends.
    cluster.members[0].kill();
    cluster.members[1].kill();
    cluster.members[2].start();
    let began = until(2 * REFUSES_WITHIN, || {
        cluster.members[2].data_dir().join("kvorum").exists().then_some(())
    });
    began.expect("it begins");
    cluster.members[0].start();
    cluster.members[1].start();
    let log = ended(&mut cluster.members[2]);
    assert!(log.contains("was lost, and with it what the member had promised"), "{log}");
    cluster.members[0].await_serving();
    cluster.members[1].await_serving();
}

/// Waits for a member to end by itself, and tells what it said last.
fn ended(member: &mut Member) -> String {
    let status = until(2 * REFUSES_WITHIN, || member.running().has_ended());
    let status = status.unwrap_or_else(|| panic!("it goes on:\n{}", tail(&member.log())));
    assert!(!status.success(), "{status}");
    let log = tail(&member.log()).to_owned();
    member.kill();
    log
}

fn damage(data_dir: &Path, text: &[u8]) -> PathBuf {
    let files = contents_of(data_dir);
    let logs = files.into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "log"));
    for (path, mut bytes) in logs {
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text) {
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).expect("a file can be written");
            return path;
        }
    }
    panic!("no log under {} holds {:?}", data_dir.display(), String::from_utf8_lossy(text));
}

const NOTHING: [PathBuf; 0] = [];

/// The files that are only in one of the two, or not the same in both.
fn differing(before: &Files, after: &Files) -> Vec<PathBuf> {
    let (before, after) = (BTreeSet::from_iter(before), BTreeSet::from_iter(after));
    let mut paths: Vec<PathBuf> =
        before.symmetric_difference(&after).map(|(path, _)| path.clone()).collect();
    paths.dedup();
    paths
}

/// What lies under a folder, but for the file that says who looked last.
fn unchanging(folder: &Path) -> Files {
    let mut contents = contents_of(folder);
    contents.retain(|(path, _)| path.file_name() != Some(LOCK.as_ref()));
    contents
}
