//! One client's stream and its watches.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::index::Options;
use super::keys::Keys;
use super::reply::{Body, Event, Events, Found, WatchId, WatchReply};
use super::serve::Lane;
use crate::store::Revision;

/// Where a watch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Nowhere,
    Synced,
    Behind,
    Riding(Lane),
}

#[derive(Debug)]
pub(super) struct Watch {
    pub(super) keys: Keys,
    pub(super) options: Options,
    pub(super) fragment: bool,
    pub(super) notify: bool,
    /// What the client asked for, or 0: no progress is reported before it.
    pub(super) start: i64,
    /// Nothing before it is sent. Where a watch that is behind goes on; for others it may lie in
    /// the past or, for a synced one that starts there, in the future.
    pub(super) cursor: Revision,
    pub(super) place: Place,
    /// No events since the last tick, so that progress is worth a notice.
    pub(super) quiet: bool,
}

impl Watch {
    /// Whether its start, and what its creation was answered with, lie behind.
    pub(super) fn has_begun(&self, revision: i64) -> bool {
        self.start <= revision && self.cursor.main <= revision + 1
    }
}

/// What a stream's client can take now.
#[derive(Debug, Default)]
pub(super) struct Credit {
    pub(super) replies: usize,
    /// Bytes of replies that were sent and are not taken yet, and how many of them stop events.
    pub(super) untaken: usize,
    pub(super) most_untaken: usize,
}

impl Credit {
    pub(super) fn allows_a_reply(&self) -> bool {
        self.replies > 0
    }

    pub(super) fn allows_events(&self) -> bool {
        self.replies > 0 && self.untaken < self.most_untaken
    }

    pub(super) fn spend(&mut self, reply: &WatchReply) {
        self.replies -= 1;
        self.untaken += reply.bytes();
    }
}

#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) credit: Credit,
    pub(super) watches: BTreeMap<WatchId, Watch>,
    /// Watches that compaction overtook, until their client cancels them: etcd keeps their ids, and
    /// etcd's client waits for the answer to its cancellation.
    pub(super) overtaken: BTreeSet<WatchId>,
    /// Answers to requests, and cancellations; they go before everything else.
    pub(super) answers: VecDeque<WatchReply>,
    /// The watches that are behind, by cursor.
    pub(super) behind: BTreeSet<(Revision, WatchId)>,
    /// Synced watches whose progress is to be sent.
    pub(super) due: BTreeSet<WatchId>,
    /// Progress was asked for when the store was at this revision.
    pub(super) asked: Option<i64>,
    /// How many watches ride in convoys.
    pub(super) riding: usize,
    /// Where the stream's farthest and closest watches wait, if it is listed as waiting.
    pub(super) listed: Option<(Revision, Revision)>,
    pub(super) key_bytes: usize,
    next_id: WatchId,
}

/// What was found for a group of watches.
pub(super) struct Batch<'a> {
    pub(super) found: &'a Arc<Found>,
    /// For the headers.
    pub(super) revision: i64,
    /// Where a reply is cut, for a watch that asked for fragments.
    pub(super) response_bytes: usize,
}

impl Stream {
    pub(super) fn new(replies: usize, most_untaken: usize) -> Stream {
        let credit = Credit { replies, untaken: 0, most_untaken };
        Stream { credit, ..Stream::default() }
    }

    /// The smallest id that was never given and is not taken.
    pub(super) fn free_id(&mut self) -> WatchId {
        while self.is_taken(self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        self.next_id - 1
    }

    pub(super) fn is_taken(&self, id: WatchId) -> bool {
        self.watches.contains_key(&id) || self.overtaken.contains(&id)
    }

    /// Where the watch is owed something from.
    pub(super) fn cursor(&self, id: WatchId) -> Revision {
        self.watches.get(&id).map_or(Revision::default(), |watch| watch.cursor)
    }

    /// All watches have got everything that the hub has looked at.
    pub(super) fn is_synced(&self) -> bool {
        self.behind.is_empty() && self.riding == 0
    }

    /// Takes the watch out of what the stream knows about its place.
    pub(super) fn leave(&mut self, id: WatchId) {
        let Some(watch) = self.watches.get_mut(&id) else { return };
        match watch.place {
            Place::Behind => drop(self.behind.remove(&(watch.cursor, id))),
            Place::Riding(_) => self.riding -= 1,
            Place::Nowhere | Place::Synced => {}
        }
        watch.place = Place::Nowhere;
    }

    /// The watch goes on at `cursor`, later.
    pub(super) fn fall_behind(&mut self, id: WatchId, cursor: Revision) {
        self.leave(id);
        if let Some(watch) = self.watches.get_mut(&id) {
            watch.cursor = cursor;
            watch.place = Place::Behind;
            self.behind.insert((cursor, id));
            self.due.remove(&id);
        }
    }

    /// The watch joins a convoy.
    pub(super) fn set_out(&mut self, id: WatchId, lane: Lane) -> Option<&Watch> {
        self.leave(id);
        let watch = self.watches.get_mut(&id)?;
        watch.place = Place::Riding(lane);
        self.riding += 1;
        Some(watch)
    }

    /// The watch has got everything up to `upto`.
    pub(super) fn sync(&mut self, id: WatchId, upto: i64) -> Option<&Watch> {
        self.leave(id);
        let watch = self.watches.get_mut(&id)?;
        watch.cursor = watch.cursor.max(Revision::first_of(upto + 1));
        watch.place = Place::Synced;
        Some(watch)
    }

    /// Sends what of the batch the watch has not got yet, as far as there is credit; else says
    /// from where on it is owed.
    pub(super) fn deliver(
        &mut self,
        watch_id: WatchId,
        batch: &Batch,
        send: &mut impl FnMut(WatchReply),
    ) -> Result<(), Revision> {
        let Some(watch) = self.watches.get_mut(&watch_id) else { return Ok(()) };
        let events = &batch.found.events[..];
        let mut from = events.partition_point(|event| event.version.at < watch.cursor);
        while from < events.len() {
            if !self.credit.allows_events() {
                return Err(events[from].version.at);
            }
            let to = if watch.fragment {
                from + fragment_len(&events[from..], batch.response_bytes)
            } else {
                events.len()
            };
            let last = events[to - 1].version.at.main;
            let fragment = events.get(to).is_some_and(|next| next.version.at.main == last);
            let body = Body::Events { events: Events::new(batch.found, from..to), fragment };
            let reply = WatchReply { revision: batch.revision, watch_id, body };
            self.credit.spend(&reply);
            send(reply);
            self.due.remove(&watch_id);
            watch.quiet = false;
            from = to;
        }
        Ok(())
    }
}

/// How many events fit into a reply; at least one.
fn fragment_len(events: &[Event], response_bytes: usize) -> usize {
    let mut bytes = 0;
    let fit = events.iter().take_while(|event| {
        bytes += event.encoded_len();
        bytes < response_bytes
    });
    fit.count().max(1)
}
