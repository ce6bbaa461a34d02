//! Calls of gRPC: how many began, how they ended, and what they carried.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use kvorum_proto::DESCRIPTORS;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tonic::Code;

use super::text::Page;
use super::value::{Counter, Histogram};
use crate::runtime::Handle;

/// Counts for every method there is, found by its path.
pub(crate) struct Calls {
    by_path: BTreeMap<String, usize>,
    methods: Vec<Method>,
    /// Whether the time every call takes is kept.
    timed: bool,
    received_bytes: Counter,
    sent_bytes: Counter,
}

struct Method {
    service: String,
    name: String,
    kind: &'static str,
    started: Counter,
    handled: [Counter; CODES.len()],
    received: Counter,
    sent: Counter,
    took: Histogram,
}

/// By their number, as Go writes them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// Prometheus' usual bounds.
const TOOK_BOUNDS_S: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Calls {
    pub(super) fn new(timed: bool) -> Calls {
        let mut pool = DescriptorPool::decode(DESCRIPTORS).expect("the descriptors are our own");
        pool.decode_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .expect("the descriptors are the library's own");
        let services = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let methods: Vec<Method> = services.map(|method| Method::new(&method)).collect();
        let by_path = methods.iter().enumerate().map(|(i, method)| (method.path(), i)).collect();
        let (received_bytes, sent_bytes) = (Counter::default(), Counter::default());
        Calls { by_path, methods, timed, received_bytes, sent_bytes }
    }

    pub(super) fn write(&self, page: &mut Page) {
        let name = "grpc_server_started_total";
        page.family(name, "counter", "Calls begun.");
        for method in &self.methods {
            page.sample(name, &method.labels(), method.started.get());
        }
        let name = "grpc_server_handled_total";
        page.family(name, "counter", "Calls ended, by how.");
        for method in &self.methods {
            for (code, handled) in CODES.iter().zip(&method.handled) {
                let [a, b, c] = method.labels();
                page.sample(name, &[("grpc_code", code), a, b, c], handled.get());
            }
        }
        let name = "grpc_server_msg_received_total";
        page.family(name, "counter", "Messages that came in calls.");
        for method in &self.methods {
            page.sample(name, &method.labels(), method.received.get());
        }
        let name = "grpc_server_msg_sent_total";
        page.family(name, "counter", "Messages sent in answer to calls.");
        for method in &self.methods {
            page.sample(name, &method.labels(), method.sent.get());
        }
        if self.timed {
            let name = "grpc_server_handling_seconds";
            page.family(name, "histogram", "How long calls took, from the first byte to the last.");
            for method in &self.methods {
                page.buckets(name, &method.labels(), &method.took);
            }
        }
        page.counter(
            "etcd_network_client_grpc_received_bytes_total",
            "Bytes of clients' messages.",
            self.received_bytes.get(),
        );
        page.counter(
            "etcd_network_client_grpc_sent_bytes_total",
            "Bytes of messages to clients.",
            self.sent_bytes.get(),
        );
    }
}

impl Method {
    fn new(method: &MethodDescriptor) -> Method {
        let kind = match (method.is_client_streaming(), method.is_server_streaming()) {
            (false, false) => "unary",
            (true, false) => "client_stream",
            (false, true) => "server_stream",
            (true, true) => "bidi_stream",
        };
        Method {
            service: method.parent_service().full_name().to_owned(),
            name: method.name().to_owned(),
            kind,
            started: Counter::default(),
            handled: Default::default(),
            received: Counter::default(),
            sent: Counter::default(),
            took: Histogram::new(TOOK_BOUNDS_S),
        }
    }

    fn path(&self) -> String {
        format!("/{}/{}", self.service, self.name)
    }

    fn labels(&self) -> [(&str, &str); 3] {
        [("grpc_method", &self.name), ("grpc_service", &self.service), ("grpc_type", self.kind)]
    }
}

