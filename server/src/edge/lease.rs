//! Leases. What a lease is, the store knows; how long it still lives, only the leader.

use std::pin::Pin;

use kvorum_core::auth::Access;
use kvorum_core::lessor::minimum_ttl_s;
use kvorum_core::store::Reply;
use kvorum_proto::etcdserverpb::{
    InternalRaftRequest, LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest,
    LeaseKeepAliveResponse, LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest,
    LeaseRevokeResponse, LeaseStatus, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
    lease_server,
};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::principal::Caller;
use super::require_leader::while_led;
use super::status::{not_a, of_request};
use super::{beside, wants_leader};
use crate::limits::INLINE_LOOKS;
use crate::runtime::Handle;

pub(super) struct Lease(pub(super) Handle);

#[tonic::async_trait]
impl lease_server::Lease for Lease {
    async fn lease_grant(
        &self,
        request: Request<LeaseGrantRequest>,
    ) -> Result<Response<LeaseGrantResponse>, Status> {
        let (caller, mut grant) = Caller::split(&self.0, request);
        while grant.id == 0 {
            // Positive, so that it reads the same in every language.
            grant.id = (self.0.ids.next() & (u64::MAX >> 1)) as i64;
        }
        let election_timeout_ms = self.0.limits.election_timeout.as_millis() as u64;
        grant.ttl = grant.ttl.max(minimum_ttl_s(election_timeout_ms));
        let entry = InternalRaftRequest { lease_grant: Some(grant), ..Default::default() };
        let outcome = caller.write(entry).await?;
        let Reply::LeaseGranted { id, ttl } = outcome.reply else { return Err(not_a("grant")) };
        let header = Some(self.0.header(outcome.revision));
        Ok(Response::new(LeaseGrantResponse { header, id, ttl, error: String::new() }))
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        let (caller, revoke) = Caller::split(&self.0, request);
        let entry = InternalRaftRequest { lease_revoke: Some(revoke), ..Default::default() };
        let outcome = caller.write(entry).await?;
        let header = Some(self.0.header(outcome.revision));
        Ok(Response::new(LeaseRevokeResponse { header }))
    }

    type LeaseKeepAliveStream =
        Pin<Box<dyn Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send>>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let led = wants_leader(request.metadata().as_ref());
        let (caller, requests) = Caller::split(&self.0, request);
        // Answered one by one; a client that does not read its answers is not read either.
        let (sender, receiver) = mpsc::channel(1);
        let handle = self.0.clone();
        tokio::spawn(async move {
            let ended =
                while_led(&handle, led, keep_alive(&handle, &caller, requests, &sender)).await;
            if let Err(status) = ended {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        let (caller, request) = Caller::split(&self.0, request);
        self.0.read_barrier().await.map_err(of_request)?;
        let mut root = self.0.root();
        let access = if request.keys { Access::ReadLease(request.id) } else { Access::User };
        caller.authorise(&mut root, access).await?;
        let header = Some(self.0.header(root.revision()));
        let mut response =
            LeaseTimeToLiveResponse { header, id: request.id, ttl: -1, ..Default::default() };
        let Some(lease) = root.lease(request.id) else { return Ok(Response::new(response)) };
        response.ttl = self.0.lease_remaining(request.id).await.map_err(of_request)?;
        if response.ttl < 0 {
            return Ok(Response::new(response));
        }
        response.granted_ttl = lease.ttl_s;
        if request.keys {
            let quick = root.lease_key_count(request.id) <= INLINE_LOOKS;
            let keys = move |_: &Handle| Ok(root.lease_keys(request.id).collect());
            response.keys = beside::find(&self.0, quick, keys).await?;
        }
        Ok(Response::new(response))
    }

    async fn lease_leases(
        &self,
        request: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        let mut root = self.0.root();
        Caller::of(&self.0, &request).authorise(&mut root, Access::ReadLeases).await?;
        let header = Some(self.0.header(root.revision()));
        let quick = root.lease_count() <= INLINE_LOOKS;
        let leases = move |_: &Handle| Ok(root.lease_ids().map(|id| LeaseStatus { id }).collect());
        let leases = beside::find(&self.0, quick, leases).await?;
        Ok(Response::new(LeaseLeasesResponse { header, leases }))
    }
}

type Answers = mpsc::Sender<Result<LeaseKeepAliveResponse, Status>>;

/// Renews what the client asks for, until it stops asking or is gone.
async fn keep_alive(
    handle: &Handle,
    caller: &Caller,
    mut requests: Streaming<LeaseKeepAliveRequest>,
    answers: &Answers,
) -> Result<(), Status> {
    while let Some(request) = requests.message().await? {
        // The header is older than the renewal: a client must not see a lease alive at a
        // revision at which it was already revoked.
        let header = Some(handle.header(handle.root().revision()));
        may_keep(handle, caller, request.id).await?;
        let ttl = handle.lease_renew(request.id).await.map_err(of_request)?;
        if ttl > 0 {
            handle.metrics.leases_renewed.inc();
        }
        let response = LeaseKeepAliveResponse { header, id: request.id, ttl };
        if answers.send(Ok(response)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// A lease that is not known here may be new, with keys that are not known here either.
async fn may_keep(handle: &Handle, caller: &Caller, id: i64) -> Result<(), Status> {
    let mut root = handle.root();
    if root.auth().is_enabled() && root.lease(id).is_none() {
        handle.read_barrier().await.map_err(of_request)?;
        root = handle.root();
    }
    caller.authorise(&mut root, Access::WriteLease(id)).await.map(|_| ())
}
