//! Watch streams, as sequences of what each watch was told.
//!
//! How events are spread over responses is timing, and so is the revision in the header of a
//! response that nobody asked for. What is compared is, watch by watch, its creation, each of its
//! events, its end, and the answers to requests for progress. Whatever arrives is kept until both
//! sides have it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

use super::answer::of_status;
use super::contract::{base64, method, number};
use super::mask::{Identity, mask};
use super::wire;
use crate::wait::until_async;

/// A stream by its number, and a watch of it by its id; what concerns the stream has no id.
pub(super) type Told = BTreeMap<(usize, String), VecDeque<Value>>;

#[derive(Default)]
pub(super) struct Watches {
    streams: BTreeMap<usize, Open>,
    told: Arc<Mutex<Record>>,
    /// Ends and refusals that both sides have told, until they are counted.
    settled: Vec<Value>,
}

#[derive(Default)]
struct Record {
    told: Told,
    /// How many creations were answered on each stream.
    answered: BTreeMap<usize, usize>,
    ended: BTreeMap<usize, Value>,
}

struct Open {
    messages: mpsc::UnboundedSender<Bytes>,
    reading: JoinHandle<()>,
    /// Creations that were asked for.
    asked: usize,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// A key that nobody writes; creating a watch of it marks a point in the stream.
const NOBODYS: &[u8] = b"\xff\xff nobody writes this";

impl Watches {
    pub(super) fn open(
        &mut self,
        stream: usize,
        channel: &Channel,
        metadata: MetadataMap,
        identity: &Identity,
    ) -> Value {
        let (messages, requests) = mpsc::unbounded_channel();
        let requests = UnboundedReceiverStream::new(requests);
        let (channel, identity) = (channel.clone(), identity.clone());
        let record = Arc::clone(&self.told);
        let reading = tokio::spawn(async move {
            let opened = wire::streaming(&channel, method("Watch/Watch"), metadata, requests);
            let end = match opened.await {
                Ok(answers) => read(answers, stream, &identity, &record).await,
                Err(status) => of_status(&status),
            };
            let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
            record.ended.insert(stream, end.clone());
            record.tell(stream, "stream", end);
        });
        self.streams.insert(stream, Open { messages, reading, asked: 0 });
        json!({})
    }

    /// Sends a message and waits until the server has taken it: a creation is answered, and
    /// whatever else is followed by one.
    pub(super) async fn send(&mut self, stream: usize, message: &Value) -> Value {
        let Some(open) = self.streams.get_mut(&stream) else { return json!("no such stream") };
        let watch = method("Watch/Watch");
        let _ = open.messages.send(watch.encode(message));
        if message.get("create_request").is_none() {
            let marker = json!({"create_request": {"key": base64(NOBODYS)}});
            let _ = open.messages.send(watch.encode(&marker));
        }
        open.asked += 1;
        let asked = open.asked;
        let taken = until_async(wire::PATIENCE, async || {
            let record = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let answered = record.answered.get(&stream).copied().unwrap_or(0);
            (answered >= asked || record.ended.contains_key(&stream)).then_some(())
        });
        match taken.await {
            Some(()) => json!({}),
            None => json!("differential: the creation of a watch is not answered"),
        }
    }

    pub(super) fn close(&mut self, stream: usize) -> Value {
        self.streams.remove(&stream);
        json!({})
    }

    /// Whether there is no stream, so that nothing is told.
    pub(super) fn is_quiet(&self) -> bool {
        self.streams.is_empty()
    }

    /// What has ended watches since the last time.
    pub(super) fn take_settled(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.settled)
    }
}

/// Takes away what both were told alike, and waits for what only one was told so far; gives what
/// only one was told when the time is up.
pub(super) async fn settle(theirs: &mut Watches, ours: &Watches, limit: Duration) -> Vec<Unequal> {
    let mut left = Vec::new();
    let settled = &mut theirs.settled;
    let _ = until_async(limit, async || {
        let mut theirs = theirs.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ours = ours.told.lock().unwrap_or_else(PoisonError::into_inner);
        left = take_equal(&mut theirs.told, &mut ours.told, settled);
        left.is_empty().then_some(())
    })
    .await;
    left
}

/// What the two were told next on one watch.
#[derive(Debug)]
pub(super) struct Unequal {
    pub(super) watch: String,
    pub(super) theirs: Option<Value>,
    pub(super) ours: Option<Value>,
}

fn take_equal(theirs: &mut Told, ours: &mut Told, settled: &mut Vec<Value>) -> Vec<Unequal> {
    for (watch, theirs) in theirs.iter_mut() {
        let Some(ours) = ours.get_mut(watch) else { continue };
        while theirs.front().is_some() && theirs.front() == ours.front() {
            settled.extend(theirs.pop_front().filter(|told| told["canceled"] == true));
            ours.pop_front();
        }
    }
    theirs.retain(|_, left| !left.is_empty());
    ours.retain(|_, left| !left.is_empty());
    let mut watches: Vec<&(usize, String)> = theirs.keys().chain(ours.keys()).collect();
    watches.sort();
    watches.dedup();
    let next = |told: &Told, watch| told.get(watch).and_then(VecDeque::front).cloned();
    watches
        .into_iter()
        .map(|watch| Unequal {
            watch: format!("watch {} of stream {}", watch.1, watch.0),
            theirs: next(theirs, watch),
            ours: next(ours, watch),
        })
        .collect()
}

/// Forgets everything, after a difference that was reported.
pub(super) fn forget(watches: &Watches) {
    watches.told.lock().unwrap_or_else(PoisonError::into_inner).told.clear();
}

async fn read(
    mut answers: Streaming<Bytes>,
    stream: usize,
    identity: &Identity,
    record: &Mutex<Record>,
) -> Value {
    loop {
        let mut answer = match answers.message().await {
            Ok(Some(answer)) => match method("Watch/Watch").decode(answer) {
                Ok(answer) => answer,
                Err(error) => return error.into(),
            },
            Ok(None) => return json!({"status": "OK"}),
            Err(status) => return of_status(&status),
        };
        mask("Watch/Watch", identity, &mut answer);
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        record.hear(stream, answer);
    }
}

impl Record {
    fn tell(&mut self, stream: usize, watch: &str, what: Value) {
        self.told.entry((stream, watch.to_owned())).or_default().push_back(what);
    }

    fn hear(&mut self, stream: usize, mut answer: Value) {
        let watch = answer["watch_id"].as_str().unwrap_or("0").to_owned();
        let revision = number(&answer["header"]["revision"]);
        if answer["created"] == true {
            *self.answered.entry(stream).or_default() += 1;
        }
        let events = answer["events"].take();
        let Value::Array(events) = events else {
            if answer["compact_revision"].is_string() {
                // The end comes when the server gets to it.
                answer["header"]["revision"] = "<when>".into();
            }
            if let Some(fields) = answer.as_object_mut() {
                fields.remove("events");
            }
            self.tell(stream, &watch, answer);
            return;
        };
        for event in events {
            let made = number(&event["kv"]["mod_revision"]);
            let wrong = made > revision;
            self.tell(stream, &watch, event);
            if wrong {
                self.tell(stream, &watch, json!(format!("a header of {revision} before {made}")));
            }
        }
    }
}
