//! The log as raft sees it: the terms of all entries, and the newest entries themselves.
//!
//! Invariants: the terms of every index from the base to the end are known; entries without a
//! gap up to the end are resident, among them every one that is not yet both applied and
//! durable. So everything that raft wants at once, it gets at once; only what a peer that lags
//! behind needs may be older, and is read back from the disk: raft is told to come back later.

use std::cell::RefCell;
use std::collections::VecDeque;

use prost::Message as _;
use raft::{GetEntriesContext, RaftState, Storage, StorageError};
use raft_proto::eraftpb::{Entry, HardState, Snapshot};

use super::boot::{Boot, TermRun};
use super::transfer::Transfers;

/// What an entry costs beside its bytes.
const ENTRY_BYTES: u64 = 96;
/// Entries that were read back for peers, kept until they are sent or others need the room.
const FETCHED_BYTES: u64 = 16 << 20;

/// What raft asked for and is not resident.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) low: u64,
    pub(super) high: u64,
    pub(super) context: GetEntriesContext,
}

pub(super) struct Log {
    initial: RaftState,
    base: (u64, u64),
    last: u64,
    runs: Vec<TermRun>,
    tail: VecDeque<Entry>,
    tail_bytes: u64,
    /// What was ever appended in this life.
    appended_bytes: u64,
    resident_bytes: u64,
    fetched: VecDeque<Vec<Entry>>,
    fetched_bytes: u64,
    // raft asks through a shared reference.
    wanted: RefCell<Vec<Wanted>>,
    transfers: RefCell<Transfers>,
}

impl Log {
    /// Takes over a [checked](Boot::check) boot.
    pub(super) fn new(boot: Boot, resident_bytes: u64) -> Log {
        let commit = boot.committed();
        let hard_state = HardState { commit, ..boot.hard_state };
        let tail_bytes = boot.tail.iter().map(entry_bytes).sum();
        let mut log = Log {
            initial: RaftState::new(hard_state, boot.conf_state),
            base: boot.base,
            last: boot.last,
            runs: boot.runs,
            tail: boot.tail.into(),
            tail_bytes,
            appended_bytes: 0,
            resident_bytes,
            fetched: VecDeque::new(),
            fetched_bytes: 0,
            wanted: RefCell::default(),
            transfers: RefCell::default(),
        };
        log.evict(boot.applied.0);
        log
    }

    /// Puts entries at the end; those at or after the first one's index are replaced.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        self.truncate(first.index);
        for entry in entries {
            if self.runs.last().is_none_or(|run| run.term != entry.term) {
                self.runs.push(TermRun { first: entry.index, term: entry.term });
            }
            self.last = entry.index;
            self.tail_bytes += entry_bytes(entry);
            self.appended_bytes += entry_bytes(entry);
            self.tail.push_back(entry.clone());
        }
    }

    /// Lets go of the oldest entries beyond the limit, but of none after `upto`.
    pub(super) fn evict(&mut self, upto: u64) {
        while self.tail_bytes > self.resident_bytes
            && let Some(entry) = self.tail.front()
            && entry.index <= upto
        {
            self.tail_bytes -= entry_bytes(entry);
            self.tail.pop_front();
        }
    }

    /// Keeps entries that were read back, if they are what the log has there.
    pub(super) fn keep_fetched(&mut self, low: u64, entries: Vec<Entry>) -> bool {
        let fits = |(at, entry): (usize, &Entry)| {
            entry.index == low + at as u64 && self.term_of(entry.index) == Some(entry.term)
        };
        if entries.is_empty() || !entries.iter().enumerate().all(fits) {
            return false;
        }
        self.fetched_bytes += chunk_bytes(&entries);
        self.fetched.push_back(entries);
        while self.fetched_bytes > FETCHED_BYTES && self.fetched.len() > 1 {
            let oldest = self.fetched.pop_front().unwrap_or_default();
            self.fetched_bytes -= chunk_bytes(&oldest);
        }
        true
    }

    pub(super) fn take_wanted(&mut self) -> Vec<Wanted> {
        std::mem::take(self.wanted.get_mut())
    }

    /// The term of an entry, also of the one before the first; nothing outside the log.
    pub(super) fn term_of(&self, index: u64) -> Option<u64> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        if index < self.base.0 || index > self.last {
            return None;
        }
        let after = self.runs.partition_point(|run| run.first <= index);
        after.checked_sub(1).map(|at| self.runs[at].term)
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The index of the entry before the first one.
    pub(super) fn base(&self) -> u64 {
        self.base.0
    }

    /// Bytes of all entries that came in since the start, replaced ones among them.
    pub(super) fn appended_bytes(&self) -> u64 {
        self.appended_bytes
    }

    /// The states for peers that raft found to be behind the base.
    pub(super) fn transfers(&mut self) -> &mut Transfers {
        self.transfers.get_mut()
    }

    /// Forgets the entries up to `index`, which must be applied and durable.
    pub(super) fn compact(&mut self, index: u64) {
        let Some(term) = self.term_of(index) else { return };
        let kept = self.runs.partition_point(|run| run.first <= index + 1).saturating_sub(1);
        self.runs.drain(..kept);
        if index == self.last {
            self.runs.clear();
        } else if let Some(first) = self.runs.first_mut() {
            first.first = index + 1;
        }
        self.base = (index, term);
        while let Some(entry) = self.tail.front()
            && entry.index <= index
        {
            self.tail_bytes -= entry_bytes(entry);
            self.tail.pop_front();
        }
        self.fetched.retain(|chunk| chunk.last().is_some_and(|last| last.index > index));
        self.fetched_bytes = self.fetched.iter().map(|chunk| chunk_bytes(chunk)).sum();
    }

    /// Begins anew after a snapshot.
    pub(super) fn reset(&mut self, base: (u64, u64)) {
        self.base = base;
        self.last = base.0;
        self.runs.clear();
        self.tail.clear();
        self.tail_bytes = 0;
        self.fetched.clear();
        self.fetched_bytes = 0;
    }

    fn tail_first(&self) -> u64 {
        self.last + 1 - self.tail.len() as u64
    }

    fn truncate(&mut self, from: u64) {
        debug_assert!(from > self.base.0 && from <= self.last + 1);
        while self.last >= from
            && let Some(entry) = self.tail.pop_back()
        {
            self.tail_bytes -= entry_bytes(&entry);
            self.last -= 1;
        }
        debug_assert_eq!(self.last + 1, from, "what may still change is resident");
        while self.runs.last().is_some_and(|run| run.first >= from) {
            self.runs.pop();
        }
        if self.fetched.iter().flatten().any(|entry| entry.index >= from) {
            self.fetched.clear();
            self.fetched_bytes = 0;
        }
    }

    /// Entries from `low` on, before `high`, in one place and of at most so many bytes.
    fn find(&self, low: u64, high: u64, max_bytes: u64) -> Option<Vec<Entry>> {
        let tail_first = self.tail_first();
        if low >= tail_first {
            let range = (low - tail_first) as usize..(high - tail_first) as usize;
            return Some(take_bytes(self.tail.range(range), max_bytes));
        }
        self.fetched.iter().find_map(|chunk| {
            let first = chunk.first()?.index;
            let at = low.checked_sub(first)? as usize;
            let end = chunk.len().min(high.checked_sub(first)? as usize);
            (at < end).then(|| take_bytes(chunk[at..end].iter(), max_bytes))
        })
    }
}

