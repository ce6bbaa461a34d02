//! Watches: many on one stream, in one order.

use std::pin::Pin;

use kvorum_core::store::{Value, Version};
use kvorum_core::watch::{Body, Event, WatchReply};
use kvorum_proto::etcdserverpb::watch_request::RequestUnion;
use kvorum_proto::etcdserverpb::{WatchRequest as WatchMessage, WatchResponse, watch_server};
use kvorum_proto::mvccpb::event::EventType;
use kvorum_proto::mvccpb::{Event as EventMessage, KeyValue};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::task::spawn_blocking;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::convert::key_value;
use super::require_leader::while_led;
use super::status::of_request;
use super::wants_leader;
use crate::limits::WATCH_SEND_TIMEOUT;
use crate::runtime::{
    Handle, RequestError, WatchRequest, WatchSender, WatchStream, Watches, reply_bytes,
};

pub(super) struct Watch(pub(super) Handle);

#[tonic::async_trait]
impl watch_server::Watch for Watch {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchMessage>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let led = wants_leader(request.metadata().as_ref());
        let messages = request.into_inner();
        let handle = self.0.clone();
        // One response is encoded while the next is made; more wait as shared versions.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let stream = Watches::open(&handle);
            let asking = ask(messages, stream.sender.clone());
            let answering = answer(&handle, stream, &sender);
            let both = async {
                tokio::select! {
                    failed = asking => failed,
                    ended = answering => ended,
                }
            };
            // The stream is closed by then, and with it its hold on history; a client that does
            // not read costs no more than the response it has left.
            if let Err(status) = while_led(&handle, led, both).await {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Hands in what the client asks. A client that will ask for nothing more still gets its events.
async fn ask(mut messages: Streaming<WatchMessage>, sender: WatchSender) -> Result<(), Status> {
    while let Some(message) = messages.message().await? {
        let request = match message.request_union {
            Some(RequestUnion::CreateRequest(create)) => WatchRequest::Create(create),
            Some(RequestUnion::CancelRequest(cancel)) => WatchRequest::Cancel(cancel.watch_id),
            Some(RequestUnion::ProgressRequest(_)) => WatchRequest::Progress,
            None => {
                tracing::info!("a watch request of unknown kind was ignored");
                continue;
            }
        };
        sender.request(request).await;
    }
    std::future::pending().await
}

type Responses = mpsc::Sender<Result<WatchResponse, Status>>;

/// Passes the hub's replies on until the client is gone or takes no more, or the member stops.
async fn answer(
    handle: &Handle,
    mut stream: WatchStream,
    responses: &Responses,
) -> Result<(), Status> {
    let mut replies = Vec::new();
    loop {
        let there = tokio::select! {
            there = stream.next(&mut replies) => there,
            () = responses.closed() => return Ok(()),
        };
        if !there {
            return Err(of_request(RequestError::Stopped));
        }
        for reply in replies.drain(..) {
            let bytes = reply_bytes(&reply);
            let response = response(handle, reply).await?;
            match responses.send_timeout(Ok(response), WATCH_SEND_TIMEOUT).await {
                Ok(()) => {}
                Err(SendTimeoutError::Closed(_)) => return Ok(()),
                Err(SendTimeoutError::Timeout(_)) => return Err(unread()),
            }
            stream.consumed(1, bytes);
        }
    }
}

/// What is unavailable, clients watch again from the revision they have seen.
fn unread() -> Status {
    let seconds = WATCH_SEND_TIMEOUT.as_secs();
    Status::unavailable(format!(
        "kvorum: the client took no events for {seconds} s; watch again from the last revision seen"
    ))
}

/// A reply in etcd's words.
async fn response(handle: &Handle, reply: WatchReply) -> Result<WatchResponse, Status> {
    let mut response = WatchResponse {
        header: Some(handle.header(reply.revision)),
        watch_id: reply.watch_id,
        ..WatchResponse::default()
    };
    match reply.body {
        Body::Created => response.created = true,
        Body::Refused(refusal) => {
            response.created = true;
            response.canceled = true;
            response.cancel_reason = refusal.to_string();
        }
        Body::Canceled => response.canceled = true,
        Body::Overtaken { compact_revision } => {
            response.canceled = true;
            response.compact_revision = compact_revision;
        }
        Body::Progress => {}
        Body::Events { events, fragment } => {
            response.fragment = fragment;
            if events.iter().any(is_stored) {
                let _turn = handle.watches.turn_to_read().await;
                let handle = handle.clone();
                let read = spawn_blocking(move || {
                    events.iter().map(|event| read_back(&handle, event)).collect()
                });
                let read: Result<Vec<EventMessage>, RequestError> =
                    read.await.map_err(|_| of_request(RequestError::Stopped))?;
                response.events = read.map_err(of_request)?;
            } else {
                response.events = events.iter().map(message).collect();
            }
        }
    }
    Ok(response)
}

fn is_stored(event: &Event) -> bool {
    let stored = |version: &Version| version.value == Value::Stored;
    stored(&event.version) || event.prev.as_deref().is_some_and(stored)
}

fn message(event: &Event) -> EventMessage {
    let version = &*event.version;
    let kind = if version.is_deletion() { EventType::Delete } else { EventType::Put };
    EventMessage {
        r#type: kind as i32,
        kv: Some(event_kv(version)),
        prev_kv: event.prev.as_deref().map(|prev| key_value(prev, false)),
    }
}

/// A deletion names its key and its revision, nothing else.
fn event_kv(version: &Version) -> KeyValue {
    if version.is_deletion() {
        let (key, mod_revision) = (version.key.clone(), version.at.main);
        return KeyValue { key, mod_revision, ..KeyValue::default() };
    }
    key_value(version, false)
}

/// The list the event is from keeps its values from being compacted.
fn read_back(handle: &Handle, event: &Event) -> Result<EventMessage, RequestError> {
    let mut message = message(event);
    let now = (&mut message.kv, Some(&event.version));
    let before = (&mut message.prev_kv, event.prev.as_ref());
    for (kv, version) in [now, before] {
        let (Some(kv), Some(version)) = (kv, version) else { continue };
        if version.value == Value::Stored && !version.is_deletion() {
            kv.value = handle.value(version)?;
        }
    }
    Ok(message)
}
