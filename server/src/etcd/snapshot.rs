//! A snapshot: a file of bbolt with its SHA-256 behind it, as `Maintenance.Snapshot` sends it.
//!
//! A file without the hash is a copy of a data directory's `db`; pages are multiples of 512 bytes,
//! so its length tells the two apart. Texts are those of `etcdutl snapshot` 3.6.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crc32c::crc32c_append;
use kvorum_proto::mvccpb::KeyValue;
use prost::Message;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::bolt::{Bolt, BoltError};
use super::schema::{KEY, SchemaError, parse_revision, storage_version};
use crate::storage::disk::DiskFile;

/// Bytes of the hash behind the file.
pub const HASH_BYTES: u64 = 32;
/// No page is smaller.
const SECTOR: u64 = 512;
/// What is read at once to compute the hash.
const READ_BYTES: usize = 1 << 20;

/// Why a snapshot is refused.
#[derive(Debug, Error)]
pub enum SnapshotError {
    #[error("cannot read {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is not a file", .0.display())]
    NotFile(PathBuf),
    #[error("snapshot missing hash but --skip-hash-check=false")]
    MissingHash,
    #[error("expected sha256 [{expected}], got [{found}]")]
    Hash { expected: String, found: String },
    #[error("{}: {source}", path.display())]
    Content { path: PathBuf, source: SchemaError },
}

/// What `snapshot status` says of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// CRC-32C of the names, keys and values of all buckets.
    pub hash: u32,
    pub revision: i64,
    /// Keys that there are at that revision.
    pub total_keys: u64,
    pub total_size_bytes: u64,
    /// Empty if the file is older than etcd 3.6.
    pub version: String,
}

/// Opens a snapshot for reading. Its hash is checked, unless that is to be skipped.
pub fn open(path: &Path, skip_hash_check: bool) -> Result<Bolt, SnapshotError> {
    let unreadable = |source| SnapshotError::Io { path: path.to_owned(), source };
    let (file, size) = open_file(path)?;
    let has_hash = ends_in_hash(size);
    let content = if has_hash { size - HASH_BYTES } else { size };
    if !skip_hash_check {
        if !has_hash {
            return Err(SnapshotError::MissingHash);
        }
        let mut expected = [0; HASH_BYTES as usize];
        read_exact(&file, &mut expected, content).map_err(unreadable)?;
        let found = sha256(&file, content).map_err(unreadable)?;
        if found != expected {
            let (expected, found) = (numbers(&expected), numbers(&found));
            return Err(SnapshotError::Hash { expected, found });
        }
    }
    Bolt::open(file, content).map_err(content_error(path))
}

/// Looks through a whole file, as `etcdutl snapshot status` does; the hash behind it is not asked
/// for.
pub fn status(path: &Path) -> Result<Status, SnapshotError> {
    let bolt = open(path, true)?;
    look_through(&bolt).map_err(|source| SnapshotError::Content { path: path.to_owned(), source })
}

fn look_through(bolt: &Bolt) -> Result<Status, SchemaError> {
    let version = storage_version(bolt)?;
    let mut status = Status { total_size_bytes: bolt.size_bytes(), version, ..Status::default() };
    let mut keys: HashSet<Vec<u8>> = HashSet::new();
    for bucket in bolt.buckets()? {
        let (name, entries) = bucket?;
        status.hash = crc32c_append(status.hash, &name);
        for entry in entries {
            let (key, value) = entry?;
            status.hash = crc32c_append(crc32c_append(status.hash, &key), &value);
            if name != KEY.as_bytes() {
                continue;
            }
            let damaged = || SchemaError::Record { bucket: KEY, key: key.clone() };
            let (at, is_deletion) = parse_revision(&key).ok_or_else(damaged)?;
            status.revision = at.main;
            let kv = KeyValue::decode(value).map_err(|_| damaged())?;
            if is_deletion {
                keys.remove(&kv.key[..]);
            } else {
                keys.insert(kv.key.to_vec());
            }
        }
    }
    status.total_keys = keys.len() as u64;
    Ok(status)
}

/// Whether a file of so many bytes has its hash behind it.
pub fn ends_in_hash(size: u64) -> bool {
    size % SECTOR == HASH_BYTES
}

fn open_file(path: &Path) -> Result<(Arc<File>, u64), SnapshotError> {
    let unreadable = |source| SnapshotError::Io { path: path.to_owned(), source };
    // Before it is opened: opening a pipe would wait for its other end.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(SnapshotError::NotFile(path.to_owned()));
    }
    let file = File::open(path).map_err(unreadable)?;
    let size = DiskFile::size(&file).map_err(unreadable)?;
    Ok((Arc::new(file), size))
}

fn sha256(file: &File, bytes: u64) -> io::Result<[u8; HASH_BYTES as usize]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut at = 0;
    while at < bytes {
        let wanted = READ_BYTES.min((bytes - at) as usize);
        read_exact(file, &mut buffer[..wanted], at)?;
        hasher.update(&buffer[..wanted]);
        at += wanted as u64;
    }
    Ok(hasher.finalize().into())
}

fn read_exact(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    let read = DiskFile::read_at(file, buffer, at)?;
    if read == buffer.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// As Go prints bytes.
fn numbers(bytes: &[u8]) -> String {
    bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn content_error(path: &Path) -> impl FnOnce(BoltError) -> SnapshotError {
    let path = path.to_owned();
    move |source| SnapshotError::Content { path, source: source.into() }
}
