//! A state received from the leader, until it has taken the place of this member's own.
//!
//! Its records come into `received.new`, a backend like any other. Complete, read back and synced
//! it is renamed to `received-<index>-<term>`, and that name is made durable: only then does raft
//! hear of it. What makes it this member's state is the log: a base record at the same index and
//! term, after which the log goes on. At last the file is renamed to `store.redb`.
//!
//! A crash leaves it at one of these points. The next start brings it to an end: with the log's
//! base at its index, [`settle`] puts it in place before the store is opened. All others are removed
//! by [`clear`], and only when log and store were found to belong together.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kvorum_core::planted::{self, Bug};
use kvorum_core::store::{Change, Position, RestoreError, Store, Table};
use thiserror::Error;

use super::StorageError;
use super::backend::RedbBackend;
use super::boot::{BootError, restore};
use super::defragment::COPY;
use super::dir::MemberDir;
use super::gathering::Gathering;
use super::wal::LogError;
use crate::identity::Identity;

/// While its records come in.
const INCOMPLETE: &str = "received.new";
/// Complete; index and term follow, in hexadecimal digits.
const COMPLETE: &str = "received-";

/// Why a received state cannot be used.
#[derive(Debug, Error)]
pub enum SnapshotError {
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the received state is not what its sender had: {0}")]
    Content(#[from] RestoreError),
}

/// A state whose records are coming in. Who does not finish it abandons it; only a process that
/// dies leaves a file, which the next one, or the next start, removes.
#[derive(Debug)]
pub struct Incoming {
    dir: MemberDir,
    gathering: Gathering,
    position: Position,
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
        let path = dir.path().join(INCOMPLETE);
        if dir.holds(&path)? {
            remove(&dir, &path)?;
        }
        match Gathering::create(dir.disk(), &path, identity) {
            Ok(gathering) => Ok(Incoming { dir, gathering, position }),
            Err(error) => {
                make_room(&dir, &position);
                Err(error.into())
            }
        }
    }

    /// Takes the next record.
    pub fn take(&mut self, table: Table, key: Bytes, value: Bytes) -> Result<(), StorageError> {
        Ok(self.gathering.put(Change::Put { table, key, value })?)
    }

    /// All records are there: they are read back as the state they must be, and the file is made
    /// durable under its complete name.
    pub fn finish(mut self) -> Result<Received, StorageError> {
        match self.complete() {
            Ok(store) => {
                let backend = self.gathering.into_backend();
                Ok(Received { position: self.position, store, backend })
            }
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    /// Leaves nothing of it, as far as the disk allows: it may be full because of this.
    pub fn abandon(self) {
        let Incoming { dir, gathering, position } = self;
        drop(gathering);
        make_room(&dir, &position);
    }

    fn complete(&mut self) -> Result<Store, StorageError> {
        let position = self.position.clone();
        self.gathering.commit(&position)?;
        let store =
            restore(self.gathering.backend(), position.clone()).map_err(|error| match error {
                StorageError::Boot(BootError::Restore(cause)) => {
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
        Ok(store)
    }
}

/// Puts a received state in the place of the member's own. The log must begin after it, durably.
pub fn install(dir: &MemberDir, position: &Position) -> Result<(), StorageError> {
    rename(dir, &complete_path(dir.path(), position), &dir.store())
}

/// Forgets a received state.
pub fn discard(dir: &MemberDir, position: &Position) -> Result<(), StorageError> {
    remove(dir, &complete_path(dir.path(), position))
}

/// Puts a received state in place if the log begins after it, at the index and term `base`. The
/// log is that of the member `identity`; the names in the directory are durable.
pub fn settle(dir: &MemberDir, identity: Identity, base: (u64, u64)) -> Result<(), StorageError> {
    let position = Position { index: base.0, term: base.1, ..Position::default() };
    let ours = complete_path(dir.path(), &position);
    if !dir.holds(&ours)? {
        return Ok(());
    }
    // The log may be another member's, put here by mistake: then nothing must be replaced.
    let (expected, _) = RedbBackend::peek(dir.disk(), &ours)?;
    if expected != identity {
        return Err(LogError::Stranger { path: dir.log(), found: identity, expected }.into());
    }
    rename(dir, &ours, &dir.store())
}

/// Removes all received states, whole or not, and a copy that was not finished: none of them is
/// wanted.
pub fn clear(dir: &MemberDir) -> Result<(), StorageError> {
    for name in dir.disk().list(dir.path()).map_err(io_error("list", dir.path()))? {
        if name == INCOMPLETE || name == COPY || name.starts_with(COMPLETE) {
            remove(dir, &dir.path().join(name))?;
        }
    }
    Ok(())
}

/// Removes what there is of the state of `position`, of which nobody has heard.
fn make_room(dir: &MemberDir, position: &Position) {
    for path in [dir.path().join(INCOMPLETE), complete_path(dir.path(), position)] {
        remove_unheard(dir, &path);
    }
}

/// Removes a file of which nobody has heard, as far as the disk allows.
pub(super) fn remove_unheard(dir: &MemberDir, path: &Path) {
    let _ = dir.disk().remove_file(path);
    // What a name may come back to takes its space.
    let _ = dir.disk().sync_dir(dir.path());
}

fn complete_path(dir: &Path, position: &Position) -> PathBuf {
    dir.join(format!("{COMPLETE}{:016x}-{:016x}", position.index, position.term))
}

impl MemberDir {
    pub(super) fn holds(&self, path: &Path) -> Result<bool, SnapshotError> {
        Ok(self.disk().kind(path).map_err(io_error("look for", path))?.is_some())
    }
}

pub(super) fn rename(dir: &MemberDir, from: &Path, to: &Path) -> Result<(), StorageError> {
    dir.disk().rename(from, to).map_err(io_error("rename", from))?;
    Ok(dir.disk().sync_dir(dir.path()).map_err(io_error("sync", dir.path()))?)
}

pub(super) fn remove(dir: &MemberDir, path: &Path) -> Result<(), StorageError> {
    Ok(dir.disk().remove_file(path).map_err(io_error("remove", path))?)
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SnapshotError {
    let path = path.to_owned();
    move |source| SnapshotError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
