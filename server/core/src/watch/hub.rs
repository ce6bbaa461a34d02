//! The hub: what the shell calls.

use std::collections::{BTreeMap, BTreeSet};

use kvorum_proto::etcdserverpb::WatchCreateRequest;
use kvorum_proto::etcdserverpb::watch_create_request::FilterType;

use super::cohort::Cohort;
use super::index::Options;
use super::keys::Keys;
use super::limits::{Budget, WATCH_KEY_BYTES_PER_STREAM, WATCHES_PER_STREAM};
use super::reply::{Body, Delivery, Refusal, StreamId, WatchId, WatchReply};
use super::serve::Lane;
use super::stream::{Place, Stream, Watch};
use super::waiting::Waiting;
use crate::planted::{self, Bug};
use crate::store::{Revision, Root};

/// Stands for no watch, or for all of a stream.
const NO_WATCH: WatchId = -1;

/// Serves all watches of a member. Every call appends what is to be sent to `out`, in order.
#[derive(Debug)]
pub struct Hub {
    /// The watches that have got everything that the hub has looked at.
    pub(super) synced: Cohort,
    /// The watches on their way there, by [`Lane`].
    pub(super) convoys: [Cohort; 2],
    /// Whose turn it is.
    pub(super) turn: Lane,
    /// The watches that wait for a convoy.
    pub(super) waiting: Waiting,
    pub(super) budget: Budget,
    /// The latest compaction that was looked at.
    pub(super) compacted: i64,
    /// Where replies to watches that want fragments are cut.
    pub(super) response_bytes: usize,
    pub(super) streams: BTreeMap<StreamId, Stream>,
    /// Streams that wait for an answer to a progress request.
    asking: BTreeSet<StreamId>,
}

impl Hub {
    /// A hub over a store at `revision`: only what comes later is news.
    pub fn new(revision: i64, response_bytes: usize) -> Hub {
        Hub {
            synced: Cohort::at(revision),
            convoys: Lane::ALL.map(|_| Cohort::at(revision)),
            turn: Lane::Far,
            waiting: Waiting::default(),
            budget: Budget::default(),
            compacted: 0,
            response_bytes,
            streams: BTreeMap::new(),
            asking: BTreeSet::new(),
        }
    }

    /// With other limits to a step than usual.
    #[must_use]
    pub fn with_budget(self, budget: Budget) -> Hub {
        Hub { budget, ..self }
    }

    /// Every watch that is not behind has got all it is owed up to this revision.
    pub fn revision(&self) -> i64 {
        self.synced.upto
    }

    /// Answers of the stream that wait for credit. At [`BACKLOG`](super::BACKLOG) the shell hands
    /// in no further request of it.
    pub fn backlog(&self, stream: StreamId) -> usize {
        self.streams.get(&stream).map_or(0, |stream| stream.answers.len())
    }

    /// A client opened a stream that can take `credit` replies.
    pub fn open(&mut self, stream: StreamId, credit: usize) {
        self.streams.insert(stream, Stream::new(credit, self.budget.stream_bytes));
    }

    /// The stream is gone, and its watches with it.
    pub fn close(&mut self, stream: StreamId) {
        let Some(mut closed) = self.streams.remove(&stream) else { return };
        self.waiting.forget(stream, &mut closed);
        self.asking.remove(&stream);
        for (id, watch) in closed.watches {
            let cohort = match watch.place {
                Place::Synced => &mut self.synced,
                Place::Riding(lane) => &mut self.convoys[lane as usize],
                Place::Behind | Place::Nowhere => continue,
            };
            cohort.remove(&watch.keys, watch.options, (stream, id));
        }
    }

    /// The stream can take `replies` more.
    pub fn credit(&mut self, stream: StreamId, replies: usize, out: &mut Vec<Delivery>) {
        if let Some(known) = self.streams.get_mut(&stream) {
            known.credit.replies = known.credit.replies.saturating_add(replies);
            self.pump(stream, out);
        }
    }

    /// So many [bytes](WatchReply::bytes) of the stream's replies are no longer held for its client.
    pub fn taken(&mut self, stream: StreamId, bytes: usize, out: &mut Vec<Delivery>) {
        if let Some(known) = self.streams.get_mut(&stream) {
            known.credit.untaken = known.credit.untaken.saturating_sub(bytes);
            self.pump(stream, out);
        }
    }

