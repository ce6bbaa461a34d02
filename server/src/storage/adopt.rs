//! A member that is made of a state which came from elsewhere: a backup, or another store.
//!
//! It begins like any other, with a backend and a log, but the log begins after an entry that
//! stands for the whole state. That entry has an index and a term above 0, which no new and empty
//! member has: whoever should have the state and has not gets it from the leader, and does not take
//! the log for the whole truth.

use std::mem::take;

use kvorum_core::store::{Change, Position, Store};

use super::StorageError;
use super::backend::{Backend, BackendError, RECORD_BYTES, RedbBackend};
use super::boot::BootError;
use super::dir::DataDir;
use super::wal::{Log, Options};
use crate::identity::Identity;

/// What is gathered before it is committed to the file: one durable commit costs little more than
/// writing so much, and no more is held in memory.
const COMMIT_BYTES: usize = 16 << 20;

/// A backend on its way to hold a whole state.
#[derive(Debug)]
pub struct Adoption {
    backend: RedbBackend,
    gathered: Vec<Change>,
    gathered_bytes: usize,
}

/// Makes the member `identity` in `dir`. `fill` hands over the records of the state, with its
/// members; `position` is where that is, but for its hash. `go_on` may apply to the store what came
/// after, and hands over what that changes.
pub fn adopt<E: From<StorageError>>(
    dir: &DataDir,
    identity: Identity,
    position: &Position,
    fill: impl FnOnce(&mut Adoption) -> Result<(), E>,
    go_on: impl FnOnce(&mut Store, &mut Adoption) -> Result<(), E>,
) -> Result<(), E> {
    dir.create_member(|log, path| {
        let disk = &**dir.disk();
        let made = RedbBackend::create(disk, path, identity, &[], &Position::default())
            .and_then(|()| RedbBackend::open(disk, path));
        let backend = made.map_err(StorageError::from)?;
        let mut adoption = Adoption { backend, gathered: Vec::new(), gathered_bytes: 0 };
        fill(&mut adoption)?;
        let mut store = adoption.store(position.clone())?;
        go_on(&mut store, &mut adoption)?;
        let position = store.position();
        adoption.commit(&position).map_err(StorageError::from)?;
        let base = (position.index, position.term);
        let made = Log::create(disk, log, identity, base, Options::default());
        Ok(made.map_err(StorageError::from)?)
    })
}

impl Adoption {
    /// Takes the next record, or change.
    pub fn put(&mut self, change: Change) -> Result<(), StorageError> {
        let content = match &change {
            Change::Version(version) => version.key.len() + version.value_len as usize,
            Change::Put { key, value, .. } => key.len() + value.len(),
            Change::Remove { .. } | Change::RemoveVersion(_) => 0,
        };
        self.gathered_bytes += RECORD_BYTES + content;
        self.gathered.push(change);
        if self.gathered_bytes >= COMMIT_BYTES { self.flush() } else { Ok(()) }
    }

    /// The store that the records make.
    fn store(&mut self, position: Position) -> Result<Store, StorageError> {
        self.flush()?;
        let mut records = self.backend.records()?;
        let store = Store::adopt(position, &mut records);
        if let Some(error) = records.error() {
            return Err(BackendError::into(error));
        }
        Ok(store.map_err(BootError::from)?)
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        // Nothing is applied in it until all of it is there.
        Ok(self.commit(&Position::default())?)
    }

    fn commit(&mut self, position: &Position) -> Result<(), BackendError> {
        self.gathered_bytes = 0;
        self.backend.commit(&take(&mut self.gathered), position)
    }
}
