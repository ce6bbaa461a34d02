//! Measures what the server promises to stay within: `kvorum-limits lists` has clients list a
//! million keys at once, and looks at the member's memory and at puts beside them.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvorum_proto::etcdserverpb::kv_client::KvClient;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{PutRequest, RangeRequest, RequestOp, TxnRequest};
use kvorum_tests::cluster::Cluster;
use kvorum_tests::memory::resident_bytes;
use kvorum_tests::program::{Names, real_etcd};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};

const USAGE: &str = "usage: kvorum-limits lists [--keys N] [--clients N] [--rounds N] [--etcd]";

/// The key is 16 bytes, the value 256: what Kubernetes' small objects are like at the least.
const VALUE_BYTES: usize = 256;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut lists = Lists { keys: 1_000_000, clients: 8, rounds: 3, etcd: false };
    let mut rest = arguments.iter().map(String::as_str);
    if rest.next() != Some("lists") {
        return usage();
    }
    while let Some(argument) = rest.next() {
        let number = |value: Option<&str>| value.and_then(|value| value.parse().ok());
        let known = match argument {
            "--etcd" => {
                lists.etcd = true;
                Some(())
            }
            "--keys" => number(rest.next()).map(|keys| lists.keys = keys),
            "--clients" => number(rest.next()).map(|clients| lists.clients = clients),
            "--rounds" => number(rest.next()).map(|rounds| lists.rounds = rounds),
            _ => None,
        };
        if known.is_none() {
            return usage();
        }
    }
    lists.measure();
    ExitCode::SUCCESS
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
    fn measure(self) {
        let server = if self.etcd {
            real_etcd().expect("KVORUM_ETCD_DIR names the folder with etcd")
        } else {
            let own = std::env::current_exe().expect("a program knows where it is");
            Names::of(&own.with_file_name("kvorum-under-test")).server()
        };
        let mut cluster = Cluster::start_with(&server, 1, &["--quota-backend-bytes=8589934592"]);
        let url = cluster.members[0].client_url();
        let id = cluster.members[0].running().id();
        let runtime = Runtime::new().expect("threads can be had");
        runtime.block_on(fill(&url, self.keys));
        let resting = resident_bytes(id);
        say(&format!("{} keys, resting at {} MiB", self.keys, mib(resting)));
        let alone = runtime.block_on(puts(&url, Duration::from_secs(5)));
        say(&format!("puts alone: {alone}"));
        let (over, beside) = runtime.block_on(async {
            let (peak, is_over) = (watch::Sender::new(resting), watch::Sender::new(false));
            let sampling = tokio::spawn(sample(id, peak.clone(), is_over.subscribe()));
            let putting = tokio::spawn(put_until(url.clone(), is_over.subscribe()));
            let listing: Vec<_> = (0..self.clients)
                .map(|client| tokio::spawn(list(url.clone(), self, client)))
                .collect();
            for client in listing {
                client.await.expect("a client lists everything");
            }
            is_over.send_replace(true);
            sampling.await.expect("memory can be looked at");
            let beside = putting.await.expect("puts go on");
            let peak = *peak.borrow();
            (peak.saturating_sub(resting), beside)
        });
        say(&format!(
            "{} clients listing, {} rounds: {} MiB over rest; puts beside: {beside}",
            self.clients,
            self.rounds,
            mib(over)
        ));
    }
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

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort();
        let at = |share: f64| {
            let place = ((sorted.len() as f64 * share) as usize).min(sorted.len() - 1);
            sorted[place].as_secs_f64() * 1e3
        };
        let (count, p50, p99, max) = (sorted.len(), at(0.5), at(0.99), at(1.0));
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

/// A put each 10 ms, so that it is latency that is measured.
async fn put_until(url: String, over: watch::Receiver<bool>) -> Latencies {
    let mut client = client(&url).await;
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let mut took = Vec::new();
    while !*over.borrow() {
        tick.tick().await;
        let began = Instant::now();
        let put = PutRequest { key: "k-beside".into(), value: "v".into(), ..Default::default() };
        client.put(put).await.expect("a put is taken");
        took.push(began.elapsed());
    }
    Latencies(took)
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
