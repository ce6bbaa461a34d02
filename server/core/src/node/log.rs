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
    resident_bytes: u64,
    fetched: VecDeque<Vec<Entry>>,
    fetched_bytes: u64,
    // raft asks through a shared reference.
    wanted: RefCell<Vec<Wanted>>,
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
            resident_bytes,
            fetched: VecDeque::new(),
            fetched_bytes: 0,
            wanted: RefCell::default(),
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

    /// There are none yet: a peer that needs one is left where it is.
    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        Err(StorageError::SnapshotTemporarilyUnavailable.into())
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
