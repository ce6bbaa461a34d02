//! A proxy between a client and a member that passes every call on and notes its method. It speaks
//! gRPC, so what a client really sends is what is counted, not what it says it sends.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::request_op::Request as Op;
use kvorum_proto::etcdserverpb::{AlarmRequest, TxnRequest};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::{Service as _, ServiceExt as _, service_fn};

/// Calls pass through it until it is dropped.
pub struct Recorder {
    endpoint: String,
    calls: Arc<Mutex<Vec<Call>>>,
    _runtime: Runtime,
}

/// One call, and whether it changes the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    pub mutates: bool,
}

/// The methods that change nothing, written down independently of the client's own list.
const READ: [&str; 20] = [
    "Range",
    "RangeStream",
    "Watch",
    "LeaseTimeToLive",
    "LeaseLeases",
    "MemberList",
    "Status",
    "Hash",
    "HashKV",
    "Snapshot",
    "Authenticate",
    "AuthStatus",
    "UserGet",
    "UserList",
    "RoleGet",
    "RoleList",
    "Leader",
    "Observe",
    "Check",
    "ServerReflectionInfo",
];

impl Recorder {
    /// Listens on a port of its own and passes on to a member, over plain HTTP/2.
    pub fn start(member: &str) -> Recorder {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port of the loopback address is free");
        let endpoint = listener.local_addr().expect("it has an address").to_string();
        let channel =
            Endpoint::from_shared(format!("http://{member}")).expect("a member has an address");
        let channel = {
            // A lazy channel is driven by the runtime it is made in.
            let _within = runtime.enter();
            channel.connect_lazy()
        };
        let calls = Arc::new(Mutex::new(Vec::new()));
        runtime.spawn(accept(listener, channel, Arc::clone(&calls)));
        Recorder { endpoint, calls, _runtime: runtime }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether a call of this kind was seen since they were last taken.
    pub fn has_seen(&self, kind: impl FnMut(&Call) -> bool) -> bool {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).iter().any(kind)
    }

    /// The calls since they were last taken.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn accept(listener: TcpListener, channel: Channel, calls: Arc<Mutex<Vec<Call>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (channel, calls) = (channel.clone(), Arc::clone(&calls));
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let (channel, calls) = (channel.clone(), Arc::clone(&calls));
            async move { Ok::<_, Infallible>(pass(request.map(Body::new), channel, &calls).await) }
        });
        let service = hyper_util::service::TowerToHyperService::new(service);
        tokio::spawn(async move {
            // A client that goes away in the middle is no concern of the recorder.
            let _ = Builder::new(TokioExecutor::new())
                .http2_only()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn pass(
    request: http::Request<Body>,
    mut channel: Channel,
    calls: &Mutex<Vec<Call>>,
) -> http::Response<Body> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let (request, mutates) = match method.as_str() {
        "Txn" => look(request, |message| TxnRequest::decode(message).is_ok_and(|txn| writes(&txn))),
        "Alarm" => look(request, |message| {
            AlarmRequest::decode(message).is_ok_and(|ask| ask.action() != AlarmAction::Get)
        }),
        _ => {
            let mutates = !READ.contains(&method.as_str());
            Box::pin(async move { (request, mutates) })
        }
    }
    .await;
    let call = Call { method, mutates };
    calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    match channel.ready().await {
        Ok(ready) => match ready.call(request).await {
            Ok(response) => response,
            Err(error) => tonic::Status::from_error(error.into()).into_http(),
        },
        Err(error) => tonic::Status::from_error(error.into()).into_http(),
    }
}

type Looking = std::pin::Pin<Box<dyn Future<Output = (http::Request<Body>, bool)> + Send>>;

/// Reads the whole of a unary request and says whether it mutates.
fn look(request: http::Request<Body>, mutates: fn(Bytes) -> bool) -> Looking {
    Box::pin(async move {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
        let body = body.unwrap_or_default();
        // Flags and length come before the message.
        let writes = mutates(body.slice(body.len().min(5)..));
        let body = Body::new(http_body_util::Full::new(body));
        (http::Request::from_parts(head, body), writes)
    })
}

fn writes(txn: &TxnRequest) -> bool {
    txn.success.iter().chain(&txn.failure).any(|op| match &op.request {
        Some(Op::RequestRange(_)) => false,
        Some(Op::RequestTxn(txn)) => writes(txn),
        _ => true,
    })
}
