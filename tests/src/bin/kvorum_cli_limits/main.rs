//! Measures what looking into a large keyspace costs and how soon others hear of what happens, and
//! ends with 1 if it is more than promised.
//!
//! `kvorum-cli-limits` fills a member, ours and then etcd's, with keys that make a tree, and has
//! `kvorum tree`, `du` and `grep` go through them. Beside them, in the same run, a bare scan reads
//! the same bytes page by page and does nothing with them. Then it has `diff` and `export` go through
//! them, which are to take no more memory, and `history` back through a key of a thousand revisions.
//! Last, services come and are killed, and a configuration changes, before the eyes of others.

mod scenes;

use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvorum_proto::etcdserverpb::kv_client::KvClient;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{PutRequest, RangeRequest, RequestOp, TxnRequest};
use kvorum_proto::key_range::successor;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::program::{Names, Program, real_etcd};
use kvorum_tests::terminal::Terminal;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

const USAGE: &str = "usage: kvorum-cli-limits [--keys N] [--rounds N] [--only ours|etcd] \
                     [--part look|travel|scenes]";

/// How much longer than the bare scan a verb may take.
const MAX_FACTOR: f64 = 1.5;

/// Until there is a row or a line that tells how far it is.
const MAX_FIRST: Duration = Duration::from_millis(200);

/// How long the history of a key with this many revisions may take.
const MAX_HISTORY: Duration = Duration::from_millis(500);
const HISTORY_REVISIONS: usize = 1000;

/// One of so many keys is changed, so that there is something to compare.
const CHANGED_ONE_OF: usize = 100;

/// What a client may take at most.
const MAX_CLIENT_BYTES: u64 = 64 << 20;

/// What a script that pages by hand asks for at once.
const BARE_PAGE_KEYS: i64 = 10_000;

