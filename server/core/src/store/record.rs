//! The state at rest: how each table's keys and values are written.
//!
//! Every value but those of the alarms, which have none, begins with a byte that says in which
//! format the rest is; there is one so far. A version is etcd's `KeyValue` message, leases,
//! members, users and roles are etcd's messages too, a revision in the table of names is 8 bytes big-endian.
//!
//! The hash of a version and its references to older ones (`prev`, `jump`, `depth`) are not
//! written: reading the versions in their order makes them again. The references come out different from those of the store
//! that wrote them where history was swept in between, for there the chain now begins with what is
//! left, but the answers are the same: no search at a revision that can still be read goes further
//! back than that.

use bytes::{BufMut, Bytes, BytesMut};
use kvorum_proto::authpb::{Role, User};
use kvorum_proto::etcdserverpb::AlarmMember;
use kvorum_proto::leasepb::Lease;
use kvorum_proto::membershippb::Member;
use kvorum_proto::mvccpb::KeyValue;
use prost::Message;
use thiserror::Error;

use super::{Change, LeaseRecord, Revision, StateHash, Table, Value, Version};
use crate::auth::Auth;

/// The current revision, written when history may stop telling it.
pub(super) const REVISION: &str = "revision";
/// The compacted revision.
pub(super) const COMPACTED: &str = "compacted";
/// The compaction that was swept last.
pub(super) const SWEPT: &str = "swept";
pub(super) const CLUSTER_VERSION: &str = "cluster_version";
/// Whether auth is enabled; there once auth was touched, and so is its revision.
pub(super) const AUTH_ENABLED: &str = "auth_enabled";
pub(super) const AUTH_REVISION: &str = "auth_revision";

const FORMAT: u8 = 1;

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    #[error("its key does not fit")]
    Key,
    #[error("it is empty")]
    Empty,
    #[error("its format {0} is unknown: a newer version wrote it")]
    Format(u8),
    #[error("its content is damaged")]
    Content,
    #[error("it is out of order")]
    Order,
    #[error("its name is unknown: a newer version wrote it")]
    Name,
}

/// The value in a record of the table of versions; no byte is copied.
pub fn stored_value(record: &Bytes) -> Result<Bytes, RecordError> {
    Ok(decode::<KeyValue>(record)?.value)
}

impl Change {
    /// The operation as the backend performs it: put, or remove if there is no value.
    pub fn encode(&self) -> (Table, Bytes, Option<Bytes>) {
        match self {
            Change::Version(version) => {
                (Table::Versions, revision_key(version.at), Some(encode(&key_value(version))))
            }
            Change::RemoveVersion(at) => (Table::Versions, revision_key(*at), None),
            Change::Put { table, key, value } => (*table, key.clone(), Some(value.clone())),
            Change::Remove { table, key } => (*table, key.clone(), None),
        }
    }
}

pub(super) fn meta(name: &'static str, revision: i64) -> Change {
    let key = Bytes::from_static(name.as_bytes());
    Change::Put { table: Table::Meta, key, value: formatted(&revision.to_be_bytes()) }
}

pub(super) fn cluster_version(version: &str) -> Change {
    let key = Bytes::from_static(CLUSTER_VERSION.as_bytes());
    Change::Put { table: Table::Meta, key, value: formatted(version.as_bytes()) }
}

/// What stands in the table of names about auth; nothing if it was never touched.
pub(super) fn auth(auth: &Auth) -> Vec<Change> {
    if auth.is_initial() {
        return Vec::new();
    }
    let put = |name: &'static str, value| {
        let key = Bytes::from_static(name.as_bytes());
        Change::Put { table: Table::Meta, key, value }
    };
    let enabled = formatted(&[u8::from(auth.is_enabled())]);
    vec![put(AUTH_ENABLED, enabled), put(AUTH_REVISION, formatted(&auth.revision().to_be_bytes()))]
}

pub(super) fn user(user: &User) -> Change {
    Change::Put { table: Table::Users, key: user.name.clone(), value: encode(user) }
}

pub(super) fn remove_user(name: &Bytes) -> Change {
    Change::Remove { table: Table::Users, key: name.clone() }
}

pub(super) fn role(role: &Role) -> Change {
    Change::Put { table: Table::Roles, key: role.name.clone(), value: encode(role) }
}

pub(super) fn remove_role(name: &Bytes) -> Change {
    Change::Remove { table: Table::Roles, key: name.clone() }
}

pub(super) fn lease(lease: &LeaseRecord) -> Change {
    let message = Lease { id: lease.id, ttl: lease.ttl_s, remaining_ttl: lease.remaining_s };
    Change::Put { table: Table::Leases, key: id_key(lease.id as u64), value: encode(&message) }
}

pub(super) fn remove_lease(id: i64) -> Change {
    Change::Remove { table: Table::Leases, key: id_key(id as u64) }
}

