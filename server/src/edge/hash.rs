//! Hashes by which members, and clusters, are compared from outside.

use bytes::Bytes;
use crc32c::crc32c_append;
use kvorum_core::store::{KvHash, Revision, Root, StateHash, Version};
use kvorum_proto::mvccpb::KeyValue;
use prost::Message;
use tokio::task::spawn_blocking;
use tonic::Status;

use super::status::{of_request, of_store};
use crate::limits::HASH_STEP_VERSIONS;
use crate::runtime::{Handle, RequestError};

/// What etcd's hash begins with: the name of the bucket.
const BUCKET: &[u8] = b"key";

/// What a member answers to `HashKV`.
pub(super) struct HashOfKeys {
    pub(super) hash: u32,
    /// The revision that was hashed.
    pub(super) revision: i64,
    pub(super) compacted: i64,
    /// The newest revision of the state that was hashed.
    pub(super) newest: i64,
}

/// The hash of everything the backend holds. etcd's goes over its file's records; only equal
/// storage engines could agree on that, so ours is the state hash, folded to 32 bits: equal on all
/// members at the same applied index.
pub(super) fn of_backend(state: StateHash) -> u32 {
    let bytes = state.to_bytes();
    bytes.as_chunks::<4>().0.iter().fold(0, |folded, word| folded ^ u32::from_le_bytes(*word))
}

/// etcd's hash of the keys at a revision, 0 for the current one, of this member's newest state.
pub(super) async fn of_keys(handle: &Handle, revision: i64) -> Result<HashOfKeys, Status> {
    let stopped = |_| of_request(RequestError::Stopped);
    let _turn = handle.hashing.acquire().await.map_err(|_| of_request(RequestError::Stopped))?;
    let root = handle.root();
    let begin = {
        let root = root.clone();
        spawn_blocking(move || KvHash::new(&root, revision)).await.map_err(stopped)?
    };
    let mut walk = begin.map_err(of_store)?;
    let mut hash = crc32c_append(0, BUCKET);
    loop {
        let (handle, root) = (handle.clone(), root.clone());
        let step = move || step(&handle, &root, walk, hash);
        let stepped = spawn_blocking(step).await.map_err(stopped)?;
        match stepped.map_err(of_request)? {
            Some((next, so_far)) => (walk, hash) = (next, so_far),
            None => break,
        }
    }
    Ok(HashOfKeys {
        hash,
        revision: walk.revision,
        compacted: root.compacted_revision(),
        newest: root.revision(),
    })
}

/// The walk and the hash after the next versions; `None` if there are none.
fn step(
    handle: &Handle,
    root: &Root,
    mut walk: KvHash,
    mut hash: u32,
) -> Result<Option<(KvHash, u32)>, RequestError> {
    let Some(versions) = walk.step(root, HASH_STEP_VERSIONS) else { return Ok(None) };
    let mut record = Vec::new();
    for version in versions {
        let value = match version.value.resident() {
            Some(value) => value.clone(),
            None => handle.value(&version)?,
        };
        record.clear();
        encode(&version, value, &mut record);
        hash = crc32c_append(hash, &record);
    }
    Ok(Some((walk, hash)))
}

/// A record of etcd's bucket of keys, its key and its value one after the other: the revision,
/// marked if it is a deletion, then the message; of a deletion only the key is kept.
fn encode(version: &Version, value: Bytes, record: &mut Vec<u8>) {
    let Revision { main, sub } = version.at;
    record.extend_from_slice(&main.to_be_bytes());
    record.push(b'_');
    record.extend_from_slice(&sub.to_be_bytes());
    let mut message = KeyValue { key: version.key.clone(), ..KeyValue::default() };
    if version.is_deletion() {
        record.push(b't');
    } else {
        message.create_revision = version.create_revision;
        message.mod_revision = main;
        message.version = version.version;
        message.value = value;
        message.lease = version.lease;
    }
    message.encode(record).expect("the buffer grows as needed");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_hash_is_folded_to_all_of_its_words() {
        let mut bytes = [0; 16];
        assert_eq!(of_backend(StateHash::from_bytes(bytes)), 0);
        for (i, byte) in bytes.iter_mut().enumerate().step_by(4) {
            *byte = 1 << (i / 4);
        }
        assert_eq!(of_backend(StateHash::from_bytes(bytes)), 0b1111);
    }
}
