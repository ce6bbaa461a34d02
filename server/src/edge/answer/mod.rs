//! Answers of any size in bounded memory.
//!
//! gRPC wants a message whole, with its length in front; a list of a million keys built whole would
//! take its size in memory, for each client that asks. So an answer is [laid out](Layout) first: its
//! length is computed from versions that the state holds anyway. A small one is then made like any
//! other. A large one goes out [in chunks](stream) of the one gRPC frame, each made when the client
//! has taken the one before, under a [budget](crate::runtime::Charge) for all of them.
//!
//! A service hands its large answer to the response as an extension, and [`attach`] puts it in the
//! place of the empty message around which the framework has built headers. Watch streams go the
//! same way.

mod layout;
mod stream;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response as HttpResponse;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use prost::Message;
use tonic::{Response, Status};

pub(super) use layout::{Layout, is_large};
pub(super) use stream::{FRAME_HEAD_BYTES, put_frame_head};

use super::status::of_request;
use crate::runtime::Handle;

/// A message, or how it is made.
pub(super) enum Answer<T> {
    Whole(T),
    Large(Layout),
}

/// The body of an answer that is not made by the framework; taken once.
#[derive(Clone)]
struct OwnBody(Arc<Mutex<Option<Body>>>);

/// The response around an answer. Whoever waits here for room has no turn: what is only slow to
/// find passes it.
pub(super) async fn respond<T: Default>(
    handle: &Handle,
    answer: Answer<T>,
) -> Result<Response<T>, Status> {
    let layout = match answer {
        Answer::Whole(message) => return Ok(Response::new(message)),
        Answer::Large(layout) => layout,
    };
    let charge = handle.reading.charge(layout.held_bytes(), layout.listed_bytes());
    let charge = charge.await.map_err(of_request)?;
    let body = stream::body(handle, layout, charge)?;
    Ok(with_body(T::default(), body))
}

/// A response whose message, or stream of messages, is in `body`, framed as gRPC wants it.
pub(super) fn with_body<T>(instead_of: T, body: Body) -> Response<T> {
    let mut response = Response::new(instead_of);
    response.extensions_mut().insert(OwnBody(Arc::new(Mutex::new(Some(body)))));
    response
}

/// Gives a response the body that its service has made for it.
pub(super) async fn attach(mut response: HttpResponse) -> HttpResponse {
    if let Some(OwnBody(body)) = response.extensions_mut().remove()
        && let Some(body) = body.lock().take()
    {
        *response.body_mut() = body;
    }
    response
}

/// The message in a response that does not go to a client as it is.
pub(super) async fn whole<T: Message + Default>(mut response: Response<T>) -> Result<T, Status> {
    let own: Option<OwnBody> = response.extensions_mut().remove();
    let Some(body) = own.and_then(|OwnBody(body)| body.lock().take()) else {
        return Ok(response.into_inner());
    };
    let collected = body.collect().await.map_err(|error| Status::internal(error.to_string()))?;
    let message = collected.to_bytes().split_off(stream::FRAME_HEAD_BYTES);
    T::decode(message).map_err(|error| Status::internal(error.to_string()))
}
