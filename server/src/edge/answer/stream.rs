//! A laid-out answer on its way: chunk by chunk, as the client takes them.

use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue};
use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;
use http_body_util::StreamBody;
use kvorum_core::store::{Value, Version};
use kvorum_proto::mvccpb::KeyValue;
use prost::Message;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::super::convert;
use super::layout::{Layout, Piece, Versions, message_bytes, put_length, value_bytes};
use crate::limits::{
    CHUNK_BYTES, LARGE_READ_MAX_AGE, LARGE_READ_SEND_TIMEOUT, MAX_MESSAGE_BYTES, SHARED_VALUE_BYTES,
};
use crate::runtime::{Charge, Handle, RequestError};

/// What stands in front of a message: whether it is compressed, and its length.
pub(in crate::edge) const FRAME_HEAD_BYTES: usize = 5;

/// Of a message of so many bytes, which is not compressed.
pub(in crate::edge) fn put_frame_head(out: &mut BytesMut, bytes: u32) {
    const UNCOMPRESSED: u8 = 0;
    out.put_u8(UNCOMPRESSED);
    out.put_u32(bytes);
}

type Frames = mpsc::Sender<Result<Frame<Bytes>, RequestError>>;

/// The one gRPC frame of the answer, then the trailers that end it well. The charge is kept until
/// the client has all of it or is given up.
pub(super) fn body(handle: &Handle, layout: Layout, charge: Charge) -> Result<Body, Status> {
    let bytes = u32::try_from(layout.bytes()).ok().filter(|bytes| *bytes <= MAX_MESSAGE_BYTES);
    let Some(bytes) = bytes else {
        return Err(Status::resource_exhausted(format!(
            "trying to send message larger than max ({} vs. {MAX_MESSAGE_BYTES})",
            layout.bytes()
        )));
    };
    // One chunk is taken while the next is made.
    let (sender, receiver) = mpsc::channel(1);
    let chunks = Chunks::new(handle.clone(), layout, bytes);
    tokio::spawn(async move {
        // A client that is gone, or too slow, has no answer to be told in.
        let _ = send(chunks, &sender).await;
        drop(charge);
    });
    Ok(Body::new(StreamBody::new(ReceiverStream::new(receiver))))
}

/// Why an answer goes no further.
enum Ended {
    Gone,
    TooSlow,
}

async fn send(mut chunks: Chunks, frames: &Frames) -> Result<(), Ended> {
    let until = Instant::now() + LARGE_READ_MAX_AGE;
    let handle = chunks.handle.clone();
    loop {
        let maker = handle.reading.maker().await.map_err(|_| Ended::Gone)?;
        let (rest, chunk) = spawn_blocking(move || {
            let chunk = chunks.next();
            (chunks, chunk)
        })
        .await
        .map_err(|_| Ended::Gone)?;
        drop(maker);
        chunks = rest;
        match chunk {
            Ok(parts) if parts.is_empty() => {
                let end = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
                return pass(frames, Ok(Frame::trailers(end))).await;
            }
            Ok(parts) => {
                for part in parts {
                    pass(frames, Ok(Frame::data(part))).await?;
                }
            }
            Err(error) => return pass(frames, Err(error)).await,
        }
        if Instant::now() > until {
            tracing::info!("a client took too long to read a large answer; it was given up");
            return Err(Ended::TooSlow);
        }
    }
}

const GRPC_STATUS: axum::http::HeaderName = axum::http::HeaderName::from_static("grpc-status");

/// What is not finished with trailers ends as a reset stream.
async fn pass(frames: &Frames, frame: Result<Frame<Bytes>, RequestError>) -> Result<(), Ended> {
    match frames.send_timeout(frame, LARGE_READ_SEND_TIMEOUT).await {
        Ok(()) => Ok(()),
        Err(SendTimeoutError::Closed(_)) => Err(Ended::Gone),
        Err(SendTimeoutError::Timeout(_)) => {
            tracing::info!("a client takes nothing of a large answer; it was given up");
            Err(Ended::TooSlow)
        }
    }
}

