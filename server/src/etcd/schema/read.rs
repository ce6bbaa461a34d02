//! From the buckets of etcd's file to the records of ours.

use bytes::Bytes;
use kvorum_core::store::{Change, LeaseRecord, Revision};
use kvorum_proto::authpb::{Role, User};
use kvorum_proto::etcdserverpb::AlarmMember;
use kvorum_proto::leasepb::Lease;
use kvorum_proto::mvccpb::KeyValue;
use prost::Message;
use thiserror::Error;

use super::auth::Auth;
use super::{
    ALARM, AUTH, AUTH_ENABLED, AUTH_REVISION, AUTH_ROLES, AUTH_USERS, CONSISTENT_INDEX,
    FINISHED_COMPACTION, KEY, LEASE, META, SCHEDULED_COMPACTION, STORAGE_VERSION, parse_revision,
};
use crate::etcd::bolt::{Bolt, BoltError};

/// Why a file of bbolt is no state of etcd's.
#[derive(Debug, Error)]
pub enum SchemaError {
    #[error(transparent)]
    Bolt(#[from] BoltError),
    #[error("bucket {bucket} has a record that makes no sense, at key {key:02x?}")]
    Record { bucket: &'static str, key: Bytes },
    #[error("it has no bucket {0}, which every state of etcd has: it is something else")]
    NoBucket(&'static str),
    #[error("revision {0} is missing, which no compaction has removed: records are lost")]
    Gap(i64),
}

/// No log has so many entries: a file that says so is damaged, and counting on from there would
/// overflow.
const INDEX_MAX: u64 = i64::MAX as u64;

/// What a file says beside its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The current revision.
    pub revision: i64,
    /// The compacted revision, if there was a compaction.
    pub compacted: Option<i64>,
}

/// Hands the state in a file on, record by record, but for its members and what the cluster has
/// agreed on about itself: those are another's. The compaction and the revision are in the answer.
pub fn read<E: From<SchemaError>>(
    bolt: &Bolt,
    mut take: impl FnMut(Change) -> Result<(), E>,
) -> Result<State, E> {
    let mut state = meta(bolt)?;
    let revision = versions(bolt, state.compacted.unwrap_or(1).max(1), &mut take)?;
    state.revision = revision.max(state.compacted.unwrap_or(0)).max(1);
    each(bolt, LEASE, |key, value| {
        let Lease { id, ttl, remaining_ttl } = Lease::decode(value).ok()?;
        let lease = LeaseRecord { id, ttl_s: ttl, remaining_s: remaining_ttl };
        (key[..] == id.to_be_bytes()).then(|| Change::of_lease(&lease))
    })?
    .try_for_each(|change| take(change?))?;
    each(bolt, ALARM, |key, _| Some(Change::of_alarm(&AlarmMember::decode(key).ok()?)))?
        .try_for_each(|change| take(change?))?;
    auth(bolt)?.into_changes().try_for_each(take)?;
    Ok(state)
}

/// The compacted revision, if there was a compaction.
pub fn compacted_revision(bolt: &Bolt) -> Result<Option<i64>, SchemaError> {
    let compaction = |name: &'static str| -> Result<Option<i64>, SchemaError> {
        let Some(value) = row(bolt, META, name)? else { return Ok(None) };
        let (at, _) = parse_revision(&value).ok_or_else(|| damaged(META, name))?;
        Ok(Some(at.main))
    };
    // What is scheduled counts as done: etcd answers so at once, and goes on with it after a
    // restart.
    Ok(compaction(SCHEDULED_COMPACTION)?.max(compaction(FINISHED_COMPACTION)?))
}

/// The version that etcd 3.6 notes in a file; empty for an older one's.
pub fn storage_version(bolt: &Bolt) -> Result<String, SchemaError> {
    let version = row(bolt, META, STORAGE_VERSION)?;
    Ok(version.map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default())
}

/// The last entry of etcd's log that is in the file; 0 if it does not say.
pub fn consistent_index(bolt: &Bolt) -> Result<u64, SchemaError> {
    let Some(value) = row(bolt, META, CONSISTENT_INDEX)? else { return Ok(0) };
    number(&value)
        .filter(|index| *index <= INDEX_MAX)
        .ok_or_else(|| damaged(META, CONSISTENT_INDEX))
}

fn meta(bolt: &Bolt) -> Result<State, SchemaError> {
    Ok(State { revision: 0, compacted: compacted_revision(bolt)? })
}

/// Hands the versions on; answers the last revision. Every change makes one record, and each
/// revision has one at least, so above the compacted revision none is missing.
fn versions<E: From<SchemaError>>(
    bolt: &Bolt,
    compacted: i64,
    take: &mut impl FnMut(Change) -> Result<(), E>,
) -> Result<i64, E> {
    let entries = bolt.bucket(KEY).map_err(SchemaError::from)?.ok_or(SchemaError::NoBucket(KEY))?;
    let mut last = Revision { main: compacted, sub: 0 };
    for entry in entries {
        let (key, value) = entry.map_err(SchemaError::from)?;
        let damaged = || SchemaError::Record { bucket: KEY, key: key.clone() };
        let (at, is_deletion) = parse_revision(&key).ok_or_else(damaged)?;
        if at.main > compacted && at != next_of(last, at) {
            return Err(SchemaError::Gap(next_of(last, at).main).into());
        }
        last = last.max(at);
        // `etcdutl snapshot restore --bump-revision` leaves a record without anything in it, so
        // that the revision is where it should be.
        if value.is_empty() {
            continue;
        }
        // Not a part of its page, which may be much larger.
        let kv = KeyValue::decode(Bytes::copy_from_slice(&value)).map_err(|_| damaged())?;
        take(version(at, is_deletion, kv).ok_or_else(damaged)?)?;
    }
    Ok(last.main)
}

/// The revision behind `last`: in the same main revision if `at` is in it, else in the next.
fn next_of(last: Revision, at: Revision) -> Revision {
    if at.main == last.main {
        Revision { sub: last.sub + 1, ..last }
    } else {
        Revision::first_of(last.main + 1)
    }
}

/// A version, if the record is one that etcd writes.
fn version(at: Revision, is_deletion: bool, kv: KeyValue) -> Option<Change> {
    let is_sound = !kv.key.is_empty()
        && (is_deletion
            || kv.mod_revision == at.main
                && kv.version > 0
                && (1..=at.main).contains(&kv.create_revision));
    // A deletion says its key and nothing else.
    let kv = if is_deletion { KeyValue { key: kv.key, ..KeyValue::default() } } else { kv };
    is_sound.then(|| Change::of_version(at, kv))
}

fn auth(bolt: &Bolt) -> Result<Auth, SchemaError> {
    let enabled = row(bolt, AUTH, AUTH_ENABLED)?.is_some_and(|value| value[..] == [1]);
    let revision = row(bolt, AUTH, AUTH_REVISION)?;
    let revision = revision.map(|value| number(&value).ok_or_else(|| damaged(AUTH, AUTH_REVISION)));
    let users = each(bolt, AUTH_USERS, |key, value| {
        User::decode(value).ok().filter(|user| user.name == key)
    })?;
    let roles = each(bolt, AUTH_ROLES, |key, value| {
        Role::decode(value).ok().filter(|role| role.name == key)
    })?;
    Ok(Auth {
        enabled,
        revision: revision.transpose()?.unwrap_or(0),
        users: users.collect::<Result<_, _>>()?,
        roles: roles.collect::<Result<_, _>>()?,
    })
}

/// The items of a bucket, each made into something; none where there is no such bucket.
fn each<T>(
    bolt: &Bolt,
    bucket: &'static str,
    make: impl Fn(Bytes, Bytes) -> Option<T>,
) -> Result<impl Iterator<Item = Result<T, SchemaError>>, SchemaError> {
    let entries = bolt.bucket(bucket)?.into_iter().flatten();
    Ok(entries.map(move |entry| {
        // A record outlives its page, which may be much larger.
        let (key, value) = entry?;
        let (key, value) = (Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value));
        make(key.clone(), value).ok_or(SchemaError::Record { bucket, key })
    }))
}

fn row(bolt: &Bolt, bucket: &str, name: &str) -> Result<Option<Bytes>, SchemaError> {
    for entry in bolt.bucket(bucket)?.into_iter().flatten() {
        let (key, value) = entry?;
        if key == name.as_bytes() {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

fn number(value: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(value.try_into().ok()?))
}

fn damaged(bucket: &'static str, name: &'static str) -> SchemaError {
    SchemaError::Record { bucket, key: Bytes::from_static(name.as_bytes()) }
}
