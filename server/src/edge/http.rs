//! What is asked for by plain HTTP: health and version, and between members their list.

use std::collections::HashMap;

use axum::Router;
use axum::extract::Query;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use kvorum_core::store::Root;
use kvorum_proto::etcdserverpb::{AlarmType, RangeRequest};
use serde::Serialize;
use tonic::Status;

use super::status::of_request;
use crate::identity::hex;
use crate::runtime::Handle;
use crate::version::{CLUSTER_VERSION, ETCD_VERSION};

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// `/health`, as etcd 3.6 answers it.
pub(super) fn health(handle: &Handle) -> Router {
    let handle = handle.clone();
    let answer = move |method: Method, Query(query): Query<HashMap<String, String>>| {
        let handle = handle.clone();
        async move {
            if method != Method::GET {
                return not_allowed();
            }
            let serializable = query.get("serializable").is_some_and(|value| value == "true");
            let excluded = query.get("exclude").map_or("", String::as_str);
            let reason = ill(&handle, excluded, serializable).await;
            let health = if reason.is_none() { "true" } else { "false" };
            Health { health, reason: reason.unwrap_or_default() }.into_response()
        }
    };
    Router::new().route("/health", any(answer))
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
    (StatusCode::NOT_FOUND, [(CONTENT_TYPE, PLAIN)], "404 page not found\n").into_response()
}

fn not_allowed() -> Response {
    let headers = [(ALLOW, "GET"), (CONTENT_TYPE, PLAIN)];
    (StatusCode::METHOD_NOT_ALLOWED, headers, "Method Not Allowed\n").into_response()
}

/// What is wrong with the member, if anything.
async fn ill(handle: &Handle, excluded: &str, serializable: bool) -> Option<String> {
    let root = handle.root();
    let alarm = root.alarms().iter().find_map(|alarm| {
        let kind = AlarmType::try_from(alarm.alarm).unwrap_or(AlarmType::None);
        (kind.as_str_name() != excluded).then_some(kind)
    });
    match alarm {
        Some(AlarmType::Nospace) => return Some("ALARM NOSPACE".to_owned()),
        Some(AlarmType::Corrupt) => return Some("ALARM CORRUPT".to_owned()),
        Some(AlarmType::None) => return Some("ALARM UNKNOWN".to_owned()),
        None => {}
    }
    if serializable {
        let read = RangeRequest { key: vec![0].into(), limit: 1, ..RangeRequest::default() };
        return root.range(&read).err().map(|error| format!("RANGE ERROR:{error}"));
    }
    if handle.leadership().leader == 0 {
        return Some("RAFT NO LEADER".to_owned());
    }
    let error = handle.read_barrier().await.err()?;
    Some(format!("RANGE ERROR:{}", of_request(error).message()))
}

#[derive(Serialize)]
struct Health {
    health: &'static str,
    reason: String,
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

impl IntoResponse for Health {
    fn into_response(self) -> Response {
        if self.health == "true" {
            ([(CONTENT_TYPE, PLAIN)], json(&self)).into_response()
        } else {
            let body = format!("{}\n", json(&self));
            (StatusCode::SERVICE_UNAVAILABLE, [(CONTENT_TYPE, PLAIN)], body).into_response()
        }
    }
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
