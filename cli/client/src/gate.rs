//! The one way out of this program: every request of every client passes the gate, which lets
//! nothing that changes a cluster through while the connection is read-only, and can note what
//! passed.
//!
//! Reading is an allow-list over the methods of the wire ([`READS`]); a method that is not on it,
//! a new one included, counts as a write. Only `Txn` and `Alarm` are decided by what they ask for.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use futures::FutureExt as _;
use http_body_util::{BodyExt as _, Full, Limited};
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::request_op::Request as Op;
use kvorum_proto::etcdserverpb::{AlarmRequest, RequestOp, TxnRequest};
use prost::Message as _;
use thiserror::Error;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::{BoxError, Service};

use crate::link::TOKEN;

/// The methods that change nothing, whatever they are asked.
pub const READS: &[&str] = &[
    "/etcdserverpb.KV/Range",
    "/etcdserverpb.KV/RangeStream",
    "/etcdserverpb.Watch/Watch",
    "/etcdserverpb.Lease/LeaseTimeToLive",
    "/etcdserverpb.Lease/LeaseLeases",
    "/etcdserverpb.Cluster/MemberList",
    "/etcdserverpb.Maintenance/Status",
    "/etcdserverpb.Maintenance/Hash",
    "/etcdserverpb.Maintenance/HashKV",
    "/etcdserverpb.Maintenance/Snapshot",
    "/etcdserverpb.Auth/Authenticate",
    "/etcdserverpb.Auth/AuthStatus",
    "/etcdserverpb.Auth/UserGet",
    "/etcdserverpb.Auth/UserList",
    "/etcdserverpb.Auth/RoleGet",
    "/etcdserverpb.Auth/RoleList",
    "/v3electionpb.Election/Leader",
    "/v3electionpb.Election/Observe",
];

const TXN: &str = "/etcdserverpb.KV/Txn";
const ALARM: &str = "/etcdserverpb.Maintenance/Alarm";

/// A transaction may hold transactions; more levels than any server takes are not read.
const DEEPEST_TXN: usize = 16;

/// Requests noted and not yet fetched; more are not noted, for noting must delay nothing.
pub const MAX_NOTED: usize = 1024;

/// Why a request did not leave.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{method} changes the cluster, and this connection is read-only")]
pub struct ReadOnly {
    /// Without its package: `KV/Put`.
    pub method: String,
}

/// A request that passed.
#[derive(Debug, Clone)]
pub struct Rpc {
    /// Without its package: `KV/Put`.
    pub method: String,
    pub endpoint: String,
    /// Until the first of the answer.
    pub took: Duration,
    /// What went wrong, as far as the beginning of the answer tells.
    pub trouble: Option<String>,
}

/// A channel behind the gate. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) channel: Channel,
    pub(crate) endpoint: String,
    /// Shared by all gates of a connection.
    pub(crate) read_only: Arc<AtomicBool>,
    /// The largest request whose content is looked at, in bytes.
    pub(crate) max_request_bytes: usize,
    pub(crate) notes: Option<mpsc::Sender<Rpc>>,
    /// Put into every request.
    pub(crate) token: Option<http::HeaderValue>,
}

type Request = http::Request<Body>;
type Response = http::Response<Body>;

impl Service<Request> for Gate {
    type Response = Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.channel.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The clone left behind takes the next request; this one was polled ready.
        let channel = self.channel.clone();
        let ready = std::mem::replace(&mut self.channel, channel);
        Self { channel: ready, ..self.clone() }.pass(request).boxed()
    }
}

impl Gate {
    async fn pass(mut self, mut request: Request) -> Result<Response, BoxError> {
        if self.read_only.load(Ordering::Relaxed) {
            request = admit(request, self.max_request_bytes).await?;
        }
        if let Some(token) = self.token.take() {
            request.headers_mut().insert(TOKEN, token);
        }
        let Some(notes) = self.notes.take() else {
            return send(&mut self.channel, request).await;
        };
        let (method, began) = (short(request.uri().path()), Instant::now());
        let outcome = send(&mut self.channel, request).await;
        let trouble = match &outcome {
            Ok(response) => tonic::Status::from_header_map(response.headers())
                .filter(|status| status.code() != tonic::Code::Ok)
                .map(|status| status.message().to_owned()),
            Err(error) => Some(causes(error.as_ref())),
        };
        let rpc = Rpc { method, endpoint: self.endpoint, took: began.elapsed(), trouble };
        // A full list is nobody's loss but the reader's.
        let _ = notes.try_send(rpc);
        outcome
    }
}

/// Sends a request. If it could not be put into bytes, because it is too large, that is the error:
/// all that the transport knows is that the stream was reset.
async fn send(channel: &mut Channel, request: Request) -> Result<Response, BoxError> {
    let unsent = Arc::new(OnceLock::new());
    let slot = unsent.clone();
    let request = request.map(|body| {
        Body::new(body.map_err(move |status| {
            let _ = slot.set(status.clone());
            status
        }))
    });
    channel.call(request).await.map_err(|error| match unsent.get() {
        Some(status) => tonic::Status::clone(status).into(),
        None => error.into(),
    })
}

/// An error with what is behind it, the innermost last.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let _ = write!(text, ": {inner}");
        source = inner.source();
    }
    text
}

fn short(path: &str) -> String {
    path.rsplit('.').next().unwrap_or(path).trim_start_matches('/').to_owned()
}

