//! The backend in a redb file.
//!
//! Each of the store's tables is one of redb's, bytes to bytes. One more, `kvorum`, holds the
//! format's version, the identity and the position. Every commit is durable, and leaves the file
//! such that opening it after a crash needs no repair. Opening verifies every page's checksum.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kvorum_core::store::{Change, Position, Revision, Table, stored_value};
use redb::{
    Builder, Database, OwnedRange, ReadableDatabase, StorageBackend, TableDefinition, TableError,
    WriteTransaction,
};

use super::file::DiskBacking;
use super::overlay::Overlay;
use super::rows::{decode_identity, decode_position, encode_identity, encode_position};
use super::{Backend, BackendError, FORMAT, Records, Values};
use crate::identity::Identity;
use crate::storage::disk::{Disk, DiskFile};

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

const TABLES: [Table; 7] = [
    Table::Meta,
    Table::Members,
    Table::Alarms,
    Table::Users,
    Table::Roles,
    Table::Leases,
    Table::Versions,
];
const OWN: Definition = TableDefinition::new("kvorum");
const ROW_FORMAT: &[u8] = b"format";
const ROW_IDENTITY: &[u8] = b"identity";
const ROW_POSITION: &[u8] = b"position";
/// What a redb file begins with.
const MAGIC: &[u8; 4] = b"redb";
/// Readers have the newest values in memory and hardly come here, so a small cache is enough for
/// the upper levels of the trees that commits walk.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Where a record is.
pub type RecordKey = (Table, Bytes);

/// The redb backend of one member; the only writer of its file.
#[derive(Debug)]
pub struct RedbBackend {
    shared: Arc<Shared>,
    identity: Identity,
    position: Position,
    poison: Option<String>,
}

/// What the writer and the readers have in common.
struct Shared {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    database: Database,
    in_use_bytes: AtomicU64,
}

impl RedbBackend {
    /// Makes the backend of a new member.
    pub fn create(
        disk: &dyn Disk,
        path: &Path,
        identity: Identity,
        changes: &[Change],
        position: &Position,
    ) -> Result<(), BackendError> {
        let file = disk.create(path).map_err(io_error("make", path))?;
        let shared = Shared::open(path, Arc::clone(&file), DiskBacking::new(file))?;
        let transaction = shared.begin()?;
        let written = (|| {
            let mut own = transaction.open_table(OWN)?;
            own.insert(ROW_FORMAT, &FORMAT.to_le_bytes()[..])?;
            own.insert(ROW_IDENTITY, &encode_identity(identity)[..])?;
            drop(own);
            shared.write(&transaction, changes, position)?;
            Ok(transaction.commit()?)
        })();
        written.map_err(|error| shared.error("write", error))?;
        // Dropping would close it too, and hide that a sync failed.
        let Shared { database, .. } = shared;
        database.close().map_err(|error| backend_error("write", path, error.into()))
    }

    /// Opens a member's backend and verifies it from the first page to the last.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<RedbBackend, BackendError> {
        let file = open_file(disk, path)?;
        let shared = Shared::open(path, Arc::clone(&file), DiskBacking::new(file))?;
        let (identity, position, in_use) = shared.own_rows()?;
        shared.in_use_bytes.store(in_use, Ordering::Relaxed);
        Ok(RedbBackend { shared: Arc::new(shared), identity, position, poison: None })
    }

    /// Whose backend it is and up to where, without a change to any byte of it.
    pub fn peek(disk: &dyn Disk, path: &Path) -> Result<(Identity, Position), BackendError> {
        let file = open_file(disk, path)?;
        let overlay = Overlay::new(Arc::clone(&file)).map_err(io_error("read", path))?;
        let (identity, position, _) = Shared::open(path, file, overlay)?.own_rows()?;
        Ok((identity, position))
    }

    /// The records that come after one, or all, as of the last commit.
    pub fn records_after(
        &self,
        after: Option<&RecordKey>,
    ) -> Result<Box<dyn Records>, BackendError> {
        Ok(Box::new(RedbRecords::new(Arc::clone(&self.shared), after)?))
    }

    /// The place of a table among all, in the order of records.
    pub fn rank(table: Table) -> usize {
        TABLES.iter().position(|known| *known == table).expect("every table is among them")
    }
}

