//! The watch thread: it owns the hub, and gives its replies to the streams of the edge, which
//! pass them on as fast as their clients read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kvorum_core::store::Root;
use kvorum_core::watch::{BACKLOG, Body, Delivery, Feed, Hub, StreamId, WatchReply};
use kvorum_proto::etcdserverpb::WatchCreateRequest;
use kvorum_server::limits::WATCH_STREAM_BYTES;

use super::{Place, Thread};
use crate::sim::check::messages;
use crate::sim::time::{Time, US};
use crate::sim::world::{Event, World};

/// What a client asks of its stream.
#[derive(Clone, Debug)]
pub(in crate::sim) enum Ask {
    Create(WatchCreateRequest),
    Cancel(i64),
    Progress,
}

#[derive(Debug)]
pub(in crate::sim) enum Work {
    Open { stream: StreamId },
    Request { stream: StreamId, ask: Ask },
    Consumed { stream: StreamId, bytes: usize },
    Close { stream: StreamId },
    Wake,
}

/// A stream as the watch thread and the edge know it.
struct Outlet {
    watcher: usize,
    session: u64,
    credit: usize,
    /// What the edge has not passed on.
    channel: VecDeque<WatchReply>,
    /// In the channel, or on its way to the client.
    waiting: usize,
    waiting_bytes: usize,
    /// What the client asks meanwhile: one thing at a time is handed in.
    asks: VecDeque<Ask>,
    asking: bool,
    stalled: bool,
    passing: bool,
}

pub(in crate::sim) struct WatchThread {
    hub: Hub,
    pub(super) feed: Feed,
    work: Vec<Work>,
    out: Vec<Delivery>,
    outlets: BTreeMap<StreamId, Outlet>,
    woken: bool,
    /// There is more to do at once.
    busy: bool,
    next_tick: Time,
    /// The newest state, as the thread has read it.
    looking: Option<Arc<Root>>,
}

impl WatchThread {
    pub(super) fn new(hub: Hub, next_tick: Time) -> WatchThread {
        WatchThread {
            hub,
            feed: Feed::default(),
            work: Vec::new(),
            out: Vec::new(),
            outlets: BTreeMap::new(),
            woken: false,
            busy: false,
            next_tick,
            looking: None,
        }
    }

    pub(super) fn has_work(&self) -> bool {
        self.busy || !self.work.is_empty()
    }

    /// Whether all replies have gone out to the clients.
    pub(in crate::sim) fn is_quiet(&self, revision: i64) -> bool {
        let delivered = self.outlets.values().all(|outlet| outlet.waiting == 0);
        delivered && !self.has_work() && self.hub.revision() >= revision
    }
}

impl World {
    pub(in crate::sim) fn watch_work(&mut self, place: Place, work: Work) {
        let Some(life) = self.life(place) else { return };
        life.watch.work.push(work);
        self.call(place.member, Thread::Watch);
    }

    /// A client opens a stream.
    pub(in crate::sim) fn watch_open(
        &mut self,
        place: Place,
        stream: StreamId,
        (watcher, session): (usize, u64),
    ) {
        let credit = self.plan.stream_credit;
        let Some(life) = self.life(place) else { return };
        let outlet = Outlet {
            watcher,
            session,
            credit,
            channel: VecDeque::new(),
            waiting: 0,
            waiting_bytes: 0,
            asks: VecDeque::new(),
            asking: false,
            stalled: false,
            passing: false,
        };
        life.watch.outlets.insert(stream, outlet);
        self.watch_work(place, Work::Open { stream });
    }

    /// A client asks something of its stream.
    pub(in crate::sim) fn watch_ask(&mut self, place: Place, stream: StreamId, ask: Ask) {
        let Some(life) = self.life(place) else { return };
        let Some(outlet) = life.watch.outlets.get_mut(&stream) else { return };
        outlet.asks.push_back(ask);
        self.hand_in(place, stream);
    }

    pub(super) fn wake_watches(&mut self, place: Place) {
        let Some(life) = self.life(place) else { return };
        if !std::mem::replace(&mut life.watch.woken, true) {
            self.watch_work(place, Work::Wake);
        }
    }

    pub(super) fn watch_begins(&mut self, place: Place) -> Option<Time> {
        let now = self.agenda.now();
        let interval = self.plan.progress_interval;
        let life = self.life(place)?;
        let due = now >= life.watch.next_tick;
        if !life.watch.has_work() && !due {
            let next_tick = life.watch.next_tick;
            self.call_at(place, Thread::Watch, next_tick);
            return None;
        }
        for work in std::mem::take(&mut life.watch.work) {
            self.watch_perform(place, work);
        }
        let life = self.life(place)?;
        if due {
            life.watch.next_tick = now + interval;
            life.watch.hub.tick(&mut life.watch.out);
        }
        let next_tick = life.watch.next_tick;
        life.watch.looking = Some(Arc::clone(&life.root));
        self.call_at(place, Thread::Watch, next_tick);
        Some(self.random.between((5 * US, 50 * US)))
    }

    /// One step of the hub, at the oldest state it has not seen to its end.
    pub(super) fn watch_ends(&mut self, place: Place) -> Option<Time> {
        let life = self.life(place)?;
        let watch = &mut life.watch;
        let newest = watch.looking.take()?;
        let root = watch.feed.unseen(newest);
        let more = watch.hub.advance(&root, &mut watch.out);
        watch.busy = watch.feed.advanced(&root, more, &watch.hub);
        self.watch_deliver(place);
        None
    }