impl Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.initial.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.base.0 {
            return Err(StorageError::Compacted.into());
        }
        if let Some(entries) = self.find(low, high, max_size.into().unwrap_or(u64::MAX)) {
            return Ok(entries);
        }
        if !context.can_async() {
            return Err(StorageError::Unavailable.into());
        }
        // Only what is durable was ever let go of; the rest is still here.
        let high = high.min(self.tail_first());
        self.wanted.borrow_mut().push(Wanted { low, high, context });
        Err(StorageError::LogTemporarilyUnavailable.into())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        self.term_of(index).ok_or_else(|| {
            let error = if index < self.base.0 {
                StorageError::Compacted
            } else {
                StorageError::Unavailable
            };
            error.into()
        })
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last)
    }

    /// The log must go on where the snapshot ends.
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let from = request_index.max(self.base.0);
        let snapshot = self.transfers.borrow_mut().hand_out(to, from);
        snapshot.ok_or_else(|| StorageError::SnapshotTemporarilyUnavailable.into())
    }
}

/// What an entry takes of the memory limits.
pub(super) fn entry_bytes(entry: &Entry) -> u64 {
    (entry.data.len() + entry.context.len()) as u64 + ENTRY_BYTES
}

/// The first entries of at most so many bytes as encoded, but at least one.
fn take_bytes<'a>(entries: impl Iterator<Item = &'a Entry>, max_bytes: u64) -> Vec<Entry> {
    let mut bytes = 0u64;
    entries
        .take_while(|entry| {
            let first = bytes == 0;
            bytes = bytes.saturating_add(entry.encoded_len() as u64).max(1);
            first || bytes <= max_bytes
        })
        .cloned()
        .collect()
}