/// Keys and values together are about 300 bytes: small objects of Kubernetes.
const VALUE_BYTES: usize = 256;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mut keys, mut rounds) = (1_000_000, 3);
    let mut sides = vec!["ours", "etcd"];
    let mut parts = vec!["look", "travel", "scenes"];
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        let value = rest.next().unwrap_or_default();
        let number = value.parse();
        match (argument, value, number) {
            ("--keys", _, Ok(number)) => keys = number,
            ("--rounds", _, Ok(number)) if number > 0 => rounds = number,
            ("--only", "ours", _) => sides = vec!["ours"],
            ("--only", "etcd", _) => sides = vec!["etcd"],
            ("--part", part, _) if parts.contains(&part) => parts = vec![part],
            _ => {
                let _ = writeln!(io::stderr(), "{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let own = std::env::current_exe().expect("a program knows where it is");
    let names = Names::of(&own.with_file_name("kvorum-under-test"));
    let mut is_within = true;
    for side in sides {
        let server = match side {
            "ours" => names.server(),
            _ => real_etcd().expect("KVORUM_ETCD_DIR names the folder with etcd"),
        };
        let flags = ["--quota-backend-bytes=8589934592"];
        let cluster = Cluster::start_with(&server, 1, &flags);
        let runtime = Runtime::new().expect("threads can be had");
        let url = cluster.members[0].client_url();
        runtime.block_on(fill(&url, keys));
        say(&format!("{side}: {keys} keys, values of {VALUE_BYTES} bytes, {rounds} rounds"));
        let kvorum = names.kvorum();
        let place = Place { runtime, url, kvorum, endpoint: cluster.endpoints(), keys, rounds };
        for part in &parts {
            is_within &= match *part {
                "look" => place.measure(),
                "travel" => place.measure_travel(),
                _ => scenes::measure(&place),
            };
        }
    }
    say(if is_within { "within the limits" } else { "BEYOND THE LIMITS" });
    if is_within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Place {
    runtime: Runtime,
    url: String,
    kvorum: Program,
    endpoint: String,
    keys: usize,
    rounds: usize,
}

/// One run of a verb, or of a bare scan.
#[derive(Clone, Copy, Default)]
struct Run {
    took: Duration,
    first: Duration,
    peak_bytes: u64,
}

impl Place {
    fn measure(&self) -> bool {
        let verbs: [(&str, &[&str], bool); 5] = [
            ("tree --depth 0", &["tree", "--depth", "0"], false),
            ("tree", &["tree", "--depth", "2"], false),
            ("grep", &["grep", "name-[0-9]*77"], false),
            ("du", &["du", "--depth", "2"], true),
            ("grep --values", &["grep", "--values", "b[x-z]+9"], true),
        ];
        let mut bare = [Vec::new(), Vec::new()];
        let mut runs = vec![Vec::new(); verbs.len()];
        for _ in 0..self.rounds {
            for values in [false, true] {
                let took = self.runtime.block_on(bare_scan(&self.url, values, self.keys));
                bare[usize::from(values)].push(Run { took, ..Run::default() });
            }
            for ((_, words, _), runs) in verbs.iter().zip(&mut runs) {
                runs.push(self.run(words));
            }
        }
        let bare = bare.map(|runs| median(&runs, |run| run.took));
        for (what, took) in ["keys", "keys and values"].iter().zip(bare) {
            say(&format!("  bare scan of {what}: {} ms", took.as_millis()));
        }
        let mut is_within = true;
        for ((name, words, values), runs) in verbs.iter().zip(&runs) {
            let took = median(runs, |run| run.took);
            let first = median(runs, |run| run.first);
            let peak = runs.iter().map(|run| run.peak_bytes).max().unwrap_or_default();
            let factor = took.as_secs_f64() / bare[usize::from(*values)].as_secs_f64();
            let shown = self.shows_something(words);
            say(&format!(
                "  {name}: {} ms, {factor:.2} of bare; first row in a pipe {} ms, something on a \
                 terminal {} ms; {:.1} MiB",
                took.as_millis(),
                first.as_millis(),
                shown.as_millis(),
                peak as f64 / f64::from(1 << 20),
            ));
            is_within &= factor <= MAX_FACTOR && peak <= MAX_CLIENT_BYTES && shown <= MAX_FIRST;
        }
        is_within
    }

    /// Time travel, over the same keys.
    fn measure_travel(&self) -> bool {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("backup.db").display().to_string();
        self.run(&["snapshot", "save", &file]);
        let before = self.runtime.block_on(change(&self.url, self.keys)).to_string();
        let verbs: [(&str, &[&str]); 4] = [
            ("diff of two revisions", &["diff", "--rev", &before, "--names"]),
            ("diff with the values", &["diff", "--rev", &before]),
            ("diff with a snapshot", &["diff", "--snapshot", &file, "--names"]),
            ("export", &["export"]),
        ];
        let mut is_within = true;
        for (name, words) in verbs {
            let run = self.run(words);
            let mib = run.peak_bytes as f64 / f64::from(1 << 20);
            say(&format!("  {name}: {} ms; {mib:.1} MiB", run.took.as_millis()));
            is_within &= run.peak_bytes <= MAX_CLIENT_BYTES;
        }
        let history: Vec<Run> =
            (0..self.rounds).map(|_| self.run(&["history", HISTORY_KEY])).collect();
        let took = median(&history, |run| run.took);
        say(&format!("  history of {HISTORY_REVISIONS} revisions: {} ms", took.as_millis()));
        is_within && took <= MAX_HISTORY
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.kvorum.command();
        command.args(["--endpoints", &self.endpoint, "--yes"]).args(words);
        command
    }

    fn run(&self, words: &[&str]) -> Run {
        let mut command = self.command(words);
        let began = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().expect("kvorum runs");
        let mut out = child.stdout.take().expect("its output is a pipe");
        let reading = thread::spawn(move || {
            let (mut first, mut buffer) = (None, vec![0; 1 << 16]);
            while out.read(&mut buffer).expect("a pipe can be read") > 0 {
                first.get_or_insert_with(|| began.elapsed());
            }
            first.unwrap_or_else(|| began.elapsed())
        });
        let peak_bytes = peak(&mut child);
        let took = began.elapsed();
        let status = child.wait().expect("it ends");
        // grep ends with 1 if it finds nothing.
        let fine = status.success() || (words[0] == "grep" && status.code() == Some(1));
        assert!(fine, "{words:?}: {status}");
        Run { took, first: reading.join().expect("its output is read"), peak_bytes }
    }

    /// How long a person looks at nothing.
    fn shows_something(&self, words: &[&str]) -> Duration {
        let one = || {
            let terminal = Terminal::start(self.command(words), 100, 30);
            terminal.becomes("anything", |screen| !screen.trim().is_empty())
        };
        let mut took: Vec<_> = (0..self.rounds).map(|_| one()).collect();
        took.sort_unstable();
        took[took.len() / 2]
    }
}

/// The most memory that it takes until it ends.
fn peak(child: &mut Child) -> u64 {
    let mut peak = 0;
    while child.try_wait().expect("a child can be asked").is_none() {
        peak = high_water(child.id()).unwrap_or(peak);
        thread::sleep(Duration::from_millis(2));
    }
    peak
}

/// `None` for a process that has just ended.
fn high_water(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

fn median(runs: &[Run], of: impl Fn(&Run) -> Duration) -> Duration {
    let mut sorted: Vec<_> = runs.iter().map(of).collect();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// Reads everything page by page, one after another, and does nothing with it.
async fn bare_scan(url: &str, values: bool, keys: usize) -> Duration {
    let mut client = client(url).await;
    let began = Instant::now();
    let (mut from, mut revision, mut seen) = (Bytes::from_static(&[0]), 0, 0);
    loop {
        let page = RangeRequest {
            key: from,
            range_end: Bytes::from_static(&[0]),
            limit: BARE_PAGE_KEYS,
            revision,
            serializable: true,
            keys_only: !values,
            ..RangeRequest::default()
        };
        let page = client.range(page).await.expect("a page is answered").into_inner();
        seen += page.kvs.len();
        revision = page.header.map_or(0, |header| header.revision);
        let Some(last) = page.kvs.last().filter(|_| page.more) else { break };
        from = successor(&last.key);
    }
    assert_eq!(seen, keys);
    began.elapsed()
}

/// Puts all keys, many in a transaction, several transactions at a time: a disk takes them together.
async fn fill(url: &str, keys: usize) {
    const LANES: usize = 16;
    let client = client(url).await;
    let lane = |lane: usize| {
        let mut client = client.clone();
        async move {
            for first in (lane * BATCH..keys).step_by(LANES * BATCH) {
                let txn = puts(first, (first + BATCH).min(keys));
                client.txn(txn).await.expect("a transaction of puts is taken");
            }
        }
    };
    let filled: JoinSet<()> = (0..LANES).map(lane).collect();
    filled.join_all().await;
}

const HISTORY_KEY: &str = "/history";

/// Changes some of the keys, and one very often; answers the revision before.
async fn change(url: &str, keys: usize) -> i64 {
    let mut client = client(url).await;
    let any = RangeRequest { key: HISTORY_KEY.into(), ..RangeRequest::default() };
    let answer = client.range(any).await.expect("a read is answered").into_inner();
    for i in (0..keys).step_by(CHANGED_ONE_OF) {
        let value = "changed\n".into();
        let put = PutRequest { key: key(i), value, ..PutRequest::default() };
        client.put(put).await.expect("a put is taken");
    }
    for i in 0..HISTORY_REVISIONS {
        let (key, value) = (HISTORY_KEY.into(), format!("value {i}").into());
        let put = PutRequest { key, value, ..PutRequest::default() };
        client.put(put).await.expect("a put is taken");
    }
    answer.header.map_or(0, |header| header.revision)
}

/// How many keys are put in a transaction; etcd takes 128 operations.
const BATCH: usize = 100;

fn puts(first: usize, end: usize) -> TxnRequest {
    let put = |i| PutRequest { key: key(i), value: value(i), ..PutRequest::default() };
    let put = |i| RequestOp { request: Some(Request::RequestPut(put(i))) };
    TxnRequest { success: (first..end).map(put).collect(), ..TxnRequest::default() }
}

/// Twenty kinds, each with fifty namespaces.
fn key(i: usize) -> Bytes {
    format!("/registry/kind-{:02}/namespace-{:02}/name-{i:07}", i % 20, i / 20 % 50).into()
}

fn value(i: usize) -> Bytes {
    let mut value = format!("name: {i}\nkind: {}\n", i % 20).into_bytes();
    value.resize(VALUE_BYTES, b'a' + (i % 26) as u8);
    value.into()
}

async fn client(url: &str) -> KvClient<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL of ours is one");
    let channel = endpoint.connect().await.expect("the member can be reached");
    KvClient::new(channel).max_decoding_message_size(usize::MAX)
}

fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
