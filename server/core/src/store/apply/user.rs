//! Users: added, deleted, their passwords and roles changed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use kvorum_proto::authpb::{User, UserAddOptions};
use kvorum_proto::etcdserverpb::{
    AuthUserAddRequest, AuthUserChangePasswordRequest, AuthUserDeleteRequest,
    AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest,
};

use super::auth::AuthWrite;
use crate::auth::{AuthError, ROOT_ROLE, ROOT_USER};
use crate::store::{Change, Reply, Store};

impl Store {
    /// The password has been hashed at the edge.
    pub(super) fn add_user(
        &mut self,
        request: &AuthUserAddRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, AuthError> {
        if request.name.is_empty() {
            return Err(AuthError::UserEmpty);
        }
        if self.root.auth.user(&request.name).is_ok() {
            return Err(AuthError::UserExists);
        }
        let options = request.options.unwrap_or(UserAddOptions { no_password: false });
        let password = password(options, &request.hashed_password)?;
        let name = Bytes::copy_from_slice(request.name.as_bytes());
        let mut write = AuthWrite::new(&mut self.root, changes);
        write.put_user(User { name, password, roles: Vec::new(), options: Some(options) });
        Ok(write.finish())
    }

    /// Nobody could disable auth without the user root.
    pub(super) fn delete_user(
        &mut self,
        request: &AuthUserDeleteRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, AuthError> {
        if self.root.auth.is_enabled() && request.name == ROOT_USER {
            return Err(AuthError::InvalidManagement);
        }
        self.root.auth.user(&request.name)?;
        let mut write = AuthWrite::new(&mut self.root, changes);
        write.remove_user(&request.name);
        Ok(write.finish())
    }

    /// A user without a password stays without.
    pub(super) fn change_password(
        &mut self,
        request: &AuthUserChangePasswordRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, AuthError> {
        let user = self.root.auth.user(&request.name)?.clone();
        let options = user.options.unwrap_or_default();
        let password = password(options, &request.hashed_password)?;
        let mut write = AuthWrite::new(&mut self.root, changes);
        write.put_user(User { password, ..user });
        Ok(write.finish())
    }

    /// A role that the user has already is no change.
    pub(super) fn grant_role(
        &mut self,
        request: &AuthUserGrantRoleRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, AuthError> {
        let auth = &self.root.auth;
        let mut user = auth.user(&request.user)?.clone();
        if request.role != ROOT_ROLE {
            auth.role(&request.role)?;
        }
        let Err(place) = user.roles.binary_search(&request.role) else { return Ok(Reply::Done) };
        user.roles.insert(place, request.role.clone());
        let mut write = AuthWrite::new(&mut self.root, changes);
        write.put_user(user);
        Ok(write.finish())
    }

    pub(super) fn revoke_role(
        &mut self,
        request: &AuthUserRevokeRoleRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, AuthError> {
        let AuthUserRevokeRoleRequest { name, role } = request;
        let auth = &self.root.auth;
        if auth.is_enabled() && name == ROOT_USER && role == ROOT_ROLE {
            return Err(AuthError::InvalidManagement);
        }
        let mut user = auth.user(name)?.clone();
        let before = user.roles.len();
        user.roles.retain(|granted| granted != role);
        if user.roles.len() == before {
            return Err(AuthError::RoleNotGranted);
        }
        let mut write = AuthWrite::new(&mut self.root, changes);
        write.put_user(user);
        Ok(write.finish())
    }
}

/// The hash as it is stored; none for a user who has no password.
fn password(options: UserAddOptions, hashed_base64: &str) -> Result<Bytes, AuthError> {
    if options.no_password {
        return Ok(Bytes::new());
    }
    let hash = BASE64_STANDARD.decode(hashed_base64).map_err(|_| AuthError::NoPasswordUser)?;
    Ok(hash.into())
}
