//! Services that are not done yet: every method says so in a sentence.

use std::pin::Pin;

use kvorum_proto::etcdserverpb as pb;
use kvorum_proto::v3electionpb as election;
use kvorum_proto::v3lockpb as lock;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::status::not_yet;

pub(super) struct Auth;
pub(super) struct Lock;
pub(super) struct Election;

/// Implements a service of unary methods, each of which answers with the same sentence.
macro_rules! unsupported {
    ($trait:path, $service:ident, $sentence:literal, {
        $($method:ident($request:ty) -> $response:ty;)*
    }) => {
        #[tonic::async_trait]
        impl $trait for $service {
            $(async fn $method(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                Err(not_yet($sentence))
            })*
        }
    };
}

unsupported!(pb::auth_server::Auth, Auth, "authentication is", {
    auth_enable(pb::AuthEnableRequest) -> pb::AuthEnableResponse;
    auth_disable(pb::AuthDisableRequest) -> pb::AuthDisableResponse;
    auth_status(pb::AuthStatusRequest) -> pb::AuthStatusResponse;
    authenticate(pb::AuthenticateRequest) -> pb::AuthenticateResponse;
    user_add(pb::AuthUserAddRequest) -> pb::AuthUserAddResponse;
    user_get(pb::AuthUserGetRequest) -> pb::AuthUserGetResponse;
    user_list(pb::AuthUserListRequest) -> pb::AuthUserListResponse;
    user_delete(pb::AuthUserDeleteRequest) -> pb::AuthUserDeleteResponse;
    user_change_password(pb::AuthUserChangePasswordRequest)
        -> pb::AuthUserChangePasswordResponse;
    user_grant_role(pb::AuthUserGrantRoleRequest) -> pb::AuthUserGrantRoleResponse;
    user_revoke_role(pb::AuthUserRevokeRoleRequest) -> pb::AuthUserRevokeRoleResponse;
    role_add(pb::AuthRoleAddRequest) -> pb::AuthRoleAddResponse;
    role_get(pb::AuthRoleGetRequest) -> pb::AuthRoleGetResponse;
    role_list(pb::AuthRoleListRequest) -> pb::AuthRoleListResponse;
    role_delete(pb::AuthRoleDeleteRequest) -> pb::AuthRoleDeleteResponse;
    role_grant_permission(pb::AuthRoleGrantPermissionRequest)
        -> pb::AuthRoleGrantPermissionResponse;
    role_revoke_permission(pb::AuthRoleRevokePermissionRequest)
        -> pb::AuthRoleRevokePermissionResponse;
});

unsupported!(lock::lock_server::Lock, Lock, "locking by the Lock service is", {
    lock(lock::LockRequest) -> lock::LockResponse;
    unlock(lock::UnlockRequest) -> lock::UnlockResponse;
});

const ELECTION: &str = "elections by the Election service are";

#[tonic::async_trait]
impl election::election_server::Election for Election {
    async fn campaign(
        &self,
        _: Request<election::CampaignRequest>,
    ) -> Result<Response<election::CampaignResponse>, Status> {
        Err(not_yet(ELECTION))
    }

    async fn proclaim(
        &self,
        _: Request<election::ProclaimRequest>,
    ) -> Result<Response<election::ProclaimResponse>, Status> {
        Err(not_yet(ELECTION))
    }

    async fn leader(
        &self,
        _: Request<election::LeaderRequest>,
    ) -> Result<Response<election::LeaderResponse>, Status> {
        Err(not_yet(ELECTION))
    }

    type ObserveStream =
        Pin<Box<dyn Stream<Item = Result<election::LeaderResponse, Status>> + Send>>;

    async fn observe(
        &self,
        _: Request<election::LeaderRequest>,
    ) -> Result<Response<Self::ObserveStream>, Status> {
        Err(not_yet(ELECTION))
    }

    async fn resign(
        &self,
        _: Request<election::ResignRequest>,
    ) -> Result<Response<election::ResignResponse>, Status> {
        Err(not_yet(ELECTION))
    }
}
