//! Performs requests: the only part of the dashboard that knows the client.
//!
//! Each request is a task of its own, so nothing here waits. A slot holds one task at a time; asking again, or
//! cancelling, ends the one that runs. Answers go through one bounded queue: a stream that is faster than the
//! dashboard reads is held up by flow control, down to its connection.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
pub use kvorum_client::Config;
use kvorum_client::explore::{self, Child, LevelRequest, MAX_CHILDREN};
use kvorum_client::{
    Compare, CompareOp, CompareTarget, Connection, Delete, Endpoint, Get, KeyRange, Op, Put, Txn, Watch, WatchItem, pb,
};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::cmd::{Reads, Request, Slot, Ticket};
use crate::msg::{
    Alarm, Answer, Change, Entry, Failure, KeyValue, LeaseLeft, LevelPart, Member, Membership, PREVIEW_BYTES, Reply,
    Status, WatchEvent, WatchSignal,
};

/// Answers that wait to be looked at; the tasks behind them wait with them.
const ANSWERS_MAX: usize = 256;
/// A status that takes longer is silence.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);
/// Whoever runs through the tree does not want every value he passes: a read that follows another this closely waits.
const SETTLE: Duration = Duration::from_millis(60);
/// A watch that cannot be opened is tried again after this.
const WATCH_PAUSE: Duration = Duration::from_secs(1);
/// Events handed over at a time.
const EVENTS_MAX: usize = 256;

pub struct Executor {
    config: Config,
    /// For the status of single members, whatever requests are told to use.
    probe: Connection,
    /// Where everything else goes.
    connection: watch::Sender<Connection>,
    answers: mpsc::Sender<Answer>,
    tasks: HashMap<Slot, AbortHandle>,
    value_asked: Option<Instant>,
}

/// Where one task's answers go.
struct Outbox {
    ticket: Ticket,
    answers: mpsc::Sender<Answer>,
}

impl Executor {
    pub fn new(config: Config) -> Result<(Self, mpsc::Receiver<Answer>), Failure> {
        let connection = Connection::new(config.clone()).map_err(Failure::from)?;
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let executor = Self {
            config,
            probe: connection.clone(),
            connection: watch::Sender::new(connection),
            answers,
            tasks: HashMap::new(),
            value_asked: None,
        };
        Ok((executor, receiver))
    }

    pub fn ask(&mut self, ticket: Ticket, request: Request) {
        self.tasks.retain(|_, task| !task.is_finished());
        let slot = ticket.slot.clone();
        let delay = self.settle(&request);
        let connection = match &request {
            Request::Status { .. } => self.probe.clone(),
            _ => self.connection.borrow().clone(),
        };
        let outbox = Outbox { ticket, answers: self.answers.clone() };
        let task = match request {
            Request::Watch { key, prefix } => {
                let range = if prefix { KeyRange::prefix(key.to_vec()) } else { KeyRange::single(key.to_vec()) };
                tokio::spawn(follow(range, self.connection.subscribe(), outbox))
            }
            request => tokio::spawn(async move {
                sleep(delay).await;
                let body = answer(&connection, request, &outbox).await;
                outbox.send(body.map_err(Failure::from)).await;
            }),
        };
        if let Some(replaced) = self.tasks.insert(slot, task.abort_handle()) {
            replaced.abort();
        }
    }

    pub fn cancel(&mut self, slot: &Slot) {
        if let Some(task) = self.tasks.remove(slot) {
            task.abort();
        }
    }

    /// Requests go to these addresses from now on. Those that are on their way stay where they are; a watch that was
    /// interrupted moves.
    pub fn reach(&mut self, addresses: &[String]) {
        let endpoints: Vec<Endpoint> = addresses.iter().filter_map(|address| Endpoint::parse(address).ok()).collect();
        if endpoints.is_empty() {
            return;
        }
        if let Ok(connection) = Connection::new(Config { endpoints, ..self.config.clone() }) {
            self.connection.send_replace(connection);
        }
    }

    fn settle(&mut self, request: &Request) -> Duration {
        if !matches!(request, Request::Value { .. }) {
            return Duration::ZERO;
        }
        let last = self.value_asked.replace(Instant::now());
        if last.is_some_and(|last| last.elapsed() < SETTLE) { SETTLE } else { Duration::ZERO }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        for task in self.tasks.values() {
            task.abort();
        }
    }
}

