//! Watch streams, as sequences of what each watch was told.
//!
//! How events are spread over responses is timing, and so is the revision in the header of a
//! response with events. What is compared is, watch by watch, its creation, each of its events, its
//! end, and the answers to requests for progress. Whatever arrives is kept until both sides have
//! it. What must hold of any response with events is held against each side by itself ([`Heard`]).

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
    heard: BTreeMap<(usize, String), Heard>,
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
        if answer["created"] == true {
            *self.answered.entry(stream).or_default() += 1;
        }
        let Some(Value::Array(events)) =
            answer.as_object_mut().and_then(|all| all.remove("events"))
        else {
            if answer["created"] == true || answer["canceled"] == true {
                self.heard.remove(&(stream, watch.clone()));
            }
            self.tell(stream, &watch, answer);
            return;
        };
        let heard = self.heard.entry((stream, watch.clone())).or_default();
        let complaint = heard.complaint(&answer, &events);
        for told in events.into_iter().chain(complaint.map(Value::from)) {
            self.tell(stream, &watch, told);
        }
    }
}

/// What a watch was sent last.
#[derive(Default)]
struct Heard {
    revision: i64,
    fragment: bool,
}

impl Heard {
    /// What is wrong with a response with these events: it is not of the server's own making, is
    /// older than what it tells, or a revision is spread over responses that are no fragments.
    fn complaint(&mut self, rest: &Value, events: &[Value]) -> Option<String> {
        let mut rest = rest.clone();
        let known = number(&rest["header"]["revision"].take());
        let fragment = rest["fragment"].take() == true;
        rest["watch_id"].take();
        let of_itself = json!({"header": {"cluster_id": "<cluster>", "member_id": "<member>",
            "raft_term": "<term>", "revision": null}, "fragment": null, "watch_id": null});
        let made = |event: Option<&Value>| event.map_or(0, |e| number(&e["kv"]["mod_revision"]));
        let (first, last) = (made(events.first()), made(events.last()));
        let before = std::mem::replace(self, Heard { revision: last, fragment });
        if rest != of_itself {
            Some(format!("differential: a response with events, of itself {rest}"))
        } else if known < last {
            Some(format!("differential: a header of {known} with an event of {last}"))
        } else if first == before.revision && !before.fragment {
            Some(format!("differential: revision {first} in two responses that are no fragments"))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(revision: i64, fragment: bool) -> Value {
        json!({"header": {"cluster_id": "<cluster>", "member_id": "<member>",
            "raft_term": "<term>", "revision": revision.to_string()}, "fragment": fragment})
    }

    fn event(revision: i64) -> Value {
        json!({"kv": {"mod_revision": revision.to_string()}})
    }

    #[test]
    fn a_revision_is_in_one_response_or_in_fragments() {
        let mut heard = Heard::default();
        assert_eq!(heard.complaint(&response(5, true), &[event(4), event(5)]), None);
        assert_eq!(heard.complaint(&response(5, false), &[event(5)]), None);
        assert_eq!(heard.complaint(&response(6, false), &[event(6)]), None);
        assert!(heard.complaint(&response(6, false), &[event(6)]).is_some());
    }

    #[test]
    fn a_response_with_events_is_the_servers_own_and_no_older_than_they_are() {
        assert!(Heard::default().complaint(&response(4, false), &[event(5)]).is_some());
        let mut foreign = response(5, false);
        foreign["header"]["member_id"] = "23".into();
        assert!(Heard::default().complaint(&foreign, &[event(5)]).is_some());
        let mut odd = response(5, false);
        odd["canceled"] = true.into();
        assert!(Heard::default().complaint(&odd, &[event(5)]).is_some());
    }
}
