//! The elements of the state hash: each kind of record, hashed by what it says.
//!
//! An element is XXH3 (128 bits) over numbers of 8 bytes, little-endian: first the kind, then every
//! field in a fixed order. A text is there by its length and its own XXH3, so no two records run
//! into the same bytes. Members of different versions compare these hashes and the backend keeps
//! their sum, so what a kind is made of never changes; a new field makes a new kind.

use kvorum_proto::authpb::{Role, User, UserAddOptions};
use kvorum_proto::etcdserverpb::AlarmMember;
use kvorum_proto::membershippb::{Attributes, Member, RaftAttributes};
use xxhash_rust::xxh3::xxh3_128;

use super::{LeaseRecord, StateHash, Value, Version};
use crate::auth::Auth;

const VERSION: u64 = 1;
const LEASE: u64 = 2;
const ALARM: u64 = 3;
const MEMBER: u64 = 4;
const CLUSTER_VERSION: u64 = 5;
const REVISIONS: u64 = 6;
const USER: u64 = 7;
const ROLE: u64 = 8;
const AUTH: u64 = 9;

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
    many(numbers)
}

/// Options that were never given are not the same as empty ones.
pub(super) fn user(user: &User) -> StateHash {
    let User { name, password, roles, options } = user;
    let mut numbers = vec![USER];
    numbers.extend(text(name).into_iter().chain(text(password)));
    list(&mut numbers, roles);
    numbers.push(match options {
        None => 0,
        Some(UserAddOptions { no_password }) => 1 + u64::from(*no_password),
    });
    many(numbers)
}

pub(super) fn role(role: &Role) -> StateHash {
    let Role { name, key_permission } = role;
    let mut numbers = vec![ROLE];
    numbers.extend(text(name));
    numbers.push(key_permission.len() as u64);
    for permission in key_permission {
        numbers.push(i64::from(permission.perm_type) as u64);
        numbers.extend(text(&permission.key).into_iter().chain(text(&permission.range_end)));
    }
    many(numbers)
}

/// Whether auth is enabled, and its revision; no element where it was never touched, so that a
/// state from before there was auth has the hash it had.
pub(super) fn auth(auth: &Auth) -> StateHash {
    if auth.is_initial() {
        return StateHash::default();
    }
    element([AUTH, u64::from(auth.is_enabled()), auth.revision()])
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

fn many(numbers: Vec<u64>) -> StateHash {
    let bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
    StateHash::of(xxh3_128(&bytes))
}

fn text(text: &[u8]) -> [u64; 3] {
    let hash = xxh3_128(text);
    [text.len() as u64, hash as u64, (hash >> 64) as u64]
}

fn list(numbers: &mut Vec<u64>, texts: &[String]) {
    numbers.push(texts.len() as u64);
    numbers.extend(texts.iter().flat_map(|one| text(one.as_bytes())));
}
