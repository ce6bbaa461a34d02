//! The keys that a snapshot has at its end, in their order.
//!
//! The file has them in the order of revisions. They are put into order on disk, in a database
//! without a name that goes with whoever reads it: their number is not limited by memory.

use std::path::Path;
use std::vec;

use kvorum_proto::mvccpb::KeyValue;
use prost::Message;
use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase, TableDefinition, WriteTransaction};
use thiserror::Error;

use super::schema::{KEY, SchemaError, parse_revision};
use super::snapshot::{self, SnapshotError};

const LATEST: TableDefinition<'static, &'static [u8], &'static [u8]> =
    TableDefinition::new("latest");

/// What of the database is kept in memory.
const CACHE_BYTES: usize = 8 << 20;

/// Rows that are read at a time. A value is at most 1.5 MiB, unless a server was set otherwise.
const PAGE_ROWS: usize = 8;

/// Why a snapshot's keys cannot be told.
#[derive(Debug, Error)]
pub enum LatestError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("the file cannot be read: {0}")]
    Schema(#[from] SchemaError),
    /// There is no room, or no folder, for temporary files.
    #[error("the keys cannot be put into order: {0}")]
    Scratch(String),
}

/// Keys of a snapshot, each once, in their order.
pub struct Keys {
    database: Database,
    /// The last key that was read.
    after: Option<Vec<u8>>,
    page: vec::IntoIter<KeyValue>,
    over: bool,
}

/// Reads a snapshot whose hash is right, or the `db` of a data directory, and yields the keys that
/// begin with `prefix`.
pub fn keys(path: &Path, prefix: &[u8]) -> Result<Keys, LatestError> {
    let has_hash = std::fs::metadata(path).is_ok_and(|file| snapshot::ends_in_hash(file.len()));
    let bolt = snapshot::open(path, !has_hash)?;
    let file = tempfile::tempfile().map_err(scratch)?;
    let file = FileBackend::new(file).map_err(scratch)?;
    let builder = &mut Builder::new();
    let builder = builder.set_cache_size(CACHE_BYTES);
    let database = builder.create_with_backend(file).map_err(scratch)?;
    let write = database.begin_write().map_err(scratch)?;
    sort(&bolt, prefix, &write)?;
    write.commit().map_err(scratch)?;
    Ok(Keys { database, after: None, page: Vec::new().into_iter(), over: false })
}

fn sort(
    bolt: &super::bolt::Bolt,
    prefix: &[u8],
    write: &WriteTransaction,
) -> Result<(), LatestError> {
    let mut table = write.open_table(LATEST).map_err(scratch)?;
    let unreadable = |error| LatestError::Schema(SchemaError::Bolt(error));
    let entries = bolt.bucket(KEY).map_err(unreadable)?.ok_or(SchemaError::NoBucket(KEY))?;
    for entry in entries {
        let (key, value) = entry.map_err(unreadable)?;
        let damaged = || SchemaError::Record { bucket: KEY, key: key.clone() };
        let (_, is_deletion) = parse_revision(&key).ok_or_else(damaged)?;
        let kv = KeyValue::decode(value.clone()).map_err(|_| damaged())?;
        if !kv.key.starts_with(prefix) {
            continue;
        }
        if is_deletion {
            table.remove(&kv.key[..]).map_err(scratch)?;
        } else {
            table.insert(&kv.key[..], &value[..]).map_err(scratch)?;
        }
    }
    Ok(())
}

impl Keys {
    fn read(&mut self) -> Result<(), LatestError> {
        let read = self.database.begin_read().map_err(scratch)?;
        let table = read.open_table(LATEST).map_err(scratch)?;
        let after = self.after.take().unwrap_or_default();
        let mut page = Vec::with_capacity(PAGE_ROWS);
        for row in table.range(&after[..]..).map_err(scratch)?.take(PAGE_ROWS) {
            let (_, value) = row.map_err(scratch)?;
            let damaged = |_| SchemaError::Record { bucket: KEY, key: after.clone().into() };
            page.push(KeyValue::decode(value.value()).map_err(damaged)?);
        }
        match page.last() {
            // The next key after it.
            Some(last) => self.after = Some([&last.key[..], &[0]].concat()),
            None => self.over = true,
        }
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for Keys {
    type Item = Result<KeyValue, LatestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(kv) = self.page.next() {
            return Some(Ok(kv));
        }
        if self.over {
            return None;
        }
        if let Err(error) = self.read() {
            self.over = true;
            return Some(Err(error));
        }
        self.page.next().map(Ok)
    }
}

fn scratch(error: impl std::fmt::Display) -> LatestError {
    LatestError::Scratch(error.to_string())
}
