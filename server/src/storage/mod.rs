//! What a member keeps on disk: the write-ahead log, the backend, and the directory around them.
//!
//! - [`disk`] is the only way to any byte: a small trait, so that a simulator can put a virtual
//!   disk under everything here, the backend's file included.
//! - [`wal`] is the log. What it says is persisted survives the loss of power.
//! - [`backend`] is the durable home of the store, some way behind the log.
//! - [`dir`] is the data directory: its lock, its layout, its creation in one step.
//! - [`snapshot`] is a state received from the leader, until it has taken the backend's place.
//! - [`defragment`] makes the backend's file smaller while the member runs.
//! - [`offline`] does that while it does not run.
//! - [`adopt`] makes a member of a state that came from elsewhere.
//! - `gathering` fills the backend of either record by record.
//! - [`boot`] puts log and backend together again and refuses what does not fit.
//!
//! Nothing here starts a thread, reads a clock or retries: every call returns when it is done,
//! and an error of the disk is final.

pub mod adopt;
pub mod backend;
pub mod boot;
pub mod defragment;
pub mod dir;
pub mod disk;
mod gathering;
pub mod memory;
pub mod offline;
pub mod snapshot;
#[cfg(test)]
mod torture;
pub mod wal;

use thiserror::Error;

/// Why a member cannot be started from its data directory, or cannot go on with it.
#[derive(Debug, Error)]
pub enum StorageError {
    #[error(transparent)]
    Dir(#[from] dir::DirError),
    #[error(transparent)]
    Log(#[from] wal::LogError),
    #[error(transparent)]
    Backend(#[from] backend::BackendError),
    #[error(transparent)]
    Snapshot(#[from] snapshot::SnapshotError),
    #[error(transparent)]
    Boot(#[from] boot::BootError),
}
