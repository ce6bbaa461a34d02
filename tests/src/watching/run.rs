//! One run: a cluster of processes, clients that write and watch, compactions, reconnects and
//! kills, and a verdict.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kvorum_proto::etcdserverpb::watch_client::WatchClient;
use kvorum_proto::etcdserverpb::watch_request::RequestUnion;
use kvorum_proto::etcdserverpb::{PutRequest, WatchCreateRequest, WatchRequest};
use kvorum_proto::mvccpb::Event;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use tonic::Status;

use super::watcher::{Order, Told, Watcher};
use super::writer::{Writer, Written, compaction};
use super::{Clock, channel};
use crate::checker::{Ground, History, Operation, Request, check};
use crate::cluster::{Cluster, Member};
use crate::program::Program;
use crate::sim::random::Random;
use crate::wait::until_async;

const MEMBERS: usize = 3;
const WRITERS: usize = 6;
const WATCHERS: usize = 6;

/// Keys changed in a run, at least.
const CHANGES: u64 = 5_000;

/// Compactions of a run, and streams that go on elsewhere, at least.
const COMPACTIONS: u64 = PARTS - 1;
const RECONNECTS: u64 = 3;

/// In so many parts the changes come, with a compaction and reconnects between two.
const PARTS: u64 = 4;

/// How far back from the present a compaction may lie.
const KEPT_REVISIONS: u64 = 600;

/// How long watchers stay away at most: long enough to be overtaken by a compaction.
const AWAY_MS: u64 = 700;

/// After so long what was written must have been told, however busy the machine is.
const TELLS_WITHIN: Duration = Duration::from_secs(30);

/// After so long a part of the changes must have been acknowledged.
const WRITES_WITHIN: Duration = Duration::from_secs(60);

/// The members look at what a run is about more often than usual, and cut responses for watches
/// that want fragments at about 576 KiB.
const FLAGS: [&str; 4] = [
    "--watch-progress-notify-interval=100ms",
    "--heartbeat-interval=50",
    "--election-timeout=500",
    "--max-request-bytes=65536",
];

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub seed: u64,
    pub changes: u64,
    pub revisions: i64,
    pub compactions: u64,
    pub kills: u64,
    pub open: usize,
    pub took: Duration,
    pub judged: Duration,
    pub told: Told,
}

impl Report {
    /// What the run had too little of to prove anything.
    fn shortfall(&self) -> Option<&'static str> {
        let Told { events, reconnects, .. } = self.told;
        [
            (self.changes.min(events), CHANGES, "too few changes and events"),
            (self.compactions, COMPACTIONS, "too few compactions"),
            (reconnects, RECONNECTS, "too few reconnects"),
        ]
        .into_iter()
        .find_map(|(had, least, what)| (had < least).then_some(what))
    }
}

/// What all runs together had too little of: readers so slow that their watches fell behind,
/// compactions that overtook watches, responses in fragments.
pub fn shortfall(reports: &[Report]) -> Option<&'static str> {
    let sum = |of: fn(&Told) -> u64| reports.iter().map(|report| of(&report.told)).sum::<u64>();
    [
        (sum(|told| told.behind), "no watch fell behind"),
        (sum(|told| told.overtaken), "no watch was overtaken by a compaction"),
        (sum(|told| told.fragments), "no response came in fragments"),
        (sum(|told| told.progress), "no progress was told"),
    ]
    .into_iter()
    .find_map(|(had, what)| (had == 0).then_some(what))
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { events, reconnects, overtaken, fragments, progress, behind } = self.told;
        write!(
            f,
            "seed {}: {} changes in {} revisions, {events} events, {progress} notices of progress, \
             {fragments} fragments, {behind} responses to watches that fell behind, {} compactions, \
             {overtaken} watches overtaken, {reconnects} reconnects, {} kills, {} outcomes open, {:.1?} and {:.1?} to judge",
            self.seed,
            self.changes,
            self.revisions,
            self.compactions,
            self.kills,
            self.open,
            self.took,
            self.judged
        )
    }
}