fn chunk_bytes(entries: &[Entry]) -> u64 {
    entries.iter().map(entry_bytes).sum()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn entries(range: std::ops::RangeInclusive<u64>, term: u64) -> Vec<Entry> {
        let data = Bytes::from_static(&[7; 100]);
        range.map(|index| Entry { index, term, data: data.clone(), ..Entry::default() }).collect()
    }

    /// Entries 1 to 3 of term 1 and 4 to 6 of term 2.
    fn log() -> Log {
        let mut log = Log::new(Boot::default(), 0);
        log.append(&entries(1..=3, 1));
        log.append(&entries(4..=6, 2));
        log
    }

    fn indexes(log: &Log, low: u64, high: u64, max_bytes: u64) -> Option<Vec<u64>> {
        let context = GetEntriesContext::empty(true);
        let entries = log.entries(low, high, max_bytes, context).ok()?;
        Some(entries.iter().map(|entry| entry.index).collect())
    }

    #[test]
    fn the_term_of_every_entry_is_known() {
        let mut log = log();
        log.evict(6);
        let terms: Vec<_> = (0..=7).map(|index| log.term_of(index)).collect();
        assert_eq!(terms, [Some(0), Some(1), Some(1), Some(1), Some(2), Some(2), Some(2), None]);
    }

    #[test]
    fn new_entries_replace_the_old_from_their_index_on() {
        let mut log = log();
        log.append(&entries(3..=4, 5));
        assert_eq!((log.last(), log.term_of(2), log.term_of(3)), (4, Some(1), Some(5)));
        assert_eq!(indexes(&log, 1, 5, u64::MAX), Some(vec![1, 2, 3, 4]));
        assert_eq!(log.tail_bytes, log.tail.iter().map(entry_bytes).sum::<u64>());
    }

    #[test]
    fn entries_are_limited_by_bytes_but_one_is_always_given() {
        let log = log();
        assert_eq!(indexes(&log, 2, 7, 1), Some(vec![2]));
        assert_eq!(indexes(&log, 2, 7, 250), Some(vec![2, 3]));
    }

    #[test]
    fn only_what_may_go_is_let_go_of() {
        let mut log = log();
        log.evict(4);
        assert_eq!(log.tail_first(), 5);
        assert_eq!(indexes(&log, 5, 7, u64::MAX), Some(vec![5, 6]));
    }

    #[test]
    fn what_is_not_resident_is_asked_for_and_found_when_it_was_read_back() {
        let mut log = log();
        log.evict(4);
        assert_eq!(indexes(&log, 2, 7, u64::MAX), None);
        let wanted = log.take_wanted();
        assert_eq!((wanted.len(), wanted[0].low, wanted[0].high), (1, 2, 5));
        let mut read_back = entries(2..=3, 1);
        read_back.extend(entries(4..=4, 2));
        assert!(log.keep_fetched(2, read_back));
        assert_eq!(indexes(&log, 2, 7, u64::MAX), Some(vec![2, 3, 4]));
        assert_eq!(indexes(&log, 4, 7, u64::MAX), Some(vec![4]));
        assert!(log.take_wanted().is_empty());
    }

    #[test]
    fn what_is_cut_off_is_forgotten_but_for_the_term_of_its_end() {
        for (cut, terms) in [
            (2, [None, None, Some(1), Some(1), Some(2), Some(2), Some(2)]),
            (3, [None, None, None, Some(1), Some(2), Some(2), Some(2)]),
            (5, [None, None, None, None, None, Some(2), Some(2)]),
            (6, [None, None, None, None, None, None, Some(2)]),
        ] {
            let mut log = log();
            log.compact(cut);
            let now: Vec<_> = (0..=6).map(|index| log.term_of(index)).collect();
            assert_eq!(now, terms, "cut at {cut}");
            assert_eq!((log.first_index(), log.last()), (Ok(cut + 1), 6));
            let compacted = log.entries(cut, 7, None, GetEntriesContext::empty(true));
            assert_eq!(compacted, Err(StorageError::Compacted.into()));
            assert_eq!(log.tail_bytes, log.tail.iter().map(entry_bytes).sum::<u64>());
            log.append(&entries(7..=7, 3));
            assert_eq!((log.term_of(7), log.term_of(cut)), (Some(3), terms[cut as usize]));
            assert_eq!(indexes(&log, cut + 1, 8, u64::MAX), Some((cut + 1..=7).collect()));
        }
    }

    #[test]
    fn a_cut_forgets_what_was_read_back_for_it() {
        let mut log = log();
        log.evict(6);
        assert!(log.keep_fetched(2, entries(2..=3, 1)));
        assert!(log.keep_fetched(4, entries(4..=6, 2)));
        log.compact(4);
        assert_eq!(indexes(&log, 5, 7, u64::MAX), Some(vec![5, 6]));
        assert_eq!(log.fetched.len(), 1);
        assert_eq!(log.fetched_bytes, chunk_bytes(&entries(4..=6, 2)));
    }

    #[test]
    fn after_a_snapshot_the_log_begins_anew() {
        let mut log = log();
        log.reset((9, 4));
        assert_eq!((log.first_index(), log.last(), log.term_of(9)), (Ok(10), 9, Some(4)));
        assert_eq!((log.term_of(6), log.term_of(10)), (None, None));
        log.append(&entries(10..=11, 4));
        assert_eq!(indexes(&log, 10, 12, u64::MAX), Some(vec![10, 11]));
    }

    #[test]
    fn entries_that_are_not_the_log_s_are_not_kept() {
        let mut log = log();
        log.evict(4);
        assert!(!log.keep_fetched(2, entries(2..=4, 1)));
        assert!(!log.keep_fetched(2, entries(3..=3, 1)));
        assert!(!log.keep_fetched(2, Vec::new()));
    }

    #[test]
    fn raft_s_questions_that_cannot_wait_are_not_left_open() {
        let mut log = log();
        log.evict(4);
        let now = log.entries(2, 7, None, GetEntriesContext::empty(false));
        assert_eq!(now, Err(StorageError::Unavailable.into()));
        assert!(log.take_wanted().is_empty());
    }
}
