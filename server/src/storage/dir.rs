//! The data directory.
//!
//! ```text
//! <data-dir>/kvorum.lock        whoever holds its lock owns the directory; holds the process id
//! <data-dir>/kvorum/log/        the write-ahead log
//! <data-dir>/kvorum/store.redb  the backend
//! <data-dir>/kvorum/received*    a state on its way from the leader, see `snapshot`
//! <data-dir>/kvorum/store.new    the backend's copy in the making, see `defragment`
//! <data-dir>/kvorum.new/        a member in the making; a crash may leave it, and it is removed
//! ```
//!
//! A member comes into being by the renaming of `kvorum.new` to `kvorum`: there is all of it or
//! nothing. etcd's own directory (`member/`) is never touched.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvorum_core::planted::{self, Bug};
use thiserror::Error;

use super::StorageError;
use super::disk::{Disk, Guard, Kind, Lock};

const LOCK: &str = "kvorum.lock";
const MEMBER: &str = "kvorum";
const MEMBER_NEW: &str = "kvorum.new";
const LOG: &str = "log";
const STORE: &str = "store.redb";
/// What tells a data directory of etcd.
const ETCD: [&str; 2] = ["member/wal", "member/snap"];

/// Why the data directory cannot be used.
#[derive(Debug, Error)]
pub enum DirError {
    #[error(
        "{path} is a data directory of etcd itself; choose another --data-dir, or bring it over: \
         kvorum server import {path} --data-dir NEW",
        path = path.display()
    )]
    Etcd { path: PathBuf },
    #[error(
        "data directory {} is in use by another process{}; stop it, or choose another --data-dir",
        path.display(),
        pid(note)
    )]
    InUse { path: PathBuf, note: String },
    #[error(
        "cannot use data directory {}: {source}; make it writable for this user, or choose another \
         --data-dir",
        path.display()
    )]
    Unusable { path: PathBuf, source: io::Error },
    #[error("{} is not a directory; choose another --data-dir", path.display())]
    NotDir { path: PathBuf },
}

/// A data directory that is ours as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    _lock: Guard,
}

/// Where a member's files lie, for those of its parts that make and rename some.
#[derive(Clone, Debug)]
pub struct MemberDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl MemberDir {
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    pub fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }
}

impl DataDir {
    /// Takes the directory, and makes it if it is missing.
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<DataDir, DirError> {
        let unusable = |source| DirError::Unusable { path: path.to_owned(), source };
        match disk.kind(path).map_err(unusable)? {
            Some(Kind::File) => return Err(DirError::NotDir { path: path.to_owned() }),
            Some(Kind::Dir) => DataDir::refuse_etcds(&*disk, path)?,
            None => create_durably(&*disk, path).map_err(unusable)?,
        }
        let note = std::process::id().to_string();
        match disk.lock(&path.join(LOCK), &note).map_err(unusable)? {
            Lock::Held(lock) => Ok(DataDir { disk, path: path.to_owned(), _lock: lock }),
            Lock::Busy { note } => Err(DirError::InUse { path: path.to_owned(), note }),
        }
    }

    /// Refuses a data directory of etcd itself, of which nothing may be touched.
    pub fn refuse_etcds(disk: &dyn Disk, path: &Path) -> Result<(), DirError> {
        let unusable = |source| DirError::Unusable { path: path.to_owned(), source };
        if disk.kind(path).map_err(unusable)? != Some(Kind::Dir) {
            return Ok(());
        }
        for name in ETCD {
            if disk.kind(&path.join(name)).map_err(unusable)?.is_some() {
                return Err(DirError::Etcd { path: path.to_owned() });
            }
        }
        Ok(())
    }

    /// Whether a member lives here.
    pub fn has_member(&self) -> Result<bool, DirError> {
        Ok(self.kind(&self.path.join(MEMBER))?.is_some())
    }

