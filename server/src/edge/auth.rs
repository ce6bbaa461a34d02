//! Users, roles, and proving who one is.
//!
//! What changes users and roles goes through the log with who asks in its header. A password is
//! hashed here, so that the log and the store never see it, and a token enters the log by its
//! digest only.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use kvorum_core::auth::{Access, AuthError, Principal, ROOT_ROLE};
use kvorum_core::error::StoreError;
use kvorum_core::node::Refusal;
use kvorum_core::store::Root;
use kvorum_proto::authpb::permission::Type;
use kvorum_proto::authpb::{Permission, User, UserAddOptions};
use kvorum_proto::etcdserverpb::{
    AuthDisableRequest, AuthDisableResponse, AuthEnableRequest, AuthEnableResponse,
    AuthRoleAddRequest, AuthRoleAddResponse, AuthRoleDeleteRequest, AuthRoleDeleteResponse,
    AuthRoleGetRequest, AuthRoleGetResponse, AuthRoleGrantPermissionRequest,
    AuthRoleGrantPermissionResponse, AuthRoleListRequest, AuthRoleListResponse,
    AuthRoleRevokePermissionRequest, AuthRoleRevokePermissionResponse, AuthStatusRequest,
    AuthStatusResponse, AuthUserAddRequest, AuthUserAddResponse, AuthUserChangePasswordRequest,
    AuthUserChangePasswordResponse, AuthUserDeleteRequest, AuthUserDeleteResponse,
    AuthUserGetRequest, AuthUserGetResponse, AuthUserGrantRoleRequest, AuthUserGrantRoleResponse,
    AuthUserListRequest, AuthUserListResponse, AuthUserRevokeRoleRequest,
    AuthUserRevokeRoleResponse, AuthenticateRequest, AuthenticateResponse,
    InternalAuthenticateRequest, InternalRaftRequest, ResponseHeader, auth_server,
};
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status};

use super::principal::Caller;
use super::status::{of_auth, of_refusal, of_request};
use crate::auth::{Origin, PasswordError, Secret, TokenError};
use crate::limits::LOGGED_NAME_CHARS;
use crate::runtime::{Handle, RequestError};

pub(super) struct Auth(pub(super) Handle);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl auth_server::Auth for Auth {
    async fn auth_enable(&self, asked: Request<AuthEnableRequest>) -> Answer<AuthEnableResponse> {
        let header = self.change(asked, |entry, it| entry.auth_enable = Some(it)).await?;
        Ok(Response::new(AuthEnableResponse { header }))
    }

    async fn auth_disable(
        &self,
        asked: Request<AuthDisableRequest>,
    ) -> Answer<AuthDisableResponse> {
        let header = self.change(asked, |entry, it| entry.auth_disable = Some(it)).await?;
        Ok(Response::new(AuthDisableResponse { header }))
    }

    async fn auth_status(&self, asked: Request<AuthStatusRequest>) -> Answer<AuthStatusResponse> {
        let root = self.read(&Caller::of(&self.0, &asked), Access::Admin).await?;
        let (enabled, auth_revision) = (root.auth().is_enabled(), root.auth().revision());
        let header = self.header(&root);
        Ok(Response::new(AuthStatusResponse { header, enabled, auth_revision }))
    }

    async fn authenticate(
        &self,
        asked: Request<AuthenticateRequest>,
    ) -> Answer<AuthenticateResponse> {
        // None by the gateway, which says nothing of its client's connection.
        let origin = asked.extensions().get::<Origin>().copied().unwrap_or_default();
        let AuthenticateRequest { name, password } = asked.into_inner();
        let password = Secret::new(password);
        let proving = self.prove(origin, &name, &password);
        let (header, token) = self.in_time(proving).await?;
        let (header, token) = (Some(header), token.expose().to_owned());
        Ok(Response::new(AuthenticateResponse { header, token }))
    }

    /// As in etcd, whatever the client says of a hash, it is the password that counts.
    async fn user_add(&self, asked: Request<AuthUserAddRequest>) -> Answer<AuthUserAddResponse> {
        let (caller, request) = Caller::split(&self.0, asked);
        let AuthUserAddRequest { name, password, options, .. } = request;
        let hashed_password = match options {
            Some(UserAddOptions { no_password: true }) => String::new(),
            Some(_) | None => self.hash(&caller, password).await?,
        };
        let add = AuthUserAddRequest { name, password: String::new(), options, hashed_password };
        let entry = InternalRaftRequest { auth_user_add: Some(add), ..Default::default() };
        let header = Some(self.0.header(caller.write(entry).await?.revision));
        Ok(Response::new(AuthUserAddResponse { header }))
    }

    async fn user_get(&self, asked: Request<AuthUserGetRequest>) -> Answer<AuthUserGetResponse> {
        let (caller, AuthUserGetRequest { name }) = Caller::split(&self.0, asked);
        let root = self.read(&caller, Access::ReadUser(&name)).await?;
        let roles = root.auth().user(&name).map_err(of_auth)?.roles.clone();
        Ok(Response::new(AuthUserGetResponse { header: self.header(&root), roles }))
    }