pub(super) fn member(member: &Member) -> Change {
    Change::Put { table: Table::Members, key: id_key(member.id), value: encode(member) }
}

pub(super) fn alarm(alarm: &AlarmMember) -> Change {
    Change::Put { table: Table::Alarms, key: alarm_key(alarm), value: Bytes::new() }
}

pub(super) fn remove_alarm(alarm: &AlarmMember) -> Change {
    Change::Remove { table: Table::Alarms, key: alarm_key(alarm) }
}

/// A version without its references and its hash; the value is resident.
pub(super) fn decode_version(key: &Bytes, value: &Bytes) -> Result<Version, RecordError> {
    let at = Revision::from_bytes(key[..].try_into().map_err(|_| RecordError::Key)?);
    let record: KeyValue = decode(value)?;
    if record.mod_revision != at.main || at.main < 0 || at.sub < 0 || record.version < 0 {
        return Err(RecordError::Content);
    }
    Ok(Version {
        key: record.key,
        value_len: record.value.len() as u32,
        value: Value::Resident(record.value),
        at,
        create_revision: record.create_revision,
        version: record.version,
        lease: record.lease,
        hash: StateHash::default(),
        prev: None,
        jump: None,
        depth: 0,
    })
}

pub(super) fn decode_lease(key: &Bytes, value: &Bytes) -> Result<LeaseRecord, RecordError> {
    let lease: Lease = decode(value)?;
    if *key != id_key(lease.id as u64) {
        return Err(RecordError::Key);
    }
    Ok(LeaseRecord { id: lease.id, ttl_s: lease.ttl, remaining_s: lease.remaining_ttl })
}

pub(super) fn decode_member(key: &Bytes, value: &Bytes) -> Result<Member, RecordError> {
    let member: Member = decode(value)?;
    if *key == id_key(member.id) { Ok(member) } else { Err(RecordError::Key) }
}

pub(super) fn decode_alarm(key: &Bytes) -> Result<AlarmMember, RecordError> {
    let (member_id, alarm) = key.split_first_chunk::<8>().ok_or(RecordError::Key)?;
    let alarm = alarm.try_into().map_err(|_| RecordError::Key)?;
    Ok(AlarmMember { member_id: u64::from_be_bytes(*member_id), alarm: i32::from_be_bytes(alarm) })
}

pub(super) fn decode_user(key: &Bytes, value: &Bytes) -> Result<User, RecordError> {
    let user: User = decode(value)?;
    if *key == user.name { Ok(user) } else { Err(RecordError::Key) }
}

pub(super) fn decode_role(key: &Bytes, value: &Bytes) -> Result<Role, RecordError> {
    let role: Role = decode(value)?;
    if *key == role.name { Ok(role) } else { Err(RecordError::Key) }
}

pub(super) fn decode_flag(value: &Bytes) -> Result<bool, RecordError> {
    match content(value)?[..] {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(RecordError::Content),
    }
}

pub(super) fn decode_revision(value: &Bytes) -> Result<i64, RecordError> {
    let content = content(value)?;
    Ok(i64::from_be_bytes(content[..].try_into().map_err(|_| RecordError::Content)?))
}

pub(super) fn decode_text(value: &Bytes) -> Result<String, RecordError> {
    String::from_utf8(content(value)?.to_vec()).map_err(|_| RecordError::Content)
}

fn key_value(version: &Version) -> KeyValue {
    let value = version.value.resident();
    KeyValue {
        key: version.key.clone(),
        create_revision: version.create_revision,
        mod_revision: version.at.main,
        version: version.version,
        value: value.expect("a change holds the version as it was written").clone(),
        lease: version.lease,
    }
}

fn revision_key(at: Revision) -> Bytes {
    Bytes::copy_from_slice(&at.to_bytes())
}

fn id_key(id: u64) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

fn alarm_key(alarm: &AlarmMember) -> Bytes {
    let mut key = BytesMut::with_capacity(12);
    key.put_u64(alarm.member_id);
    key.put_i32(alarm.alarm);
    key.freeze()
}

fn formatted(content: &[u8]) -> Bytes {
    let mut record = BytesMut::with_capacity(1 + content.len());
    record.put_u8(FORMAT);
    record.put_slice(content);
    record.freeze()
}

fn encode(message: &impl Message) -> Bytes {
    let mut record = BytesMut::with_capacity(1 + message.encoded_len());
    record.put_u8(FORMAT);
    message.encode(&mut record).expect("the buffer grows as needed");
    record.freeze()
}

fn decode<M: Message + Default>(record: &Bytes) -> Result<M, RecordError> {
    M::decode(content(record)?).map_err(|_| RecordError::Content)
}

fn content(record: &Bytes) -> Result<Bytes, RecordError> {
    match record.first() {
        Some(&FORMAT) => Ok(record.slice(1..)),
        Some(format) => Err(RecordError::Format(*format)),
        None => Err(RecordError::Empty),
    }
}