impl Outbox {
    /// Returns whether there is still somebody to hear it.
    async fn send(&self, body: Result<Reply, Failure>) -> bool {
        self.answers.send(Answer { ticket: self.ticket.clone(), body }).await.is_ok()
    }
}

/// The last answer to a request; those before it go out by themselves.
async fn answer(connection: &Connection, request: Request, outbox: &Outbox) -> Result<Reply, kvorum_client::Failure> {
    match request {
        Request::Membership => membership(connection).await,
        Request::Status { address } => status(connection, &address).await,
        Request::Level { prefix, separator, from, limit, reads } => {
            let mut request = LevelRequest::new(prefix, separator);
            request.linearizable = reads == Reads::Linearizable;
            request.from = from.map(Into::into);
            level(connection, request, limit, outbox).await
        }
        Request::Sizes { prefixes } => sizes(connection, prefixes, outbox).await,
        Request::Value { key, reads } => {
            let get = Get { serializable: reads == Reads::Serializable, ..Get::key(key) };
            let range = connection.get(get).await?;
            let revision = revision(range.header.as_ref());
            Ok(Reply::Value { found: range.kvs.into_iter().next().map(KeyValue::from), revision })
        }
        Request::Lease { id } => {
            let lease = connection.lease_time_to_live(id, false).await?;
            Ok(Reply::Lease(LeaseLeft { id, granted_s: lease.granted_ttl, left_s: lease.ttl }))
        }
        Request::Count { prefix } => {
            let range = connection.get(Get { count_only: true, ..Get::prefix(prefix) }).await?;
            Ok(Reply::Count { keys: range.count as u64, revision: revision(range.header.as_ref()) })
        }
        Request::Put { key, value, expected, lease } => {
            let put = Put { lease, ..Put::new(key.clone(), value) };
            let txn = connection.txn(guarded(&key, expected, Op::Put(put))).await?;
            Ok(outcome(txn, |revision, _| Reply::Written { revision }))
        }
        Request::Delete { key, expected } => {
            let txn = connection.txn(guarded(&key, expected, Op::Delete(Delete::key(key.clone())))).await?;
            Ok(outcome(txn, |revision, deleted| Reply::Deleted { keys: deleted, revision }))
        }
        Request::DeletePrefix { prefix } => {
            let delete = Delete { range: KeyRange::prefix(prefix), prev_kv: false };
            let deleted = connection.delete(delete).await?;
            Ok(Reply::Deleted { keys: deleted.deleted as u64, revision: revision(deleted.header.as_ref()) })
        }
        Request::Watch { .. } => unreachable!("a watch is a task of its own kind"),
    }
}

async fn membership(connection: &Connection) -> Result<Reply, kvorum_client::Failure> {
    let (members, alarms) = tokio::join!(connection.members(), connection.alarms());
    let members = members?;
    let alarms = alarms.ok().map(|answer| {
        let named = answer.alarms.into_iter().map(|alarm| Alarm {
            member: alarm.member_id,
            kind: match alarm.alarm {
                1 => "NOSPACE".into(),
                2 => "CORRUPT".into(),
                other => format!("{other}"),
            },
        });
        named.collect()
    });
    Ok(Reply::Membership(Membership {
        cluster_id: members.header.map_or(0, |header| header.cluster_id),
        members: members.members.into_iter().map(Member::from).collect(),
        alarms,
    }))
}

async fn status(connection: &Connection, address: &str) -> Result<Reply, kvorum_client::Failure> {
    let endpoint = Endpoint::parse(address).map_err(|error| kvorum_client::Failure::Config(error.to_string()))?;
    let asked = Instant::now();
    let status = timeout(STATUS_TIMEOUT, connection.status(&endpoint)).await.unwrap_or_else(|_| {
        Err(kvorum_client::Failure::NoAnswer { endpoint: address.to_owned(), after: STATUS_TIMEOUT, write: false })
    })?;
    let latency_us = asked.elapsed().as_micros() as u64;
    let header = status.header.unwrap_or_default();
    Ok(Reply::Status(Status {
        cluster_id: header.cluster_id,
        member_id: header.member_id,
        leader: status.leader,
        raft_term: status.raft_term,
        raft_index: status.raft_index,
        raft_applied: status.raft_applied_index,
        revision: header.revision,
        db_size_bytes: status.db_size as u64,
        db_in_use_bytes: status.db_size_in_use as u64,
        version: status.version,
        learner: status.is_learner,
        errors: status.errors,
        latency_us,
    }))
}

