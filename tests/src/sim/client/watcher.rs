//! Clients that watch: some watches on one stream, which goes on at another member when it is
//! lost, from where each of its watches had come.

use std::collections::BTreeMap;

use kvorum_core::watch::StreamId;
use kvorum_proto::etcdserverpb::watch_create_request::FilterType;
use kvorum_proto::etcdserverpb::{WatchCreateRequest, WatchResponse};

use crate::sim::check::watched::Watched;
use crate::sim::member::{Ask, Place, WatchWork};
use crate::sim::random::Random;
use crate::sim::report::WatchRecord;
use crate::sim::time::{MS, SECOND, Time, US};
use crate::sim::world::{Event, World};

/// Watches that one client has at a time.
const WATCHES: usize = 4;

pub(in crate::sim) struct Watcher {
    random: Random,
    /// Counts its streams; what comes on an earlier one is not read.
    session: u64,
    stream: Option<(Place, StreamId)>,
    watches: BTreeMap<i64, Watched>,
    last_watch: i64,
    revision: i64,
    /// Between two responses that it reads.
    pace: (Time, Time),
    /// When the last response on its way arrives: none overtakes another.
    arrives: Time,
}

#[derive(Clone, Copy, Debug)]
pub(in crate::sim) enum WatcherEvent {
    /// Opens a stream, if there is none.
    Open,
    /// Does something with its stream.
    Act,
}

impl Watcher {
    pub(in crate::sim) fn new(mut random: Random) -> Watcher {
        let pace = *random.pick(&[(10 * US, 100 * US), (10 * US, 100 * US), (MS, 200 * MS)]);
        Watcher {
            random,
            session: 0,
            stream: None,
            watches: BTreeMap::new(),
            last_watch: 0,
            revision: 1,
            pace,
            arrives: 0,
        }
    }

    /// A watch that begins now, around now, or where compaction left off.
    fn draw(&mut self, compacted: i64) -> WatchCreateRequest {
        let around = self.random.below(201) as i64 - 100;
        let start_revision = match self.random.below(10) {
            0..4 => 0,
            4..7 => (self.revision + around).max(1),
            _ => compacted.max(1),
        };
        let keys: [(&str, &str); 5] =
            [("k", "l"), ("k3", ""), ("k2", "k7"), ("\0", "\0"), ("k5", "\0")];
        let (key, range_end) = *self.random.pick(&keys);
        let filters = match self.random.below(6) {
            0 => vec![FilterType::Noput as i32],
            1 => vec![FilterType::Nodelete as i32],
            _ => Vec::new(),
        };
        self.last_watch += 1;
        WatchCreateRequest {
            key: key.into(),
            range_end: range_end.into(),
            start_revision,
            progress_notify: self.random.chance(40),
            filters,
            prev_kv: self.random.chance(50),
            watch_id: self.last_watch,
            fragment: self.random.chance(30),
        }
    }
}

impl World {
    pub(in crate::sim) fn watcher(&mut self, watcher: usize, event: WatcherEvent) {
        match event {
            WatcherEvent::Open => self.open_stream(watcher),
            WatcherEvent::Act => {
                self.act(watcher);
                let delay = self.watchers[watcher].random.skewed((50 * MS, 2 * SECOND));
                self.agenda.after(delay, Event::Watcher(watcher, WatcherEvent::Act));
            }
        }
    }

    /// A response is on its way to its client; says how soon the next one may be sent.
    pub(in crate::sim) fn respond(
        &mut self,
        watcher: usize,
        session: u64,
        response: WatchResponse,
    ) -> (Time, Time) {
        let at = self.agenda.now() + self.random.skewed((50 * US, MS));
        let who = &mut self.watchers[watcher];
        who.arrives = who.arrives.max(at);
        let pace = who.pace;
        self.agenda.at(who.arrives, Event::Watched { watcher, session, response });
        if self.is_trouble() { pace } else { (10 * US, MS) }
    }

    fn open_stream(&mut self, watcher: usize) {
        let members = self.members.len();
        let who = &mut self.watchers[watcher];
        if who.stream.is_some() {
            return;
        }
        let member = who.random.index(members);
        let Some(place) = self.place(member) else {
            return self.agenda.after(100 * MS, Event::Watcher(watcher, WatcherEvent::Open));
        };
        self.last_stream += 1;
        let stream = StreamId(self.last_stream);
        let who = &mut self.watchers[watcher];
        who.session += 1;
        who.stream = Some((place, stream));
        let session = who.session;
        let mut resumed = Vec::new();
        for watch in who.watches.values_mut() {
            resumed.push(watch.resume());
            watch.begins(member);
        }
        self.figures.resumed += resumed.len() as u64;
        self.watch_open(place, stream, (watcher, session));
        for request in resumed {
            self.agenda.after(MS, Event::Ask { place, stream, ask: Ask::Create(request) });
        }
    }