/// Opens a file that looks like one of redb's.
fn open_file(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn DiskFile>, BackendError> {
    let file = disk.open(path).map_err(io_error("open", path))?;
    let mut magic = [0; MAGIC.len()];
    file.read_at(&mut magic, 0).map_err(io_error("read", path))?;
    if magic == *MAGIC { Ok(file) } else { Err(BackendError::Foreign { path: path.to_owned() }) }
}

impl Backend for RedbBackend {
    fn identity(&self) -> Identity {
        self.identity
    }

    fn position(&self) -> &Position {
        &self.position
    }

    fn commit(&mut self, changes: &[Change], position: &Position) -> Result<(), BackendError> {
        if let Some(cause) = &self.poison {
            return Err(BackendError::Poisoned(cause.clone()));
        }
        self.shared
            .commit(changes, position)
            .inspect_err(|error| self.poison = Some(error.to_string()))?;
        self.position = position.clone();
        Ok(())
    }

    fn records(&self) -> Result<Box<dyn Records>, BackendError> {
        self.records_after(None)
    }

    fn values(&self) -> Arc<dyn Values> {
        Arc::clone(&self.shared) as Arc<dyn Values>
    }
}

impl Values for Shared {
    fn values(&self, at: &[Revision]) -> Result<Vec<Option<Bytes>>, BackendError> {
        let read = || -> Result<Vec<Option<Bytes>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(definition(Table::Versions))?;
            let record = |at: &Revision| {
                let record = table.get(&at.to_bytes()[..])?;
                Ok(record.map(|record| Bytes::copy_from_slice(record.value())))
            };
            at.iter().map(record).collect()
        };
        let records = read().map_err(|error| self.error("read", error))?;
        let value = |(record, at): (Option<Bytes>, &Revision)| {
            let value = record.map(|record| stored_value(&record)).transpose();
            value.map_err(|source| BackendError::Record { at: *at, source })
        };
        records.into_iter().zip(at).map(value).collect()
    }

    fn size_bytes(&self) -> Result<u64, BackendError> {
        self.file.size().map_err(io_error("measure", &self.path))
    }

    fn in_use_bytes(&self) -> u64 {
        self.in_use_bytes.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn open(
        path: &Path,
        file: Arc<dyn DiskFile>,
        backing: impl StorageBackend,
    ) -> Result<Shared, BackendError> {
        // Damage that redb does not expect makes it panic here and there; the member must say
        // what is wrong instead.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            Builder::new()
                .set_cache_size(CACHE_BYTES)
                .set_check_integrity_on_open(true)
                .create_with_backend(backing)
        }));
        let path = path.to_owned();
        match opened {
            Ok(Ok(database)) => {
                Ok(Shared { path, file, database, in_use_bytes: AtomicU64::new(0) })
            }
            Ok(Err(error)) => Err(backend_error("open", &path, error.into())),
            Err(_) => {
                Err(BackendError::Damaged { path, what: "it cannot be made sense of".to_owned() })
            }
        }
    }

    fn begin(&self) -> Result<WriteTransaction, BackendError> {
        let begun = self.database.begin_write();
        let mut transaction = begun.map_err(|error| self.error("write", error.into()))?;
        transaction.set_quick_repair(true);
        Ok(transaction)
    }

    fn commit(&self, changes: &[Change], position: &Position) -> Result<(), BackendError> {
        let transaction = self.begin()?;
        let committed = self
            .write(&transaction, changes, position)
            .and_then(|in_use| Ok(transaction.commit().map(|()| in_use)?));
        let in_use = committed.map_err(|error| self.error("write", error))?;
        self.in_use_bytes.store(in_use, Ordering::Relaxed);
        Ok(())
    }

    /// Performs changes within a transaction; answers the bytes in use after it.
    fn write(
        &self,
        transaction: &WriteTransaction,
        changes: &[Change],
        position: &Position,
    ) -> Result<u64, redb::Error> {
        let mut tables = Vec::with_capacity(TABLES.len());
        for table in TABLES {
            tables.push((table, transaction.open_table(definition(table))?));
        }
        let mut in_use = self.in_use_bytes.load(Ordering::Relaxed);
        for change in changes {
            let (table, key, value) = change.encode();
            let target = tables.iter_mut().find(|(name, _)| *name == table);
            let (_, target) = target.expect("every table is among them");
            let old = match &value {
                Some(value) => {
                    in_use += (key.len() + value.len()) as u64;
                    target.insert(&key[..], &value[..])?
                }
                None => target.remove(&key[..])?,
            };
            let freed = old.map_or(0, |old| key.len() + old.value().len());
            in_use = in_use.saturating_sub(freed as u64);
        }
        let mut own = transaction.open_table(OWN)?;
        own.insert(ROW_POSITION, &encode_position(position, in_use)[..])?;
        Ok(in_use)
    }

    fn own_rows(&self) -> Result<(Identity, Position, u64), BackendError> {
        let read = || -> Result<_, redb::Error> {
            let own = self.database.begin_read()?.open_table(OWN)?;
            let row = |name: &[u8]| -> Result<Vec<u8>, redb::Error> {
                Ok(own.get(name)?.map(|row| row.value().to_vec()).unwrap_or_default())
            };
            Ok([row(ROW_FORMAT)?, row(ROW_IDENTITY)?, row(ROW_POSITION)?])
        };
        let [format, identity, position] = match read() {
            Ok(rows) => rows,
            Err(redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. }) => {
                return Err(BackendError::Foreign { path: self.path.clone() });
            }
            Err(error) => return Err(self.error("read", error)),
        };
        let damaged = |what: &str| BackendError::Damaged {
            path: self.path.clone(),
            what: format!("its {what} cannot be read"),
        };
        let found = u32::from_le_bytes(format[..].try_into().map_err(|_| damaged("format"))?);
        if found != FORMAT {
            let path = self.path.clone();
            return Err(BackendError::Format { path, found, known: FORMAT });
        }
        let identity = decode_identity(&identity).ok_or_else(|| damaged("identity"))?;
        let (position, in_use) = decode_position(&position).ok_or_else(|| damaged("position"))?;
        Ok((identity, position, in_use))
    }

    fn error(&self, action: &'static str, error: redb::Error) -> BackendError {
        backend_error(action, &self.path, error)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("path", &self.path).finish_non_exhaustive()
    }
}

