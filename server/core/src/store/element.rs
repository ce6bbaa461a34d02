//! The elements of the state hash: each kind of record, hashed by what it says.
//!
//! An element is XXH3 (128 bits) over numbers of 8 bytes, little-endian: first the kind, then every
//! field in a fixed order. A text is there by its length and its own XXH3, so no two records run
//! into the same bytes. Members of different versions compare these hashes and the backend keeps
//! their sum, so what a kind is made of never changes; a new field makes a new kind.

use kvorum_proto::etcdserverpb::AlarmMember;
use kvorum_proto::membershippb::{Attributes, Member, RaftAttributes};
use xxhash_rust::xxh3::xxh3_128;

use super::{LeaseRecord, StateHash, Value, Version};

const VERSION: u64 = 1;
const LEASE: u64 = 2;
const ALARM: u64 = 3;
const MEMBER: u64 = 4;
const CLUSTER_VERSION: u64 = 5;
const REVISIONS: u64 = 6;

/// The references to other versions and where the value is kept are no part of it.
pub(super) fn version(version: &Version, value: &[u8]) -> StateHash {
    let Version { key, at, create_revision, version, lease, .. } = version;
    let ([key_len, key_low, key_high], [value_len, value_low, value_high]) =
        (text(key), text(value));
    element([
        VERSION,
        at.main as u64,
        at.sub as u64,
        *create_revision as u64,
        *version as u64,
        *lease as u64,
        key_len,
        key_low,
        key_high,
        value_len,
        value_low,
        value_high,
    ])
}

/// A version as it is written, which has its value.
pub(super) fn written(written: &Version) -> StateHash {
    debug_assert!(written.value != Value::Stored, "a version is written with its value");
    version(written, written.value.resident().map_or(&[], |value| value))
}

pub(super) fn lease(lease: &LeaseRecord) -> StateHash {
    let LeaseRecord { id, ttl_s, remaining_s } = *lease;
    element([LEASE, id as u64, ttl_s as u64, remaining_s as u64])
}

pub(super) fn alarm(alarm: &AlarmMember) -> StateHash {
    let AlarmMember { member_id, alarm } = *alarm;
    element([ALARM, member_id, i64::from(alarm) as u64])
}

/// Attributes that were never set are not the same as empty ones.
pub(super) fn member(member: &Member) -> StateHash {
    let Member { id, raft_attributes, member_attributes } = member;
    let mut numbers = vec![MEMBER, *id];
    match raft_attributes {
        Some(RaftAttributes { peer_urls, is_learner }) => {
            numbers.extend([1, u64::from(*is_learner)]);
            list(&mut numbers, peer_urls);
        }
        None => numbers.push(0),
    }
    match member_attributes {
        Some(Attributes { name, client_urls, incarnation }) => {
            numbers.extend([1, *incarnation]);
            numbers.extend(text(name.as_bytes()));
            list(&mut numbers, client_urls);
        }
        None => numbers.push(0),
    }
    let bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
    StateHash::of(xxh3_128(&bytes))
}

pub(super) fn cluster_version(version: &str) -> StateHash {
    let [len, low, high] = text(version.as_bytes());
    element([CLUSTER_VERSION, len, low, high])
}

/// The current and the compacted revision; one element, which every state has.
pub(super) fn revisions(revision: i64, compacted: i64) -> StateHash {
    element([REVISIONS, revision as u64, compacted as u64])
}

fn element<const N: usize>(numbers: [u64; N]) -> StateHash {
    let bytes = numbers.map(u64::to_le_bytes);
    StateHash::of(xxh3_128(bytes.as_flattened()))
}

fn text(text: &[u8]) -> [u64; 3] {
    let hash = xxh3_128(text);
    [text.len() as u64, hash as u64, (hash >> 64) as u64]
}

fn list(numbers: &mut Vec<u64>, texts: &[String]) {
    numbers.push(texts.len() as u64);
    numbers.extend(texts.iter().flat_map(|one| text(one.as_bytes())));
}