    fn act(&mut self, watcher: usize) {
        if !self.is_loaded() {
            return;
        }
        let compacted = self.agreement.model.view.compacted;
        let who = &mut self.watchers[watcher];
        let Some((place, stream)) = who.stream else { return };
        let ask = match who.random.below(20) {
            0..8 if who.watches.len() < WATCHES => {
                let request = who.draw(compacted);
                let mut watch =
                    Watched::new(format!("w{watcher}.{}", request.watch_id), request.clone());
                watch.begins(place.member);
                who.watches.insert(request.watch_id, watch);
                Ask::Create(request)
            }
            8..10 if who.watches.len() > 1 => {
                let ids: Vec<i64> = who.watches.keys().copied().collect();
                let id = *who.random.pick(&ids);
                self.watches.extend(who.watches.remove(&id).map(|watch| watch.record));
                Ask::Cancel(id)
            }
            10..14 => Ask::Progress,
            14..16 => {
                // It goes to another member.
                self.watch_work(place, WatchWork::Close { stream });
                let session = self.watchers[watcher].session;
                return self.stream_broken(watcher, session);
            }
            _ => return,
        };
        self.agenda.after(MS, Event::Ask { place, stream, ask });
    }

    /// The stream of a session is lost; the watcher opens another one.
    pub(in crate::sim) fn stream_broken(&mut self, watcher: usize, session: u64) {
        let who = &mut self.watchers[watcher];
        if who.session != session || who.stream.take().is_none() {
            return;
        }
        who.session += 1;
        let delay = who.random.skewed((10 * MS, SECOND));
        self.agenda.after(delay, Event::Watcher(watcher, WatcherEvent::Open));
    }

    /// The life of a member has ended.
    pub(in crate::sim) fn watchers_lose(&mut self, member: usize) {
        for watcher in 0..self.watchers.len() {
            let who = &self.watchers[watcher];
            if who.stream.is_some_and(|(place, _)| place.member == member) {
                let session = who.session;
                self.stream_broken(watcher, session);
            }
        }
    }

    /// A response arrives.
    pub(in crate::sim) fn watched(
        &mut self,
        watcher: usize,
        session: u64,
        response: &WatchResponse,
    ) {
        let now = self.agenda.now();
        let who = &mut self.watchers[watcher];
        if who.session != session {
            return;
        }
        let revision = response.header.as_ref().map_or(0, |header| header.revision);
        who.revision = who.revision.max(revision);
        let id = response.watch_id;
        let numbers = [
            watcher as u64,
            id as u64,
            revision as u64,
            response.events.len() as u64,
            u64::from(response.created),
            u64::from(response.canceled),
        ];
        self.trace.note(now, "watched", &numbers, || format!("w{watcher}: {response:?}"));
        for (own, watch) in &mut who.watches {
            if *own == id || (id == -1 && watch.created) {
                watch.told(now, response);
            }
        }
        let agreement = &mut self.agreement;
        if response.created && response.canceled {
            panic!("the watch was refused: {}", response.cancel_reason);
        } else if response.created {
            if let Some(watch) = who.watches.get_mut(&id) {
                watch.created(revision);
            }
        } else if response.compact_revision != 0 {
            if let Some(watch) = who.watches.remove(&id) {
                watch.overtaken(agreement, response.compact_revision);
                self.watches.push(watch.record);
                self.figures.overtaken += 1;
            }
        } else if response.canceled {
            assert!(!who.watches.contains_key(&id), "a watch was canceled, and nobody asked");
        } else if !response.events.is_empty() {
            if let Some(watch) = who.watches.get_mut(&id) {
                self.figures.events += watch.events(agreement, response);
            }
        } else {
            self.figures.progress += 1;
            let all = id == -1;
            for (_, watch) in who.watches.iter_mut().filter(|(own, _)| all || **own == id) {
                watch.progress(agreement, revision);
            }
        }
    }

    /// The watches that clients have at the end.
    pub(in crate::sim) fn end_watches(&mut self) {
        for watcher in &mut self.watchers {
            for (_, watch) in std::mem::take(&mut watcher.watches) {
                self.watches.push(WatchRecord { to_the_end: true, ..watch.record });
            }
        }
    }

    /// Events that watchers were never sent; to be asked once all is at rest.
    pub(in crate::sim) fn unwatched(&mut self) -> Option<String> {
        for (number, who) in self.watchers.iter().enumerate() {
            if who.stream.is_none() {
                return Some(format!("w{number} has no stream"));
            }
            for watch in who.watches.values() {
                let missing = watch.missing(&mut self.agreement);
                if missing > 0 || !watch.created {
                    let from = watch.next;
                    let created = watch.created;
                    return Some(format!(
                        "w{number} misses {missing} events from {from} on (created: {created}) of {:?}",
                        watch.request
                    ));
                }
            }
        }
        None
    }
}
