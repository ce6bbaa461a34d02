//! The JSON gateway: every method of etcd's services by plain HTTP, under `/v3/` and `/v3beta/`.
//!
//! A request is translated to a call of gRPC and handed to the very services that gRPC clients
//! reach, in this process: so it is checked, authorised and limited by the same code. The call
//! carries none of what the connection says about the client (its certificate's name, above all).
//! A stream of requests is JSON texts one after the other in the body; a stream of answers is one
//! JSON text a line. Neither a stream nor a long answer is ever held as a whole.
//!
//! Forms, paths and statuses are those of etcd 3.6, which uses the second version of grpc-gateway.

mod answer;
mod json;
mod metadata;
mod paths;
mod request;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use bytes::{Bytes, BytesMut};
use futures::stream;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method as HttpMethod};
use http_body_util::BodyExt;
use kvorum_proto::DESCRIPTORS;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tonic::Status;
use tower::ServiceExt;

use self::answer::{BrokenOff, before, refusal, translated};
use self::paths::PATHS;
use self::request::{Splitter, framed, too_large};
use self::wire::Bounds;
use super::inflow::{Inflow, Partial, too_slow};
use crate::limits::{GATEWAY_MESSAGES, GATEWAY_TRANSLATIONS, REQUEST_ARRIVES_WITHIN};

/// A request this long is translated beside the thread that serves everybody.
const INLINE_BODY_BYTES: usize = 64 << 10;

/// The gateway to `grpc`, whose messages may have `max_message_bytes`.
pub(super) fn router(
    grpc: &Router,
    max_message_bytes: usize,
    max_txn_ops: usize,
    inflow: &Inflow,
) -> Router {
    /// Names, braces and numbers around what is in base64.
    const TEXT_BYTES: usize = 64 << 10;
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("the descriptors are our own");
    let translations = Arc::new(Semaphore::new(GATEWAY_TRANSLATIONS));
    let bounds = Bounds {
        bytes: max_message_bytes,
        // An operation has two, and at most as many comparisons with it.
        messages: max_txn_ops.saturating_mul(4).max(GATEWAY_MESSAGES),
    };
    let mut router = Router::new();
    for (path, name) in PATHS {
        let call = Arc::new(Call {
            method: method(&pool, name).expect("the table names our own methods"),
            path: format!("/{name}"),
            grpc: grpc.clone(),
            inflow: inflow.clone(),
            translations: Arc::clone(&translations),
            bounds,
            // Base64 makes four bytes of three.
            max_body_bytes: (max_message_bytes / 3).saturating_mul(4).saturating_add(TEXT_BYTES),
        });
        let answer = any(move |request: Request| Arc::clone(&call).answer(request));
        router = router
            .route(&format!("/v3{path}"), answer.clone())
            .route(&format!("/v3beta{path}"), answer);
    }
    router.route("/v3/{*rest}", any(unknown)).route("/v3beta/{*rest}", any(unknown))
}

fn method(pool: &DescriptorPool, name: &str) -> Option<MethodDescriptor> {
    let (service, method) = name.split_once('/')?;
    pool.get_service_by_name(service)?.methods().find(|found| found.name() == method)
}

async fn unknown() -> Response {
    refusal(&Status::not_found("Not Found"))
}

/// One method and the way to it.
struct Call {
    method: MethodDescriptor,
    /// As gRPC asks for it.
    path: String,
    grpc: Router,
    inflow: Inflow,
    /// Long requests are translated so many at a time.
    translations: Arc<Semaphore>,
    bounds: Bounds,
    max_body_bytes: usize,
}

impl Call {
    async fn answer(self: Arc<Call>, request: Request) -> Response {
        if request.method() != HttpMethod::POST {
            return refusal(&Status::unimplemented("Method Not Allowed"));
        }
        match self.call(request).await {
            Ok(response) => response,
            Err(status) => refusal(&status),
        }
    }

    async fn call(self: Arc<Call>, request: Request) -> Result<Response, Status> {
        let (head, body) = request.into_parts();
        // Longer than a century is as good as none.
        let deadline = metadata::timeout(&head.headers)?
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let broken = BrokenOff::default();
        let call = async {
            let message = if self.method.is_client_streaming() {
                self.messages(body, &broken).await?
            } else {
                self.message(body).await?.into()
            };
            let Ok(grpc) =
                self.grpc.clone().oneshot(self.grpc_request(&head.headers, message)).await;
            Ok::<_, Status>(grpc)
        };
        let grpc = before(deadline, call).await??;
        let (output, streaming) = (self.method.output(), self.method.is_server_streaming());
        Ok(translated(grpc, &output, streaming, broken, deadline).await)
    }

    /// Nothing of the client's request but its metadata: its extensions stay behind.
    fn grpc_request(&self, headers: &HeaderMap, message: Body) -> Request {
        let mut request = Request::new(message);
        *request.method_mut() = HttpMethod::POST;
        *request.uri_mut() = self.path.parse().expect("the table's paths are paths");
        *request.version_mut() = http::Version::HTTP_2;
        *request.headers_mut() = metadata::metadata(headers);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        request
    }

