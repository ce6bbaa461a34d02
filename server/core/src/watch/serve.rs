//! The steps in which watches are served: one chunk of history at a time.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use super::chunk;
use super::hub::Hub;
use super::index::{Index, Member};
use super::limits::{CHUNK_VERSIONS, RIDERS, RIDERS_PER_CREDIT};
use super::reply::{Delivery, StreamId, WatchId};
use super::stream::Batch;
use crate::planted::{self, Bug};
use crate::store::{Revision, Root};

impl Hub {
    /// Ends the watches whose next events a compaction may have taken.
    pub(super) fn note_compaction(&mut self, root: &Root, out: &mut Vec<Delivery>) {
        let compacted = root.compacted_revision();
        if compacted <= self.compacted {
            return;
        }
        self.compacted = compacted;
        let mut lost: Vec<Member> = Vec::new();
        for (id, stream) in &self.streams {
            let gone = stream.behind.iter().take_while(|(cursor, _)| cursor.main < compacted);
            lost.extend(gone.map(|(_, watch)| (*id, *watch)));
        }
        if self.revision + 1 < compacted {
            let synced = self.synced.groups().flat_map(|group| &group.members);
            lost.extend(
                synced.filter(|(stream, id)| {
                    self.streams[stream].watches[id].cursor.main < compacted
                }),
            );
            self.revision = compacted - 1;
        }
        for (stream, id) in &lost {
            self.overtake(*stream, *id, compacted);
        }
        for (stream, _) in lost {
            self.pump(stream, out);
        }
    }

    /// Serves all synced watches one chunk of what is new.
    pub(super) fn follow(&mut self, root: &Root, out: &mut Vec<Delivery>) {
        if self.revision >= root.revision() {
            return;
        }
        if self.synced.groups().next().is_none() {
            self.revision = root.revision();
            return;
        }
        let twice = planted::is(Bug::EventTwice) && self.revision % 16 == 0;
        let from = self.revision + i64::from(!twice);
        let chunk = chunk::read(root, &self.synced, from, root.revision());
        self.revision = chunk.end;
        let mut slow: Vec<(Member, Revision)> = Vec::new();
        for (group, found) in &chunk.batches {
            let batch =
                Batch { found, revision: self.revision, response_bytes: self.response_bytes };
            for &(id, watch_id) in &self.synced.group(*group).members {
                let stream = self.streams.get_mut(&id).expect("an indexed watch has a stream");
                let mut send = |reply| out.push(Delivery { stream: id, reply });
                if let Err(cursor) = stream.deliver(watch_id, &batch, &mut send) {
                    slow.push(((id, watch_id), cursor));
                }
            }
        }
        for ((stream, id), cursor) in slow {
            self.file(stream, id, cursor);
        }
    }

    /// Serves one chunk of history to watches of the next stream that is ready. By turns it
    /// starts where its farthest watch is and where its closest is: the one must arrive, the
    /// other must not wait for it. Others that are on the way come along.
    pub(super) fn catch_up(&mut self, root: &Root, out: &mut Vec<Delivery>) {
        let after = self.ready.range((Excluded(self.served), Unbounded)).next();
        let Some(id) = after.or_else(|| self.ready.first()).copied() else { return };
        self.served = id;
        let stream = self.streams.get_mut(&id).expect("a stream that is ready is open");
        let first = if stream.closest_next { stream.behind.last() } else { stream.behind.first() };
        stream.closest_next = !stream.closest_next;
        let from = first.expect("a stream that is ready has a watch behind").0.main;

        let farthest = from.saturating_add(CHUNK_VERSIONS as i64);
        let limit = RIDERS.min(stream.credit.saturating_mul(RIDERS_PER_CREDIT));
        let riders: Vec<(Revision, WatchId)> = stream
            .behind
            .range((Revision { main: from, sub: 0 }, WatchId::MIN)..)
            .take_while(|(cursor, _)| cursor.main < farthest)
            .take(limit)
            .copied()
            .collect();
        let mut index = Index::default();
        for (_, watch_id) in &riders {
            let watch = &stream.watches[watch_id];
            index.add(&watch.keys, watch.options, (id, *watch_id));
        }

        let chunk = chunk::read(root, &index, from, self.revision);
        let (revision, response_bytes) = (self.revision, self.response_bytes);
        let batch = |found| Batch { found, revision, response_bytes };
        let mut stuck: BTreeMap<WatchId, Revision> = BTreeMap::new();
        let mut send = |reply| out.push(Delivery { stream: id, reply });
        for (group, found) in &chunk.batches {
            for (_, watch_id) in &index.group(*group).members {
                if let Err(cursor) = stream.deliver(*watch_id, &batch(found), &mut send) {
                    stuck.insert(*watch_id, cursor);
                }
            }
        }
        let next = Revision { main: chunk.end + 1, sub: 0 };
        for (cursor, watch_id) in riders {
            let cursor = stuck.get(&watch_id).copied().unwrap_or(cursor.max(next));
            self.file(id, watch_id, cursor);
        }
        self.pump(id, out);
    }

    /// Files a watch under its new cursor: behind, or synced if that is where it has come.
    pub(super) fn file(&mut self, stream: StreamId, id: WatchId, cursor: Revision) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        let Some(watch) = known.watches.get(&id) else { return };
        if cursor.main <= self.revision {
            self.synced.remove(&watch.keys, watch.options, (stream, id));
            known.fall_behind(id, cursor);
            return;
        }
        self.synced.add(&watch.keys, watch.options, (stream, id));
        known.leave_behind(id);
        if let Some(watch) = known.watches.get_mut(&id) {
            watch.cursor = cursor;
        }
    }
}