    /// A client wants a watch. `root` is the newest one: a watch without a start revision begins
    /// right after it.
    pub fn create(
        &mut self,
        stream: StreamId,
        request: &WatchCreateRequest,
        root: &Root,
        out: &mut Vec<Delivery>,
    ) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        let (watch_id, body) = match admit(known, request, root) {
            Ok((id, watch)) => {
                known.watches.insert(id, watch);
                (id, Body::Created)
            }
            Err(refusal) => (NO_WATCH, Body::Refused(refusal)),
        };
        let created = body == Body::Created;
        known.answers.push_back(WatchReply { revision: root.revision(), watch_id, body });
        if created {
            self.place(stream, watch_id, root);
        }
        self.pump(stream, out);
    }

    /// A client may not have the watch it wants: it is told so after all that it asked before.
    pub fn deny(&mut self, stream: StreamId, reason: String, root: &Root, out: &mut Vec<Delivery>) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        let (revision, body) = (root.revision(), Body::Refused(Refusal::Denied(reason)));
        known.answers.push_back(WatchReply { revision, watch_id: NO_WATCH, body });
        self.pump(stream, out);
    }

    /// A client no longer wants a watch, be it one that compaction overtook. An unknown id is
    /// ignored, as etcd does.
    pub fn cancel(
        &mut self,
        stream: StreamId,
        watch_id: WatchId,
        root: &Root,
        out: &mut Vec<Delivery>,
    ) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        let (revision, body) = (root.revision(), Body::Canceled);
        if known.overtaken.remove(&watch_id) {
            known.answers.push_back(WatchReply { revision, watch_id, body });
        } else {
            self.end(stream, watch_id, revision, body);
        }
        self.pump(stream, out);
    }

    /// A client asks how far its watches have come. It is told as soon as all of them have got
    /// everything up to `root`, the newest one; asking again before that changes nothing. As in
    /// etcd there is no answer while the stream has no watch, or one that starts in the future.
    pub fn progress_request(&mut self, stream: StreamId, root: &Root, out: &mut Vec<Delivery>) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        let started = |watch: &Watch| watch.start <= root.revision();
        if known.watches.is_empty() || !known.watches.values().all(started) {
            return;
        }
        if planted::is(Bug::ProgressOvertakes) {
            let (revision, body) = (root.revision(), Body::Progress);
            let reply = WatchReply { revision, watch_id: NO_WATCH, body };
            out.push(Delivery { stream, reply });
            return;
        }
        known.asked.get_or_insert(root.revision());
        self.asking.insert(stream);
        self.pump(stream, out);
    }

    /// A progress interval has passed: watches that asked to be notified, and heard nothing for
    /// a whole interval, are told how far they are.
    pub fn tick(&mut self, out: &mut Vec<Delivery>) {
        let mut due = Vec::new();
        for (id, stream) in &mut self.streams {
            for (watch_id, watch) in &mut stream.watches {
                if !watch.notify {
                    continue;
                }
                let synced = watch.place == Place::Synced;
                if watch.quiet && synced && watch.has_begun(self.synced.upto) {
                    stream.due.insert(*watch_id);
                }
                watch.quiet = true;
            }
            if !stream.due.is_empty() {
                due.push(*id);
            }
        }
        for stream in due {
            self.pump(stream, out);
        }
    }

    /// The store moved on, or watches were created or got credit: does one step of what is due,
    /// and says whether more is. The shell gives the last root before each compaction too, and
    /// calls until nothing is due, so that synced watches are not overtaken. A root older than
    /// one before has nothing to add.
    pub fn advance(&mut self, root: &Root, out: &mut Vec<Delivery>) -> bool {
        if root.revision() < self.synced.upto {
            return false;
        }
        self.note_compaction(root, out);
        self.catch_up(root, out);
        self.follow(root, out);
        for stream in self.asking.clone() {
            self.pump(stream, out);
        }
        self.is_catching_up() || self.synced.upto < root.revision()
    }

    /// Puts a new watch among the synced, or those behind, or ends it if its start is gone.
    fn place(&mut self, stream: StreamId, id: WatchId, root: &Root) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        let watch = &known.watches[&id];
        let cursor = watch.cursor;
        if let Some(asked) = &mut known.asked {
            *asked = root.revision().max(*asked);
            known.asked.take_if(|_| watch.start > root.revision());
        }
        if cursor.main < root.compacted_revision() {
            self.overtake(stream, id, root.compacted_revision());
        } else {
            self.settle(stream, id, cursor);
        }
    }

    /// Takes the watch away, with `body` as its last word.
    fn end(&mut self, stream: StreamId, id: WatchId, revision: i64, body: Body) {
        self.leave(stream, id);
        let Some(known) = self.streams.get_mut(&stream) else { return };
        known.due.remove(&id);
        let Some(watch) = known.watches.remove(&id) else { return };
        known.key_bytes -= watch.keys.len();
        known.answers.push_back(WatchReply { revision, watch_id: id, body });
    }

    /// The header of this one carries no revision in etcd.
    pub(super) fn overtake(&mut self, stream: StreamId, id: WatchId, compact_revision: i64) {
        let full = self.streams.get(&stream).is_some_and(|known| !known.credit.allows_a_reply());
        if planted::is(Bug::OvertakenSilently) && full {
            return self.settle(stream, id, Revision::first_of(self.synced.upto + 1));
        }
        self.end(stream, id, 0, Body::Overtaken { compact_revision });
        if let Some(known) = self.streams.get_mut(&stream) {
            known.overtaken.insert(id);
        }
    }

    /// Sends what waits for nothing but credit: answers, then progress; and notes whether
    /// watches of the stream can catch up.
    pub(super) fn pump(&mut self, id: StreamId, out: &mut Vec<Delivery>) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let mut send = |stream: &mut Stream, reply| {
            stream.credit.spend(&reply);
            out.push(Delivery { stream: id, reply });
        };
        while stream.credit.allows_a_reply()
            && let Some(answer) = stream.answers.pop_front()
        {
            send(stream, answer);
        }
        let upto = self.synced.upto;
        let progress = |watch_id| WatchReply { revision: upto, watch_id, body: Body::Progress };
        while stream.credit.allows_a_reply()
            && let Some(watch_id) = stream.due.pop_first()
        {
            send(stream, progress(watch_id));
        }
        if stream.watches.is_empty() {
            stream.asked = None;
        }
        if stream.credit.allows_a_reply()
            && stream.asked.is_some_and(|asked| asked <= upto)
            && stream.is_synced()
        {
            stream.asked = None;
            send(stream, progress(NO_WATCH));
        }
        if stream.asked.is_none() {
            self.asking.remove(&id);
        }
        self.waiting.list(id, stream);
    }
}