    fn watch_perform(&mut self, place: Place, work: Work) {
        let credit = self.plan.stream_credit;
        let Some(life) = self.life(place) else { return };
        let watch = &mut life.watch;
        match work {
            Work::Open { stream } => watch.hub.open(stream, credit),
            Work::Request { stream, ask } => {
                let (hub, root, out) = (&mut watch.hub, &life.root, &mut watch.out);
                match ask {
                    Ask::Create(create) => hub.create(stream, &create, root, out),
                    Ask::Cancel(id) => hub.cancel(stream, id, root, out),
                    Ask::Progress => hub.progress_request(stream, root, out),
                }
                if let Some(outlet) = watch.outlets.get_mut(&stream) {
                    outlet.asking = false;
                    outlet.stalled = hub.backlog(stream) >= BACKLOG;
                }
                self.hand_in(place, stream);
            }
            Work::Consumed { stream, bytes } => {
                if let Some(outlet) = watch.outlets.get_mut(&stream) {
                    outlet.waiting -= 1;
                    outlet.waiting_bytes -= bytes;
                    self.refill(place, stream);
                }
            }
            Work::Close { stream } => {
                watch.hub.close(stream);
                watch.outlets.remove(&stream);
            }
            Work::Wake => watch.woken = false,
        }
        self.watch_deliver(place);
    }

    /// Hands in what the client asks next, if the hub takes it.
    fn hand_in(&mut self, place: Place, stream: StreamId) {
        let Some(life) = self.life(place) else { return };
        let Some(outlet) = life.watch.outlets.get_mut(&stream) else { return };
        if outlet.asking || outlet.stalled {
            return;
        }
        if let Some(ask) = outlet.asks.pop_front() {
            outlet.asking = true;
            self.watch_work(place, Work::Request { stream, ask });
        }
    }

    /// Passes on what the hub has said, and gives back the credit that took.
    fn watch_deliver(&mut self, place: Place) {
        loop {
            let Some(life) = self.life(place) else { return };
            if life.watch.out.is_empty() {
                return;
            }
            let mut touched = Vec::new();
            for Delivery { stream, reply } in std::mem::take(&mut life.watch.out) {
                let Some(outlet) = life.watch.outlets.get_mut(&stream) else { continue };
                assert!(outlet.credit > 0, "the hub says more than it has credit for");
                outlet.credit -= 1;
                outlet.waiting += 1;
                outlet.waiting_bytes += reply_bytes(&reply);
                outlet.channel.push_back(reply);
                if touched.last() != Some(&stream) {
                    touched.push(stream);
                }
            }
            for stream in touched {
                self.pass_on_soon(place, stream, (5 * US, 50 * US));
                self.refill(place, stream);
            }
        }
    }

    fn refill(&mut self, place: Place, stream: StreamId) {
        let full = self.plan.stream_credit;
        let Some(life) = self.life(place) else { return };
        let watch = &mut life.watch;
        let Some(outlet) = watch.outlets.get_mut(&stream) else { return };
        if outlet.waiting_bytes < WATCH_STREAM_BYTES && outlet.waiting < 4 * full {
            let replies = full - outlet.credit;
            if replies > 0 {
                outlet.credit = full;
                watch.hub.credit(stream, replies, &mut watch.out);
            }
        }
        if watch.hub.backlog(stream) < BACKLOG && std::mem::take(&mut outlet.stalled) {
            self.hand_in(place, stream);
        }
    }

    fn pass_on_soon(&mut self, place: Place, stream: StreamId, delay: (Time, Time)) {
        let delay = self.random.skewed(delay);
        let Some(life) = self.life(place) else { return };
        let Some(outlet) = life.watch.outlets.get_mut(&stream) else { return };
        if !outlet.channel.is_empty() && !std::mem::replace(&mut outlet.passing, true) {
            self.agenda.after(delay, Event::PassOn { place, stream });
        }
    }

    /// The edge sends a stream's next reply.
    pub(in crate::sim) fn pass_on(&mut self, place: Place, stream: StreamId) {
        let Some(life) = self.life(place) else { return };
        let values = Arc::clone(&life.values);
        let Some(outlet) = life.watch.outlets.get_mut(&stream) else { return };
        outlet.passing = false;
        let Some(reply) = outlet.channel.pop_front() else { return };
        let (watcher, session) = (outlet.watcher, outlet.session);
        let bytes = reply_bytes(&reply);
        let read = messages::watch_response(&reply, &mut |at| messages::stored(&*values, at));
        drop(reply);
        match read {
            Ok(response) => {
                let pace = self.respond(watcher, session, response);
                self.watch_work(place, Work::Consumed { stream, bytes });
                self.pass_on_soon(place, stream, pace);
            }
            Err(reason) => {
                self.not_read_back(place, &reason);
                self.watch_work(place, Work::Close { stream });
                self.stream_broken(watcher, session);
            }
        }
    }
}

/// About what a reply takes in memory.
fn reply_bytes(reply: &WatchReply) -> usize {
    const REPLY: usize = 64;
    let Body::Events { events, .. } = &reply.body else { return REPLY };
    let versions = events.iter().flat_map(|event| [Some(&event.version), event.prev.as_ref()]);
    let sizes = versions.flatten().map(|version| version.key.len() + version.value_len as usize);
    REPLY + sizes.sum::<usize>()
}
