//! Where the next walk over the history has to begin.

use std::collections::BTreeSet;
use std::ops::RangeBounds;

use super::reply::StreamId;
use super::stream::Stream;
use crate::store::Revision;

/// The streams that can take events and have watches behind, by where the farthest and the closest of
/// these go on.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    farthest: BTreeSet<(Revision, StreamId)>,
    closest: BTreeSet<(Revision, StreamId)>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.farthest.len()
    }

    /// Brings the entry of a stream up to date.
    pub(super) fn list(&mut self, id: StreamId, stream: &mut Stream) {
        let ends = stream.behind.first().zip(stream.behind.last());
        let ends =
            ends.filter(|_| stream.credit.allows_events()).map(|(first, last)| (first.0, last.0));
        if ends == stream.listed {
            return;
        }
        self.forget(id, stream);
        if let Some((first, last)) = ends {
            self.farthest.insert((first, id));
            self.closest.insert((last, id));
        }
        stream.listed = ends;
    }

    pub(super) fn forget(&mut self, id: StreamId, stream: &mut Stream) {
        if let Some((first, last)) = stream.listed.take() {
            self.farthest.remove(&(first, id));
            self.closest.remove(&(last, id));
        }
    }

    /// The revision at which the farthest watch goes on.
    pub(super) fn farthest(&self) -> Option<i64> {
        self.farthest.first().map(|(cursor, _)| cursor.main)
    }

    /// The first revision from `from` on at which a watch goes on that is its stream's closest to
    /// the present; else that of the closest of all.
    pub(super) fn closest(&self, from: i64) -> Option<i64> {
        let near = self.closest.range(after(from)).next().or_else(|| self.closest.last());
        near.map(|(cursor, _)| cursor.main)
    }

    /// Streams with a watch that goes on from `from` on and before `to`.
    pub(super) fn between(&self, from: i64, to: i64, limit: usize) -> Vec<StreamId> {
        let inside = |set: &BTreeSet<(Revision, StreamId)>| {
            let found = set.range(after(from)).take_while(|(cursor, _)| cursor.main < to);
            found.take(limit).map(|(_, id)| *id).collect::<Vec<_>>()
        };
        let mut streams = inside(&self.farthest);
        // A stream is there twice if one watch is all it has; boarding finds nothing then.
        streams.extend(inside(&self.closest));
        streams
    }
}

fn after(from: i64) -> impl RangeBounds<(Revision, StreamId)> {
    (Revision::first_of(from), StreamId(0))..
}
