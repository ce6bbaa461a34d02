//! Measures what the server promises to stay within, and ends with 1 if it does not.
//!
//! `kvorum-limits lists` has clients list a million keys at once, and looks at the member's memory
//! and at puts beside them. `kvorum-limits silent` opens connections on which nothing is asked, and
//! looks at puts by others, each over a connection of its own, and at when nothing is left of them.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvorum_proto::etcdserverpb::kv_client::KvClient;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{PutRequest, RangeRequest, RequestOp, TxnRequest};
use kvorum_tests::cluster::Cluster;
use kvorum_tests::memory::resident_bytes;
use kvorum_tests::program::{Names, Program, real_etcd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

const USAGE: &str = "usage: kvorum-limits lists [--keys N] [--clients N] [--rounds N] [--etcd]
       kvorum-limits silent [--connections N] [--etcd]";

/// What the member may take over its resting size.
const MAX_EXTRA_BYTES: u64 = 512 << 20;

/// What 99 of 100 puts may take at most beside lists.
const MAX_P99: Duration = Duration::from_millis(50);

/// How long anything may be left of silent connections.
const FREED_WITHIN: Duration = Duration::from_secs(15);

/// The key is 16 bytes, the value 256: what Kubernetes' small objects are like at the least.
const VALUE_BYTES: usize = 256;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut lists = Lists { keys: 1_000_000, clients: 8, rounds: 3, etcd: false };
    let mut silent = Silent { connections: 10_000, etcd: false };
    let mut rest = arguments.iter().map(String::as_str);
    let Some(what @ ("lists" | "silent")) = rest.next() else { return usage() };
    while let Some(argument) = rest.next() {
        let mut number = || rest.next().and_then(|value| value.parse().ok());
        let known = match (what, argument) {
            (_, "--etcd") => {
                (lists.etcd, silent.etcd) = (true, true);
                Some(())
            }
            ("lists", "--keys") => number().map(|keys| lists.keys = keys),
            ("lists", "--clients") => number().map(|clients| lists.clients = clients),
            ("lists", "--rounds") => number().map(|rounds| lists.rounds = rounds),
            ("silent", "--connections") => number().map(|many| silent.connections = many),
            _ => None,
        };
        if known.is_none() {
            return usage();
        }
    }
    let is_within = if what == "lists" { lists.measure() } else { silent.measure() };
    say(if is_within { "within the limits" } else { "BEYOND THE LIMITS" });
    if is_within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// On a thread of its own: a client that decodes a million keys keeps a shared one for so long that
/// it would be the client that is measured.
fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be made").block_on(work)
    })
}

fn usage() -> ExitCode {
    let _ = writeln!(io::stderr(), "{USAGE}");
    ExitCode::from(2)
}

#[derive(Clone, Copy)]
struct Lists {
    keys: usize,
    clients: usize,
    rounds: usize,
    etcd: bool,
}

impl Lists {
    fn measure(self) -> bool {
        let flags = ["--quota-backend-bytes=8589934592"];
        let mut cluster = Cluster::start_with(&server(self.etcd), 1, &flags);
        let url = cluster.members[0].client_url();
        let id = cluster.members[0].running().id();
        let runtime = Runtime::new().expect("threads can be had");
        runtime.block_on(fill(&url, self.keys));
        let resting = settled_bytes(id);
        say(&format!("{} keys, resting at {} MiB", self.keys, mib(resting)));
        let alone = runtime.block_on(puts(&url, Duration::from_secs(5)));
        say(&format!("puts alone: {alone}"));
        let (peak, is_over) = (watch::Sender::new(resting), watch::Sender::new(false));
        let sampling = apart(sample(id, peak.clone(), is_over.subscribe()));
        let putting = apart(put_until(url.clone(), is_over.subscribe()));
        runtime.block_on(async {
            let listing: Vec<_> = (0..self.clients)
                .map(|client| tokio::spawn(list(url.clone(), self, client)))
                .collect();
            for client in listing {
                client.await.expect("a client lists everything");
            }
        });
        is_over.send_replace(true);
        sampling.join().expect("memory can be looked at");
        let beside = putting.join().expect("puts go on");
        let over = peak.borrow().saturating_sub(resting);
        say(&format!(
            "{} clients listing, {} rounds: {} MiB over rest; puts beside: {beside}",
            self.clients,
            self.rounds,
            mib(over)
        ));
        over <= MAX_EXTRA_BYTES && beside.at(0.99) <= MAX_P99
    }
}

