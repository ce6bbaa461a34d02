//! gRPC calls whose messages are bytes already.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use super::contract::Method;

/// Longer than any request takes that is answered at all.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// A method that is asked once and answers once.
pub async fn unary(
    channel: &Channel,
    method: &Method,
    metadata: MetadataMap,
    message: Bytes,
) -> Result<Bytes, Status> {
    let mut grpc = ready(channel).await?;
    let mut request = Request::new(message);
    *request.metadata_mut() = metadata;
    let call = grpc.unary(request, method.path.clone(), Raw);
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(Status::unknown("differential: no answer in time")),
    }
}

/// A method whose request, answer or both are streams.
pub async fn streaming(
    channel: &Channel,
    method: &Method,
    metadata: MetadataMap,
    messages: impl Stream<Item = Bytes> + Send + 'static,
) -> Result<Streaming<Bytes>, Status> {
    let mut grpc = ready(channel).await?;
    let mut request = Request::new(messages);
    *request.metadata_mut() = metadata;
    Ok(grpc.streaming(request, method.path.clone(), Raw).await?.into_inner())
}

async fn ready(channel: &Channel) -> Result<Grpc<Channel>, Status> {
    let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(usize::MAX);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(grpc)
}
