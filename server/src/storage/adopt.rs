//! A member that is made of a state which came from elsewhere: a backup, or another store.
//!
//! It begins like any other, with a backend and a log, but the log begins after an entry that
//! stands for the whole state. That entry has an index and a term above 0, which no new and empty
//! member has: whoever should have the state and has not gets it from the leader, and does not take
//! the log for the whole truth.

use kvorum_core::store::{Change, Position, Store};

use super::StorageError;
use super::backend::{Backend, BackendError};
use super::boot::BootError;
use super::dir::DataDir;
use super::gathering::Gathering;
use super::wal::{Log, Options};
use crate::identity::Identity;

/// A backend on its way to hold a whole state.
#[derive(Debug)]
pub struct Adoption(Gathering);

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
        let gathering = Gathering::create(disk, path, identity).map_err(StorageError::from)?;
        let mut adoption = Adoption(gathering);
        fill(&mut adoption)?;
        let mut store = adoption.store(position.clone())?;
        go_on(&mut store, &mut adoption)?;
        let position = store.position();
        adoption.0.commit(&position).map_err(StorageError::from)?;
        let base = (position.index, position.term);
        let made = Log::create(disk, log, identity, base, Options::default());
        Ok(made.map_err(StorageError::from)?)
    })
}

impl Adoption {
    /// Takes the next record, or change.
    pub fn put(&mut self, change: Change) -> Result<(), StorageError> {
        Ok(self.0.put(change)?)
    }

    /// The store that the records make.
    fn store(&mut self, position: Position) -> Result<Store, StorageError> {
        self.0.flush()?;
        let mut records = self.0.backend().records()?;
        let store = Store::adopt(position, &mut records);
        if let Some(error) = records.error() {
            return Err(BackendError::into(error));
        }
        Ok(store.map_err(BootError::from)?)
    }
}
