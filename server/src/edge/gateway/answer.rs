//! From a method's answer to the HTTP client's: the status, the head, and a body that is
//! translated as it comes.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use futures::stream::{self, Stream};
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use prost_reflect::MessageDescriptor;
use serde::Serialize;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};

use super::json::{Incoming, Unreadable};
use super::request::FRAME_HEAD_BYTES;

const JSON: &str = "application/json";

/// A long answer is translated in parts of this size, each when the one before is on its way: so it
/// is neither held twice, nor does it hold up who else is served.
const PART_BYTES: usize = 128 << 10;

/// Why a stream of requests broke off. Its reader says so in the answer.
pub(super) type BrokenOff = Arc<Mutex<Option<Status>>>;

/// An answer that is an error.
pub(super) fn refusal(status: &Status) -> Response {
    let head = [(CONTENT_TYPE, JSON)];
    let mut response =
        (http_status(status.code()), head, encoded(&ErrorBody::from(status))).into_response();
    if status.code() == Code::Unauthenticated
        && let Ok(text) = HeaderValue::try_from(status.message())
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, text);
    }
    response
}

/// What the client gets of `grpc`. Of a call that answers once the message is the body; else each
/// is a line of its own, and an error after the first is a line too.
pub(super) async fn translated(
    grpc: Response,
    message: &MessageDescriptor,
    streaming: bool,
    broken: BrokenOff,
    deadline: Option<Instant>,
) -> Response {
    let (head, mut body) = grpc.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers)
        && status.code() != Code::Ok
    {
        return failure(&broken.lock().take().unwrap_or(status), streaming);
    }
    // Whether the call fails is known with the first that comes of its answer.
    let mut translation = Translation::new(message.clone(), streaming, broken, deadline);
    let first = match translation.next(&mut body).await {
        Ok(first) => first,
        Err(status) => return failure(&status, streaming),
    };
    let mut response = match translation.only_part(&mut body, first.as_ref()).await {
        Ok(true) => Response::new(Body::from(first.unwrap_or_default())),
        Ok(false) => Response::new(Body::from_stream(parts(translation, body, first))),
        Err(status) => return failure(&status, streaming),
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    add_metadata(&head.headers, response.headers_mut());
    response
}

fn parts(
    translation: Translation,
    body: Body,
    first: Option<Bytes>,
) -> impl Stream<Item = Result<Bytes, Status>> + Send {
    stream::unfold((translation, body, first), |(mut translation, mut body, first)| {
        async move {
            if let Some(first) = first {
                return Some((Ok(first), (translation, body, None)));
            }
            match translation.next(&mut body).await {
                Ok(bytes) => bytes.map(|bytes| (Ok(bytes), (translation, body, None))),
                // A line tells the client of a stream; half a message is told by breaking off.
                Err(status) if translation.is_between_lines() => {
                    translation.done = true;
                    Some((Ok(error_line(&status)), (translation, body, None)))
                }
                Err(status) => {
                    translation.done = true;
                    Some((Err(status), (translation, body, None)))
                }
            }
        }
    })
}

/// What the service said about its answer, as grpc-gateway passes it on.
fn add_metadata(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        if name.as_str().starts_with("grpc-") {
            continue;
        }
        if let Ok(name) = http::HeaderName::try_from(format!("grpc-metadata-{name}")) {
            to.append(name, value.clone());
        }
    }
}

fn failure(status: &Status, streaming: bool) -> Response {
    if !streaming {
        return refusal(status);
    }
    (http_status(status.code()), [(CONTENT_TYPE, JSON)], error_line(status)).into_response()
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: i32,
    message: &'a str,
}

impl<'a> From<&'a Status> for ErrorBody<'a> {
    fn from(status: &'a Status) -> ErrorBody<'a> {
        ErrorBody { code: status.code() as i32, message: status.message() }
    }
}

fn error_line(status: &Status) -> Bytes {
    #[derive(Serialize)]
    struct Line<'a> {
        error: ErrorBody<'a>,
    }
    let mut line = encoded(&Line { error: status.into() });
    line.push(b'\n');
    line.into()
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings and numbers always encode")
}

/// grpc-gateway's map, of its second version.
fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // The client closed the request: nginx's number, which HTTP does not know.
        Code::Cancelled => StatusCode::from_u16(499).expect("three digits"),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What comes of it until the client wants no more.
