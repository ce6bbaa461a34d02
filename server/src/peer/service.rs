//! The receiving side.

use std::time::Duration;

use kvorum_proto::kvorumpb::{
    ExchangeEnd, Frame, Hello, LeaseRemainingRequest, LeaseRemainingResponse, LeaseRenewRequest,
    LeaseRenewResponse, peer_server,
};
use prost::Message as _;
use tokio::time;
use tonic::{Request, Response, Status, Streaming};

use super::{PROTOCOL, frame};
use crate::identity::hex;
use crate::limits::INBOX_PEER_BYTES;
use crate::runtime::{Handle, RequestError};

pub(super) struct Peer(pub(super) Handle);

/// How often a full inbox is tried again; the node empties it many times in this time.
const RETRY: Duration = Duration::from_millis(1);

#[tonic::async_trait]
impl peer_server::Peer for Peer {
    async fn exchange(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<ExchangeEnd>, Status> {
        let mut frames = request.into_inner();
        let hello = frames.message().await?.and_then(|frame| frame.hello);
        let from = self.greet(hello.as_ref())?;
        tracing::info!(peer_id = hex(from), "a peer opened its stream");
        let to = self.0.identity.member_id;
        while let Some(frame) = frames.message().await? {
            let bytes = frame.encoded_len();
            let mut inputs = frame::unpack(frame, from, to)?;
            // Not reading on makes the sender drop, which is what a member that is late wants.
            while let Err(back) = self.0.inbox.try_push_all(inputs, bytes, INBOX_PEER_BYTES) {
                inputs = back;
                time::sleep(RETRY).await;
            }
        }
        Ok(Response::new(ExchangeEnd {}))
    }

    async fn lease_renew(
        &self,
        request: Request<LeaseRenewRequest>,
    ) -> Result<Response<LeaseRenewResponse>, Status> {
        let request = request.into_inner();
        self.same_cluster(request.cluster_id)?;
        let ttl = self.0.lease_renew_here(request.id).await.map_err(|error| unavailable(&error))?;
        Ok(Response::new(LeaseRenewResponse { ttl }))
    }

    async fn lease_remaining(
        &self,
        request: Request<LeaseRemainingRequest>,
    ) -> Result<Response<LeaseRemainingResponse>, Status> {
        let request = request.into_inner();
        self.same_cluster(request.cluster_id)?;
        let remaining =
            self.0.lease_remaining_here(request.id).await.map_err(|error| unavailable(&error))?;
        Ok(Response::new(LeaseRemainingResponse { remaining }))
    }
}

impl Peer {
    /// Who speaks, if it may.
    fn greet(&self, hello: Option<&Hello>) -> Result<u64, Status> {
        let Some(hello) = hello else {
            return Err(Status::invalid_argument("the first frame must say who speaks"));
        };
        if hello.protocol != PROTOCOL {
            return Err(Status::failed_precondition("incompatible version"));
        }
        self.same_cluster(hello.cluster_id)?;
        if hello.to != self.0.identity.member_id {
            return Err(Status::failed_precondition("to field mismatch"));
        }
        let root = self.0.root();
        let known = root.members().iter().any(|member| member.id == hello.from);
        if !known || hello.from == hello.to {
            return Err(Status::not_found("error sender not found"));
        }
        Ok(hello.from)
    }

    fn same_cluster(&self, cluster_id: u64) -> Result<(), Status> {
        if cluster_id == self.0.identity.cluster_id {
            return Ok(());
        }
        tracing::warn!(
            local_cluster_id = hex(self.0.identity.cluster_id),
            remote_cluster_id = hex(cluster_id),
            "a member of another cluster was turned away"
        );
        Err(Status::failed_precondition("cluster ID mismatch"))
    }
}

fn unavailable(error: &RequestError) -> Status {
    Status::unavailable(error.to_string())
}
