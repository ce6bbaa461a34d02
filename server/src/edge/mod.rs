//! What clients see: etcd's gRPC services, and over plain HTTP the same services in JSON, health,
//! metrics and version.
//!
//! A service checks a request as etcd does, has the member perform it, and puts the answer into
//! etcd's words. Nothing here knows raft or the disk.

mod access;
mod answer;
mod auth;
mod beside;
mod cluster;
mod convert;
mod downgrade;
mod election;
mod events;
mod gateway;
mod grpc_health;
mod guard;
mod hash;
mod health;
mod http;
mod inflow;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod permits;
mod pings;
mod principal;
mod range_stream;
mod require_leader;
mod room;
mod serve;
mod session;
mod snapshot;
mod standing;
mod status;
mod too_large;
mod turn;
mod validate;
mod watch;
mod watch_codec;
mod welcome;

use ::http::{HeaderMap, HeaderName};
use axum::Router;
use axum::extract::Request as HttpRequest;
use axum::http::Version;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::routing::any;
use kvorum_core::error::StoreError;
use kvorum_core::node::Refusal;
use kvorum_proto::DESCRIPTORS;
use kvorum_proto::etcdserverpb::auth_server::AuthServer;
use kvorum_proto::etcdserverpb::cluster_server::ClusterServer;
use kvorum_proto::etcdserverpb::kv_server::KvServer;
use kvorum_proto::etcdserverpb::lease_server::LeaseServer;
use kvorum_proto::etcdserverpb::maintenance_server::MaintenanceServer;
use kvorum_proto::v3electionpb::election_server::ElectionServer;
use kvorum_proto::v3lockpb::lock_server::LockServer;
use tonic::Request;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic_health::pb::health_server::HealthServer;
use tower::ServiceExt;

use inflow::Inflow;
use watch_codec::WatchServer;

use crate::limits::GRPC_OVERHEAD_BYTES;
use crate::metrics;
use crate::runtime::Handle;

pub(crate) use http::{members, not_found, version};
pub(crate) use maintenance::is_learner;
pub(crate) use room::Room;
pub(crate) use serve::{Manners, Site, serve};

/// Everything on the client port.
///
/// gRPC is HTTP/2 and nothing else, as in etcd: so no page in a browser gets past the checks of
/// plain HTTP by naming a method's path.
pub(crate) fn router(handle: &Handle) -> Router {
    let grpc = grpc_router(handle);
    let inflow = Inflow::default();
    let http = http_over(handle, &grpc, &inflow);
    let by_protocol = move |request: HttpRequest, next: Next| {
        let http = (!is_grpc(&request)).then(|| http.clone());
        let inflow = inflow.clone();
        async move {
            match http {
                None => next.run(inflow.watch_over(request)).await,
                Some(http) => {
                    let Ok(response) = http.oneshot(request).await;
                    response
                }
            }
        }
    };
    grpc.layer(from_fn(by_protocol))
}

/// What needs no gRPC, for listeners of plain HTTP only.
pub(crate) fn http_router(handle: &Handle) -> Router {
    http_over(handle, &grpc_router(handle), &Inflow::default())
}

/// Health and metrics, for listeners of those who watch over the member.
pub(crate) fn metrics_router(handle: &Handle) -> Router {
    health::router(handle).merge(metrics_page(handle)).fallback(http::no_page)
}

fn http_over(handle: &Handle, grpc: &Router, inflow: &Inflow) -> Router {
    let mut router =
        health::router(handle).merge(metrics_page(handle)).merge(http::version(handle));
    if handle.http.gateway {
        let max_txn_ops = handle.limits.max_txn_ops;
        router = router.merge(gateway::router(grpc, message_limit(handle), max_txn_ops, inflow));
    }
    let check = from_fn_with_state(handle.clone(), access::check);
    router.fallback(http::no_page).layer(check)
}

fn metrics_page(handle: &Handle) -> Router {
    Router::new().route("/metrics", any(metrics::page)).with_state(handle.clone())
}

fn is_grpc(request: &HttpRequest) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    request.version() == Version::HTTP_2
        && content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Largest message a client may send.
fn message_limit(handle: &Handle) -> usize {
    handle.limits.max_request_bytes.saturating_add(GRPC_OVERHEAD_BYTES)
}

/// Every gRPC service.
fn grpc_router(handle: &Handle) -> Router {
    let limit = message_limit(handle);
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
            InterceptedService::new(server, sound.clone())
        }};
    }
    macro_rules! service {
        ($server:ident, $service:expr) => {{
            let server = $server::new($service)
                .max_decoding_message_size(limit)
                .max_encoding_message_size(usize::MAX);
            InterceptedService::new(server, led.clone())
        }};
    }
    let watches = WatchServer { handle: handle.clone(), limit };
    let watches =
        InterceptedService::new(InterceptedService::new(watches, led.clone()), sound.clone());
    let routes = Routes::new(data_service!(KvServer, kv::Kv(handle.clone())))
        .add_service(watches)
        .add_service(data_service!(LeaseServer, lease::Lease(handle.clone())))
        .add_service(service!(ClusterServer, cluster::Cluster(handle.clone())))
        .add_service(service!(MaintenanceServer, maintenance::Maintenance(handle.clone())))
        .add_service(service!(AuthServer, auth::Auth(handle.clone())))
        .add_service(data_service!(LockServer, lock::Lock(handle.clone())))
        .add_service(data_service!(ElectionServer, election::Election(handle.clone())))
        .add_service(HealthServer::new(grpc_health::GrpcHealth(handle.clone())))
        .add_service(reflection().build_v1().expect("the descriptors are our own"))
        .add_service(reflection().build_v1alpha().expect("the descriptors are our own"));
    routes
        .into_axum_router()
        .route_layer(from_fn_with_state(handle.clone(), guard::check))
        .fallback(http::not_found)
        .layer(map_response(too_large::translate))
        .layer(map_response(answer::attach))
        .layer(from_fn_with_state(handle.clone(), metrics::observe))
}

/// What tools such as grpcurl ask to learn the services.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

const HAS_LEADER: HeaderName = HeaderName::from_static("hasleader");

/// etcd's clients ask by metadata that a request, or a stream, end when nobody leads.
fn wants_leader(headers: &HeaderMap) -> bool {
    headers.get(HAS_LEADER).is_some_and(|value| value == "true")
}