    /// Whether the directory can be read or changed by others than its owner, which is worth a
    /// warning.
    pub fn is_open_to_others(&self) -> Result<bool, DirError> {
        Ok(!self.disk.is_private(&self.path).map_err(self.unusable())?)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The member's own directory.
    pub fn member(&self) -> MemberDir {
        MemberDir { disk: self.disk.clone(), path: self.path.join(MEMBER) }
    }

    pub fn log(&self) -> PathBuf {
        self.member().log()
    }

    pub fn store(&self) -> PathBuf {
        self.member().store()
    }

    /// Makes a member in one step: `fill` makes the log in its first argument and the store at
    /// its second, all of it durable but for the names in the directory of the two.
    pub(super) fn create_member<E: From<StorageError>>(
        &self,
        fill: impl FnOnce(&Path, &Path) -> Result<(), E>,
    ) -> Result<(), E> {
        if planted::is(Bug::TornBootstrap) {
            let made = self.disk.create_dir_all(&self.log()).map_err(self.unusable());
            made.map_err(StorageError::from)?;
            return fill(&self.log(), &self.store());
        }
        let log = self.make_room()?;
        fill(&log, &self.path.join(MEMBER_NEW).join(STORE))?;
        Ok(self.settle_member(&log)?)
    }

    /// An empty directory for a member in the making; answers where its log goes.
    fn make_room(&self) -> Result<PathBuf, StorageError> {
        // The directory may be the work of a process that died before its name was durable. A
        // member that is there has none of this done again.
        sync_name(&*self.disk, &self.path).map_err(self.unusable())?;
        let new = self.path.join(MEMBER_NEW);
        if self.kind(&new)?.is_some() {
            self.disk.remove_dir_all(&new).map_err(self.unusable())?;
            self.disk.sync_dir(&self.path).map_err(self.unusable())?;
        }
        let log = new.join(LOG);
        self.disk.create_dir_all(&log).map_err(self.unusable())?;
        Ok(log)
    }

    /// A member that is complete gets its name.
    fn settle_member(&self, log: &Path) -> Result<(), StorageError> {
        let new = self.path.join(MEMBER_NEW);
        self.disk.sync_dir(log).map_err(self.unusable())?;
        self.disk.sync_dir(&new).map_err(self.unusable())?;
        self.disk.rename(&new, &self.path.join(MEMBER)).map_err(self.unusable())?;
        Ok(self.sync()?)
    }

    /// Makes the member's name durable, and the names of its parts: whoever made or renamed them
    /// may have died before, or its sync may have failed.
    pub(super) fn sync(&self) -> Result<(), DirError> {
        for dir in [&self.path, &self.path.join(MEMBER)] {
            self.disk.sync_dir(dir).map_err(self.unusable())?;
        }
        Ok(())
    }

    pub(super) fn kind(&self, path: &Path) -> Result<Option<Kind>, DirError> {
        self.disk.kind(path).map_err(self.unusable())
    }

    fn unusable(&self) -> impl FnOnce(io::Error) -> DirError {
        let path = self.path.clone();
        move |source| DirError::Unusable { path, source }
    }
}

/// Whether a member lives in the data directory at `path`; touches nothing.
pub fn holds_member(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    Ok(disk.kind(&path.join(MEMBER))?.is_some())
}

/// Makes a directory and what is missing on the way to it, each with a durable name before the
/// next is made in it. So of those that a process made which died, only the last can need a sync.
fn create_durably(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    for dir in path.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
        if disk.kind(dir)?.is_some() {
            sync_name(disk, dir)?;
            break;
        }
        missing.push(dir);
    }
    for dir in missing.into_iter().rev() {
        disk.create_dir_all(dir)?;
        disk.sync_dir(parent(dir))?;
    }
    Ok(())
}

/// Makes the name of a directory durable that may be our work. One whose parent cannot be read or
/// synced is not: that was made by somebody else.
fn sync_name(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    disk.sync_dir(parent(dir)).or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => Ok(()),
        _ => Err(error),
    })
}

/// The directory that holds the name of `path`.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

fn pid(note: &str) -> String {
    let pid = note.trim();
    let known = !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit());
    if known { format!(" (pid {pid})") } else { String::new() }
}

#[cfg(test)]
mod tests;
