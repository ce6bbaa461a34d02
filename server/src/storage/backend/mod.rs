//! The durable home of the store, some way behind the log.
//!
//! A [`Backend`] holds the store's records, and in the same transaction how far the log had been
//! applied when they were written; so replaying the log from there gives the store again. Each
//! commit is durable when it returns. Commits come from one thread; values of old versions are
//! read back through [`Values`] by any.

mod file;
mod overlay;
mod redb;
mod rows;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use kvorum_core::store::{Change, Position, RecordError, Revision, Table};
use thiserror::Error;

pub use self::redb::{RecordKey, RedbBackend};
use crate::identity::Identity;

/// The version of the backend's own layout; records carry their own.
pub const FORMAT: u32 = 2;

/// What a record takes beside its key and value, on its way to the backend and there: revisions,
/// table, and room in a page. So records that are all but empty are not free.
pub const RECORD_BYTES: usize = 128;

/// About what a change takes on its way to the backend.
pub fn change_bytes(change: &Change) -> usize {
    RECORD_BYTES
        + match change {
            Change::Version(version) => version.key.len() + version.value_len as usize,
            Change::Put { key, value, .. } => key.len() + value.len(),
            Change::Remove { key, .. } => key.len(),
            Change::RemoveVersion(_) => 0,
        }
}

/// What a member needs of its backend.
pub trait Backend: Debug + Send {
    /// Whose backend it is.
    fn identity(&self) -> Identity;
    /// The position of the last commit.
    fn position(&self) -> &Position;
    /// Performs `changes` in their order and moves to `position`, durably and as a whole. After
    /// an error the backend takes nothing more.
    fn commit(&mut self, changes: &[Change], position: &Position) -> Result<(), BackendError>;
    /// All records as of the last commit.
    fn records(&self) -> Result<Box<dyn Records>, BackendError>;
    /// A handle for reading values back, while commits go on.
    fn values(&self) -> Arc<dyn Values>;
}

/// Records one after the other: the tables one by one, each in the order of its keys. They end
/// at the first error, so whoever has read them all asks for one.
pub trait Records: Iterator<Item = (Table, Bytes, Bytes)> {
    fn error(&mut self) -> Option<BackendError>;
}

/// Reads what was committed; for any thread.
pub trait Values: Debug + Send + Sync {
    /// The value of the version at a revision, if the backend has that version.
    fn value(&self, at: Revision) -> Result<Option<Bytes>, BackendError> {
        Ok(self.values(&[at])?.pop().flatten())
    }
    /// The values of the versions at some revisions, in their order: one look at the file serves
    /// them all.
    fn values(&self, at: &[Revision]) -> Result<Vec<Option<Bytes>>, BackendError>;
    /// Bytes of the file.
    fn size_bytes(&self) -> Result<u64, BackendError>;
    /// Bytes of keys and values in the records.
    fn in_use_bytes(&self) -> u64;
}

/// An error of the backend. All are final: the process stops, and says this.
#[derive(Debug, Error)]
pub enum BackendError {
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "the store {} is damaged: {what}; restore the data directory from a backup",
        path.display()
    )]
    Damaged { path: PathBuf, what: String },
    #[error(
        "{} is no store of kvorum; put the member's own store back, or choose another --data-dir",
        path.display()
    )]
    Foreign { path: PathBuf },
    #[error(
        "{} has store format {found}, and this program knows {known} only; run the version of \
         kvorum that wrote it",
        path.display()
    )]
    Format { path: PathBuf, found: u32, known: u32 },
    #[error("the record of revision {}.{} cannot be read: {source}", at.main, at.sub)]
    Record { at: Revision, source: RecordError },
    #[error("the store stopped at an earlier error and takes nothing more: {0}")]
    Poisoned(String),
}
