//! The receiving side.

use std::sync::atomic::Ordering;
use std::time::Duration;

use kvorum_proto::kvorumpb::{
    ExchangeEnd, Frame, Hello, LeaseRemainingRequest, LeaseRemainingResponse, LeaseRenewRequest,
    LeaseRenewResponse, SnapshotChunk, SnapshotEnd, Welcome, peer_server,
};
use prost::Message as _;
use tokio::time;
use tonic::{Code, Request, Response, Status, Streaming};

use super::snapshot::Announced;
use super::{PROTOCOL, frame, snapshot};
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
        let taken = self.take_frames(request.into_inner()).await;
        taken.map(Response::new).inspect_err(|status| self.count(status))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<SnapshotChunk>>,
    ) -> Result<Response<SnapshotEnd>, Status> {
        let taken = self.take_snapshot(request.into_inner()).await;
        taken.map(Response::new).inspect_err(|status| self.count(status))
    }

    /// A member that spoke in this cluster before must not begin again with nothing.
    async fn introduce(&self, request: Request<Hello>) -> Result<Response<Welcome>, Status> {
        let hello = request.into_inner();
        self.same_cluster(hello.cluster_id)?;
        match self.incarnation_of(hello.from) {
            Some(known) if known != 0 => Err(Status::already_exists(format!(
                "member {} has already been bootstrapped",
                hex(hello.from)
            ))),
            _ => Ok(Response::new(Welcome {})),
        }
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
    async fn take_frames(&self, mut frames: Streaming<Frame>) -> Result<ExchangeEnd, Status> {
        let hello = frames.message().await?.and_then(|frame| frame.hello);
        let from = self.greet(hello.as_ref())?;
        tracing::info!(peer_id = hex(from), "a peer opened its stream");
        let to = self.0.identity.member_id;
        while let Some(mut frame) = frames.message().await? {
            let bytes = frame.encoded_len();
            self.0.metrics.peers.received(from, bytes);
            self.0.states.report(from, frame::marks(&mut frame));
            let mut inputs = frame::unpack(frame, from, to)?;
            // Not reading on makes the sender drop, which is what a member that is late wants.
            while let Err(back) = self.0.inbox.try_push_all(inputs, bytes, INBOX_PEER_BYTES) {
                inputs = back;
                time::sleep(RETRY).await;
            }
        }
        Ok(ExchangeEnd {})
    }

    async fn take_snapshot(
        &self,
        mut chunks: Streaming<SnapshotChunk>,
    ) -> Result<SnapshotEnd, Status> {
        let head = chunks.message().await?.and_then(|chunk| chunk.head).unwrap_or_default();
        let from = self.greet(head.hello.as_ref())?;
        let announced = Announced::parse(head, from, self.0.identity.member_id)?;
        tracing::info!(
            peer_id = hex(from),
            index = announced.position.index,
            "receiving a snapshot from a peer"
        );
        snapshot::receive(&self.0, announced, chunks).await?;
        Ok(SnapshotEnd {})
    }

    /// A connection that broke is nobody's fault; all else was turned away.
    fn count(&self, status: &Status) {
        if !matches!(status.code(), Code::Cancelled | Code::Unknown | Code::Unavailable) {
            self.0.progress.turned_away.fetch_add(1, Ordering::Relaxed);
        }
    }

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
        match self.incarnation_of(hello.from) {
            None => Err(Status::not_found("error sender not found")),
            Some(known) if known != 0 && known != hello.incarnation => {
                Err(Status::data_loss(data_lost(hello.from)))
            }
            Some(_) => Ok(hello.from),
        }
    }

    /// What another member of the cluster said of its data; 0 if it never did.
    fn incarnation_of(&self, member_id: u64) -> Option<u64> {
        let root = self.0.root();
        let others = root.members().iter().filter(|member| member.id != self.0.identity.member_id);
        let member = others.into_iter().find(|member| member.id == member_id)?;
        let told = member.member_attributes.as_ref().map_or(0, |told| told.incarnation);
        Some(if told == 0 { self.0.announced.get(&member_id).copied().unwrap_or(0) } else { told })
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

/// What a person must do about a member that was made anew under its old id.
fn data_lost(member_id: u64) -> String {
    format!(
        "the data under member id {} was lost, and with it what the member had promised; remove \
         the member from the cluster and add it again with an empty data directory, or put its \
         own data directory back",
        hex(member_id)
    )
}

fn unavailable(error: &RequestError) -> Status {
    Status::unavailable(error.to_string())
}
