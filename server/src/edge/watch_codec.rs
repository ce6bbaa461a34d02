//! Watch responses on the wire.
//!
//! The events of a response come encoded: what many streams get is encoded once, off the thread
//! that serves clients, and goes out as it is held, in a frame of its own. Were it made or copied
//! here, a thousand responses of a megabyte each would stand in the way of everybody else, and take
//! a gigabyte while their clients do not read. protobuf allows it: the bytes of two messages one
//! after the other are those of both merged, and `events` is the last of a response's fields.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::{self, Empty, StreamExt};
use http::{HeaderMap, Request as HttpRequest, Response as HttpResponse};
use http_body::{Body as HttpBody, Frame};
use http_body_util::StreamBody;
use kvorum_proto::etcdserverpb::watch_server::SERVICE_NAME;
use kvorum_proto::etcdserverpb::{WatchRequest, WatchResponse};
use prost::Message;
use tonic::body::Body;
use tonic::codegen::{Service, StdError};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::answer::{self, FRAME_HEAD_BYTES, put_frame_head};
use super::watch::{Responses, watch};
use crate::limits::{MAX_MESSAGE_BYTES, SHARED_VALUE_BYTES};
use crate::runtime::Handle;

/// A response: what is around the events, and they.
pub(super) struct Encoded {
    pub(super) head: WatchResponse,
    pub(super) events: Bytes,
}

impl Encoded {
    /// As whoever receives it sees it.
    pub(super) fn message(self) -> Result<WatchResponse, Status> {
        let mut message = self.head;
        let merged = message.merge(self.events);
        merged.map_err(|error| Status::internal(error.to_string()))?;
        Ok(message)
    }
}

/// What a client is sent, in order, as the body of the response; it ends with a status.
fn body(responses: Responses) -> axum::body::Body {
    let frames = responses.flat_map(|response| {
        let framed = response.and_then(frames).unwrap_or_else(|status| vec![trailers(&status)]);
        stream::iter(framed.into_iter().map(Ok::<_, Infallible>))
    });
    axum::body::Body::new(StreamBody::new(frames))
}

/// A response with what gRPC wants in front of it; its events are copied only if they are few.
fn frames(Encoded { head, events }: Encoded) -> Result<Vec<Frame<Bytes>>, Status> {
    let bytes = head.encoded_len() + events.len();
    let framed = u32::try_from(bytes).ok().filter(|bytes| *bytes <= MAX_MESSAGE_BYTES);
    let framed = framed.ok_or_else(|| {
        let text = "trying to send message larger than max";
        Status::resource_exhausted(format!("{text} ({bytes} vs. {MAX_MESSAGE_BYTES})"))
    })?;
    let mut out = BytesMut::with_capacity(FRAME_HEAD_BYTES + head.encoded_len());
    put_frame_head(&mut out, framed);
    head.encode(&mut out).map_err(|error| Status::internal(error.to_string()))?;
    if events.len() < SHARED_VALUE_BYTES {
        out.extend_from_slice(&events);
        return Ok(vec![Frame::data(out.freeze())]);
    }
    Ok(vec![Frame::data(out.freeze()), Frame::data(events)])
}

fn trailers(status: &Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    // What cannot be a header is left out.
    let _ = status.add_header(&mut trailers);
    Frame::trailers(trailers)
}

/// The service `Watch`, of one method.
#[derive(Clone)]
pub(super) struct WatchServer {
    pub(super) handle: Handle,
    /// Largest message a client may send.
    pub(super) limit: usize,
}

impl NamedService for WatchServer {
    const NAME: &'static str = SERVICE_NAME;
}

impl StreamingService<WatchRequest> for WatchServer {
    type Response = WatchResponse;
    type ResponseStream = Empty<Result<WatchResponse, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<WatchRequest>>) -> Self::Future {
        let responses = watch(&self.handle, request);
        ready(Ok(answer::with_body(stream::empty(), body(responses))))
    }
}

impl<B> Service<HttpRequest<B>> for WatchServer
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<HttpResponse<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            if request.uri().path() != "/etcdserverpb.Watch/Watch" {
                return Ok(Status::unimplemented("").into_http());
            }
            let mut grpc = Grpc::new(ProstCodec::default())
                .apply_max_message_size_config(Some(server.limit), Some(usize::MAX));
            Ok(grpc.streaming(server, request).await)
        })
    }
}

#[cfg(test)]
mod tests {
    use kvorum_proto::etcdserverpb::ResponseHeader;
    use kvorum_proto::mvccpb::{Event, KeyValue};

    use super::*;

    #[test]
    fn a_response_and_its_events_apart_are_on_the_wire_as_they_are_together() {
        let header = Some(ResponseHeader { revision: 9, ..ResponseHeader::default() });
        let (watch_id, fragment) = (7, true);
        let head = WatchResponse { header, watch_id, fragment, ..WatchResponse::default() };
        for (value, parts) in [(1, 1), (SHARED_VALUE_BYTES, 2)] {
            let event = |n: u8| {
                let (key, value) = (vec![n].into(), vec![n; value].into());
                let kv = Some(KeyValue { key, value, ..KeyValue::default() });
                Event { kv, ..Event::default() }
            };
            let events = vec![event(1), event(2)];
            let whole = WatchResponse { events: events.clone(), ..head.clone() };
            let alone = WatchResponse { events, ..WatchResponse::default() };
            let encoded = || Encoded { head: head.clone(), events: alone.encode_to_vec().into() };

            let frames = frames(encoded()).expect("it is not too long");
            assert_eq!(frames.len(), parts);
            let parts = frames.into_iter().map(|frame| frame.into_data().expect("it is data"));
            let apart = parts.collect::<Vec<_>>().concat();
            let (framed, message) = apart.split_at(FRAME_HEAD_BYTES);
            assert_eq!(framed, [&[0], &(message.len() as u32).to_be_bytes()[..]].concat());
            assert_eq!(message, whole.encode_to_vec());
            assert_eq!(encoded().message().expect("it can be read"), whole);
        }
    }
}