    async fn message(self: &Arc<Call>, body: Body) -> Result<Bytes, Status> {
        let mut partial = self.inflow.partial();
        let json = timeout(REQUEST_ARRIVES_WITHIN, self.whole(body, &mut partial)).await;
        let json = json.map_err(|_| too_slow())??;
        self.translated(json).await
    }

    /// All of the body. Of one that is too long a little more is read than is kept, so that a
    /// client which sends before it listens hears why.
    async fn whole(&self, mut body: Body, partial: &mut Partial) -> Result<Bytes, Status> {
        let limit = self.max_body_bytes;
        let (mut json, mut length) = (BytesMut::new(), 0_usize);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Status::invalid_argument(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            length = length.saturating_add(data.len());
            if length > 2 * limit {
                break;
            }
            if length > limit {
                json = BytesMut::new();
                partial.clear();
                continue;
            }
            partial.add(data.len())?;
            json.extend_from_slice(&data);
        }
        if length > limit { Err(too_large(limit)) } else { Ok(json.freeze()) }
    }

    async fn translated(self: &Arc<Call>, json: Bytes) -> Result<Bytes, Status> {
        if json.len() <= INLINE_BODY_BYTES {
            return framed(&self.method.input(), &json, self.bounds);
        }
        let stopped = || Status::unavailable("etcdserver: server stopped");
        let turn = Arc::clone(&self.translations).acquire_owned().await.map_err(|_| stopped())?;
        let call = Arc::clone(self);
        let translated = spawn_blocking(move || {
            let _turn = turn;
            framed(&call.method.input(), &json, call.bounds)
        });
        translated.await.map_err(|_| stopped())?
    }

    /// The first message is waited for, so that a client which sends none that can be read gets a
    /// refusal of its request. What cannot be read later ends the stream.
    async fn messages(self: &Arc<Call>, body: Body, broken: &BrokenOff) -> Result<Body, Status> {
        let mut asked = Asked {
            call: Arc::clone(self),
            body,
            splitter: Splitter::new(self.max_body_bytes),
            partial: self.inflow.partial(),
        };
        let Some(first) = asked.next().await? else { return Ok(Body::empty()) };
        let broken = Arc::clone(broken);
        let state = (asked, Some(first), broken);
        Ok(Body::from_stream(stream::unfold(state, |(mut asked, first, broken)| async move {
            if let Some(first) = first {
                return Some((Ok(first), (asked, None, broken)));
            }
            match asked.next().await {
                Ok(next) => next.map(|next| (Ok(next), (asked, None, broken))),
                Err(status) => {
                    *broken.lock() = Some(status.clone());
                    Some((Err(status), (asked, None, broken)))
                }
            }
        })))
    }
}

/// What a client asks on a stream.
struct Asked {
    call: Arc<Call>,
    body: Body,
    splitter: Splitter,
    partial: Partial,
}

impl Asked {
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(json) = self.splitter.next()? {
                let message = self.call.translated(json).await?;
                self.partial.clear();
                self.partial.add(self.splitter.held())?;
                return Ok(Some(message));
            }
            let frame = self.body.frame();
            // A text that has begun is to end.
            let frame = match self.splitter.held() {
                0 => frame.await,
                _ => timeout(REQUEST_ARRIVES_WITHIN, frame).await.map_err(|_| too_slow())?,
            };
            let Some(frame) = frame else {
                self.splitter.end()?;
                return Ok(None);
            };
            let frame = frame.map_err(|error| Status::cancelled(error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                self.partial.add(data.len())?;
                self.splitter.push(&data);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::collections::HashSet;

    use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

    use super::*;

    /// All fields of what `of` names of each method, and of the messages within.
    pub(super) fn fields(of: fn(&MethodDescriptor) -> MessageDescriptor) -> Vec<FieldDescriptor> {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let mut left: Vec<MessageDescriptor> = methods.map(|method| of(&method)).collect();
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        while let Some(message) = left.pop() {
            if !seen.insert(message.full_name().to_owned()) {
                continue;
            }
            for field in message.fields() {
                if let Kind::Message(within) = field.kind() {
                    left.push(within);
                }
                found.push(field);
            }
        }
        found
    }

    #[test]
    fn every_method_has_a_path_but_the_one_etcd_leaves_out() {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        for service in pool.services() {
            for method in service.methods() {
                let name = format!("{}/{}", service.full_name(), method.name());
                let has_path = PATHS.iter().any(|(_, listed)| **listed == name);
                assert_eq!(has_path, name != "etcdserverpb.KV/RangeStream", "{name}");
            }
        }
        for (i, (path, name)) in PATHS.iter().enumerate() {
            assert!(method(&pool, name).is_some(), "{name}");
            assert!(PATHS[i + 1..].iter().all(|(other, _)| other != path), "{path} twice");
        }
    }
}