    async fn user_list(&self, asked: Request<AuthUserListRequest>) -> Answer<AuthUserListResponse> {
        let root = self.read(&Caller::of(&self.0, &asked), Access::Admin).await?;
        let users = root.auth().users().map(|user| text(&user.name)).collect();
        Ok(Response::new(AuthUserListResponse { header: self.header(&root), users }))
    }

    async fn user_delete(
        &self,
        asked: Request<AuthUserDeleteRequest>,
    ) -> Answer<AuthUserDeleteResponse> {
        let header = self.change(asked, |entry, it| entry.auth_user_delete = Some(it)).await?;
        Ok(Response::new(AuthUserDeleteResponse { header }))
    }

    async fn user_change_password(
        &self,
        asked: Request<AuthUserChangePasswordRequest>,
    ) -> Answer<AuthUserChangePasswordResponse> {
        let (caller, request) = Caller::split(&self.0, asked);
        let AuthUserChangePasswordRequest { name, password, hashed_password } = request;
        // As in etcd, a hash counts if there is no password.
        let hashed_password = if password.is_empty() {
            hashed_password
        } else {
            self.hash(&caller, password).await?
        };
        let password = String::new();
        let change = AuthUserChangePasswordRequest { name, password, hashed_password };
        let entry =
            InternalRaftRequest { auth_user_change_password: Some(change), ..Default::default() };
        let header = Some(self.0.header(caller.write(entry).await?.revision));
        Ok(Response::new(AuthUserChangePasswordResponse { header }))
    }

    async fn user_grant_role(
        &self,
        asked: Request<AuthUserGrantRoleRequest>,
    ) -> Answer<AuthUserGrantRoleResponse> {
        let header = self.change(asked, |entry, it| entry.auth_user_grant_role = Some(it)).await?;
        Ok(Response::new(AuthUserGrantRoleResponse { header }))
    }

    async fn user_revoke_role(
        &self,
        asked: Request<AuthUserRevokeRoleRequest>,
    ) -> Answer<AuthUserRevokeRoleResponse> {
        let header = self.change(asked, |entry, it| entry.auth_user_revoke_role = Some(it)).await?;
        Ok(Response::new(AuthUserRevokeRoleResponse { header }))
    }

    async fn role_add(&self, asked: Request<AuthRoleAddRequest>) -> Answer<AuthRoleAddResponse> {
        let header = self.change(asked, |entry, it| entry.auth_role_add = Some(it)).await?;
        Ok(Response::new(AuthRoleAddResponse { header }))
    }

    async fn role_get(&self, asked: Request<AuthRoleGetRequest>) -> Answer<AuthRoleGetResponse> {
        let (caller, AuthRoleGetRequest { role }) = Caller::split(&self.0, asked);
        let root = self.read(&caller, Access::ReadRole(&role)).await?;
        let known = root.auth().role(&role).map_err(of_auth)?;
        let perm =
            if role == ROOT_ROLE { vec![everything()] } else { known.key_permission.clone() };
        Ok(Response::new(AuthRoleGetResponse { header: self.header(&root), perm }))
    }

    async fn role_list(&self, asked: Request<AuthRoleListRequest>) -> Answer<AuthRoleListResponse> {
        let root = self.read(&Caller::of(&self.0, &asked), Access::Admin).await?;
        let roles = root.auth().roles().map(|role| text(&role.name)).collect();
        Ok(Response::new(AuthRoleListResponse { header: self.header(&root), roles }))
    }

    async fn role_delete(
        &self,
        asked: Request<AuthRoleDeleteRequest>,
    ) -> Answer<AuthRoleDeleteResponse> {
        let header = self.change(asked, |entry, it| entry.auth_role_delete = Some(it)).await?;
        Ok(Response::new(AuthRoleDeleteResponse { header }))
    }

    async fn role_grant_permission(
        &self,
        asked: Request<AuthRoleGrantPermissionRequest>,
    ) -> Answer<AuthRoleGrantPermissionResponse> {
        let fill = |entry: &mut InternalRaftRequest, it| {
            entry.auth_role_grant_permission = Some(it);
        };
        let header = self.change(asked, fill).await?;
        Ok(Response::new(AuthRoleGrantPermissionResponse { header }))
    }

    async fn role_revoke_permission(
        &self,
        asked: Request<AuthRoleRevokePermissionRequest>,
    ) -> Answer<AuthRoleRevokePermissionResponse> {
        let fill = |entry: &mut InternalRaftRequest, it| {
            entry.auth_role_revoke_permission = Some(it);
        };
        let header = self.change(asked, fill).await?;
        Ok(Response::new(AuthRoleRevokePermissionResponse { header }))
    }
}

