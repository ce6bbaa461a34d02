//! The backend's part: what was applied is gathered and written down, a few times a second.

use std::sync::Arc;

use kvorum_core::planted::{self, Bug};
use kvorum_core::store::{Change, Position, Store};

use crate::limits::DEFRAGMENT_STEP_BYTES;
use crate::storage::StorageError;
use crate::storage::backend::{Backend, BackendError, RedbBackend, Values, change_bytes};
use crate::storage::defragment::Defragmentation;
use crate::storage::dir::MemberDir;

/// What one batch of entries, or one step of a sweep, changes.
#[derive(Debug)]
pub struct Delta {
    pub changes: Vec<Change>,
    pub position: Position,
    /// The store's revision at that position.
    pub revision: i64,
    /// The newest compaction whose history this and the deltas before remove.
    pub swept: i64,
    /// About what it takes in memory.
    pub bytes: usize,
}

/// How far a commit has come; everything up to here survives a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub index: u64,
    pub revision: i64,
    pub swept: i64,
}

/// The backend, and what is to be committed next.
#[derive(Debug)]
pub struct StoreStage {
    backend: RedbBackend,
    gathered: Option<Delta>,
    copying: Option<Defragmentation>,
}

/// How far a defragmentation has come.
#[derive(Debug)]
pub enum Copying {
    /// None is under way.
    Idle,
    Goes,
    /// The store is in another file, and its values are read there.
    Done(Arc<dyn Values>),
    /// It was given up, and the store is where it was.
    Failed(StorageError),
}

impl Delta {
    pub(super) fn new(changes: Vec<Change>, store: &Store) -> Delta {
        let bytes = changes.iter().map(change_bytes).sum();
        Delta {
            changes,
            position: store.position(),
            revision: store.root().revision(),
            swept: store.swept(),
            bytes,
        }
    }
}

impl StoreStage {
    pub fn new(backend: RedbBackend) -> StoreStage {
        StoreStage { backend, gathered: None, copying: None }
    }

    /// Adds what comes after everything gathered before.
    pub fn gather(&mut self, delta: Delta) {
        match &mut self.gathered {
            None => self.gathered = Some(delta),
            Some(first) => {
                first.changes.extend(delta.changes);
                first.position = delta.position;
                first.revision = delta.revision;
                first.swept = delta.swept;
                first.bytes += delta.bytes;
            }
        }
    }

    /// Goes on with another backend, which holds what comes before everything gathered from now
    /// on.
    pub fn replace(&mut self, backend: RedbBackend) {
        self.give_up_copying();
        self.gathered = None;
        self.backend = backend;
    }

    /// About what is gathered, in bytes; `None` if there is nothing to commit.
    pub fn gathered_bytes(&self) -> Option<usize> {
        self.gathered.as_ref().map(|gathered| gathered.bytes)
    }

    /// Commits what is gathered, durably and as a whole. An error is final.
    pub fn commit(&mut self) -> Result<Option<Stored>, BackendError> {
        let Some(delta) = self.gathered.take() else { return Ok(None) };
        if planted::is(Bug::PositionBeforeChanges) {
            self.backend.commit(&[], &delta.position)?;
        }
        if planted::is(Bug::ChangesWithoutPosition) {
            let before = self.backend.position().clone();
            self.backend.commit(&delta.changes, &before)?;
        }
        self.backend.commit(&delta.changes, &delta.position)?;
        if let Some(copying) = &mut self.copying {
            // If it fails so does the next step, which is where it is dealt with.
            let _ = copying.follow(&delta.changes);
        }
        let Delta { position, revision, swept, .. } = delta;
        Ok(Some(Stored { index: position.index, revision, swept }))
    }

    /// Begins to make the file smaller; each [`StoreStage::copy`] does a part of it. Nothing else in
    /// `dir` takes the store's name meanwhile.
    pub fn defragment(&mut self, dir: MemberDir) -> Result<(), StorageError> {
        self.copying = Some(Defragmentation::begin(dir, &self.backend)?);
        Ok(())
    }

    pub fn is_copying(&self) -> bool {
        self.copying.is_some()
    }

    /// Goes on with a defragmentation. An error is final.
    pub fn copy(&mut self) -> Result<Copying, StorageError> {
        let Some(copying) = &mut self.copying else { return Ok(Copying::Idle) };
        match copying.step(&self.backend, DEFRAGMENT_STEP_BYTES) {
            Ok(false) => Ok(Copying::Goes),
            Ok(true) => {
                if let Some(copying) = self.copying.take() {
                    self.backend = copying.finish()?;
                }
                Ok(Copying::Done(self.backend.values()))
            }
            Err(error) => {
                self.give_up_copying();
                Ok(Copying::Failed(error))
            }
        }
    }

    /// Leaves the store where it is.
    pub fn give_up_copying(&mut self) {
        if let Some(copying) = self.copying.take() {
            copying.abandon();
        }
    }
}
