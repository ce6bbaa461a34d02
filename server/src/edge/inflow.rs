//! Requests on their way in: how much of them is held before they are whole, and for how long.
//!
//! Whoever sends most of a request and then nothing more would otherwise keep that in memory for as
//! long as it likes, and again with its next stream. So all that is not whole yet counts against one
//! bound, and must become whole within a time. A stream of requests may be quiet between two of
//! them, not within one.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::Body;
use axum::extract::Request;
use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use kvorum_core::node::Refusal;
use tokio::time::{Sleep, sleep};
use tonic::Status;

use super::status::of_refusal;
use crate::limits::{PARTIAL_REQUESTS_BYTES, REQUEST_ARRIVES_WITHIN};

/// Methods whose clients send more than one message.
const STREAMS: [&str; 4] = [
    "/etcdserverpb.Watch/Watch",
    "/etcdserverpb.Lease/LeaseKeepAlive",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// What is held of all requests that are not whole; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Inflow(Arc<AtomicUsize>);

impl Inflow {
    pub(super) fn partial(&self) -> Partial {
        Partial { inflow: self.clone(), bytes: 0 }
    }

    /// A request of gRPC whose body counts for as long as it is not whole.
    pub(super) fn watch_over(&self, request: Request) -> Request {
        let is_stream = STREAMS.contains(&request.uri().path());
        request.map(|body| {
            Body::new(Arriving {
                body,
                partial: self.partial(),
                framing: Framing::default(),
                is_stream,
                due: None,
            })
        })
    }
}

/// What is held of one request.
pub(super) struct Partial {
    inflow: Inflow,
    bytes: usize,
}

impl Partial {
    pub(super) fn add(&mut self, bytes: usize) -> Result<(), Status> {
        let held = self.inflow.0.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if held + bytes <= PARTIAL_REQUESTS_BYTES {
            return Ok(());
        }
        self.clear();
        Err(of_refusal(Refusal::TooManyRequests))
    }

    pub(super) fn clear(&mut self) {
        self.inflow.0.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What a client is told whose request does not become whole.
pub(super) fn too_slow() -> Status {
    Status::deadline_exceeded(format!(
        "kvorum: the request did not arrive within {} seconds",
        REQUEST_ARRIVES_WITHIN.as_secs()
    ))
}

/// The body of a request of gRPC.
struct Arriving {
    body: Body,
    partial: Partial,
    framing: Framing,
    is_stream: bool,
    /// When what is open must be whole.
    due: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    fn take(&mut self, data: &[u8]) -> Result<(), Status> {
        if !self.is_stream {
            return self.partial.add(data.len());
        }
        let before = self.framing.open;
        let has_ended = self.framing.pass(data);
        if has_ended {
            self.partial.clear();
            self.due = None;
        }
        let counted = if has_ended { 0 } else { before };
        self.partial.add(self.framing.open - counted)
    }

    fn is_partial(&self) -> bool {
        !self.is_stream || self.framing.open > 0
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let taken = frame.data_ref().map_or(Ok(()), |data| this.take(data));
                Poll::Ready(Some(taken.map(|()| frame).map_err(BoxError::from)))
            }
            Poll::Ready(end) => {
                this.partial.clear();
                Poll::Ready(end.map(|end| end.map_err(BoxError::from)))
            }
            Poll::Pending if this.is_partial() => {
                let due = this.due.get_or_insert_with(|| Box::pin(sleep(REQUEST_ARRIVES_WITHIN)));
                due.as_mut().poll(cx).map(|()| {
                    this.partial.clear();
                    Some(Err(too_slow().into()))
                })
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where one message of gRPC ends and the next begins.
#[derive(Default)]
struct Framing {
    /// What came of the open message, its head included.
    open: usize,
    /// Its length, without the head, as far as that has come.
    length: usize,
}

impl Framing {
    const HEAD_BYTES: usize = 5;

    /// Whether a message has ended in these bytes.
    fn pass(&mut self, mut data: &[u8]) -> bool {
        let mut has_ended = false;
        while !data.is_empty() {
            if self.open < Self::HEAD_BYTES {
                let byte = usize::from(data.get_u8());
                // The first tells whether the message is compressed.
                self.length = if self.open == 0 { 0 } else { self.length << 8 | byte };
                self.open += 1;
            } else {
                let part = (Self::HEAD_BYTES + self.length - self.open).min(data.len());
                self.open += part;
                data.advance(part);
            }
            if self.open >= Self::HEAD_BYTES && self.open == Self::HEAD_BYTES + self.length {
                *self = Framing::default();
                has_ended = true;
            }
        }
        has_ended
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use futures::StreamExt;
    use futures::stream;
    use http_body_util::BodyExt;
    use kvorum_proto::DESCRIPTORS;
    use prost_reflect::DescriptorPool;
    use tonic::Code;

    use super::*;

    const WATCH: &str = STREAMS[0];
    const PUT: &str = "/etcdserverpb.KV/Put";

    /// A request that sends these parts, and then nothing more for ever.
    fn stalling(path: &str, parts: &[&'static [u8]]) -> Request {
        let parts: Vec<_> =
            parts.iter().map(|part| Ok::<_, Status>(Bytes::from_static(part))).collect();
        let body = Body::from_stream(stream::iter(parts).chain(stream::pending()));
        Request::builder().uri(path).body(body).unwrap()
    }

    fn status(error: &axum::Error) -> Code {
        let source = std::error::Error::source(error).unwrap();
        source.downcast_ref::<Status>().unwrap().code()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_become_whole_is_given_up() {
        let inflow = Inflow::default();
        let cases: [(&str, &[&'static [u8]]); 4] = [
            (PUT, &[]),
            (PUT, &[b"\0\0\0\0\x02ok"]),
            (WATCH, &[b"\0\0\0\0\x02o"]),
            (WATCH, &[b"\0\0\0\0\x02ok\0", b"\0\0"]),
        ];
        for (path, parts) in cases {
            let mut body = inflow.watch_over(stalling(path, parts)).into_body();
            for part in parts {
                assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), *part);
            }
            let error = body.frame().await.unwrap().unwrap_err();
            assert_eq!(status(&error), Code::DeadlineExceeded, "{path} {parts:?}");
            assert_eq!(inflow.0.load(Ordering::Relaxed), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_may_be_quiet_between_its_messages() {
        let inflow = Inflow::default();
        let parts: [&[u8]; 3] = [b"\0\0\0", b"\0\x02ok\0\0\0\0\0\0\0\0\0\x01", b"!"];
        let mut body = inflow.watch_over(stalling(WATCH, &parts)).into_body();
        let mut held = Vec::new();
        for _ in parts {
            body.frame().await.unwrap().unwrap();
            held.push(inflow.0.load(Ordering::Relaxed));
        }
        assert_eq!(held, [3, 5, 0]);
        let waits = tokio::time::timeout(100 * REQUEST_ARRIVES_WITHIN, body.frame()).await;
        assert!(waits.is_err(), "{waits:?}");
    }

    #[tokio::test]
    async fn what_is_not_whole_has_a_bound_for_all_together() {
        let inflow = Inflow::default();
        let mut others = inflow.partial();
        others.add(PARTIAL_REQUESTS_BYTES - 6).unwrap();
        let request = stalling(PUT, &[b"\0\0\0\0\x02ok"]);
        let error = inflow.watch_over(request).into_body().frame().await.unwrap().unwrap_err();
        assert_eq!(status(&error), Code::ResourceExhausted);
        drop(others);
        assert_eq!(inflow.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn streams_are_those_of_the_contract() {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        for service in pool.services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                assert_eq!(
                    STREAMS.contains(&path.as_str()),
                    method.is_client_streaming(),
                    "{path}"
                );
            }
        }
    }
}
