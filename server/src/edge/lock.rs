//! Locks: who holds one is the oldest key under its name.
//!
//! The create revision of the key in the answer is the fencing token: it grows from holder to
//! holder. A lock ends with its lease, whether or not its holder knows; only the token, checked by
//! what the lock protects, keeps out a holder that was paused too long.

use kvorum_proto::etcdserverpb::DeleteRangeRequest;
use kvorum_proto::v3lockpb::{
    LockRequest, LockResponse, UnlockRequest, UnlockResponse, lock_server,
};
use tonic::{Request, Response, Status};

use super::session::{Session, as_told};
use super::turn::{self, Entrant};
use crate::runtime::Handle;

pub(super) struct Lock(pub(super) Handle);

#[tonic::async_trait]
impl lock_server::Lock for Lock {
    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        let (session, LockRequest { name, lease }) = Session::begin(&self.0, request);
        let lease = session.lease(lease).await.map_err(as_told)?;
        let turn = turn::take(session, Entrant::locker(&name, lease)).await?;
        Ok(Response::new(LockResponse { header: turn.found, key: turn.key }))
    }

    async fn unlock(
        &self,
        request: Request<UnlockRequest>,
    ) -> Result<Response<UnlockResponse>, Status> {
        let (session, UnlockRequest { key }) = Session::begin(&self.0, request);
        let delete = DeleteRangeRequest { key, ..DeleteRangeRequest::default() };
        let deleted = session.delete(delete).await.map_err(as_told)?;
        Ok(Response::new(UnlockResponse { header: deleted.header }))
    }
}
