//! Writes of every kind, and what a member does on its own between them.

use bytes::Bytes;
use kvorum_core::store::Root;
use kvorum_proto::authpb::{Permission, UserAddOptions};
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    AlarmRequest, AuthRoleAddRequest, AuthRoleDeleteRequest, AuthRoleGrantPermissionRequest,
    AuthRoleRevokePermissionRequest, AuthUserAddRequest, AuthUserChangePasswordRequest,
    AuthUserDeleteRequest, AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest, CompactionRequest,
    DeleteRangeRequest, InternalRaftRequest, LeaseCheckpoint, LeaseCheckpointRequest,
    LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RequestOp, TxnRequest,
};
use kvorum_proto::membershippb::{
    Attributes, ClusterMemberAttrSetRequest, ClusterVersionSetRequest,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::machine::Machine;

#[derive(Clone, Debug)]
pub(crate) enum Write {
    Put {
        key: u8,
        value: u8,
        lease: i64,
    },
    Delete {
        from: u8,
        to: u8,
    },
    /// Puts and deletions in their order, also of one key; the edge would refuse some.
    Txn(Vec<(u8, Option<u8>)>),
    Grant(i64),
    Checkpoint(i64, i64),
    Revoke(i64),
    Alarm(bool, u64, i32),
    Attributes(u8),
    ClusterVersion(u8),
    User(u8, UserWrite),
    Role(u8, RoleWrite),
    /// How far behind the current revision.
    Compact(i64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum UserWrite {
    Add,
    AddWithoutPassword,
    Delete,
    ChangePassword,
    Grant(u8),
    Revoke(u8),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum RoleWrite {
    Add,
    Delete,
    Grant(u8, i32),
    Revoke(u8),
}

pub(crate) fn write() -> impl Strategy<Value = Write> {
    let key = 0u8..6;
    prop_oneof![
        10 => (key.clone(), any::<u8>(), 0i64..3)
            .prop_map(|(key, value, lease)| Write::Put { key, value, lease }),
        3 => (key.clone(), 0u8..3).prop_map(|(from, n)| Write::Delete { from, to: from + n }),
        6 => vec((key, proptest::option::of(any::<u8>())), 1..6).prop_map(Write::Txn),
        2 => (1i64..3).prop_map(Write::Grant),
        1 => (1i64..3, 0i64..3).prop_map(|(id, left)| Write::Checkpoint(id, left)),
        1 => (1i64..3).prop_map(Write::Revoke),
        // Kinds that no version knows yet, and never one that stops the writes.
        1 => (any::<bool>(), 0u64..3, prop_oneof![Just(3), Just(-1)])
            .prop_map(|(raise, member, kind)| Write::Alarm(raise, member, kind)),
        1 => (0u8..3).prop_map(Write::Attributes),
        1 => (0u8..3).prop_map(Write::ClusterVersion),
        2 => (0u8..3, user_write()).prop_map(|(name, write)| Write::User(name, write)),
        2 => (0u8..3, role_write()).prop_map(|(name, write)| Write::Role(name, write)),
        4 => (0i64..6).prop_map(Write::Compact),
    ]
}

fn user_write() -> impl Strategy<Value = UserWrite> {
    prop_oneof![
        3 => Just(UserWrite::Add),
        1 => Just(UserWrite::AddWithoutPassword),
        1 => Just(UserWrite::Delete),
        1 => Just(UserWrite::ChangePassword),
        2 => (0u8..3).prop_map(UserWrite::Grant),
        1 => (0u8..3).prop_map(UserWrite::Revoke),
    ]
}

fn role_write() -> impl Strategy<Value = RoleWrite> {
    prop_oneof![
        3 => Just(RoleWrite::Add),
        1 => Just(RoleWrite::Delete),
        3 => (0u8..3, 0i32..4).prop_map(|(range, kind)| RoleWrite::Grant(range, kind)),
        1 => (0u8..3).prop_map(RoleWrite::Revoke),
    ]
}

fn key(n: u8) -> Vec<u8> {
    format!("key/{n}").into()
}

fn put(k: u8, value: u8, lease: i64) -> PutRequest {
    // Some are empty.
    let value = if value < 32 { String::new() } else { format!("value {value}") };
    PutRequest { key: key(k).into(), value: value.into(), lease, ..PutRequest::default() }
}

fn delete(from: u8, to: Option<u8>) -> DeleteRangeRequest {
    let range_end = to.map(key).unwrap_or_default().into();
    DeleteRangeRequest { key: key(from).into(), range_end, ..DeleteRangeRequest::default() }
}

impl Write {
    /// The entry that it is in this state.
    pub(crate) fn entry(&self, root: &Root) -> InternalRaftRequest {
        let mut entry = InternalRaftRequest::default();
        match self {
            Write::Put { key, value, lease } => entry.put = Some(put(*key, *value, *lease)),
            Write::Delete { from, to } => entry.delete_range = Some(delete(*from, Some(*to))),
            Write::Txn(ops) => {
                let ops = ops.iter().map(|(key, value)| match value {
                    Some(value) => Request::RequestPut(put(*key, *value, 0)),
                    None => Request::RequestDeleteRange(delete(*key, None)),
                });
                let success = ops.map(|op| RequestOp { request: Some(op) }).collect();
                entry.txn = Some(TxnRequest { success, ..TxnRequest::default() });
            }
            Write::Grant(id) => entry.lease_grant = Some(LeaseGrantRequest { id: *id, ttl: 5 }),
            Write::Checkpoint(id, left) => {
                let checkpoint = LeaseCheckpoint { id: *id, remaining_ttl: *left };
                let checkpoints = vec![checkpoint];
                entry.lease_checkpoint = Some(LeaseCheckpointRequest { checkpoints });
            }
            Write::Revoke(id) => entry.lease_revoke = Some(LeaseRevokeRequest { id: *id }),
            Write::Alarm(raise, member_id, alarm) => {
                let action =
                    if *raise { AlarmAction::Activate } else { AlarmAction::Deactivate }.into();
                let (member_id, alarm) = (*member_id, *alarm);
                entry.alarm = Some(AlarmRequest { action, member_id, alarm });
            }
            Write::Attributes(n) => {
                let attributes = Attributes {
                    name: format!("member {n}"),
                    client_urls: vec![String::new(); usize::from(*n)],
                    incarnation: u64::from(*n),
                };
                entry.cluster_member_attr_set = Some(ClusterMemberAttrSetRequest {
                    member_id: 1,
                    member_attributes: (*n > 0).then_some(attributes),
                });
            }
            Write::ClusterVersion(n) => {
                let ver = format!("3.{n}.0");
                entry.cluster_version_set = Some(ClusterVersionSetRequest { ver });
            }
            Write::User(name, write) => write.fill(format!("user {name}"), &mut entry),
            Write::Role(name, write) => write.fill(format!("role {name}"), &mut entry),
            Write::Compact(behind) => {
                let revision = root.revision() - behind;
                entry.compaction = Some(CompactionRequest { revision, physical: false });
            }
        }
        entry
    }
}

impl UserWrite {
    fn fill(self, name: String, entry: &mut InternalRaftRequest) {
        let role = |n| format!("role {n}");
        let hashed_password = "aGFzaA==".to_owned();
        match self {
            UserWrite::Add => {
                let add = AuthUserAddRequest { name, hashed_password, ..Default::default() };
                entry.auth_user_add = Some(add);
            }
            UserWrite::AddWithoutPassword => {
                let options = Some(UserAddOptions { no_password: true });
                let add = AuthUserAddRequest { name, options, ..Default::default() };
                entry.auth_user_add = Some(add);
            }
            UserWrite::Delete => entry.auth_user_delete = Some(AuthUserDeleteRequest { name }),
            UserWrite::ChangePassword => {
                let hashed_password = "aGFzaDI=".into();
                let change =
                    AuthUserChangePasswordRequest { name, hashed_password, ..Default::default() };
                entry.auth_user_change_password = Some(change);
            }
            UserWrite::Grant(n) => {
                let grant = AuthUserGrantRoleRequest { user: name, role: role(n) };
                entry.auth_user_grant_role = Some(grant);
            }
            UserWrite::Revoke(n) => {
                let revoke = AuthUserRevokeRoleRequest { name, role: role(n) };
                entry.auth_user_revoke_role = Some(revoke);
            }
        }
    }
}

impl RoleWrite {
    fn fill(self, name: String, entry: &mut InternalRaftRequest) {
        let range = |n: u8| (Bytes::from(key(n)), Bytes::from(key(2 * n)));
        match self {
            RoleWrite::Add => entry.auth_role_add = Some(AuthRoleAddRequest { name }),
            RoleWrite::Delete => {
                entry.auth_role_delete = Some(AuthRoleDeleteRequest { role: name });
            }
            RoleWrite::Grant(n, perm_type) => {
                let (key, range_end) = range(n);
                let perm = Some(Permission { perm_type, key, range_end });
                let grant = AuthRoleGrantPermissionRequest { name, perm };
                entry.auth_role_grant_permission = Some(grant);
            }
            RoleWrite::Revoke(n) => {
                let (key, range_end) = range(n);
                let revoke = AuthRoleRevokePermissionRequest { role: name, key, range_end };
                entry.auth_role_revoke_permission = Some(revoke);
            }
        }
    }
}

/// What differs between members that apply the same entries.
#[derive(Clone, Debug)]
pub(crate) enum Local {
    Sweep(usize),
    /// How far behind the current revision.
    Durable(i64),
    Restart,
    /// A sweep of which this many changes reached the disk.
    CrashInSweep(usize, usize),
    Hold,
    LetGo,
}

pub(crate) fn local() -> impl Strategy<Value = Local> {
    prop_oneof![
        4 => (1usize..6).prop_map(Local::Sweep),
        2 => (0i64..4).prop_map(Local::Durable),
        1 => Just(Local::Restart),
        2 => (1usize..9, 0usize..5).prop_map(|(budget, kept)| Local::CrashInSweep(budget, kept)),
        1 => Just(Local::Hold),
        1 => Just(Local::LetGo),
    ]
}

impl Local {
    pub(crate) fn perform(&self, machine: &mut Machine, held: &mut Vec<Root>) {
        match self {
            Local::Sweep(budget) => {
                machine.sweep(*budget);
            }
            Local::Durable(behind) => {
                let upto = machine.store.root().revision() - behind;
                machine.store.durable(upto);
            }
            Local::Restart => {
                held.clear();
                machine.restart();
            }
            Local::CrashInSweep(budget, kept) => {
                held.clear();
                machine.crash_in_sweep(*budget, *kept);
            }
            Local::Hold => held.push(machine.store.root()),
            Local::LetGo => held.truncate(held.len().saturating_sub(1)),
        }
    }
}
