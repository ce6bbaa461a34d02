//! Roles: added, deleted, permissions granted to them and revoked.

use bytes::Bytes;
use kvorum_proto::authpb::{Permission, Role};
use kvorum_proto::etcdserverpb::{
    AuthRoleAddRequest, AuthRoleDeleteRequest, AuthRoleGrantPermissionRequest,
    AuthRoleRevokePermissionRequest,
};

use super::auth::AuthWrite;
use crate::auth::{AuthError, ROOT_ROLE};
use crate::store::{Change, Reply, Store};

impl Store {
    pub(super) fn add_role(
        &mut self,
        request: &AuthRoleAddRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, AuthError> {
        if request.name.is_empty() {
            return Err(AuthError::RoleEmpty);
        }
        if self.root.auth.role(&request.name).is_ok() {
            return Err(AuthError::RoleExists);
        }
        let name = Bytes::copy_from_slice(request.name.as_bytes());
        let mut write = AuthWrite::new(&mut self.root, changes);
        write.put_role(Role { name, key_permission: Vec::new() });
        Ok(write.finish())
    }

    /// It is taken from every user who has it.
    pub(super) fn delete_role(
        &mut self,
        request: &AuthRoleDeleteRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, AuthError> {
        let auth = &self.root.auth;
        if auth.is_enabled() && request.role == ROOT_ROLE {
            return Err(AuthError::InvalidManagement);
        }
        auth.role(&request.role)?;
        let having = auth.users().filter(|user| user.roles.contains(&request.role));
        let having: Vec<_> = having.cloned().collect();
        let mut write = AuthWrite::new(&mut self.root, changes);
        write.remove_role(&request.role);
        for mut user in having {
            user.roles.retain(|granted| *granted != request.role);
            write.put_user(user);
        }
        Ok(write.finish())
    }

    /// A permission over the same range is replaced, wherever it stands among those that begin
    /// at the same key. etcd looks at the first of them only, and so may keep both.
    pub(super) fn grant_permission(
        &mut self,
        request: &AuthRoleGrantPermissionRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, AuthError> {
        let granted = request.perm.as_ref().ok_or(AuthError::PermissionNotGiven)?;
        if !is_valid(granted) {
            return Err(AuthError::InvalidManagement);
        }
        let mut role = self.root.auth.role(&request.name)?.clone();
        let same = |permission: &&mut Permission| {
            permission.key == granted.key && permission.range_end == granted.range_end
        };
        let permissions = &mut role.key_permission;
        if let Some(permission) = permissions.iter_mut().find(same) {
            permission.perm_type = granted.perm_type;
        } else {
            let place = permissions.partition_point(|permission| permission.key <= granted.key);
            // A copy: a slice would keep the whole log entry alive that it came in.
            let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
            let permission = Permission {
                perm_type: granted.perm_type,
                key: copy(&granted.key),
                range_end: copy(&granted.range_end),
            };
            permissions.insert(place, permission);
        }
        let mut write = AuthWrite::new(&mut self.root, changes);
        write.put_role(role);
        Ok(write.finish())
    }

    pub(super) fn revoke_permission(
        &mut self,
        request: &AuthRoleRevokePermissionRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, AuthError> {
        let mut role = self.root.auth.role(&request.role)?.clone();
        let before = role.key_permission.len();
        role.key_permission.retain(|permission| {
            permission.key != request.key || permission.range_end != request.range_end
        });
        if role.key_permission.len() == before {
            return Err(AuthError::PermissionNotGranted);
        }
        let mut write = AuthWrite::new(&mut self.root, changes);
        write.put_role(role);
        Ok(write.finish())
    }
}

/// A permission must be over some key at least.
fn is_valid(permission: &Permission) -> bool {
    let Permission { key, range_end, .. } = permission;
    !key.is_empty() && (range_end.is_empty() || key < range_end || **range_end == [0])
}
