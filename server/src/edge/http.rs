//! What is asked for by plain HTTP: the version, and between members their list; and what such
//! answers have in common.

use axum::Router;
use axum::http::header::{ALLOW, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use kvorum_core::store::Root;
use serde::Serialize;
use tonic::Status;

use crate::identity::hex;
use crate::runtime::Handle;
use crate::version::{CLUSTER_VERSION, ETCD_VERSION};

pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
pub(super) const NOSNIFF: (HeaderName, &str) = (X_CONTENT_TYPE_OPTIONS, "nosniff");
const JSON: &str = "application/json";

/// An answer for people to read, as Go's library gives it: the text, and a line's end.
pub(super) fn text(status: StatusCode, text: &str) -> Response {
    (status, [(CONTENT_TYPE, PLAIN), NOSNIFF], format!("{text}\n")).into_response()
}

pub(super) fn not_allowed() -> Response {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    response
}

/// `/version`.
pub(crate) fn version(handle: &Handle) -> Router {
    let handle = handle.clone();
    let answer = move |method: Method| {
        let cluster = handle.root().cluster_version().unwrap_or("not_decided").to_owned();
        async move {
            if method != Method::GET {
                return not_allowed();
            }
            let versions = Versions {
                etcdserver: ETCD_VERSION,
                etcdcluster: &cluster,
                storage: CLUSTER_VERSION,
            };
            ([(CONTENT_TYPE, JSON)], json(&versions)).into_response()
        }
    };
    Router::new().route("/version", any(answer))
}

/// `/members`, on the peer port.
pub(crate) fn members(handle: &Handle) -> Router {
    let handle = handle.clone();
    let answer = move |method: Method| {
        let root = handle.root();
        let cluster_id = hex(handle.identity.cluster_id);
        async move {
            if method != Method::GET {
                return not_allowed();
            }
            let headers = [("X-Etcd-Cluster-ID", cluster_id.as_str()), ("Content-Type", JSON)];
            (headers, member_list(&root)).into_response()
        }
    };
    Router::new().route("/members", any(answer))
}

/// gRPC clients learn that there is no such service, all others that there is no such page.
pub(crate) async fn not_found(headers: HeaderMap) -> Response {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if content_type.starts_with(b"application/grpc") {
        return Status::unimplemented("unknown service").into_http::<axum::body::Body>();
    }
    no_page().await
}

pub(super) async fn no_page() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found")
}

#[derive(Serialize)]
struct Versions<'a> {
    etcdserver: &'a str,
    etcdcluster: &'a str,
    storage: &'a str,
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and numbers always encode")
}

#[derive(Serialize)]
struct MemberEntry<'a> {
    id: u64,
    #[serde(rename = "peerURLs")]
    peer_urls: &'a [String],
    #[serde(rename = "isLearner", skip_serializing_if = "std::ops::Not::not")]
    is_learner: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(rename = "clientURLs", skip_serializing_if = "<[String]>::is_empty")]
    client_urls: &'a [String],
}

fn member_list(root: &Root) -> String {
    let entries: Vec<MemberEntry<'_>> = root
        .members()
        .iter()
        .map(|member| {
            let raft = member.raft_attributes.as_ref();
            let attributes = member.member_attributes.as_ref();
            MemberEntry {
                id: member.id,
                peer_urls: raft.map_or(&[], |raft| &raft.peer_urls),
                is_learner: raft.is_some_and(|raft| raft.is_learner),
                name: attributes.map_or("", |attributes| &attributes.name),
                client_urls: attributes.map_or(&[], |attributes| &attributes.client_urls),
            }
        })
        .collect();
    format!("{}\n", json(&entries))
}
