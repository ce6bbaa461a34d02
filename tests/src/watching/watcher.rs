//! A client that watches: some watches on one stream, which goes on at another member when it is
//! lost, from where each of its watches had come.

use std::time::Duration;

use kvorum_proto::etcdserverpb::watch_client::WatchClient;
use kvorum_proto::etcdserverpb::watch_create_request::FilterType;
use kvorum_proto::etcdserverpb::watch_request::RequestUnion;
use kvorum_proto::etcdserverpb::{
    WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
};
use kvorum_proto::mvccpb::Event;
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Clock, channel};
use crate::checker::{Leg, Watch};
use crate::sim::random::Random;

/// Between two questions how far the watches have come.
const ASKS_EVERY: Duration = Duration::from_millis(150);

/// How long a watcher thinks about a response now and then; a slow one for longer than a member
/// keeps responses for it.
const THINKS: Duration = Duration::from_millis(2);
const THINKS_LONG: Duration = Duration::from_millis(2_500);

/// Before another member is tried.
const PAUSE: Duration = Duration::from_millis(50);

/// What a run tells its watchers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Order {
    /// Grows when every other one of them is to go to another member…
    pub(super) moves: u64,
    /// … and how long they stay away meanwhile.
    pub(super) away: Duration,
    /// They are done when they have been told everything up to here; 0 while that is not known.
    pub(super) target: i64,
}

/// What a watcher came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    pub events: u64,
    /// Streams that went on at another member, or again at the same.
    pub reconnects: u64,
    /// Watches that a compaction overtook.
    pub overtaken: u64,
    /// Responses that are not the last of their revision.
    pub fragments: u64,
    pub progress: u64,
    /// Responses that caught up on what a watch missed long after it was created.
    pub behind: u64,
}

/// A watch that is told so many revisions at once is behind, since few clients write and each waits
/// for its answer; and it fell behind if it has been there for so long.
const BEHIND_REVISIONS: usize = 50;
const BEHIND_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Watcher {
    number: u64,
    urls: Vec<String>,
    member: usize,
    clock: Clock,
    random: Random,
    /// Whether it now and then thinks about a response for so long that its watches fall behind.
    is_slow: bool,
    order: watch::Receiver<Order>,
    watches: Vec<Watched>,
    last_id: i64,
    /// Whether a stream was open before.
    was_open: bool,
    pub(super) told: Told,
}

struct Watched {
    wants: WatchCreateRequest,
    /// The first revision it was not told; 0 while it is not known where it begins.
    next: i64,
    created: bool,
    record: Watch,
}

type Requests = mpsc::Sender<WatchRequest>;

impl Watcher {
    pub(super) fn new(
        number: usize,
        urls: &[String],
        clock: Clock,
        mut random: Random,
        order: watch::Receiver<Order>,
    ) -> Watcher {
        let is_slow = number.is_multiple_of(3);
        let watches =
            (0..3).map(|n| Watched::new(format!("{number}.{n}"), draw(&mut random, is_slow)));
        Watcher {
            number: number as u64,
            watches: watches.collect(),
            urls: urls.to_vec(),
            member: number % urls.len(),
            clock,
            random,
            is_slow,
            order,
            last_id: 0,
            was_open: false,
            told: Told::default(),
        }
    }

    /// Watches until all its watches have been told everything, and gives what they were told.
    pub(super) async fn run(&mut self) {
        loop {
            let moves = self.moves();
            if let Ok((requests, responses)) = self.open().await {
                self.told.reconnects += u64::from(self.was_open);
                self.was_open = true;
                if self.listen(&requests, responses, moves).await {
                    return;
                }
            }
            let away = self.order.borrow().away;
            sleep(if self.moves() > moves { away } else { PAUSE }).await;
            let other = 1 + self.random.index(self.urls.len().max(2) - 1);
            self.member = (self.member + other) % self.urls.len();
        }
    }

    /// What the watches were told, and which of them lack something.
    pub(super) fn take_records(&mut self, target: i64) -> (Vec<Watch>, Vec<String>) {
        let lacks = self.watches.iter().filter(|watched| watched.next <= target);
        let lacks = lacks.map(|it| format!("{} waits for revision {}", it.record.name, it.next));
        let lacks = lacks.collect();
        let records = self.watches.drain(..).map(|it| Watch { owed: target, ..it.record });
        (records.collect(), lacks)
    }

    /// How often it is to have gone to another member.
    fn moves(&self) -> u64 {
        u64::midpoint(self.order.borrow().moves, self.number)
    }

    async fn open(&mut self) -> Result<(Requests, Streaming<WatchResponse>), Status> {
        let (requests, receiver) = mpsc::channel(64);
        for index in 0..self.watches.len() {
            self.create(index, &requests).await;
        }
        let mut client = WatchClient::new(channel(&self.urls[self.member]))
            .max_decoding_message_size(usize::MAX);
        let responses = client.watch(ReceiverStream::new(receiver)).await?;
        Ok((requests, responses.into_inner()))
    }

