//! The watch thread: it owns the hub and hands its replies to the streams of the edge.
//!
//! A stream's replies wait in a channel that has no bound of its own; what bounds it is the
//! credit the hub has, given only while few are waiting, and the bytes that it lets be on their way.
//! So a client that does not read costs bounded memory, and delays nobody.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvorum_core::store::Root;
use kvorum_core::watch::{
    BACKLOG, Body, Budget, Delivery, Events, Feed, Hub, StreamId, WatchId, WatchReply,
};
use kvorum_proto::etcdserverpb::WatchCreateRequest;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit, mpsc, oneshot};

use super::queue::{Drained, Queue};
use crate::limits::{WATCH_READERS, WATCH_STREAM_BYTES, WATCH_STREAM_CREDIT, WATCH_STREAM_REPLIES};

/// What a client asks of its stream.
pub(crate) enum WatchRequest {
    Create(WatchCreateRequest),
    /// To tell the client, when its turn comes, that it may not create one.
    Deny {
        reason: String,
    },
    Cancel(WatchId),
    Progress,
}

enum Work {
    Open {
        stream: StreamId,
        replies: mpsc::UnboundedSender<Outgoing>,
    },
    /// `taken`, if somebody waits for it, is answered once the stream may ask for more.
    Request {
        stream: StreamId,
        request: WatchRequest,
        taken: Option<oneshot::Sender<()>>,
    },
    /// The stream has passed so much on to its client.
    Consumed {
        stream: StreamId,
        replies: usize,
        bytes: usize,
    },
    Close {
        stream: StreamId,
    },
    /// There is a new root.
    Wake,
}

/// The way to the watch thread.
pub(crate) struct Watches {
    work: Queue<Work>,
    feed: Mutex<Feed>,
    /// A `Wake` is on its way; one is enough for any number of roots.
    woken: AtomicBool,
    next_stream: AtomicU64,
    /// Who may make a response that is long or needs the disk.
    readers: Semaphore,
}

impl Watches {
    pub(super) fn new() -> Watches {
        Watches {
            work: Queue::new(),
            feed: Mutex::default(),
            woken: AtomicBool::new(false),
            next_stream: AtomicU64::new(1),
            readers: Semaphore::new(WATCH_READERS),
        }
    }

    /// Waits for the turn to make a response; it is held until it is dropped.
    pub(crate) async fn turn_to_make(&self) -> Option<SemaphorePermit<'_>> {
        self.readers.acquire().await.ok()
    }

    /// Opens a stream; dropping it closes it.
    pub(crate) fn open(handle: &super::Handle) -> WatchStream {
        let watches = &handle.watches;
        let id = StreamId(watches.next_stream.fetch_add(1, Ordering::Relaxed));
        let (sender, replies) = mpsc::unbounded_channel();
        watches.work.push(Work::Open { stream: id, replies: sender });
        let sender = WatchSender { handle: handle.clone(), id };
        WatchStream { sender, replies }
    }

    pub(super) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.work.push(Work::Wake);
        }
    }

    /// Keeps the state right before a compaction, until the hub has seen it. Must come before
    /// the compacted state is published.
    pub(super) fn before_compaction(&self, root: Arc<Root>) {
        self.feed.lock().before_compaction(root);
    }

    pub(super) fn close(&self) {
        self.work.close();
    }
}

/// One client's stream, as the edge holds it.
pub(crate) struct WatchStream {
    pub(crate) sender: WatchSender,
    replies: mpsc::UnboundedReceiver<Outgoing>,
}

impl WatchStream {
    /// The next replies, all that are there; none when the member stops.
    pub(crate) async fn next(&mut self, into: &mut Vec<Outgoing>) -> bool {
        self.replies.recv_many(into, WATCH_STREAM_REPLIES).await > 0
    }

    /// These replies are on their way to the client.
    pub(crate) fn consumed(&self, replies: usize, bytes: usize) {
        let work = Work::Consumed { stream: self.sender.id, replies, bytes };
        self.sender.handle.watches.work.push(work);
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.sender.handle.watches.work.push(Work::Close { stream: self.sender.id });
    }
}

/// The half of a stream that asks.
#[derive(Clone)]
pub(crate) struct WatchSender {
    handle: super::Handle,
    id: StreamId,
}

impl WatchSender {
    /// Hands a request in, and waits while too many answers to earlier ones are unread.
    pub(crate) async fn request(&self, request: WatchRequest) {
        let (taken, done) = oneshot::channel();
        let taken = Some(taken);
        self.handle.watches.work.push(Work::Request { stream: self.id, request, taken });
        // A stream that is gone asks for nothing more.
        let _ = done.await;
    }

    /// Ends a watch without waiting; at most once for each that is open.
    pub(crate) fn cancel(&self, watch_id: WatchId) {
        let request = WatchRequest::Cancel(watch_id);
        self.handle.watches.work.push(Work::Request { stream: self.id, request, taken: None });
    }
}

/// A reply on its way to a client.
pub(crate) struct Outgoing {
    pub(crate) reply: WatchReply,
    /// What its events are on the wire; shared by all replies that carry the very same ones.
    pub(crate) batch: Arc<Batch>,
}

/// The events of replies, made ready for clients once, by the first that is sent.
pub(crate) struct Batch {
    pub(crate) bytes: usize,
    pub(crate) encoded: OnceCell<Bytes>,
}

impl Batch {
    fn of(reply: &WatchReply) -> Arc<Batch> {
        Arc::new(Batch { bytes: reply.bytes(), encoded: OnceCell::new() })
    }
}