/// Checks a request as etcd does, in its order, and gives the watch its id.
fn admit(
    stream: &mut Stream,
    request: &WatchCreateRequest,
    root: &Root,
) -> Result<(WatchId, Watch), Refusal> {
    if request.start_revision < 0 {
        return Err(Refusal::NegativeRevision);
    }
    let keys = Keys::parse(&request.key, &request.range_end).ok_or(Refusal::EmptyRange)?;
    if stream.is_taken(request.watch_id) && request.watch_id != 0 {
        return Err(Refusal::DuplicateId);
    }
    let key_bytes = stream.key_bytes + keys.len();
    let watches = stream.watches.len() + stream.overtaken.len();
    if watches >= WATCHES_PER_STREAM || key_bytes > WATCH_KEY_BYTES_PER_STREAM {
        return Err(Refusal::TooMany);
    }
    stream.key_bytes = key_bytes;
    let start = request.start_revision;
    let early = planted::is(Bug::FutureWatchEarly) && start > root.revision();
    let main = if start == 0 || early { root.revision() + 1 } else { start };
    let without = |filter: FilterType| request.filters.contains(&filter.into());
    let watch = Watch {
        keys,
        options: Options {
            no_put: without(FilterType::Noput),
            no_delete: without(FilterType::Nodelete),
            prev_kv: request.prev_kv,
        },
        fragment: request.fragment,
        notify: request.progress_notify,
        start,
        cursor: Revision::first_of(main),
        place: Place::Nowhere,
        quiet: true,
    };
    let id = if request.watch_id == 0 { stream.free_id() } else { request.watch_id };
    Ok((id, watch))
}
