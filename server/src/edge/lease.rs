//! Leases. What a lease is, the store knows; how long it still lives, only the leader.

use std::pin::Pin;

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

use super::require_leader::while_led;
use super::status::{not_a, of_request};
use super::wants_leader;
use crate::runtime::Handle;

pub(super) struct Lease(pub(super) Handle);

#[tonic::async_trait]
impl lease_server::Lease for Lease {
    async fn lease_grant(
        &self,
        request: Request<LeaseGrantRequest>,
    ) -> Result<Response<LeaseGrantResponse>, Status> {
        let mut grant = request.into_inner();
        while grant.id == 0 {
            // Positive, so that it reads the same in every language.
            grant.id = (self.0.ids.next() & (u64::MAX >> 1)) as i64;
        }
        let election_timeout_ms = self.0.limits.election_timeout.as_millis() as u64;
        grant.ttl = grant.ttl.max(minimum_ttl_s(election_timeout_ms));
        let entry = InternalRaftRequest { lease_grant: Some(grant), ..Default::default() };
        let outcome = self.0.write(entry).await.map_err(of_request)?;
        let Reply::LeaseGranted { id, ttl } = outcome.reply else { return Err(not_a("grant")) };
        let header = Some(self.0.header(outcome.revision));
        Ok(Response::new(LeaseGrantResponse { header, id, ttl, error: String::new() }))
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        let revoke = request.into_inner();
        let entry = InternalRaftRequest { lease_revoke: Some(revoke), ..Default::default() };
        let outcome = self.0.write(entry).await.map_err(of_request)?;
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
        let requests = request.into_inner();
        // Answered one by one; a client that does not read its answers is not read either.
        let (sender, receiver) = mpsc::channel(1);
        let handle = self.0.clone();
        tokio::spawn(async move {
            let ended = while_led(&handle, led, keep_alive(&handle, requests, &sender)).await;
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
        let request = request.into_inner();
        self.0.read_barrier().await.map_err(of_request)?;
        let root = self.0.root();
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
            response.keys = root.lease_keys(request.id).collect();
        }
        Ok(Response::new(response))
    }

    async fn lease_leases(
        &self,
        _: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        let root = self.0.root();
        let leases = root.lease_ids().map(|id| LeaseStatus { id }).collect();
        let header = Some(self.0.header(root.revision()));
        Ok(Response::new(LeaseLeasesResponse { header, leases }))
    }
}

type Answers = mpsc::Sender<Result<LeaseKeepAliveResponse, Status>>;

/// Renews what the client asks for, until it stops asking or is gone.
async fn keep_alive(
    handle: &Handle,
    mut requests: Streaming<LeaseKeepAliveRequest>,
    answers: &Answers,
) -> Result<(), Status> {
    while let Some(request) = requests.message().await? {
        // The header is older than the renewal: a client must not see a lease alive at a
        // revision at which it was already revoked.
        let header = Some(handle.header(handle.root().revision()));
        let ttl = handle.lease_renew(request.id).await.map_err(of_request)?;
        let response = LeaseKeepAliveResponse { header, id: request.id, ttl };
        if answers.send(Ok(response)).await.is_err() {
            break;
        }
    }
    Ok(())
}
