//! Where the entries lie, and their terms, in little memory.
//!
//! A `Place` is kept for about every 64 KiB of log, not for every entry: from a place on, the
//! frames hold the entries up to the next place's in order. Where entries were replaced a new
//! place begins, so a walk never meets a replaced one.

use kvorum_core::node::TermRun;

use super::format::Position;

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
}

impl LogIndex {
    /// A log whose first entry will follow `base`, an index and its term.
    pub(super) fn new(base: (u64, u64)) -> LogIndex {
        LogIndex { base, last: base.0, runs: Vec::new(), places: Vec::new(), since_place: 0 }
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
        index > self.base.0
            && index <= self.last + 1
            && self.term(index - 1).is_some_and(|before| term >= before)
    }

    /// Notes entry `index`, which lies in the frame at `at` and was found acceptable.
    pub(super) fn push(&mut self, index: u64, term: u64, at: Position) {
        let replaces = index <= self.last;
        if replaces {
            self.places.truncate(self.places.partition_point(|place| place.first < index));
            self.runs.truncate(self.runs.partition_point(|run| run.first < index));
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

    /// The place to look for an entry, and the first entry for which the next place is better.
    pub(super) fn find(&self, index: u64) -> Option<(Place, u64)> {
        let after = self.places.partition_point(|place| place.first <= index);
        let place = *self.places.get(after.checked_sub(1)?)?;
        Some((place, self.places.get(after).map_or(u64::MAX, |next| next.first)))
    }
}