/// The answer's bytes, made in order.
struct Chunks {
    handle: Handle,
    layout: Layout,
    /// What is being listed.
    versions: Option<Versions>,
    out: BytesMut,
}

impl Chunks {
    fn new(handle: Handle, layout: Layout, bytes: u32) -> Chunks {
        let mut out = BytesMut::with_capacity(FRAME_HEAD_BYTES);
        put_frame_head(&mut out, bytes);
        Chunks { handle, layout, versions: None, out }
    }

    /// About a chunk of bytes in parts, or nothing at the end. Blocks on the disk where values are
    /// there only.
    fn next(&mut self) -> Result<Vec<Bytes>, RequestError> {
        let (mut parts, mut bytes) = (Vec::new(), 0);
        while bytes + self.out.len() < CHUNK_BYTES {
            if let Some(versions) = &mut self.versions {
                let Some(version) = versions.list.next() else {
                    self.versions = None;
                    continue;
                };
                bytes += self.element(&version, &mut parts)?;
                continue;
            }
            match self.layout.pieces.pop_front() {
                Some(Piece::Bytes(bytes)) => self.out.extend_from_slice(&bytes),
                Some(Piece::Versions(versions)) => self.versions = Some(versions),
                Some(Piece::Range(range)) => {
                    let mut reply = range.read();
                    self.handle.sort(&mut reply)?;
                    self.versions = Some(Versions::of(reply));
                }
                None => break,
            }
        }
        if !self.out.is_empty() {
            parts.push(self.out.split().freeze());
        }
        Ok(parts)
    }

    /// Appends one element; a long value is shared instead of copied. Answers what went to `parts`.
    fn element(
        &mut self,
        version: &Version,
        parts: &mut Vec<Bytes>,
    ) -> Result<usize, RequestError> {
        let versions = self.versions.as_mut().expect("an element is one of those being listed");
        let keys_only = versions.keys_only;
        put_length(&mut self.out, versions.tag, message_bytes(version, keys_only));
        if value_bytes(version, keys_only) == 0 {
            put(&mut self.out, &convert::key_value(version, true));
            return Ok(0);
        }
        let value = match &version.value {
            Value::Resident(value) => value.clone(),
            Value::Stored => read_back(&self.handle, versions, version)?,
        };
        let kv = KeyValue { value, ..convert::key_value(version, true) };
        if kv.value.len() < SHARED_VALUE_BYTES {
            put(&mut self.out, &kv);
            return Ok(0);
        }
        // Fields go in the order of their numbers: the lease comes after the value.
        let (value, lease) = (kv.value, kv.lease);
        put(&mut self.out, &KeyValue { value: Bytes::new(), lease: 0, ..kv });
        put_length(&mut self.out, KEY_VALUE_VALUE, value.len());
        let bytes = self.out.len() + value.len();
        parts.push(self.out.split().freeze());
        parts.push(value);
        put(&mut self.out, &KeyValue { lease, ..KeyValue::default() });
        Ok(bytes)
    }
}

/// The value of a version, and with it those of the next ones, a chunk of them at a time.
fn read_back(
    handle: &Handle,
    versions: &mut Versions,
    version: &Version,
) -> Result<Bytes, RequestError> {
    if versions.values.is_empty() {
        let next = versions.list.as_slice().iter().map(|version| &**version);
        let stored =
            next.filter(|next| next.value == Value::Stored && value_bytes(next, false) > 0);
        let (mut together, mut bytes) = (vec![version], version.value_len as usize);
        together.extend(stored.take_while(|next| {
            bytes += next.value_len as usize;
            bytes <= CHUNK_BYTES
        }));
        versions.values = handle.values(&together)?.into();
    }
    Ok(versions.values.pop_front().expect("a value was read back for each version"))
}

/// Field 5, with a length in front.
const KEY_VALUE_VALUE: u8 = 5 << 3 | 2;

fn put(out: &mut BytesMut, kv: &KeyValue) {
    kv.encode(out).expect("the buffer grows as needed");
}
