//! The log against a naive model, and against every fault that a disk can show it.

mod crash;
mod damage;
mod faults;
mod model;
mod torn;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use kvorum_core::node::{Group, TermRun};
use raft_proto::eraftpb::{Entry, HardState};

use super::{Log, LogError, Options, Recovered};
use crate::identity::Identity;
use crate::storage::disk::Disk;
use crate::storage::memory::MemoryDisk;

const DIR: &str = "/log";
const OURS: Identity = Identity { cluster_id: 0xc1, member_id: 0xa1 };

/// What a log should hold, kept the simple way.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    /// The entry at index i is at i - 1.
    entries: Vec<Entry>,
    hard_state: HardState,
}

impl Model {
    fn append(&mut self, group: &Group) {
        for entry in &group.entries {
            self.entries.truncate(entry.index as usize - 1);
            self.entries.push(entry.clone());
        }
        if let Some(hard_state) = &group.hard_state {
            self.hard_state = hard_state.clone();
        }
    }

    fn last(&self) -> (u64, u64) {
        self.entries.last().map_or((0, 0), |entry| (entry.index, entry.term))
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

    /// What opening the log must say.
    fn recovered(&self) -> Recovered {
        Recovered {
            hard_state: self.hard_state.clone(),
            base: (0, 0),
            last: self.last(),
            runs: self.runs(),
            tail: self.entries.clone(),
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

fn entry(index: u64, term: u64, bytes: usize) -> Entry {
    // Values that differ, and bytes that are not zero: zeros have tests of their own.
    let data: Vec<u8> = (0..bytes).map(|at| ((index as usize + at) % 255) as u8 + 1).collect();
    Entry { index, term, data: Bytes::from(data), ..Entry::default() }
}

/// A group of entries of term 1 with the hard state that goes with it.
fn group(number: u64, first: u64, count: u64, bytes: usize) -> Group {
    let entries = (first..first + count).map(|index| entry(index, 1, bytes)).collect();
    let hard_state = HardState { term: 1, vote: 7, commit: first - 1 };
    Group { number, entries, hard_state: Some(hard_state) }
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
