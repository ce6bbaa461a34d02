//! What a disk was asked to do, for whoever charges time for it or asks what happened.

use std::path::PathBuf;

use super::faults::Op;

/// Operations since the last time they were counted. The disk knows no time; a simulator turns
/// these into some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    pub reads: u64,
    pub read_bytes: u64,
    pub writes: u64,
    pub written_bytes: u64,
    pub syncs: u64,
    /// Bytes that syncs moved to the medium, whole pages.
    pub synced_bytes: u64,
    pub dir_syncs: u64,
    /// Names and sizes that were changed.
    pub changes: u64,
}

impl Work {
    pub(super) fn add(&mut self, op: Op, bytes: u64) {
        match op {
            Op::Look | Op::Lock | Op::Open => {}
            Op::Read => {
                self.reads += 1;
                self.read_bytes += bytes;
            }
            Op::Write => {
                self.writes += 1;
                self.written_bytes += bytes;
            }
            Op::Sync => self.syncs += 1,
            Op::SyncDir => self.dir_syncs += 1,
            Op::Resize | Op::Create | Op::Rename | Op::Remove => self.changes += 1,
        }
    }
}

/// One operation, as [`super::MemoryDisk::record`] writes it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub op: Op,
    /// What it was about; a renaming is about the old name, a file without a name about none.
    pub path: Option<PathBuf>,
    pub bytes: u64,
    pub failed: bool,
}
