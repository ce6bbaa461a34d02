//! A backend's file made as small as what is in it, while commits go on.
//!
//! The records are copied in the order of tables and keys into `store.new`, a backend like any
//! other. A step copies a few of those that come after the last one copied, as of the newest commit;
//! so what a commit changes goes to the copy too, as far as the copy has come, and the rest it
//! finds by itself. The copy is at the position of nothing until all is there. Then it gets the
//! store's position and, durably, its name.
//!
//! A crash leaves the old file or the new one, each whole and at the same position; a copy that
//! has not got its name is removed at the next start, by `snapshot::clear`. No other file may take
//! the store's name meanwhile: who does this holds the place for received states.

use std::path::PathBuf;

use kvorum_core::store::{Change, Position, Table};

use super::StorageError;
use super::backend::{Backend, RECORD_BYTES, RecordKey, RedbBackend};
use super::dir::MemberDir;
use super::snapshot::{remove, remove_unheard, rename};

/// The copy, until it has the store's name.
pub(super) const COPY: &str = "store.new";

/// A copy under way. Who does not finish it abandons it.
#[derive(Debug)]
pub struct Defragmentation {
    dir: MemberDir,
    copy: RedbBackend,
    /// The last record that was copied.
    reached: Option<RecordKey>,
}

impl Defragmentation {
    /// Begins a copy of `from`, in whose directory nothing else takes the store's name.
    pub fn begin(dir: MemberDir, from: &RedbBackend) -> Result<Defragmentation, StorageError> {
        let path = copy_path(&dir);
        if dir.holds(&path)? {
            remove(&dir, &path)?;
        }
        let made =
            RedbBackend::create(dir.disk(), &path, from.identity(), &[], &Position::default())
                .and_then(|()| RedbBackend::open(dir.disk(), &path));
        match made {
            Ok(copy) => Ok(Defragmentation { dir, copy, reached: None }),
            Err(error) => {
                remove_unheard(&dir, &path);
                Err(error.into())
            }
        }
    }

    /// Copies about `bytes` more of what `from` holds; answers whether that was the last of it.
    pub fn step(&mut self, from: &RedbBackend, bytes: usize) -> Result<bool, StorageError> {
        let mut records = from.records_after(self.reached.as_ref())?;
        let (mut changes, mut gathered) = (Vec::new(), 0);
        while gathered < bytes
            && let Some((table, key, value)) = records.next()
        {
            gathered += RECORD_BYTES + key.len() + value.len();
            self.reached = Some((table, key.clone()));
            changes.push(Change::Put { table, key, value });
        }
        if let Some(error) = records.error() {
            return Err(error.into());
        }
        drop(records);
        let is_last = gathered < bytes;
        let position = if is_last { from.position().clone() } else { Position::default() };
        self.copy.commit(&changes, &position)?;
        Ok(is_last)
    }

    /// Takes what was committed to the store since the last step. After an error no step succeeds.
    pub fn follow(&mut self, changes: &[Change]) -> Result<(), StorageError> {
        let encoded = changes.iter().map(Change::encode);
        let reached = encoded.filter(|(table, key, _)| self.has_reached(*table, key));
        let changes: Vec<Change> = reached
            .map(|(table, key, value)| match value {
                Some(value) => Change::Put { table, key, value },
                None => Change::Remove { table, key },
            })
            .collect();
        Ok(self.copy.commit(&changes, &Position::default())?)
    }

    /// Puts the copy in the place of the store, after the last step and with no commit since. An
    /// error is final: nobody knows which of the two has the name.
    pub fn finish(self) -> Result<RedbBackend, StorageError> {
        rename(&self.dir, &copy_path(&self.dir), &self.dir.store())?;
        Ok(self.copy)
    }

    /// Leaves nothing of it, as far as the disk allows: it may be full because of this.
    pub fn abandon(self) {
        let Defragmentation { dir, copy, .. } = self;
        drop(copy);
        remove_unheard(&dir, &copy_path(&dir));
    }

    fn has_reached(&self, table: Table, key: &[u8]) -> bool {
        self.reached.as_ref().is_some_and(|(last, reached)| {
            let (table, last) = (RedbBackend::rank(table), RedbBackend::rank(*last));
            table < last || (table == last && key <= &reached[..])
        })
    }
}

fn copy_path(dir: &MemberDir) -> PathBuf {
    dir.path().join(COPY)
}

#[cfg(test)]
mod tests;