impl Auth {
    /// Takes a request through the log as it is.
    async fn change<T>(
        &self,
        asked: Request<T>,
        fill: impl FnOnce(&mut InternalRaftRequest, T) + Send,
    ) -> Result<Option<ResponseHeader>, Status> {
        let (caller, request) = Caller::split(&self.0, asked);
        let mut entry = InternalRaftRequest::default();
        fill(&mut entry, request);
        let outcome = caller.write(entry).await?;
        Ok(Some(self.0.header(outcome.revision)))
    }

    /// The newest state, if the caller may read that of it.
    async fn read(&self, caller: &Caller, access: Access<'_>) -> Result<Arc<Root>, Status> {
        self.0.read_barrier().await.map_err(of_request)?;
        let mut root = self.0.root();
        caller.authorise(&mut root, access).await?;
        Ok(root)
    }

    #[allow(clippy::unnecessary_wraps, reason = "what a message has")]
    fn header(&self, root: &Root) -> Option<ResponseHeader> {
        Some(self.0.header(root.revision()))
    }

    /// As it is written into the log. Hashing is work, so it is only done for who may want it; that
    /// it may be written is decided where it is applied.
    async fn hash(&self, caller: &Caller, password: String) -> Result<String, Status> {
        if caller.authorise(&mut self.0.root(), Access::Admin).await.is_err() {
            self.read(caller, Access::Admin).await?;
        }
        let hashing = self.0.passwords.hash(Secret::new(password));
        let hash = self.in_time(async { hashing.await.map_err(|error| of_password(&error)) });
        Ok(BASE64_STANDARD.encode(hash.await?))
    }

    /// Waits for its turn no longer than any other request.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let done = timeout(self.0.limits.request_timeout, work).await;
        done.unwrap_or_else(|_| Err(of_refusal(Refusal::Timeout)))
    }

    /// What a password is to be compared with, and the auth revision at which that is so. A state is
    /// not held for longer: who logs in may have to wait.
    fn account(&self, name: &str) -> Result<(Option<Bytes>, u64), Status> {
        let root = self.0.root();
        let auth = root.auth();
        if !auth.is_enabled() {
            return Err(of_auth(AuthError::NotEnabled));
        }
        let user = auth.user(name).ok();
        if user.is_some_and(has_no_password) {
            return Err(of_auth(AuthError::NoPasswordUser));
        }
        Ok((user.map(|user| user.password.clone()), auth.revision()))
    }

    /// Compares the password, and lets every member know of a token by which its user is known
    /// from then on. If users or roles change meanwhile, it is all done again.
    async fn prove(
        &self,
        origin: Origin,
        name: &str,
        password: &Secret,
    ) -> Result<(ResponseHeader, Secret), Status> {
        self.0.read_barrier().await.map_err(of_request)?;
        loop {
            let (hash, revision) = self.account(name)?;
            let same = self.0.passwords.verify(origin, password.clone(), hash).await;
            if !same.map_err(|error| of_password(&error))? {
                let user: String = name.chars().take(LOGGED_NAME_CHARS).collect();
                tracing::warn!(user, "invalid authentication was requested");
                return Err(of_auth(AuthError::Failed));
            }
            let issued = self.0.tokens.issue(name, revision).map_err(|error| of_token(&error))?;
            let (name, simple_token) = (name.to_owned(), issued.digest.clone());
            let principal = Principal::User { name: name.clone(), auth_revision: revision };
            let authenticate =
                InternalAuthenticateRequest { name, simple_token, ..Default::default() };
            let entry =
                InternalRaftRequest { authenticate: Some(authenticate), ..Default::default() };
            match self.0.write(entry, &principal).await {
                Err(RequestError::Store(StoreError::Auth(AuthError::OldRevision))) => {}
                Err(error) => return Err(of_request(error)),
                Ok(outcome) => {
                    let header = self.0.header(outcome.revision);
                    return Ok((header, issued.at_index(outcome.index)));
                }
            }
        }
    }
}

/// Such a user is known by a certificate alone; etcd tells it from one that is not there.
fn has_no_password(user: &User) -> bool {
    user.options.is_some_and(|options| options.no_password)
}

/// What the role root may, as etcd shows it.
fn everything() -> Permission {
    Permission { perm_type: Type::Readwrite.into(), key: "".into(), range_end: "\0".into() }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn of_password(error: &PasswordError) -> Status {
    let code = match error {
        PasswordError::TooManyRequests => Code::ResourceExhausted,
        PasswordError::TooLong => Code::Unknown,
        PasswordError::Failed(_) => Code::Internal,
        PasswordError::Stopped => Code::Unavailable,
    };
    Status::new(code, error.to_string())
}

fn of_token(error: &TokenError) -> Status {
    match error {
        TokenError::NoTokens => of_auth(AuthError::Failed),
        TokenError::VerifyOnly => Status::unknown(error.to_string()),
        TokenError::Random | TokenError::Signing => Status::internal(error.to_string()),
    }
}