/// Counts a call and what goes over its two bodies.
pub(crate) async fn observe(
    State(handle): State<Handle>,
    request: Request,
    next: Next,
) -> Response {
    let calls = &handle.metrics.calls;
    let Some(&index) = calls.by_path.get(request.uri().path()) else {
        return next.run(request).await;
    };
    calls.methods[index].started.inc();
    let began = calls.timed.then(Instant::now);
    let mut call = Call { handle: handle.clone(), index, began, code: None };
    let received = Side { handle: handle.clone(), index, sent: false };
    let request = request.map(|body| Body::new(Counted::new(body, received, None)));
    let response = next.run(request).await;
    call.ended(response.headers());
    let sent = Side { handle, index, sent: true };
    response.map(|body| Body::new(Counted::new(body, sent, Some(call))))
}

/// A call that is under way. One that is dropped before its status is known was given up by its
/// client.
struct Call {
    handle: Handle,
    index: usize,
    began: Option<Instant>,
    code: Option<usize>,
}

impl Call {
    fn ended(&mut self, headers: &HeaderMap) {
        let status = headers.get("grpc-status");
        let code = status.map(|status| Code::from_bytes(status.as_bytes()) as usize);
        self.code = code.or(self.code);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let method = &self.handle.metrics.calls.methods[self.index];
        let code = self.code.unwrap_or(Code::Cancelled as usize);
        method.handled[code.min(CODES.len() - 1)].inc();
        if let Some(began) = self.began {
            method.took.observe(began.elapsed());
        }
    }
}

/// Which body of which method.
struct Side {
    handle: Handle,
    index: usize,
    sent: bool,
}

impl Side {
    fn count(&self, bytes: usize, messages: u64) {
        let calls = &self.handle.metrics.calls;
        let method = &calls.methods[self.index];
        let (total, of_method) = if self.sent {
            (&calls.sent_bytes, &method.sent)
        } else {
            (&calls.received_bytes, &method.received)
        };
        total.add(bytes as u64);
        if messages > 0 {
            of_method.add(messages);
        }
    }
}

/// A body that is counted as it passes.
struct Counted {
    body: Body,
    side: Side,
    frames: Frames,
    call: Option<Call>,
}

impl Counted {
    fn new(body: Body, side: Side, call: Option<Call>) -> Counted {
        Counted { body, side, frames: Frames::default(), call }
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            if let Some(data) = frame.data_ref() {
                let messages = self.frames.pass(data);
                self.side.count(data.len(), messages);
            } else if let (Some(trailers), Some(call)) = (frame.trailers_ref(), &mut self.call) {
                call.ended(trailers);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Finds where gRPC's messages begin: each has a head of five bytes, whose last four are how long
/// the rest is.
#[derive(Default)]
struct Frames {
    head: u64,
    head_bytes: usize,
    rest: usize,
}

impl Frames {
    /// How many messages begin in what passes.
    fn pass(&mut self, mut data: &[u8]) -> u64 {
        let mut messages = 0;
        while !data.is_empty() {
            if self.rest > 0 {
                let part = self.rest.min(data.len());
                self.rest -= part;
                data = &data[part..];
                continue;
            }
            self.head = (self.head << 8) | u64::from(data[0]);
            self.head_bytes += 1;
            data = &data[1..];
            if self.head_bytes == 5 {
                messages += 1;
                self.rest = self.head as u32 as usize;
                (self.head, self.head_bytes) = (0, 0);
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let stream = [&[0, 0, 0, 0, 3, 9, 9, 9][..], &[0; 5], &[1, 0, 0, 1, 0], &[7; 256]].concat();
        for step in 1..stream.len() {
            let mut frames = Frames::default();
            let messages: u64 = stream.chunks(step).map(|data| frames.pass(data)).sum();
            assert_eq!(messages, 3, "cut every {step}");
        }
    }

    #[test]
    fn every_method_has_counts_of_its_own() {
        let calls = Calls::new(false);
        assert_eq!(calls.by_path.len(), calls.methods.len());
        for path in ["/etcdserverpb.KV/Put", "/v3lockpb.Lock/Lock", "/grpc.health.v1.Health/Check"]
        {
            assert!(calls.by_path.contains_key(path), "{path}");
        }
    }
}
