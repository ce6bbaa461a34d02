//! What many watches that resume at once cost, or leases that end at once, and what a put beside
//! them does.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kvorum_proto::etcdserverpb::kv_client::KvClient;
use kvorum_proto::etcdserverpb::lease_client::LeaseClient;
use kvorum_proto::etcdserverpb::watch_client::WatchClient;
use kvorum_proto::etcdserverpb::watch_request::RequestUnion;
use kvorum_proto::etcdserverpb::{
    LeaseGrantRequest, PutRequest, RangeRequest, WatchCreateRequest, WatchRequest,
};
use tokio::task::JoinSet;
use tokio_stream::once;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::channel;

/// Puts under way at a time while the history is written.
const WRITERS: usize = 256;

/// Connections that the clients share.
const CONNECTIONS: usize = 10;

/// Between two puts whose latency is measured.
const PAUSE: Duration = Duration::from_millis(5);

/// What the watchers of a measurement watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Each a key of its own.
    Keys,
    /// Each a prefix of its own.
    Prefixes,
    /// All of them everything.
    All,
}

/// How long the puts beside something took.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// The longest of the fastest `percent`.
    pub fn percentile(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        let at = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).copied().unwrap_or_default()
    }
}

impl Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.clone();
        let (half, most, all) =
            (sorted.percentile(50), sorted.percentile(99), sorted.percentile(100));
        let count = self.0.len();
        write!(f, "{count} puts: p50 {half:.2?}, p99 {most:.2?}, longest {all:.2?}")
    }
}

/// What a resumption came to.
#[derive(Debug)]
pub struct Resumption {
    pub took: Duration,
    pub first: Duration,
    pub events: u64,
    pub puts: Latencies,
}

/// Writes so many revisions, to the keys of so many watchers in turn.
pub async fn write_history(url: &str, watchers: usize, revisions: usize) -> Result<(), Status> {
    let put = move |channel: Channel, n: usize| async move {
        let (key, value) = (key(n % watchers).into(), format!("value {n:090}").into());
        let put = PutRequest { key, value, ..PutRequest::default() };
        KvClient::new(channel).put(put).await.map(drop)
    };
    many(url, revisions, put).await
}

/// Grants so many leases and hangs a key on each.
pub async fn grant_leases(url: &str, leases: usize, ttl_s: i64) -> Result<(), Status> {
    let grant = move |channel: Channel, n: usize| async move {
        let id = 1 + n as i64;
        let grant = LeaseGrantRequest { id, ttl: ttl_s };
        match LeaseClient::new(channel.clone()).lease_grant(grant).await {
            Err(there) if there.code() == Code::FailedPrecondition => {}
            granted => drop(granted?),
        }
        let key = format!("leased/{n}").into();
        let put = PutRequest { key, lease: id, ..PutRequest::default() };
        KvClient::new(channel).put(put).await.map(drop)
    };
    many(url, leases, grant).await
}

/// Waits until all the leases are gone, and says how many there were, how long it took since the
/// first one went, and what the puts beside it took.
pub async fn leases_end(url: &str) -> Result<(i64, Duration, Latencies), Status> {
    let mut client = KvClient::new(channel(url));
    let mut left = async || {
        let count = RangeRequest {
            key: "leased/".into(),
            range_end: "leased0".into(),
            count_only: true,
            serializable: true,
            ..RangeRequest::default()
        };
        client.range(count).await.map(|answer| answer.into_inner().count)
    };
    let all = left().await?;
    let beside = Beside::start(url);
    let mut first = Instant::now();
    loop {
        match left().await? {
            0 => break,
            some if some == all => first = Instant::now(),
            _ => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok((all, first.elapsed(), beside.stop().await))
}

/// Does something so many times, [`WRITERS`] at a time; again where the member is too busy.
async fn many<Done>(
    url: &str,
    count: usize,
    act: impl Fn(Channel, usize) -> Done + Clone + Send + 'static,
) -> Result<(), Status>
where
    Done: Future<Output = Result<(), Status>> + Send + 'static,
{
    let channels: Vec<Channel> = (0..CONNECTIONS).map(|_| channel(url)).collect();
    let next = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let channel = channels[writer % CONNECTIONS].clone();
        let (next, act) = (Arc::clone(&next), act.clone());
        writers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed) as usize;
                if n >= count {
                    return Ok(());
                }
                while let Err(failed) = act(channel.clone(), n).await {
                    if failed.code() != Code::ResourceExhausted {
                        return Err(failed);
                    }
                }
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("a writer does not panic")?;
    }
    Ok(())
}

/// Has so many watches of the history begin at its first revision, each on a stream of its own,
/// and waits until all have got everything of it.
pub async fn resume(url: &str, watchers: usize, revisions: usize, shape: Shape) -> Resumption {
    let channels: Vec<Channel> = (0..CONNECTIONS).map(|_| channel(url)).collect();
    let began = Instant::now();
    let beside = Beside::start(url);
    let mut watches = JoinSet::new();
    for watcher in 0..watchers {
        let client = WatchClient::new(channels[watcher % CONNECTIONS].clone());
        let owed = match shape {
            Shape::All => revisions,
            _ => (0..revisions).skip(watcher).step_by(watchers).count(),
        };
        watches.spawn(watch(client, request(shape, watcher), owed, began));
    }
    let (mut events, mut first) = (0, Duration::MAX);
    while let Some(ended) = watches.join_next().await {
        let (got, at) = ended.expect("a watcher does not panic");
        events += got;
        first = first.min(at);
    }
    let took = began.elapsed();
    Resumption { took, first, events, puts: beside.stop().await }
}

fn key(watcher: usize) -> String {
    format!("resume/{watcher:04}/key")
}

fn request(shape: Shape, watcher: usize) -> WatchCreateRequest {
    let (key, range_end) = match shape {
        Shape::Keys => (key(watcher), String::new()),
        Shape::Prefixes => (format!("resume/{watcher:04}/"), format!("resume/{watcher:04}0")),
        Shape::All => ("resume/".to_owned(), "resume0".to_owned()),
    };
    let (key, range_end) = (key.into(), range_end.into());
    WatchCreateRequest { key, range_end, start_revision: 1, ..WatchCreateRequest::default() }
}

/// Says how many events came, and when the last one did.
async fn watch(
    client: WatchClient<Channel>,
    create: WatchCreateRequest,
    owed: usize,
    began: Instant,
) -> (u64, Duration) {
    let mut client = client.max_decoding_message_size(usize::MAX);
    let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let responses = client.watch(once(create)).await.expect("a watch is taken");
    let mut responses = responses.into_inner();
    let mut got = 0;
    while got < owed as u64 {
        let response = responses.message().await.expect("the stream lives");
        got += response.expect("the stream goes on").events.len() as u64;
    }
    (got, began.elapsed())
}

/// Puts, one after the other, whose latency is measured.
pub struct Beside {
    stopped: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Latencies>,
}

impl Beside {
    pub fn start(url: &str) -> Beside {
        let stopped = Arc::new(AtomicBool::new(false));
        let (mut client, ends) = (KvClient::new(channel(url)), Arc::clone(&stopped));
        let task = tokio::spawn(async move {
            let mut took = Vec::new();
            while !ends.load(Ordering::Relaxed) {
                let put = PutRequest { key: "beside".into(), ..PutRequest::default() };
                let began = Instant::now();
                client.put(put).await.expect("a put is taken");
                took.push(began.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
            Latencies(took)
        });
        Beside { stopped, task }
    }

    pub async fn stop(self) -> Latencies {
        self.stopped.store(true, Ordering::Relaxed);
        self.task.await.expect("the writer does not panic")
    }
}
