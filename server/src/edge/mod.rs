//! What clients see: etcd's gRPC services, health and version, on the client port.
//!
//! A service checks a request as etcd does, has the member perform it, and puts the answer into
//! etcd's words. Nothing here knows raft or the disk.

mod answer;
mod cluster;
mod convert;
mod downgrade;
mod hash;
mod http;
mod kv;
mod lease;
mod maintenance;
mod range_stream;
mod require_leader;
mod serve;
mod snapshot;
mod status;
mod too_large;
mod unsupported;
mod validate;
mod watch;

use ::http::{HeaderMap, HeaderName};
use axum::Router;
use kvorum_core::error::StoreError;
use kvorum_core::node::Refusal;
use kvorum_proto::etcdserverpb::auth_server::AuthServer;
use kvorum_proto::etcdserverpb::cluster_server::ClusterServer;
use kvorum_proto::etcdserverpb::kv_server::KvServer;
use kvorum_proto::etcdserverpb::lease_server::LeaseServer;
use kvorum_proto::etcdserverpb::maintenance_server::MaintenanceServer;
use kvorum_proto::etcdserverpb::watch_server::WatchServer;
use kvorum_proto::v3electionpb::election_server::ElectionServer;
use kvorum_proto::v3lockpb::lock_server::LockServer;
use tonic::Request;
use tonic::service::Routes;

use crate::limits::GRPC_OVERHEAD_BYTES;
use crate::runtime::Handle;

pub(crate) use http::{members, not_found, version};
pub(crate) use serve::{Acceptor, serve};

/// Everything on the client port.
pub(crate) fn router(handle: &Handle) -> Router {
    let limit = handle.limits.max_request_bytes.saturating_add(GRPC_OVERHEAD_BYTES);
    // A request may say that it wants to fail at once if nobody leads.
    let led = {
        let handle = handle.clone();
        move |request: Request<()>| {
            if wants_leader(request.metadata().as_ref()) && handle.leadership().leader == 0 {
                Err(status::of_refusal(Refusal::NoLeader))
            } else {
                Ok(request)
            }
        }
    };
    // What a member holds that is not the cluster's state is no answer to anything.
    let sound = {
        let handle = handle.clone();
        move |request: Request<()>| {
            if handle.states.is_diverged() {
                Err(status::of_store(StoreError::Corrupt))
            } else {
                Ok(request)
            }
        }
    };
    macro_rules! data_service {
        ($server:ident, $service:expr) => {{
            let server = service!($server, $service);
            tonic::service::interceptor::InterceptedService::new(server, sound.clone())
        }};
    }
    macro_rules! service {
        ($server:ident, $service:expr) => {{
            let server = $server::new($service)
                .max_decoding_message_size(limit)
                .max_encoding_message_size(usize::MAX);
            tonic::service::interceptor::InterceptedService::new(server, led.clone())
        }};
    }
    let routes = Routes::new(data_service!(KvServer, kv::Kv::new(handle.clone())))
        .add_service(data_service!(WatchServer, watch::Watch(handle.clone())))
        .add_service(data_service!(LeaseServer, lease::Lease(handle.clone())))
        .add_service(service!(ClusterServer, cluster::Cluster(handle.clone())))
        .add_service(service!(MaintenanceServer, maintenance::Maintenance(handle.clone())))
        .add_service(service!(AuthServer, unsupported::Auth))
        .add_service(service!(LockServer, unsupported::Lock))
        .add_service(service!(ElectionServer, unsupported::Election))
        .add_service(tonic_health::server::health_reporter().1);
    routes
        .into_axum_router()
        .merge(http::health(handle))
        .merge(http::version(handle))
        .fallback(http::not_found)
        .layer(axum::middleware::map_response(too_large::translate))
        .layer(axum::middleware::map_response(answer::attach))
}

const HAS_LEADER: HeaderName = HeaderName::from_static("hasleader");

/// etcd's clients ask by metadata that a request, or a stream, end when nobody leads.
fn wants_leader(headers: &HeaderMap) -> bool {
    headers.get(HAS_LEADER).is_some_and(|value| value == "true")
}
