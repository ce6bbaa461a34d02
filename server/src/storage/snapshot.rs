//! A state received from the leader, until it has taken the place of this member's own.
//!
//! Its records come into `received.new`, a backend like any other. Complete, read back and synced
//! it is renamed to `received-<index>-<term>`, and that name is made durable: only then does raft
//! hear of it. What makes it this member's state is the log: a base record at the same index and
//! term, after which the log goes on. At last the file is renamed to `store.redb`.
//!
//! A crash leaves it at one of these points, and [`settle`] brings it to an end before anything
//! else is opened: with the log's base at its index it is put in place, else it is removed.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kvorum_core::planted::{self, Bug};
use kvorum_core::store::{Change, Position, RestoreError, Store, Table};
use thiserror::Error;

use super::StorageError;
use super::backend::{Backend, RedbBackend};
use super::boot::restore;
use super::dir::MemberDir;
use super::disk::Disk;
use crate::identity::Identity;

/// While its records come in.
const INCOMPLETE: &str = "received.new";
/// Complete; index and term follow, in hexadecimal digits.
const COMPLETE: &str = "received-";
/// What is gathered before it is committed to the file: one durable commit costs little more
/// than writing so much, and a receiver holds no more than this in memory.
const COMMIT_BYTES: usize = 16 << 20;

/// Why a received state cannot be used.
#[derive(Debug, Error)]
pub enum SnapshotError {
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the received state is not what its sender had: {0}")]
    Content(#[from] RestoreError),
}

/// A state whose records are coming in. Dropped unfinished, it leaves a file that the next one,
/// or the next start, removes.
#[derive(Debug)]
pub struct Incoming {
    dir: MemberDir,
    backend: RedbBackend,
    position: Position,
    gathered: Vec<Change>,
    gathered_bytes: usize,
}

/// A state that is complete and durable under its own name.
pub struct Received {
    pub position: Position,
    pub store: Store,
    pub backend: RedbBackend,
}

impl Incoming {
    /// Makes room for the state of `position`, in the directory of the member `identity`.
    pub fn begin(
        dir: MemberDir,
        identity: Identity,
        position: Position,
    ) -> Result<Incoming, StorageError> {
        remove_all(&dir)?;
        let path = dir.path().join(INCOMPLETE);
        // Nothing is applied in it until all of it is there.
        RedbBackend::create(dir.disk(), &path, identity, &[], &Position::default())?;
        let backend = RedbBackend::open(dir.disk(), &path)?;
        Ok(Incoming { dir, backend, position, gathered: Vec::new(), gathered_bytes: 0 })
    }

    /// Takes the next record.
    pub fn take(&mut self, table: Table, key: Bytes, value: Bytes) -> Result<(), StorageError> {
        self.gathered_bytes += key.len() + value.len();
        self.gathered.push(Change::Put { table, key, value });
        if self.gathered_bytes >= COMMIT_BYTES { self.commit(&Position::default()) } else { Ok(()) }
    }

    /// All records are there: they are read back as the state they must be, and the file is made
    /// durable under its complete name.
    pub fn finish(mut self) -> Result<Received, StorageError> {
        let Incoming { position, .. } = &self;
        let position = position.clone();
        self.commit(&position)?;
        let store = restore(&self.backend, position.clone()).map_err(|error| match error {
            StorageError::Boot(super::boot::BootError::Restore(cause)) => {
                SnapshotError::Content(cause).into()
            }
            error => error,
        })?;
        let from = self.dir.path().join(INCOMPLETE);
        let to = complete_path(self.dir.path(), &position);
        rename(&self.dir, &from, &to)?;
        if planted::is(Bug::InstallBeforeBase) {
            let _ = self.dir.disk().rename(&to, &self.dir.store());
        }
        Ok(Received { position, store, backend: self.backend })
    }

    fn commit(&mut self, position: &Position) -> Result<(), StorageError> {
        self.gathered_bytes = 0;
        Ok(self.backend.commit(&std::mem::take(&mut self.gathered), position)?)
    }
}

/// Puts a received state in the place of the member's own. The log must begin after it, durably.
pub fn install(dir: &MemberDir, position: &Position) -> Result<(), StorageError> {
    rename(dir, &complete_path(dir.path(), position), &dir.store())
}

/// Forgets a received state.
pub fn discard(dir: &MemberDir, position: &Position) -> Result<(), StorageError> {
    remove(dir.disk(), &complete_path(dir.path(), position))
}

/// Brings to an end what a crash interrupted. `base` is the index and term after which the log
/// begins.
pub fn settle(dir: &MemberDir, base: (u64, u64)) -> Result<(), StorageError> {
    let position = Position { index: base.0, term: base.1, ..Position::default() };
    let ours = complete_path(dir.path(), &position);
    if names(dir)?.iter().any(|name| dir.path().join(name) == ours) {
        // Its name may not have been durable when the process before died.
        sync(dir)?;
        rename(dir, &ours, &dir.store())?;
    }
    remove_all(dir)
}

fn remove_all(dir: &MemberDir) -> Result<(), StorageError> {
    for name in names(dir)? {
        remove(dir.disk(), &dir.path().join(name))?;
    }
    Ok(())
}

/// The received states in the directory, whole or not.
fn names(dir: &MemberDir) -> Result<Vec<String>, StorageError> {
    let mut names = dir.disk().list(dir.path()).map_err(io_error("list", dir.path()))?;
    names.retain(|name| name == INCOMPLETE || name.starts_with(COMPLETE));
    Ok(names)
}

fn complete_path(dir: &Path, position: &Position) -> PathBuf {
    dir.join(format!("{COMPLETE}{:016x}-{:016x}", position.index, position.term))
}

fn rename(dir: &MemberDir, from: &Path, to: &Path) -> Result<(), StorageError> {
    dir.disk().rename(from, to).map_err(io_error("rename", from))?;
    sync(dir)
}

fn sync(dir: &MemberDir) -> Result<(), StorageError> {
    Ok(dir.disk().sync_dir(dir.path()).map_err(io_error("sync", dir.path()))?)
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    Ok(disk.remove_file(path).map_err(io_error("remove", path))?)
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SnapshotError {
    let path = path.to_owned();
    move |source| SnapshotError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
