//! What each kind of log entry does; one operation a file.

mod alarm;
mod auth;
mod compaction;
mod delete;
mod foreign;
mod gate;
mod lease;
mod member;
mod put;
mod role;
mod txn;
mod user;
mod write;

use kvorum_proto::etcdserverpb::{
    AlarmRequest, AuthRoleAddRequest, AuthRoleDeleteRequest, AuthRoleGrantPermissionRequest,
    AuthRoleRevokePermissionRequest, AuthUserAddRequest, AuthUserChangePasswordRequest,
    AuthUserDeleteRequest, AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest, CompactionRequest,
    DeleteRangeRequest, InternalAuthenticateRequest, InternalRaftRequest, LeaseCheckpointRequest,
    LeaseExpireRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, TxnRequest,
};
use kvorum_proto::membershippb::{ClusterMemberAttrSetRequest, ClusterVersionSetRequest};

use super::{Change, Reply, Store};
use crate::auth::{AuthError, Principal};
use crate::error::StoreError;

pub(super) use auth::tokens;

/// Whose log an entry stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Own,
    Etcd,
}

/// What an entry asks for.
enum Operation<'a> {
    /// A read in the log, as etcd makes them of users and roles; nobody waits for its answer.
    Read,
    Put(&'a PutRequest),
    Delete(&'a DeleteRangeRequest),
    Txn(&'a TxnRequest),
    Compact(&'a CompactionRequest),
    GrantLease(&'a LeaseGrantRequest),
    RevokeLease(&'a LeaseRevokeRequest),
    CheckpointLeases(&'a LeaseCheckpointRequest),
    ExpireLeases(&'a LeaseExpireRequest),
    Alarm(&'a AlarmRequest),
    SetMemberAttributes(&'a ClusterMemberAttrSetRequest),
    SetClusterVersion(&'a ClusterVersionSetRequest),
    EnableAuth,
    DisableAuth,
    Authenticate(&'a InternalAuthenticateRequest),
    User(UserOperation<'a>),
    Role(RoleOperation<'a>),
}

enum UserOperation<'a> {
    Add(&'a AuthUserAddRequest),
    Delete(&'a AuthUserDeleteRequest),
    ChangePassword(&'a AuthUserChangePasswordRequest),
    GrantRole(&'a AuthUserGrantRoleRequest),
    RevokeRole(&'a AuthUserRevokeRoleRequest),
}

enum RoleOperation<'a> {
    Add(&'a AuthRoleAddRequest),
    Delete(&'a AuthRoleDeleteRequest),
    GrantPermission(&'a AuthRoleGrantPermissionRequest),
    RevokePermission(&'a AuthRoleRevokePermissionRequest),
}

impl<'a> Operation<'a> {
    /// `None` for a kind that is unknown here.
    fn of(entry: &'a InternalRaftRequest) -> Option<Self> {
        use Operation as O;
        (entry.cluster_version_set.as_ref().map(O::SetClusterVersion))
            .or_else(|| entry.cluster_member_attr_set.as_ref().map(O::SetMemberAttributes))
            .or_else(|| entry.put.as_ref().map(O::Put))
            .or_else(|| entry.delete_range.as_ref().map(O::Delete))
            .or_else(|| entry.txn.as_ref().map(O::Txn))
            .or_else(|| entry.compaction.as_ref().map(O::Compact))
            .or_else(|| entry.lease_grant.as_ref().map(O::GrantLease))
            .or_else(|| entry.lease_revoke.as_ref().map(O::RevokeLease))
            .or_else(|| entry.lease_checkpoint.as_ref().map(O::CheckpointLeases))
            .or_else(|| entry.lease_expire.as_ref().map(O::ExpireLeases))
            .or_else(|| entry.alarm.as_ref().map(O::Alarm))
            .or_else(|| entry.auth_enable.map(|_| O::EnableAuth))
            .or_else(|| entry.auth_disable.map(|_| O::DisableAuth))
            .or_else(|| entry.authenticate.as_ref().map(O::Authenticate))
            .or_else(|| UserOperation::of(entry).map(O::User))
            .or_else(|| RoleOperation::of(entry).map(O::Role))
            .or_else(|| reads(entry).then_some(O::Read))
    }
}

impl<'a> UserOperation<'a> {
    fn of(entry: &'a InternalRaftRequest) -> Option<Self> {
        use UserOperation as O;
        (entry.auth_user_add.as_ref().map(O::Add))
            .or_else(|| entry.auth_user_delete.as_ref().map(O::Delete))
            .or_else(|| entry.auth_user_change_password.as_ref().map(O::ChangePassword))
            .or_else(|| entry.auth_user_grant_role.as_ref().map(O::GrantRole))
            .or_else(|| entry.auth_user_revoke_role.as_ref().map(O::RevokeRole))
    }
}

impl<'a> RoleOperation<'a> {
    fn of(entry: &'a InternalRaftRequest) -> Option<Self> {
        use RoleOperation as O;
        (entry.auth_role_add.as_ref().map(O::Add))
            .or_else(|| entry.auth_role_delete.as_ref().map(O::Delete))
            .or_else(|| entry.auth_role_grant_permission.as_ref().map(O::GrantPermission))
            .or_else(|| entry.auth_role_revoke_permission.as_ref().map(O::RevokePermission))
    }
}

fn reads(entry: &InternalRaftRequest) -> bool {
    entry.range.is_some()
        || entry.auth_status.is_some()
        || entry.auth_user_get.is_some()
        || entry.auth_user_list.is_some()
        || entry.auth_role_get.is_some()
        || entry.auth_role_list.is_some()
}

impl Store {
    /// Whether an entry is of a kind that [`Store::apply`] knows.
    pub fn knows(entry: &InternalRaftRequest) -> bool {
        Operation::of(entry).is_some()
    }

    pub(super) fn perform(
        &mut self,
        term: u64,
        entry: &InternalRaftRequest,
        origin: Origin,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, StoreError> {
        let operation = Operation::of(entry).ok_or(StoreError::UnknownEntry)?;
        let principal = Principal::of(entry.header.as_ref());
        match origin {
            Origin::Own => gate::admit(&self.root, &principal, &operation)?,
            Origin::Etcd => foreign::admit(&self.root, &principal, &operation)?,
        }
        match operation {
            Operation::Read => Ok(Reply::Done),
            Operation::Put(request) => self.put(request, changes),
            Operation::Delete(request) => Ok(self.delete(request, changes)),
            Operation::Txn(request) => self.txn(request, changes),
            Operation::Compact(request) => self.compact(request, changes),
            Operation::GrantLease(request) => self.grant_lease(request, changes),
            Operation::RevokeLease(request) => self.revoke_lease(request.id, changes),
            Operation::CheckpointLeases(request) => Ok(self.checkpoint_leases(request, changes)),
            Operation::ExpireLeases(request) => Ok(self.expire_leases(term, request, changes)),
            Operation::Alarm(request) => Ok(self.alarm(request, changes)),
            Operation::SetMemberAttributes(request) => {
                Ok(self.set_member_attributes(request, changes))
            }
            Operation::SetClusterVersion(request) => Ok(self.set_cluster_version(request, changes)),
            Operation::EnableAuth => Ok(self.enable_auth(changes)?),
            Operation::DisableAuth => Ok(self.disable_auth(changes)),
            Operation::Authenticate(request) => Ok(self.authenticate(&principal, request)?),
            Operation::User(operation) => Ok(self.manage_user(&operation, changes)?),
            Operation::Role(operation) => Ok(self.manage_role(&operation, changes)?),
        }
    }

    fn manage_user(
        &mut self,
        operation: &UserOperation,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, AuthError> {
        match operation {
            UserOperation::Add(request) => self.add_user(request, changes),
            UserOperation::Delete(request) => self.delete_user(request, changes),
            UserOperation::ChangePassword(request) => self.change_password(request, changes),
            UserOperation::GrantRole(request) => self.grant_role(request, changes),
            UserOperation::RevokeRole(request) => self.revoke_role(request, changes),
        }
    }

    fn manage_role(
        &mut self,
        operation: &RoleOperation,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, AuthError> {
        match operation {
            RoleOperation::Add(request) => self.add_role(request, changes),
            RoleOperation::Delete(request) => self.delete_role(request, changes),
            RoleOperation::GrantPermission(request) => self.grant_permission(request, changes),
            RoleOperation::RevokePermission(request) => self.revoke_permission(request, changes),
        }
    }
}
