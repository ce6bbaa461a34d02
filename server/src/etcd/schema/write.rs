//! From a state to the buckets of a file that etcd 3.4 to 3.6 take for theirs.

use bytes::Bytes;
use kvorum_core::store::{Revision, Root, Version};
use kvorum_proto::leasepb::Lease;
use kvorum_proto::membershippb::Member;
use kvorum_proto::mvccpb::KeyValue;
use prost::{Message, length_delimiter_len};
use serde::Serialize;

use super::auth::Auth;
use super::{
    ALARM, AUTH, AUTH_ENABLED, AUTH_REVISION, AUTH_ROLES, AUTH_USERS, CLUSTER,
    CLUSTER_VERSION_NAME, CONF_STATE, CONSISTENT_INDEX, FINISHED_COMPACTION, KEY, LEASE, MEMBERS,
    MEMBERS_REMOVED, META, SCHEDULED_COMPACTION, STORAGE_VERSION, TERM, revision_key,
};
use crate::etcd::bolt::{Builder, Sink};
use crate::identity::hex;
use crate::version::CLUSTER_VERSION;

/// Writes the whole state of `root`. `value` reads a value back; it is asked for each version in
/// turn, and only where bytes are wanted.
pub fn write<S: Sink>(
    root: &Root,
    to: &mut Builder<S>,
    value: impl Fn(&Version) -> Result<Bytes, S::Error>,
) -> Result<(), S::Error> {
    // In the order of the buckets' names.
    to.bucket(ALARM)?;
    let mut alarms: Vec<_> = root.alarms().iter().map(Message::encode_to_vec).collect();
    alarms.sort_unstable();
    for alarm in alarms {
        to.row(&alarm, Bytes::new())?;
    }
    auth(root, to)?;
    to.bucket(CLUSTER)?;
    if let Some(version) = root.cluster_version() {
        to.row(CLUSTER_VERSION_NAME.as_bytes(), version.as_bytes().to_vec())?;
    }
    to.bucket(KEY)?;
    for version in root.logical_versions() {
        self::version(version, to, &value)?;
    }
    to.bucket(LEASE)?;
    for lease in root.leases() {
        let message = Lease { id: lease.id, ttl: lease.ttl_s, remaining_ttl: lease.remaining_s };
        to.row(&lease.id.to_be_bytes(), message.encode_to_vec())?;
    }
    to.bucket(MEMBERS)?;
    let mut members: Vec<_> =
        root.members().iter().map(|member| (hex(member.id), member)).collect();
    members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    for (id, member) in members {
        to.row(id.as_bytes(), member_json(member))?;
    }
    to.bucket(MEMBERS_REMOVED)?;
    meta(root, to)
}

fn version<S: Sink>(
    version: &Version,
    to: &mut Builder<S>,
    value: &impl Fn(&Version) -> Result<Bytes, S::Error>,
) -> Result<(), S::Error> {
    let key = revision_key(version.at, version.is_deletion());
    if version.is_deletion() {
        let kv = KeyValue { key: version.key.clone(), ..KeyValue::default() };
        return to.row(&key, kv.encode_to_vec());
    }
    let mut kv = KeyValue {
        key: version.key.clone(),
        create_revision: version.create_revision,
        mod_revision: version.at.main,
        version: version.version,
        value: Bytes::new(),
        lease: version.lease,
    };
    let value_len = version.value_len as usize;
    // The field's tag and length; an empty field is not there at all.
    let field = if value_len == 0 { 0 } else { 1 + length_delimiter_len(value_len) + value_len };
    to.item(&key, kv.encoded_len() + field, || {
        kv.value = match version.value.resident() {
            Some(value) => value.clone(),
            None => value(version)?,
        };
        Ok(kv.encode_to_vec().into())
    })
}

fn auth<S: Sink>(root: &Root, to: &mut Builder<S>) -> Result<(), S::Error> {
    let Auth { enabled, revision, users, roles } = Auth::of(root);
    to.bucket(AUTH)?;
    if revision > 0 {
        to.row(AUTH_ENABLED.as_bytes(), vec![u8::from(enabled)])?;
        to.row(AUTH_REVISION.as_bytes(), revision.to_be_bytes().to_vec())?;
    }
    to.bucket(AUTH_ROLES)?;
    for role in roles {
        to.row(&role.name, role.encode_to_vec())?;
    }
    to.bucket(AUTH_USERS)?;
    for user in users {
        to.row(&user.name, user.encode_to_vec())?;
    }
    Ok(())
}

/// What a member needs to go on with the file. The state is written as after a finished
/// compaction: what that removes is not in it.
fn meta<S: Sink>(root: &Root, to: &mut Builder<S>) -> Result<(), S::Error> {
    to.bucket(META)?;
    to.row(CONF_STATE.as_bytes(), conf_state_json(root.members()))?;
    to.row(CONSISTENT_INDEX.as_bytes(), root.index().to_be_bytes().to_vec())?;
    if root.compacted_revision() >= 0 {
        let compacted = revision_key(Revision::first_of(root.compacted_revision()), false);
        to.row(FINISHED_COMPACTION.as_bytes(), compacted.clone())?;
        to.row(SCHEDULED_COMPACTION.as_bytes(), compacted)?;
    }
    to.row(STORAGE_VERSION.as_bytes(), CLUSTER_VERSION.as_bytes().to_vec())?;
    to.row(TERM.as_bytes(), root.term().to_be_bytes().to_vec())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberJson<'a> {
    id: u64,
    #[serde(rename = "peerURLs")]
    peer_urls: &'a [String],
    #[serde(skip_serializing_if = "is_false")]
    is_learner: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(rename = "clientURLs", skip_serializing_if = "<[String]>::is_empty")]
    client_urls: &'a [String],
}

#[derive(Serialize)]
struct ConfStateJson {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    voters: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    learners: Vec<u64>,
    auto_leave: bool,
}

fn member_json(member: &Member) -> Vec<u8> {
    let (raft, own) = (member.raft_attributes.as_ref(), member.member_attributes.as_ref());
    let json = MemberJson {
        id: member.id,
        peer_urls: raft.map_or(&[], |raft| &raft.peer_urls),
        is_learner: raft.is_some_and(|raft| raft.is_learner),
        name: own.map_or("", |own| &own.name),
        client_urls: own.map_or(&[], |own| &own.client_urls),
    };
    serde_json::to_vec(&json).expect("texts and numbers have a form in JSON")
}

fn conf_state_json(members: &[Member]) -> Vec<u8> {
    let learns =
        |member: &&Member| member.raft_attributes.as_ref().is_some_and(|raft| raft.is_learner);
    let (learners, voters): (Vec<&Member>, Vec<&Member>) = members.iter().partition(learns);
    let ids = |members: Vec<&Member>| members.iter().map(|member| member.id).collect();
    let json = ConfStateJson { voters: ids(voters), learners: ids(learners), auto_leave: false };
    serde_json::to_vec(&json).expect("numbers have a form in JSON")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
