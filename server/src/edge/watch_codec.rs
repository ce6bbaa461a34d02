//! Watch responses on the wire.
//!
//! The events of a response come encoded: what many streams get is encoded once, off the thread
//! that serves clients, and only copied here. Were it done here, a thousand responses of a megabyte
//! each would stand in the way of everybody else. protobuf allows it: the bytes of two messages one
//! after the other are those of both merged, and `events` is the last of a response's fields.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use futures::future::BoxFuture;
use http::{Request as HttpRequest, Response as HttpResponse};
use http_body::Body as HttpBody;
use kvorum_proto::etcdserverpb::watch_server::SERVICE_NAME;
use kvorum_proto::etcdserverpb::{WatchRequest, WatchResponse};
use prost::Message;
use tonic::body::Body;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::codegen::{Service, StdError};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::watch::{Responses, watch};
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

#[derive(Default)]
struct WatchCodec(ProstCodec<WatchResponse, WatchRequest>);

impl Codec for WatchCodec {
    type Encode = Encoded;
    type Decode = WatchRequest;
    type Encoder = WatchEncoder;
    type Decoder = <ProstCodec<WatchResponse, WatchRequest> as Codec>::Decoder;

    fn encoder(&mut self) -> WatchEncoder {
        WatchEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        self.0.decoder()
    }
}

struct WatchEncoder;

impl Encoder for WatchEncoder {
    type Item = Encoded;
    type Error = Status;

    fn encode(&mut self, response: Encoded, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(response.head.encoded_len() + response.events.len());
        let encoded = response.head.encode(out);
        encoded.map_err(|error| Status::internal(error.to_string()))?;
        out.put(response.events);
        Ok(())
    }
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
    type Response = Encoded;
    type ResponseStream = Responses;
    type Future = BoxFuture<'static, Result<Response<Responses>, Status>>;

    fn call(&mut self, request: Request<Streaming<WatchRequest>>) -> Self::Future {
        let handle = self.handle.clone();
        Box::pin(async move { Ok(Response::new(watch(&handle, request))) })
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
            let mut grpc = Grpc::new(WatchCodec::default())
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
        let event = |n: u8| {
            let kv = Some(KeyValue { key: vec![n].into(), ..KeyValue::default() });
            Event { kv, ..Event::default() }
        };
        let events = vec![event(1), event(2)];
        let whole = WatchResponse { events: events.clone(), ..head.clone() };
        let alone = WatchResponse { events, ..WatchResponse::default() };
        let encoded = || Encoded { head: head.clone(), events: alone.encode_to_vec().into() };

        let apart = [encoded().head.encode_to_vec(), encoded().events.to_vec()].concat();
        assert_eq!(apart, whole.encode_to_vec());
        assert_eq!(encoded().message().expect("it can be read"), whole);
    }
}
