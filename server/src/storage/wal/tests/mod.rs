//! The log against a naive model, and against every fault that a disk can show it.

mod base;
mod crash;
mod damage;
mod faults;
mod model;
mod release;
mod salvage;
mod torn;
mod torture;
mod votes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use kvorum_core::node::{Group, TermRun};
use raft_proto::eraftpb::{Entry, HardState};

use super::{Log, LogError, Options, Recovered, Salvage};
use crate::identity::Identity;
use crate::storage::disk::Disk;
use crate::storage::memory::MemoryDisk;

const DIR: &str = "/log";
const OURS: Identity = Identity { cluster_id: 0xc1, member_id: 0xa1, incarnation: 0x77 };

/// What a log should hold, kept the simple way.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    base: (u64, u64),
    /// The entry at index i is at i - base - 1.
    entries: Vec<Entry>,
    hard_state: HardState,
}

impl Model {
    fn append(&mut self, group: &Group) {
        if let Some(base) = group.base {
            *self = Model { base, ..Model::default() };
        }
        for entry in &group.entries {
            self.entries.truncate((entry.index - self.base.0) as usize - 1);
            self.entries.push(entry.clone());
        }
        if let Some(hard_state) = &group.hard_state {
            self.hard_state = hard_state.clone();
        }
    }

    fn last(&self) -> (u64, u64) {
        self.entries.last().map_or(self.base, |entry| (entry.index, entry.term))
    }

    fn runs(&self) -> Vec<TermRun> {
        let mut runs: Vec<TermRun> = Vec::new();
        for entry in &self.entries {
            if runs.last().is_none_or(|run| run.term != entry.term) {
                runs.push(TermRun { first: entry.index, term: entry.term });
            }
        }
        runs
    }

    fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        let at = index.checked_sub(self.base.0 + 1)?;
        self.entries.get(at as usize).map(|entry| entry.term)
    }

    /// The same log without the entries up to `base`, if it holds that entry.
    fn from(&self, base: (u64, u64)) -> Option<Model> {
        (self.term(base.0) == Some(base.1)).then(|| {
            let released = (base.0 - self.base.0) as usize;
            Model { base, entries: self.entries[released..].to_vec(), ..self.clone() }
        })
    }

    /// What opening the log must say.
    fn recovered(&self) -> Recovered {
        Recovered {
            hard_state: self.hard_state.clone(),
            base: self.base,
            last: self.last(),
            runs: self.runs(),
            tail: self.entries.clone(),
            incomplete: None,
            torn: None,
        }
    }
}

fn disk_with_log(options: Options) -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    Log::create(&disk, Path::new(DIR), OURS, (0, 0), options).unwrap();
    disk
}

fn open(disk: &MemoryDisk) -> Result<(Log, Recovered), LogError> {
    open_small(disk, 0, small())
}

fn open_small(
    disk: &MemoryDisk,
    keep_after: u64,
    options: Options,
) -> Result<(Log, Recovered), LogError> {
    Log::open(Arc::new(disk.clone()), Path::new(DIR), OURS, keep_after, options)
}

fn small() -> Options {
    Options { segment_bytes: 32 * 1024 }
}

fn segment(number: u32) -> PathBuf {
    super::segment::segment_path(Path::new(DIR), number)
}

/// The segments there are, oldest first.
fn numbers(disk: &MemoryDisk) -> Vec<u32> {
    super::segment::list_segments(disk, Path::new(DIR)).unwrap()
}

fn entry(index: u64, term: u64, bytes: usize) -> Entry {
    // Values that differ, and bytes that are not zero: zeros have tests of their own.
    let data: Vec<u8> = (0..bytes).map(|at| ((index as usize + at) % 255) as u8 + 1).collect();
    Entry { index, term, data: Bytes::from(data), ..Entry::default() }
}

/// A group of entries of term 1 with the hard state that goes with it.
fn group(number: u64, first: u64, count: u64, bytes: usize) -> Group {
    let entries = (first..first + count).map(|index| entry(index, 1, bytes)).collect();
    let hard_state = HardState { term: 1, vote: 7, commit: first - 1 };
    Group { number, base: None, entries, hard_state: Some(hard_state) }
}

/// A group that begins the log anew after `base`, with so many entries of the base's term.
fn base_group(number: u64, base: (u64, u64), count: u64, bytes: usize) -> Group {
    let (index, term) = base;
    let entries = (index + 1..=index + count).map(|index| entry(index, term, bytes)).collect();
    let hard_state = HardState { term, vote: vote_in(term), commit: index };
    Group { number, base: Some(base), entries, hard_state: Some(hard_state) }
}

/// To whom the vote of a term goes: there is one in each.
fn vote_in(term: u64) -> u64 {
    1 + term % 5
}

/// Forgets the newest vote, as if it had not been written outside the log.
fn forget_vote(disk: &MemoryDisk) {
    disk.remove_file(&Path::new(DIR).join("vote")).unwrap();
}

/// Appends and syncs groups of one entry each, from the log's end on.
fn fill(log: &mut Log, model: &mut Model, groups: u64, bytes: usize) {
    for _ in 0..groups {
        let next = model.last().0 + 1;
        let group = group(next, next, 1, bytes);
        log.append(&group).unwrap();
        log.sync().unwrap();
        model.append(&group);
    }
}

/// Where the frames of the active segment end: the byte after the last that is not zero.
fn end_of(disk: &MemoryDisk, number: u32) -> usize {
    disk.with_bytes(&segment(number), |bytes| {
        bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1)
    })
    .unwrap()
}
