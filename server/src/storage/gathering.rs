//! A backend on its way to hold a whole state that comes record by record.

use std::mem::take;
use std::path::Path;

use kvorum_core::store::{Change, Position};

use super::backend::{Backend, BackendError, RedbBackend, change_bytes};
use super::disk::Disk;
use crate::identity::Identity;

/// What is gathered before it is committed to the file: one durable commit costs little more than
/// writing so much, and no more is held in memory.
const COMMIT_BYTES: usize = 16 << 20;

/// Until it is committed at a position of its own, nothing counts as applied in it.
#[derive(Debug)]
pub(super) struct Gathering {
    backend: RedbBackend,
    changes: Vec<Change>,
    bytes: usize,
}

impl Gathering {
    /// Makes the file of the member `identity`.
    pub(super) fn create(
        disk: &dyn Disk,
        path: &Path,
        identity: Identity,
    ) -> Result<Gathering, BackendError> {
        RedbBackend::create(disk, path, identity, &[], &Position::default())?;
        let backend = RedbBackend::open(disk, path)?;
        Ok(Gathering { backend, changes: Vec::new(), bytes: 0 })
    }

    /// Takes the next record, or change.
    pub(super) fn put(&mut self, change: Change) -> Result<(), BackendError> {
        self.bytes += change_bytes(&change);
        self.changes.push(change);
        if self.bytes >= COMMIT_BYTES { self.flush() } else { Ok(()) }
    }

    /// What was put so far can be read back.
    pub(super) fn flush(&mut self) -> Result<(), BackendError> {
        self.commit(&Position::default())
    }

    pub(super) fn commit(&mut self, position: &Position) -> Result<(), BackendError> {
        self.bytes = 0;
        self.backend.commit(&take(&mut self.changes), position)
    }

    pub(super) fn backend(&self) -> &RedbBackend {
        &self.backend
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn into_backend(self) -> RedbBackend {
        self.backend
    }
}