/// Reads a level in pages of what one answer may hold, all at the revision of the first.
async fn level(
    connection: &Connection,
    mut request: LevelRequest,
    limit: usize,
    outbox: &Outbox,
) -> Result<Reply, kvorum_client::Failure> {
    let continued = request.from.is_some();
    let skip = request.prefix.len();
    let mut left = limit;
    loop {
        request.limit = left.min(MAX_CHILDREN);
        let page = explore::level(connection, request.clone()).await?;
        left = left.saturating_sub(page.children.len());
        let done = page.next.is_none() || left == 0;
        let part = LevelPart {
            continued,
            entries: page.children.into_iter().map(|child| entry(child, skip)).collect(),
            revision: page.revision,
            done,
            rest: page.next.clone().map(Bytes::from),
        };
        if done || !outbox.send(Ok(Reply::Level(part.clone()))).await {
            return Ok(Reply::Level(part));
        }
        request.from = page.next;
        request.revision = page.revision;
    }
}

async fn sizes(connection: &Connection, prefixes: Vec<Bytes>, outbox: &Outbox) -> Result<Reply, kvorum_client::Failure> {
    let last = prefixes.len().saturating_sub(1);
    let mut reply = Reply::Size { prefix: Bytes::new(), keys: 0, done: true };
    for (nth, prefix) in prefixes.into_iter().enumerate() {
        let keys = explore::count(connection, &prefix, 0).await? as u64;
        reply = Reply::Size { prefix, keys, done: nth == last };
        if nth < last && !outbox.send(Ok(reply.clone())).await {
            break;
        }
    }
    Ok(reply)
}

/// Does `op` if the newest revision of `key` is still `expected`, else says what is there instead.
fn guarded(key: &Bytes, expected: i64, op: Op) -> Txn {
    Txn {
        compares: vec![Compare {
            range: KeyRange::single(key.to_vec()),
            op: CompareOp::Equal,
            target: CompareTarget::ModRevision(expected),
        }],
        success: vec![op],
        failure: vec![Op::Get(Get::key(key.to_vec()))],
    }
}

fn outcome(txn: pb::TxnResponse, done: impl Fn(i64, u64) -> Reply) -> Reply {
    let revision = revision(txn.header.as_ref());
    let first = txn.responses.into_iter().next().and_then(|answer| answer.response);
    match (txn.succeeded, first) {
        (true, Some(pb::ResponseOpKind::ResponseDeleteRange(deleted))) => done(revision, deleted.deleted as u64),
        (true, _) => done(revision, 0),
        (false, Some(pb::ResponseOpKind::ResponseRange(range))) => {
            Reply::Conflict { current: range.kvs.into_iter().next().map(KeyValue::from), revision }
        }
        (false, _) => Reply::Conflict { current: None, revision },
    }
}

/// Follows a watch over interruptions, changes of address and compactions, until it is cancelled or refused.
async fn follow(range: KeyRange, mut connections: watch::Receiver<Connection>, outbox: Outbox) {
    let mut next_revision = 0;
    let mut opened = false;
    loop {
        let connection = connections.borrow_and_update().clone();
        let watch = Watch { range: range.clone(), start_revision: next_revision, ..Watch::default() };
        let ended = match connection.watch(watch).await {
            Ok(stream) => listen(stream, &mut next_revision, &mut opened, &mut connections, &outbox).await,
            Err(failure) if failure.is_connection() || failure.is_no_leader() => {
                outbox.send(watch_signal(WatchSignal::Interrupted { reason: failure.to_string() })).await;
                let _ = timeout(WATCH_PAUSE, connections.changed()).await;
                None
            }
            Err(failure) => Some(failure.to_string()),
        };
        if let Some(reason) = ended {
            outbox.send(watch_signal(WatchSignal::Ended { reason })).await;
            return;
        }
    }
}

