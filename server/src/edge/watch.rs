//! Watches: many on one stream, in one order.

use bytes::Bytes;
use kvorum_core::auth::{Access, Principal};
use kvorum_core::watch::{Body, Refusal, WatchReply};
use kvorum_proto::etcdserverpb::watch_request::RequestUnion;
use kvorum_proto::etcdserverpb::{WatchCreateRequest, WatchRequest as WatchMessage, WatchResponse};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

use super::events::encoded;
use super::permits::{Permits, cancel_reason, watched};
use super::principal::Caller;
use super::require_leader::while_led;
use super::status::of_request;
use super::wants_leader;
use super::watch_codec::Encoded;
use crate::limits::WATCH_SEND_TIMEOUT;
use crate::runtime::{
    Handle, Outgoing, RequestError, WatchRequest, WatchSender, WatchStream, Watches,
};

/// Serves one client's stream until either end of it is gone.
pub(super) fn watch(handle: &Handle, request: Request<Streaming<WatchMessage>>) -> Responses {
    let led = wants_leader(request.metadata().as_ref());
    let (caller, messages) = Caller::split(handle, request);
    let handle = handle.clone();
    // One response is on its way while the next is made; more wait as shared versions.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let stream = Watches::open(&handle);
        let permits = Mutex::new(Permits::new(caller, &handle.root()));
        let asking = ask(&handle, messages, stream.sender.clone(), &permits);
        let answering = answer(&handle, stream, &sender, &permits);
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
    ReceiverStream::new(receiver)
}

/// Hands in what the client asks. A client that will ask for nothing more still gets its events.
async fn ask(
    handle: &Handle,
    mut messages: Streaming<WatchMessage>,
    sender: WatchSender,
    permits: &Mutex<Permits>,
) -> Result<(), Status> {
    while let Some(message) = messages.message().await? {
        let request = match message.request_union {
            Some(RequestUnion::CreateRequest(create)) => {
                match permit(handle, &create, permits).await {
                    Ok(()) => WatchRequest::Create(create),
                    Err(reason) => WatchRequest::Deny { reason },
                }
            }
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

/// Whether a watch may be created; if not, the reason for its client. A start that is not possible
/// is refused by the hub, as in etcd before anybody asks who asks.
async fn permit(
    handle: &Handle,
    create: &WatchCreateRequest,
    permits: &Mutex<Permits>,
) -> Result<(), String> {
    let mut root = handle.root();
    let range = watched(create);
    if create.start_revision < 0 {
        permits.lock().asked(range, None, &root);
        return Ok(());
    }
    let caller = permits.lock().caller();
    match caller.authorise(&mut root, Access::Read(&range)).await {
        Ok(principal) => {
            permits.lock().asked(range, Some(&principal), &root);
            Ok(())
        }
        Err(status) => Err(cancel_reason(&status)),
    }
}

/// What a client is sent, in order.
pub(super) type Responses = ReceiverStream<Result<Encoded, Status>>;

type Sender = mpsc::Sender<Result<Encoded, Status>>;

/// Passes the hub's replies on until the client is gone or takes no more, or the member stops.
async fn answer(
    handle: &Handle,
    mut stream: WatchStream,
    responses: &Sender,
    permits: &Mutex<Permits>,
) -> Result<(), Status> {
    let mut replies = Vec::new();
    let mut watching = handle.metrics.watching();
    let mut auth_news = handle.auth_news.subscribe();
    loop {
        let there = tokio::select! {
            there = stream.next(&mut replies) => there,
            news = auth_news.changed() => news.is_ok(),
            () = responses.closed() => return Ok(()),
        };
        if !there {
            return Err(of_request(RequestError::Stopped));
        }
        for reply in replies.drain(..) {
            if !end_forbidden(handle, &stream.sender, responses, permits).await? {
                return Ok(());
            }
            let bytes = reply.reply.bytes();
            watching.note(&reply.reply);
            if passes(&reply.reply, permits) {
                let response = response(handle, reply).await?;
                if !send(responses, response).await? {
                    return Ok(());
                }
            }
            stream.consumed(1, bytes);
        }
        if !end_forbidden(handle, &stream.sender, responses, permits).await? {
            return Ok(());
        }
    }
}

/// Notes what a reply says of its watch; whether the client is to hear of it.
fn passes(reply: &WatchReply, permits: &Mutex<Permits>) -> bool {
    let mut permits = permits.lock();
    match &reply.body {
        Body::Created => permits.answered(Some(reply.watch_id)),
        // Nothing was asked of the hub.
        Body::Refused(Refusal::Denied(_)) => {}
        Body::Refused(_) => permits.answered(None),
        Body::Canceled | Body::Overtaken { .. } => return permits.ended(reply.watch_id),
        Body::Progress | Body::Events { .. } => return permits.passes(reply.watch_id),
    }
    true
}

/// Ends the watches that have lost their permission; false if the client is gone.
async fn end_forbidden(
    handle: &Handle,
    sender: &WatchSender,
    responses: &Sender,
    permits: &Mutex<Permits>,
) -> Result<bool, Status> {
    let mut root = handle.root();
    if permits.lock().is_current(&root) {
        return Ok(true);
    }
    // A proof is looked at only as long as it has proved nothing yet.
    let unproved = permits.lock().unproved();
    let found = match unproved {
        Some(caller) => caller.principal(&mut root).await,
        None => Ok(Principal::Anonymous),
    };
    let lost = permits.lock().lost(&root, found);
    for (watch_id, cancel_reason) in lost {
        sender.cancel(watch_id);
        let canceled = WatchResponse {
            header: Some(handle.header(root.revision())),
            watch_id,
            canceled: true,
            cancel_reason,
            ..WatchResponse::default()
        };
        if !send(responses, bare(canceled)).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Without events.
fn bare(head: WatchResponse) -> Encoded {
    Encoded { head, events: Bytes::new() }
}

/// False if the client is gone; one that takes nothing is left.
async fn send(responses: &Sender, response: Encoded) -> Result<bool, Status> {
    match responses.send_timeout(Ok(response), WATCH_SEND_TIMEOUT).await {
        Ok(()) => Ok(true),
        Err(SendTimeoutError::Closed(_)) => Ok(false),
        Err(SendTimeoutError::Timeout(_)) => Err(unread()),
    }
}

/// What is unavailable, clients watch again from the revision they have seen.
pub(super) fn unread() -> Status {
    let seconds = WATCH_SEND_TIMEOUT.as_secs();
    Status::unavailable(format!(
        "kvorum: the client took no events for {seconds} s; watch again from the last revision seen"
    ))
}

/// A reply in etcd's words.
pub(super) async fn response(handle: &Handle, outgoing: Outgoing) -> Result<Encoded, Status> {
    let Outgoing { reply, batch } = outgoing;
    let mut events = Bytes::new();
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
        Body::Events { events: found, fragment } => {
            response.fragment = fragment;
            events = encoded(handle, &batch, &found).await?;
        }
    }
    Ok(Encoded { head: response, events })
}