    async fn create(&mut self, index: usize, requests: &Requests) {
        self.last_id += 1;
        let watched = &mut self.watches[index];
        let request = WatchCreateRequest {
            start_revision: watched.next,
            watch_id: self.last_id,
            ..watched.wants.clone()
        };
        watched.created = false;
        let (member, responses) = (self.member, Vec::new());
        let leg = Leg { member, request: request.clone(), cancel_ns: None, responses };
        watched.record.legs.push(leg);
        // A stream that is lost says so where it is read.
        let _ = requests.send(message(RequestUnion::CreateRequest(request))).await;
    }

    /// Reads until all is told, which is true, or the stream is lost or given up.
    async fn listen(
        &mut self,
        requests: &Requests,
        mut responses: Streaming<WatchResponse>,
        moves: u64,
    ) -> bool {
        let mut asks = interval(ASKS_EVERY);
        let mut order = self.order.clone();
        loop {
            let target = self.order.borrow().target;
            if target > 0 && self.watches.iter().all(|watched| watched.next > target) {
                return true;
            }
            if self.moves() != moves {
                return false;
            }
            tokio::select! {
                response = responses.message() => {
                    let Ok(Some(response)) = response else { return false };
                    self.take(&response, requests).await;
                    if target == 0 && self.random.chance(3) {
                        sleep(if self.is_slow { THINKS_LONG } else { THINKS }).await;
                    }
                }
                _ = asks.tick() => {
                    let ask = RequestUnion::ProgressRequest(WatchProgressRequest {});
                    // Nobody waits for room: what was asked before will be answered.
                    let _ = requests.try_send(message(ask));
                }
                changed = order.changed() => {
                    if changed.is_err() {
                        return true;
                    }
                }
            }
        }
    }

    async fn take(&mut self, response: &WatchResponse, requests: &Requests) {
        let now = self.clock.now_ns();
        self.told.events += response.events.len() as u64;
        self.told.fragments += u64::from(response.fragment);
        for index in 0..self.watches.len() {
            let watched = &mut self.watches[index];
            let Some(leg) = watched.record.legs.last_mut() else { continue };
            let own = leg.request.watch_id == response.watch_id;
            if !own && (response.watch_id != -1 || !watched.created) {
                continue;
            }
            leg.responses.push((now, response.clone()));
            let age = Duration::from_nanos(now - leg.responses[0].0);
            let is_behind = age > BEHIND_AFTER && revisions(response) > BEHIND_REVISIONS;
            self.told.behind += u64::from(is_behind);
            watched.note(response);
            if response.canceled && response.compact_revision > 0 {
                self.told.overtaken += 1;
                self.create(index, requests).await;
            } else if response.events.is_empty() && !response.created {
                self.told.progress += 1;
            }
        }
    }
}

impl Watched {
    fn new(name: String, wants: WatchCreateRequest) -> Watched {
        let next = wants.start_revision;
        let record = Watch { name, legs: Vec::new(), owed: 0 };
        Watched { wants, next, created: false, record }
    }

    fn note(&mut self, response: &WatchResponse) {
        let header = response.header.as_ref().map_or(0, |header| header.revision);
        let last = response.events.last().and_then(|event| event.kv.as_ref());
        if response.canceled {
            self.created = false;
            self.next = self.next.max(response.compact_revision);
        } else if response.created {
            self.created = true;
            self.next = if self.next == 0 { header + 1 } else { self.next };
        } else if let Some(last) = last {
            // The last revision of a fragment may go on.
            let whole = i64::from(!response.fragment);
            self.next = self.next.max(last.mod_revision + whole);
        } else {
            self.next = self.next.max(header + 1);
        }
    }
}

fn revisions(response: &WatchResponse) -> usize {
    let revision = |event: &Event| event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
    response.events.chunk_by(|one, next| revision(one) == revision(next)).count()
}

/// What a watch wants: some or all keys, from the first revision, from now or a little later on. A
/// slow one wants all, so that there is much to be behind with.
fn draw(random: &mut Random, is_slow: bool) -> WatchCreateRequest {
    let keys = [("k", "l"), ("k", "l"), ("\0", "\0"), ("k3", ""), ("k2", "k7"), ("k5", "\0")];
    let (key, range_end) = if is_slow { keys[0] } else { *random.pick(&keys) };
    let filters = match random.below(6) {
        _ if is_slow => Vec::new(),
        0 => vec![FilterType::Noput as i32],
        1 => vec![FilterType::Nodelete as i32],
        _ => Vec::new(),
    };
    WatchCreateRequest {
        key: key.into(),
        range_end: range_end.into(),
        start_revision: *random.pick(&[0, 0, 1, 2, 40]),
        progress_notify: random.chance(50),
        filters,
        prev_kv: random.chance(60),
        watch_id: 0,
        fragment: random.chance(50),
    }
}

fn message(request: RequestUnion) -> WatchRequest {
    WatchRequest { request_union: Some(request) }
}

impl Told {
    pub(super) fn add(&mut self, other: Told) {
        self.events += other.events;
        self.reconnects += other.reconnects;
        self.overtaken += other.overtaken;
        self.fragments += other.fragments;
        self.progress += other.progress;
        self.behind += other.behind;
    }
}