/// The batches of one round of deliveries. The identity of a list means something only while the
/// list is held.
#[derive(Default)]
struct Batches(HashMap<(usize, Range<usize>), (Events, Arc<Batch>)>);

impl Batches {
    fn of(&mut self, reply: &WatchReply) -> Arc<Batch> {
        let Body::Events { events, .. } = &reply.body else { return Batch::of(reply) };
        let known = self.0.entry(events.identity());
        let (_, batch) = known.or_insert_with(|| (events.clone(), Batch::of(reply)));
        Arc::clone(batch)
    }
}

/// A stream, as the watch thread holds it.
struct Outlet {
    replies: mpsc::UnboundedSender<Outgoing>,
    /// What the hub may still send, and what was sent and not yet consumed.
    credit: usize,
    waiting: usize,
    /// A request that was taken when the stream's answers were too many.
    stalled: Option<oneshot::Sender<()>>,
}

pub(super) struct WatchThread {
    handle: super::Handle,
    hub: Hub,
    outlets: BTreeMap<StreamId, Outlet>,
    out: Vec<Delivery>,
}

impl WatchThread {
    pub(super) fn new(handle: super::Handle, response_bytes: usize) -> WatchThread {
        let budget = Budget { stream_bytes: WATCH_STREAM_BYTES, ..Budget::default() };
        let hub = Hub::new(handle.root().revision(), response_bytes).with_budget(budget);
        WatchThread { handle, hub, outlets: BTreeMap::new(), out: Vec::new() }
    }

    /// Runs until the queue is closed. `interval` is between two progress notices.
    pub(super) fn run(mut self, interval: Duration) {
        let mut work = Vec::new();
        let mut next_tick = Instant::now() + interval;
        let mut busy = false;
        loop {
            let until = if busy { Instant::now() } else { next_tick };
            if self.handle.watches.work.drain(&mut work, Some(until)) == Drained::Closed {
                return;
            }
            for item in work.drain(..) {
                self.perform(item);
            }
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + interval;
                self.hub.tick(&mut self.out);
            }
            busy = self.advance();
            self.deliver();
        }
    }

    /// One step of the hub, at the oldest state it has not seen to its end; says whether to go
    /// on.
    fn advance(&mut self) -> bool {
        let newest = self.handle.root();
        let feed = &self.handle.watches.feed;
        let root = feed.lock().unseen(newest);
        let more = self.hub.advance(&root, &mut self.out);
        feed.lock().advanced(&root, more, &self.hub)
    }

    fn perform(&mut self, work: Work) {
        match work {
            Work::Open { stream, replies } => {
                let credit = WATCH_STREAM_CREDIT;
                self.hub.open(stream, credit);
                let outlet = Outlet { replies, credit, waiting: 0, stalled: None };
                self.outlets.insert(stream, outlet);
            }
            Work::Request { stream, request, taken } => self.request(stream, request, taken),
            Work::Consumed { stream, replies, bytes } => {
                if let Some(outlet) = self.outlets.get_mut(&stream) {
                    outlet.waiting -= replies;
                    self.hub.taken(stream, bytes, &mut self.out);
                    self.refill(stream);
                }
            }
            Work::Close { stream } => {
                self.hub.close(stream);
                self.outlets.remove(&stream);
            }
            // Before the root is read, so that no later one goes unnoticed.
            Work::Wake => {
                self.handle.watches.woken.swap(false, Ordering::AcqRel);
            }
        }
        self.deliver();
    }

    fn request(
        &mut self,
        stream: StreamId,
        request: WatchRequest,
        taken: Option<oneshot::Sender<()>>,
    ) {
        let root = self.handle.root();
        match request {
            WatchRequest::Create(create) => {
                self.hub.create(stream, &create, &root, &mut self.out);
            }
            WatchRequest::Deny { reason } => self.hub.deny(stream, reason, &root, &mut self.out),
            WatchRequest::Cancel(id) => self.hub.cancel(stream, id, &root, &mut self.out),
            WatchRequest::Progress => self.hub.progress_request(stream, &root, &mut self.out),
        }
        self.deliver();
        let Some(taken) = taken else { return };
        if self.hub.backlog(stream) < BACKLOG {
            let _ = taken.send(());
        } else if let Some(outlet) = self.outlets.get_mut(&stream) {
            outlet.stalled = Some(taken);
        }
    }

    /// Passes on what the hub has said, and gives back the credit that took.
    fn deliver(&mut self) {
        while !self.out.is_empty() {
            let mut touched = Vec::new();
            let mut batches = Batches::default();
            for Delivery { stream, reply } in std::mem::take(&mut self.out) {
                let Some(outlet) = self.outlets.get_mut(&stream) else { continue };
                outlet.credit -= 1;
                outlet.waiting += 1;
                let batch = batches.of(&reply);
                // A receiver that is gone says so by closing its stream.
                let _ = outlet.replies.send(Outgoing { reply, batch });
                if touched.last() != Some(&stream) {
                    touched.push(stream);
                }
            }
            for stream in touched {
                self.refill(stream);
            }
        }
    }

    fn refill(&mut self, stream: StreamId) {
        let Some(outlet) = self.outlets.get_mut(&stream) else { return };
        if outlet.waiting < WATCH_STREAM_REPLIES {
            let replies = WATCH_STREAM_CREDIT - outlet.credit;
            if replies > 0 {
                outlet.credit = WATCH_STREAM_CREDIT;
                self.hub.credit(stream, replies, &mut self.out);
            }
        }
        if self.hub.backlog(stream) < BACKLOG
            && let Some(taken) = outlet.stalled.take()
        {
            let _ = taken.send(());
        }
    }
}