/// Runs once; the error says what is wrong with the watches.
pub async fn run(program: &Program, seed: u64) -> Result<Report, String> {
    let began = Instant::now();
    let mut random = Random::new(seed);
    let mut cluster = Cluster::start_with(program, MEMBERS, &FLAGS);
    let urls: Vec<String> = cluster.members.iter().map(Member::client_url).collect();
    let clock = Clock(Instant::now());
    let written = Arc::new(Written::default());
    let writer = |number, random| Writer::new(number, &urls, clock, random, &written);
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        writers.spawn(writer(number, random.fork()).run());
    }
    let (orders, order) = watch::channel(Order::default());
    let mut watchers = JoinSet::new();
    for number in 0..WATCHERS {
        let mut watcher = Watcher::new(number, &urls, clock, random.fork(), order.clone());
        watchers.spawn(async move {
            // Whoever is not told all is told so by what is recorded.
            let longest = TELLS_WITHIN + WRITES_WITHIN * PARTS as u32;
            let _ = timeout(longest, watcher.run()).await;
            watcher
        });
    }

    let mut keeper = writer(WRITERS, random.fork());
    let mut report = Report { seed, ..Report::default() };
    for part in 1..=PARTS {
        let goal = CHANGES * part / PARTS;
        let reached = || written.changes.load(Ordering::Relaxed) >= goal;
        let reached = until_async(WRITES_WITHIN, async || reached().then_some(())).await;
        reached.ok_or_else(|| format!("{goal} changes are not made in time"))?;
        if part < PARTS {
            let away = Duration::from_millis(random.below(AWAY_MS));
            orders.send_modify(|order| (order.moves, order.away) = (order.moves + 1, away));
            let kept = random.below(KEPT_REVISIONS) as i64;
            compact(&mut keeper, &written, kept).await?;
            report.compactions += 1;
        }
        if part == 2 && seed.is_multiple_of(2) {
            let member = &mut cluster.members[random.index(MEMBERS)];
            member.kill();
            member.start();
            report.kills += 1;
        }
    }
    written.stopped.store(true, Ordering::Relaxed);
    let mut operations = Vec::new();
    while let Some(ended) = writers.join_next().await {
        operations.append(&mut ended.expect("a writer does not panic").operations);
    }
    cluster.await_serving();
    let target = last_write(&mut keeper).await;
    operations.append(&mut keeper.operations);
    orders.send_modify(|order| order.target = target);

    report.changes = written.changes.load(Ordering::Relaxed);
    report.revisions = target;
    report.open = operations.iter().filter(|it| it.return_ns.is_none()).count();
    let mut watches = Vec::new();
    let mut lacking = Vec::new();
    let ended = timeout(2 * TELLS_WITHIN, async {
        while let Some(ended) = watchers.join_next().await {
            let mut watcher = ended.expect("a watcher does not panic");
            let (records, lacks) = watcher.take_records(target);
            watches.extend(records);
            lacking.extend(lacks);
            report.told.add(watcher.told);
        }
    });
    ended.await.map_err(|_| format!("not all watches are told everything up to {target}"))?;
    if !lacking.is_empty() {
        return Err(format!("up to {target}: {}", lacking.join(", ")));
    }
    let ground = ground(&urls[0], target).await.map_err(|status| status.to_string())?;
    report.took = began.elapsed();
    judge(operations, watches, ground, &mut report).await?;
    match report.shortfall() {
        Some(what) => Err(format!("{what}: {report}")),
        None => Ok(report),
    }
}

async fn judge(
    operations: Vec<Operation>,
    watches: Vec<crate::checker::Watch>,
    ground: Ground,
    report: &mut Report,
) -> Result<(), String> {
    let began = Instant::now();
    let history = History { operations, watches, ground: Some(ground), ..History::default() };
    let violations =
        spawn_blocking(move || check(&history)).await.expect("the checker does not panic");
    report.judged = began.elapsed();
    let words: Vec<String> = violations.iter().map(ToString::to_string).collect();
    if words.is_empty() { Ok(()) } else { Err(words.join("\n")) }
}

/// Compacts all but about so many revisions. The outcome of one attempt may stay open, or be that
/// an earlier one did it: then there is more to compact a little later.
async fn compact(keeper: &mut Writer, written: &Written, kept: i64) -> Result<(), String> {
    let compacted = until_async(WRITES_WITHIN, async || {
        let upto = (written.revision.load(Ordering::Relaxed) - kept).max(2);
        keeper.ask(compaction(upto)).await.map(drop)
    });
    compacted.await.ok_or_else(|| "no compaction is done in time".to_owned())
}

/// A last change, which everything else comes before.
async fn last_write(keeper: &mut Writer) -> i64 {
    let put = PutRequest { key: "k".into(), value: "the end".into(), ..PutRequest::default() };
    loop {
        if let Some(response) = keeper.ask(Request::Put(put.clone())).await {
            return response.header().map_or(0, |header| header.revision);
        }
    }
}

/// What a member holds of its history up to `last`.
async fn ground(url: &str, last: i64) -> Result<Ground, Status> {
    let (compacted, _) = history(url, 1, last).await?;
    let (_, events) = history(url, compacted.max(2), last).await?;
    Ok(Ground { compacted, revision: last, events })
}

/// The events from a revision on, or the compaction that took them.
async fn history(url: &str, from: i64, last: i64) -> Result<(i64, Vec<(i64, Vec<Event>)>), Status> {
    let all = WatchCreateRequest {
        key: b"\0".to_vec().into(),
        range_end: b"\0".to_vec().into(),
        start_revision: from,
        ..WatchCreateRequest::default()
    };
    let all = WatchRequest { request_union: Some(RequestUnion::CreateRequest(all)) };
    let mut client = WatchClient::new(channel(url)).max_decoding_message_size(usize::MAX);
    let mut responses = client.watch(tokio_stream::once(all)).await?.into_inner();
    let mut events: Vec<(i64, Vec<Event>)> = Vec::new();
    while events.last().is_none_or(|(revision, _)| *revision < last) {
        let response = timeout(TELLS_WITHIN, responses.message()).await;
        let response = response.map_err(|_| Status::deadline_exceeded("no history comes"))??;
        let response = response.ok_or_else(|| Status::aborted("the history ends"))?;
        if response.compact_revision > 0 {
            return Ok((response.compact_revision, Vec::new()));
        }
        for event in response.events {
            let revision = event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
            match events.last_mut() {
                Some((last, of_it)) if *last == revision => of_it.push(event),
                _ => events.push((revision, vec![event])),
            }
        }
    }
    Ok((0, events))
}
