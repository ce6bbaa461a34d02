//! Where the entries lie, and their terms, in little memory.
//!
//! A `Place` is kept for about every 64 KiB of log, not for every entry: from a place on, the
//! frames hold the entries up to the next place's in order. Where entries were replaced a new
//! place begins, so a walk never meets a replaced one.

use kvorum_core::node::TermRun;

use super::format::{Position, SegmentHeader};
use super::starts::{Starts, Void};

/// Bytes of log that a search may have to walk; sixteen bytes of memory buy one place.
const PLACE_BYTES: usize = 64 * 1024;

/// Entries from `first` on lie in the frames from `at` on, of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) first: u64,
    pub(super) at: Position,
}

/// Index and term of every entry between the log's two ends.
#[derive(Clone, Debug)]
pub(super) struct LogIndex {
    base: (u64, u64),
    last: u64,
    runs: Vec<TermRun>,
    places: Vec<Place>,
    since_place: usize,
    starts: Starts,
}

impl LogIndex {
    /// A log whose first entry will follow `base`, an index and its term.
    pub(super) fn new(base: (u64, u64)) -> LogIndex {
        LogIndex {
            base,
            last: base.0,
            runs: Vec::new(),
            places: Vec::new(),
            since_place: 0,
            starts: Starts::default(),
        }
    }

    pub(super) fn base(&self) -> (u64, u64) {
        self.base
    }

    pub(super) fn last(&self) -> (u64, u64) {
        (self.last, self.runs.last().map_or(self.base.1, |run| run.term))
    }

    pub(super) fn runs(&self) -> &[TermRun] {
        &self.runs
    }

    pub(super) fn segments(&self) -> usize {
        self.starts.count()
    }

    /// The segments that hold nothing but entries up to `upto`, or what a base made void.
    pub(super) fn void(&self, upto: u64) -> Void {
        self.starts.void(upto.max(self.base.0))
    }

    /// The term of an entry, or of the base.
    pub(super) fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        if index < self.base.0 || index > self.last {
            return None;
        }
        let after = self.runs.partition_point(|run| run.first <= index);
        Some(self.runs[after - 1].term)
    }

    /// Whether entry `index` of `term` may come after those before it.
    pub(super) fn accepts(&self, index: u64, term: u64) -> bool {
        index > self.base.0 && self.term(index - 1).is_some_and(|before| term >= before)
    }

    /// Notes entry `index`, which lies in the frame at `at` and was found acceptable.
    pub(super) fn push(&mut self, index: u64, term: u64, at: Position) {
        let replaces = index <= self.last;
        if replaces {
            self.places.truncate(self.places.partition_point(|place| place.first < index));
            self.runs.truncate(self.runs.partition_point(|run| run.first < index));
            self.starts.replace(index);
        }
        let last_at = self.places.last().map(|place| place.at);
        let apart = last_at.is_none_or(|last| last.segment() != at.segment());
        // Entries of one frame share its place; a frame too large for one is walked whole anyway.
        if last_at != Some(at) && (replaces || apart || self.since_place >= PLACE_BYTES) {
            self.places.push(Place { first: index, at });
            self.since_place = 0;
        }
        if self.runs.last().is_none_or(|run| run.term != term) {
            self.runs.push(TermRun { first: index, term });
        }
        self.last = index;
    }

    /// Notes that a frame of so many bytes was added.
    pub(super) fn grow(&mut self, bytes: usize) {
        self.since_place += bytes;
    }

    /// Notes that a segment was begun.
    pub(super) fn begin(&mut self, header: &SegmentHeader) {
        self.starts.begin(header);
    }

    /// Notes that the newest segment holds a base record: the log begins anew after `base`.
    pub(super) fn rebase(&mut self, base: (u64, u64)) {
        self.restart(base);
        self.starts.rebase();
    }

    /// Forgets all entries: the log begins after `base`.
    pub(super) fn restart(&mut self, base: (u64, u64)) {
        let starts = std::mem::take(&mut self.starts);
        *self = LogIndex { starts, ..LogIndex::new(base) };
    }

    /// Notes that entries from `index` on, which is not above the base, are replaced.
    pub(super) fn replace_below(&mut self, index: u64) {
        self.starts.replace(index);
    }

    /// Forgets the entries of segments that were removed.
    pub(super) fn release(&mut self, void: &Void) {
        let Some(first) = self.starts.release(void) else { return };
        self.places.retain(|place| place.at.segment() >= first);
        let Some(base) = void.base else { return };
        self.base = base;
        let first_entry = base.0.saturating_add(1);
        let after = self.runs.partition_point(|run| run.first <= first_entry);
        self.runs.drain(..after.saturating_sub(1));
        if self.last == base.0 {
            self.runs.clear();
        } else if let Some(run) = self.runs.first_mut() {
            run.first = first_entry;
        }
    }

    /// The place to look for an entry, and the first entry for which the next place is better.
    pub(super) fn find(&self, index: u64) -> Option<(Place, u64)> {
        let after = self.places.partition_point(|place| place.first <= index);
        let place = *self.places.get(after.checked_sub(1)?)?;
        Some((place, self.places.get(after).map_or(u64::MAX, |next| next.first)))
    }
}

#[cfg(test)]
mod tests {
    use raft_proto::eraftpb::HardState;

    use super::*;
    use crate::identity::Identity;

    #[test]
    fn what_was_released_takes_no_memory() {
        let mut index = LogIndex::new((0, 0));
        for number in 1..=100 {
            index.begin(&SegmentHeader {
                identity: Identity { cluster_id: 1, member_id: 1, incarnation: 1 },
                number,
                size: 4096,
                previous: index.last(),
                hard_state: HardState::default(),
                continues: Position::default(),
                chain: 0,
                incomplete: None,
            });
            let next = index.last().0 + 1;
            for entry in next..next + 10 {
                index.push(entry, u64::from(number), Position::new(number, 512));
            }
        }
        assert_eq!((index.places.len(), index.runs.len(), index.segments()), (100, 100, 100));
        let void = index.void(975);
        index.release(&void);
        assert_eq!((index.places.len(), index.runs.len(), index.segments()), (3, 3, 3));
        assert_eq!(
            (index.base(), index.term(971), index.term(970)),
            ((970, 97), Some(98), Some(97))
        );
    }
}