/// Returns the request if it only reads.
async fn admit(request: Request, max_bytes: usize) -> Result<Request, BoxError> {
    let path = request.uri().path();
    if READS.contains(&path) {
        return Ok(request);
    }
    let refused = ReadOnly { method: short(path) };
    let reads = match path {
        TXN => |message: Bytes| TxnRequest::decode(message).is_ok_and(|txn| reads_only(&txn, 0)),
        ALARM => |message: Bytes| {
            AlarmRequest::decode(message).is_ok_and(|ask| ask.action() == AlarmAction::Get)
        },
        _ => return Err(refused.into()),
    };
    let (head, body) = request.into_parts();
    // One byte of flags and four of length come before the message.
    let body = Limited::new(body, max_bytes.saturating_add(5)).collect().await?.to_bytes();
    if message(body.clone()).is_some_and(reads) {
        Ok(Request::from_parts(head, Body::new(Full::new(body))))
    } else {
        Err(refused.into())
    }
}

/// The only message in the body of a unary request, if it is not compressed.
fn message(mut body: Bytes) -> Option<Bytes> {
    if body.len() < 5 || body.get_u8() != 0 {
        return None;
    }
    let length = usize::try_from(body.get_u32()).ok()?;
    (body.len() == length).then_some(body)
}

fn reads_only(txn: &TxnRequest, depth: usize) -> bool {
    depth < DEEPEST_TXN
        && txn.success.iter().chain(&txn.failure).all(|RequestOp { request }| match request {
            Some(Op::RequestRange(_)) => true,
            Some(Op::RequestTxn(txn)) => reads_only(txn, depth + 1),
            // What is nothing, or unknown to us, may be anything to the server.
            Some(Op::RequestPut(_) | Op::RequestDeleteRange(_)) | None => false,
        })
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut as _, BytesMut};
    use kvorum_proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest};

    use super::*;

    fn framed(message: &impl prost::Message) -> Bytes {
        let mut body = BytesMut::new();
        body.put_u8(0);
        body.put_u32(u32::try_from(message.encoded_len()).unwrap());
        message.encode(&mut body).unwrap();
        body.freeze()
    }

    fn passes(path: &str, body: Bytes) -> bool {
        let request = http::Request::post(path).body(Body::new(Full::new(body))).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(admit(request, 1 << 20)).is_ok()
    }

    fn op(request: Op) -> RequestOp {
        RequestOp { request: Some(request) }
    }

    #[test]
    fn what_is_not_listed_is_a_write() {
        assert!(passes("/etcdserverpb.KV/Range", Bytes::new()));
        for path in ["/etcdserverpb.KV/Put", "/etcdserverpb.Lease/LeaseKeepAlive", "/new.Thing/Get"]
        {
            assert!(!passes(path, Bytes::new()), "{path}");
        }
    }

    #[test]
    fn every_listed_method_exists() {
        let files = prost_types::FileDescriptorSet::decode(kvorum_proto::DESCRIPTORS).unwrap();
        let methods: Vec<String> = files
            .file
            .iter()
            .flat_map(|file| {
                file.service.iter().flat_map(move |service| {
                    service.method.iter().map(move |method| {
                        format!("/{}.{}/{}", file.package(), service.name(), method.name())
                    })
                })
            })
            .collect();
        for listed in READS.iter().chain(&[TXN, ALARM]) {
            assert!(methods.iter().any(|method| method == listed), "{listed}");
        }
        assert_eq!(methods.len() - READS.len() - 2, 29, "a method is new: reads it, or writes it?");
    }

    #[test]
    fn a_transaction_of_ranges_reads_and_any_other_writes() {
        let range = op(Op::RequestRange(RangeRequest::default()));
        let put = op(Op::RequestPut(PutRequest::default()));
        let delete = op(Op::RequestDeleteRange(DeleteRangeRequest::default()));
        let txn = |success: Vec<RequestOp>, failure: Vec<RequestOp>| TxnRequest {
            success,
            failure,
            ..TxnRequest::default()
        };
        let reads = txn(vec![range.clone()], vec![range.clone()]);
        assert!(passes(TXN, framed(&reads)));
        assert!(passes(TXN, framed(&txn(vec![op(Op::RequestTxn(reads.clone()))], vec![]))));
        for writes in [
            txn(vec![range.clone(), put.clone()], vec![]),
            txn(vec![], vec![delete]),
            txn(vec![op(Op::RequestTxn(txn(vec![], vec![put])))], vec![]),
            txn(vec![RequestOp::default()], vec![]),
        ] {
            assert!(!passes(TXN, framed(&writes)), "{writes:?}");
        }
        let mut deep = reads;
        for _ in 0..DEEPEST_TXN {
            deep = txn(vec![op(Op::RequestTxn(deep))], vec![]);
        }
        assert!(!passes(TXN, framed(&deep)), "too deep to be looked through");
    }

    #[test]
    fn only_asking_for_alarms_reads() {
        let alarm =
            |action| framed(&AlarmRequest { action: action as i32, ..AlarmRequest::default() });
        assert!(passes(ALARM, alarm(AlarmAction::Get)));
        assert!(!passes(ALARM, alarm(AlarmAction::Activate)));
        assert!(!passes(ALARM, alarm(AlarmAction::Deactivate)));
    }

    #[test]
    fn what_cannot_be_looked_into_is_a_write() {
        let good = framed(&AlarmRequest::default());
        let mut compressed = BytesMut::from(&good[..]);
        compressed[0] = 1;
        for body in [Bytes::new(), compressed.freeze(), good.slice(..good.len().min(4))] {
            assert!(!passes(ALARM, body));
        }
    }
}
