//! `HashKV` of a file: the number that a member answers with the same keys and history.
//!
//! Which records count is what `kvorum_core::store::KvHash` says of a store; here they are those of
//! a file of etcd's or of ours, and of a compaction that it is in the middle of, it counts as done.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use bytes::Bytes;
use crc32c::crc32c_append;
use kvorum_core::store::Revision;
use kvorum_proto::mvccpb::KeyValue;
use prost::Message;
use thiserror::Error;

use super::bolt::Bolt;
use super::schema::{self, KEY, SchemaError, parse_revision};
use super::snapshot::{self, SnapshotError};

/// What etcdutl prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashed {
    pub hash: u32,
    /// The revision that was hashed.
    pub revision: i64,
    /// -1 if there was no compaction.
    pub compact_revision: i64,
}

/// Why there is no hash; the texts of revisions are etcd's.
#[derive(Debug, Error)]
pub enum HashError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("the file cannot be read: {0}")]
    Schema(#[from] SchemaError),
    #[error("mvcc: required revision has been compacted")]
    Compacted,
    #[error("mvcc: required revision is a future revision")]
    Future,
}

/// The hash at a revision, 0 for the newest, of a snapshot or of the `db` of a data directory. The
/// file is only read, and the hash behind a snapshot is not asked for.
///
/// Holds the names of all keys in memory, and reads the file two or three times.
pub fn of_file(path: &Path, revision: i64) -> Result<Hashed, HashError> {
    let bolt = snapshot::open(path, true)?;
    let compacted = schema::compacted_revision(&bolt)?.unwrap_or(-1);
    let newest = newest(&bolt)?.max(compacted).max(1);
    if revision > 0 && revision < compacted {
        return Err(HashError::Compacted);
    }
    if revision > newest {
        return Err(HashError::Future);
    }
    let revision = if revision == 0 { newest } else { revision };
    let mut kept = valid_at(&bolt, revision)?;
    if kept.is_empty() && compacted > 0 {
        kept = valid_at(&bolt, compacted)?;
    }
    let mut hash = crc32c_append(0, KEY.as_bytes());
    for record in records(&bolt)? {
        let Record { at, is_deletion, key, value } = record?;
        let is_compacted = at.main <= compacted && !kept.contains(&at);
        let is_last_deletion = at.main == compacted && is_deletion;
        if at.main <= revision && !is_compacted && !is_last_deletion {
            hash = crc32c_append(crc32c_append(hash, &key), &value);
        }
    }
    Ok(Hashed { hash, revision, compact_revision: compacted })
}

struct Record {
    at: Revision,
    is_deletion: bool,
    key: Bytes,
    value: Bytes,
}

/// The records of the bucket of keys, in the order of their revisions.
fn records(bolt: &Bolt) -> Result<impl Iterator<Item = Result<Record, SchemaError>>, SchemaError> {
    let entries = bolt.bucket(KEY)?.ok_or(SchemaError::NoBucket(KEY))?;
    Ok(entries.map(|entry| {
        let (key, value) = entry?;
        let damaged = || SchemaError::Record { bucket: KEY, key: Bytes::copy_from_slice(&key) };
        let (at, is_deletion) = parse_revision(&key).ok_or_else(damaged)?;
        Ok(Record { at, is_deletion, key, value })
    }))
}

fn newest(bolt: &Bolt) -> Result<i64, SchemaError> {
    records(bolt)?.try_fold(0, |newest, record| Ok(newest.max(record?.at.main)))
}

/// Where the value of each key that had one at a revision was written.
fn valid_at(bolt: &Bolt, revision: i64) -> Result<HashSet<Revision>, SchemaError> {
    let mut newest: HashMap<Vec<u8>, Revision> = HashMap::new();
    for record in records(bolt)? {
        let Record { at, is_deletion, key, value } = record?;
        if at.main > revision {
            break;
        }
        let damaged = |_| SchemaError::Record { bucket: KEY, key: Bytes::copy_from_slice(&key) };
        let kv = KeyValue::decode(value).map_err(damaged)?;
        if is_deletion {
            newest.remove(&kv.key[..]);
        } else {
            newest.insert(kv.key.to_vec(), at);
        }
    }
    Ok(newest.into_values().collect())
}