#[derive(Clone, Copy)]
struct Silent {
    connections: usize,
    etcd: bool,
}

impl Silent {
    fn measure(self) -> bool {
        open_as_many_files(self.connections);
        let mut cluster = Cluster::start(&server(self.etcd), 1);
        let url = cluster.members[0].client_url();
        let address = cluster.members[0].endpoint();
        let id = cluster.members[0].running().id();
        let runtime = Runtime::new().expect("threads can be had");
        let resting = settled_bytes(id);
        let alone = runtime.block_on(puts(&url, Duration::from_secs(5)));
        say(&format!("resting at {} MiB; puts alone: {alone}", mib(resting)));
        let over = watch::Sender::new(false);
        let beside = runtime.spawn(put_until(url.clone(), over.subscribe()));
        let anew = runtime.spawn(put_anew_until(url, over.subscribe()));
        let begun = Instant::now();
        let silent: Vec<TcpStream> =
            (0..self.connections).map(|nth| begin(&address, nth)).collect();
        let opened = begun.elapsed();
        let resident = resident_bytes(id);
        for mut stream in silent {
            let left = (opened + 4 * FREED_WITHIN).saturating_sub(begun.elapsed());
            let _ = stream.set_read_timeout(Some(left.max(Duration::from_millis(1))));
            // A reset is an end as well; running out of time shows in the figures.
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let freed = begun.elapsed().saturating_sub(opened);
        over.send_replace(true);
        let beside = runtime.block_on(beside).expect("puts go on");
        let anew = runtime.block_on(anew).expect("puts go on");
        say(&format!(
            "{} silent connections: opened in {} ms, {} MiB over rest, the last ended {} ms later",
            self.connections,
            opened.as_millis(),
            mib(resident.saturating_sub(resting)),
            freed.as_millis()
        ));
        say(&format!("puts meanwhile over a connection that was there: {beside}"));
        say(&format!("each over a new one: {anew}"));
        freed <= FREED_WITHIN && anew.at(1.0) < FREED_WITHIN
    }
}

/// A connection on which nothing is asked: nothing said, or the beginning of either protocol.
fn begin(address: &str, nth: usize) -> TcpStream {
    const BEGINNINGS: [&[u8]; 4] = [b"", b"\x16", b"G", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    let mut stream = TcpStream::connect(address).expect("it is accepted");
    // It may have had to give way already.
    let _ = stream.write_all(BEGINNINGS[nth % BEGINNINGS.len()]);
    stream
}

fn open_as_many_files(connections: usize) {
    /// What is open besides.
    const OTHERS: u64 = 200;
    let wanted = Some(connections as u64 + OTHERS);
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit { current: wanted, maximum };
    setrlimit(Resource::Nofile, raised).expect("so many files may be open");
}

fn server(etcd: bool) -> Program {
    if etcd {
        return real_etcd().expect("KVORUM_ETCD_DIR names the folder with etcd");
    }
    let own = std::env::current_exe().expect("a program knows where it is");
    Names::of(&own.with_file_name("kvorum-under-test")).server()
}

/// What the member takes at rest: when it has taken no less for some seconds.
fn settled_bytes(id: u32) -> u64 {
    const QUIET: usize = 5;
    const PATIENCE: usize = 60;
    let mut least = resident_bytes(id);
    let mut since = 0;
    for _ in 0..PATIENCE {
        std::thread::sleep(Duration::from_secs(1));
        let now = resident_bytes(id);
        // A page more or less is no movement.
        since = if now + (now >> 8) < least { 0 } else { since + 1 };
        least = least.min(now);
        if since == QUIET {
            break;
        }
    }
    least
}

/// Puts all keys, many in a transaction.
async fn fill(url: &str, keys: usize) {
    const BATCH: usize = 100;
    let mut client = client(url).await;
    for first in (0..keys).step_by(BATCH) {
        let puts = (first..(first + BATCH).min(keys)).map(|i| {
            let (key, value) = (key(i), vec![b'a' + (i % 26) as u8; VALUE_BYTES].into());
            RequestOp {
                request: Some(Request::RequestPut(PutRequest { key, value, ..Default::default() })),
            }
        });
        let txn = TxnRequest { success: puts.collect(), ..TxnRequest::default() };
        client.txn(txn).await.expect("a transaction of puts is taken");
    }
}

/// One client's lists. Everything is received, and counted.
async fn list(url: String, lists: Lists, number: usize) {
    let mut client = client(&url).await;
    for round in 0..lists.rounds {
        let began = Instant::now();
        let all =
            RangeRequest { key: "k".into(), range_end: "l".into(), ..RangeRequest::default() };
        let answer = client.range(all).await.expect("a list is answered").into_inner();
        assert!(answer.kvs.len() >= lists.keys, "a list of {} keys", answer.kvs.len());
        say(&format!("client {number}, round {round}: {} ms", began.elapsed().as_millis()));
    }
}

/// How long puts took.
struct Latencies(Vec<Duration>);

impl Latencies {
    /// Of this share none took longer.
    fn at(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let place = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share| self.at(share).as_secs_f64() * 1e3;
        let (count, p50, p99, max) = (self.0.len(), at(0.5), at(0.99), at(1.0));
        write!(f, "{count} puts, p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms")
    }
}

async fn puts(url: &str, length: Duration) -> Latencies {
    let over = watch::Sender::new(false);
    let putting = tokio::spawn(put_until(url.to_owned(), over.subscribe()));
    tokio::time::sleep(length).await;
    over.send_replace(true);
    putting.await.expect("puts go on")
}

/// A put each 10 ms, whether or not those before are answered: each is of another client, who waits
/// since the put was due and not for the others.
async fn put_until(url: String, over: watch::Receiver<bool>) -> Latencies {
    let client = client(&url).await;
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let mut under_way = JoinSet::new();
    while !*over.borrow() {
        let due = tick.tick().await;
        let mut client = client.clone();
        under_way.spawn(async move {
            put(&mut client).await;
            due.elapsed()
        });
    }
    Latencies(under_way.join_all().await)
}

/// The same ten times a second, each over a connection that is made for it.
async fn put_anew_until(url: String, over: watch::Receiver<bool>) -> Latencies {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let mut took = Vec::new();
    while !*over.borrow() {
        let due = tick.tick().await;
        put(&mut client(&url).await).await;
        took.push(due.elapsed());
    }
    Latencies(took)
}

async fn put(client: &mut KvClient<Channel>) {
    let put = PutRequest { key: "k-beside".into(), value: "v".into(), ..Default::default() };
    client.put(put).await.expect("a put is taken");
}

async fn sample(id: u32, peak: watch::Sender<u64>, over: watch::Receiver<bool>) {
    while !*over.borrow() {
        let now = resident_bytes(id);
        peak.send_modify(|peak| *peak = now.max(*peak));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn client(url: &str) -> KvClient<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL of ours is one");
    let channel = endpoint.connect().await.expect("the member can be reached");
    KvClient::new(channel).max_decoding_message_size(usize::MAX)
}

fn key(i: usize) -> Bytes {
    format!("k/{i:014}").into()
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
