//! gRPC's own question whether a server is well, answered as grpc-go's server does: the server as
//! a whole is, and what is not known by name may come yet.

use std::pin::Pin;

use futures::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::runtime::Handle;

pub(super) struct GrpcHealth(pub(super) Handle);

type Statuses = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for GrpcHealth {
    type WatchStream = Statuses;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !is_server(request.get_ref()) {
            return Err(Status::not_found("unknown service"));
        }
        Ok(Response::new(of(ServingStatus::Serving)))
    }

    /// Nothing changes while the server runs.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Statuses>, Status> {
        let is_server = is_server(request.get_ref());
        let status = if is_server { ServingStatus::Serving } else { ServingStatus::ServiceUnknown };
        let handle = self.0.clone();
        let stopped = Box::pin(async move {
            handle.stop.wait().await;
        });
        let first = stream::iter([Ok(of(status))]);
        Ok(Response::new(Box::pin(first.chain(stream::pending()).take_until(stopped))))
    }
}

/// Whether the server as a whole is meant.
fn is_server(request: &HealthCheckRequest) -> bool {
    request.service.is_empty()
}

fn of(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