pub(super) async fn before<T>(
    deadline: Option<Instant>,
    future: impl Future<Output = T>,
) -> Result<T, Status> {
    let Some(deadline) = deadline else { return Ok(future.await) };
    let timed_out = |_| Status::deadline_exceeded("context deadline exceeded");
    timeout_at(deadline, future).await.map_err(timed_out)
}

/// A body of gRPC on its way to JSON.
struct Translation {
    message: MessageDescriptor,
    streaming: bool,
    broken: BrokenOff,
    /// What came and is not translated yet.
    data: Bytes,
    /// The head of the next message, as far as it is there.
    head: Vec<u8>,
    /// The message that is coming, and how much of it is missing.
    open: Option<(Incoming, usize)>,
    messages: u64,
    /// When the client wants no more.
    deadline: Option<Instant>,
    done: bool,
}

impl Translation {
    fn new(
        message: MessageDescriptor,
        streaming: bool,
        broken: BrokenOff,
        deadline: Option<Instant>,
    ) -> Translation {
        Translation {
            message,
            streaming,
            broken,
            data: Bytes::new(),
            head: Vec::with_capacity(FRAME_HEAD_BYTES),
            open: None,
            messages: 0,
            deadline,
            done: false,
        }
    }

    fn is_between_lines(&self) -> bool {
        self.streaming && self.open.is_none() && self.messages > 0
    }

    /// Whether `first` is all there is of a single answer; then its status has been seen too.
    async fn only_part(&mut self, body: &mut Body, first: Option<&Bytes>) -> Result<bool, Status> {
        if self.streaming || first.is_none() || self.messages != 1 {
            return Ok(first.is_none());
        }
        self.next(body).await.map(|more| more.is_none())
    }

    /// The next bytes of JSON; none after the last.
    async fn next(&mut self, body: &mut Body) -> Result<Option<Bytes>, Status> {
        loop {
            while !self.data.is_empty() {
                let part = self.data.split_to(self.data.len().min(PART_BYTES));
                if part.len() == PART_BYTES {
                    // Others have their turn in between.
                    yield_now().await;
                }
                let mut out = Vec::with_capacity(part.len() * 2);
                self.push(part, &mut out).map_err(|error| Status::internal(error.to_string()))?;
                if !out.is_empty() {
                    return Ok(Some(out.into()));
                }
            }
            if self.done {
                return Ok(None);
            }
            let frame = before(self.deadline, body.frame()).await?;
            let Some(frame) = frame else { return self.end(None) };
            let frame = frame.map_err(|error| Status::unavailable(error.to_string()))?;
            match frame.into_data() {
                Ok(data) => self.data = data,
                Err(frame) => {
                    return self.end(frame.trailers_ref().and_then(Status::from_header_map));
                }
            }
        }
    }

    /// What the call came to when there is nothing more of its answer.
    fn end(&mut self, status: Option<Status>) -> Result<Option<Bytes>, Status> {
        self.done = true;
        if let Some(status) = self.broken.lock().take() {
            return Err(status);
        }
        match status {
            Some(status) if status.code() != Code::Ok => Err(status),
            _ if self.open.is_some() || (!self.streaming && self.messages != 1) => {
                Err(Status::internal(Unreadable.to_string()))
            }
            _ => Ok(None),
        }
    }

    fn push(&mut self, mut data: Bytes, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        while !data.is_empty() || self.is_whole() {
            let Some((incoming, missing)) = &mut self.open else {
                let part = data.len().min(FRAME_HEAD_BYTES - self.head.len());
                self.head.extend_from_slice(&data.split_to(part));
                if self.head.len() == FRAME_HEAD_BYTES {
                    self.begin(out)?;
                }
                continue;
            };
            let part = data.split_to(data.len().min(*missing));
            *missing -= part.len();
            incoming.push(&part, out)?;
            if *missing == 0 {
                self.finish(out)?;
            }
        }
        Ok(())
    }

    /// Whether the open message has all it will get: one of no bytes, or one that just ended.
    fn is_whole(&self) -> bool {
        matches!(&self.open, Some((_, 0)))
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let mut head = self.head.as_slice();
        let compressed = head.get_u8() != 0;
        let length = head.get_u32() as usize;
        self.head.clear();
        if compressed {
            return Err(Unreadable);
        }
        if self.streaming {
            out.extend_from_slice(b"{\"result\":");
        }
        self.open = Some((Incoming::begin(self.message.clone(), out), length));
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let Some((incoming, _)) = self.open.take() else { return Ok(()) };
        incoming.end(out)?;
        self.messages += 1;
        if self.streaming {
            out.extend_from_slice(b"}\n");
        }
        Ok(())
    }
}