type TableRecords = (Table, OwnedRange<&'static [u8], &'static [u8]>);

/// All tables of one read transaction.
struct RedbRecords {
    shared: Arc<Shared>,
    ranges: std::vec::IntoIter<TableRecords>,
    current: Option<TableRecords>,
    error: Option<BackendError>,
}

impl RedbRecords {
    fn new(shared: Arc<Shared>, after: Option<&RecordKey>) -> Result<RedbRecords, BackendError> {
        let read = || -> Result<Vec<_>, redb::Error> {
            let transaction = shared.database.begin_read()?;
            let mut ranges = Vec::with_capacity(TABLES.len());
            let first = after.map_or(0, |(table, _)| RedbBackend::rank(*table));
            for table in TABLES.into_iter().skip(first) {
                let begin = match after {
                    Some((last, key)) if *last == table => Bound::Excluded(&key[..]),
                    _ => Bound::Unbounded,
                };
                let opened = match transaction.open_table(definition(table)) {
                    // Written before there were users; the next commit makes it.
                    Err(TableError::TableDoesNotExist(_)) if is_younger(table) => continue,
                    opened => opened?,
                };
                ranges.push((table, opened.range_owned::<&[u8]>((begin, Bound::Unbounded))?));
            }
            Ok(ranges)
        };
        let ranges = read().map_err(|error| shared.error("read", error))?.into_iter();
        Ok(RedbRecords { shared, ranges, current: None, error: None })
    }
}

impl Iterator for RedbRecords {
    type Item = (Table, Bytes, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((table, range)) = &mut self.current {
                match range.next() {
                    Some(Ok((key, value))) => {
                        let key = Bytes::copy_from_slice(key.value());
                        return Some((*table, key, Bytes::copy_from_slice(value.value())));
                    }
                    Some(Err(error)) => {
                        self.error = Some(self.shared.error("read", error.into()));
                        self.ranges = Vec::new().into_iter();
                        self.current = None;
                        return None;
                    }
                    None => {}
                }
            }
            self.current = Some(self.ranges.next()?);
        }
    }
}

impl Records for RedbRecords {
    fn error(&mut self) -> Option<BackendError> {
        self.error.take()
    }
}

fn definition(table: Table) -> Definition {
    TableDefinition::new(match table {
        Table::Versions => "versions",
        Table::Leases => "leases",
        Table::Members => "members",
        Table::Alarms => "alarms",
        Table::Meta => "meta",
        Table::Users => "users",
        Table::Roles => "roles",
    })
}

/// Whether there are files of this format without the table.
fn is_younger(table: Table) -> bool {
    matches!(table, Table::Users | Table::Roles)
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackendError {
    let path = path.to_owned();
    move |source| BackendError::Io { action, path, source }
}

fn backend_error(action: &'static str, path: &Path, error: redb::Error) -> BackendError {
    // redb says by these kinds of error that the content is not what it should be.
    let content = [io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData];
    match error {
        redb::Error::Io(source) if !content.contains(&source.kind()) => {
            BackendError::Io { action, path: path.to_owned(), source }
        }
        error => BackendError::Damaged { path: path.to_owned(), what: error.to_string() },
    }
}
