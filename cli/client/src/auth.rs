//! The operations of the Auth service.

use etcd_client::{Permission, PermissionType, RoleRevokePermissionOptions, UserAddOptions};
use kvorum_proto::etcdserverpb::AuthStatusRequest;

use crate::connection::{Connection, Effect};
use crate::failure::Failure;
use crate::pb;
use crate::range::KeyRange;

/// What a role may do with a range of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    ReadWrite,
}

impl Access {
    fn into_wire(self) -> PermissionType {
        match self {
            Self::Read => PermissionType::Read,
            Self::Write => PermissionType::Write,
            Self::ReadWrite => PermissionType::Readwrite,
        }
    }
}

impl Connection {
    /// From now on every request needs a user. There must be a user `root` with the role `root`.
    pub async fn auth_enable(&self) -> Result<pb::AuthEnableResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            Ok(client.auth_client().auth_enable().await?.0)
        })
        .await
    }

    pub async fn auth_disable(&self) -> Result<pb::AuthDisableResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            Ok(client.auth_client().auth_disable().await?.0)
        })
        .await
    }

    /// Whether requests need a user. Servers before 3.5 cannot say.
    pub async fn auth_status(&self) -> Result<pb::AuthStatusResponse, Failure> {
        self.unary(Effect::Reads, "/etcdserverpb.Auth/AuthStatus", AuthStatusRequest {}).await
    }

    /// Without a password, the user is known by a certificate only.
    pub async fn user_add(
        &self,
        name: &str,
        password: Option<&str>,
    ) -> Result<pb::UserAddResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            let options = UserAddOptions::new();
            let options = if password.is_none() { options.with_no_pwd() } else { options };
            let password = password.unwrap_or_default();
            Ok(client.auth_client().user_add(name, password, Some(options)).await?.0)
        })
        .await
    }

    pub async fn user_delete(&self, name: &str) -> Result<pb::UserDeleteResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            Ok(client.auth_client().user_delete(name).await?.0)
        })
        .await
    }

    pub async fn user_get(&self, name: &str) -> Result<pb::UserGetResponse, Failure> {
        self.call(Effect::Reads, |client| async move {
            Ok(client.auth_client().user_get(name).await?.0)
        })
        .await
    }

    pub async fn users(&self) -> Result<pb::UserListResponse, Failure> {
        self.call(
            Effect::Reads,
            |client| async move { Ok(client.auth_client().user_list().await?.0) },
        )
        .await
    }

    pub async fn user_change_password(
        &self,
        name: &str,
        password: &str,
    ) -> Result<pb::UserChangePasswordResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            Ok(client.auth_client().user_change_password(name, password).await?.0)
        })
        .await
    }

    pub async fn user_grant_role(
        &self,
        user: &str,
        role: &str,
    ) -> Result<pb::UserGrantRoleResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            Ok(client.auth_client().user_grant_role(user, role).await?.0)
        })
        .await
    }

    pub async fn user_revoke_role(
        &self,
        user: &str,
        role: &str,
    ) -> Result<pb::UserRevokeRoleResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            Ok(client.auth_client().user_revoke_role(user, role).await?.0)
        })
        .await
    }

    pub async fn role_add(&self, name: &str) -> Result<pb::RoleAddResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            Ok(client.auth_client().role_add(name).await?.0)
        })
        .await
    }

    pub async fn role_delete(&self, name: &str) -> Result<pb::RoleDeleteResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            Ok(client.auth_client().role_delete(name).await?.0)
        })
        .await
    }

    pub async fn role_get(&self, name: &str) -> Result<pb::RoleGetResponse, Failure> {
        self.call(Effect::Reads, |client| async move {
            Ok(client.auth_client().role_get(name).await?.0)
        })
        .await
    }

    pub async fn roles(&self) -> Result<pb::RoleListResponse, Failure> {
        self.call(
            Effect::Reads,
            |client| async move { Ok(client.auth_client().role_list().await?.0) },
        )
        .await
    }

    pub async fn role_grant_permission(
        &self,
        role: &str,
        access: Access,
        range: &KeyRange,
    ) -> Result<pb::RoleGrantPermissionResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            let permission = Permission::new(access.into_wire(), range.key.clone());
            let permission = permission.with_range_end(range.end.clone());
            Ok(client.auth_client().role_grant_permission(role, permission).await?.0)
        })
        .await
    }

    pub async fn role_revoke_permission(
        &self,
        role: &str,
        range: &KeyRange,
    ) -> Result<pb::RoleRevokePermissionResponse, Failure> {
        self.call(Effect::Writes, |client| async move {
            let options = RoleRevokePermissionOptions::new().with_range_end(range.end.clone());
            let key = range.key.clone();
            Ok(client.auth_client().role_revoke_permission(role, key, Some(options)).await?.0)
        })
        .await
    }
}