/// Passes on what one stream says. `None`: it has to be opened again; else why it never will.
async fn listen(
    mut stream: kvorum_client::WatchStream,
    next_revision: &mut i64,
    opened: &mut bool,
    connections: &mut watch::Receiver<Connection>,
    outbox: &Outbox,
) -> Option<String> {
    let mut lost = false;
    loop {
        let item = tokio::select! {
            item = stream.next() => item,
            // Somebody else answers, while this stream's members do not.
            changed = connections.changed(), if lost => match changed {
                Ok(()) => return None,
                Err(_) => return Some("the dashboard is closing".into()),
            },
        };
        match item {
            Some(WatchItem::Watching { revision }) => {
                if *next_revision == 0 {
                    *next_revision = revision + 1;
                }
                let first = !std::mem::replace(opened, true);
                lost = false;
                let signal = if first { WatchSignal::Opened { revision } } else { WatchSignal::Resumed };
                outbox.send(watch_signal(signal)).await;
            }
            Some(WatchItem::Events(response)) => {
                for events in response.events.chunks(EVENTS_MAX) {
                    let events: Vec<WatchEvent> = events.iter().filter_map(watch_event).collect();
                    let newest = events.iter().map(|event| event.revision).max().unwrap_or_default();
                    *next_revision = (*next_revision).max(newest + 1);
                    outbox.send(watch_signal(WatchSignal::Events(events))).await;
                }
            }
            Some(WatchItem::Progress(response)) => {
                *next_revision = (*next_revision).max(revision(response.header.as_ref()) + 1);
            }
            Some(WatchItem::Lost(failure)) => {
                lost = true;
                outbox.send(watch_signal(WatchSignal::Interrupted { reason: failure.to_string() })).await;
            }
            Some(WatchItem::Ended(response)) if response.compact_revision > 0 => {
                let gap = WatchSignal::Gap { from: *next_revision, compacted: response.compact_revision };
                *next_revision = response.compact_revision;
                outbox.send(watch_signal(gap)).await;
                return None;
            }
            Some(WatchItem::Ended(response)) => {
                let reason = response.cancel_reason;
                return Some(if reason.is_empty() { "the cluster ended the watch".into() } else { reason });
            }
            Some(WatchItem::Failed(failure)) if failure.is_connection() || failure.is_no_leader() => return None,
            Some(WatchItem::Failed(failure)) => return Some(failure.to_string()),
            None => return None,
        }
    }
}

fn watch_signal(signal: WatchSignal) -> Result<Reply, Failure> {
    Ok(Reply::Watch(signal))
}

fn watch_event(event: &pb::Event) -> Option<WatchEvent> {
    let kv = event.kv.as_ref()?;
    let change = if event.r#type == pb::EVENT_DELETE {
        Change::Delete
    } else {
        Change::Put {
            preview: Bytes::copy_from_slice(&kv.value[..kv.value.len().min(PREVIEW_BYTES)]),
            size: kv.value.len() as u64,
            created: kv.version == 1,
        }
    };
    Some(WatchEvent { revision: kv.mod_revision, change, key: Bytes::copy_from_slice(&kv.key) })
}

fn entry(child: Child, skip: usize) -> Entry {
    let (path, folder) = match child {
        Child::Key(meta) => (meta.key, false),
        Child::Branch(mut prefix) => {
            prefix.pop();
            (prefix, true)
        }
    };
    Entry { name: Bytes::from(path).split_off(skip), folder }
}

fn revision(header: Option<&pb::ResponseHeader>) -> i64 {
    header.map_or(0, |header| header.revision)
}

impl From<pb::Member> for Member {
    fn from(member: pb::Member) -> Self {
        Self {
            id: member.id,
            name: member.name,
            peer_urls: member.peer_ur_ls,
            client_urls: member.client_ur_ls,
            learner: member.is_learner,
        }
    }
}

impl From<pb::KeyValue> for KeyValue {
    fn from(kv: pb::KeyValue) -> Self {
        Self {
            key: kv.key.into(),
            value: kv.value.into(),
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: kv.lease,
        }
    }
}

impl From<kvorum_client::Failure> for Failure {
    fn from(failure: kvorum_client::Failure) -> Self {
        Self { refused: failure.nothing_listens(), unreachable: failure.is_connection(), text: failure.to_string() }
    }
}
