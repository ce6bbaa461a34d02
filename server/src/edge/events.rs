//! Events in etcd's words, ready to be sent.

use bytes::Bytes;
use kvorum_core::store::{Value, Version};
use kvorum_core::watch::{Event, Events};
use kvorum_proto::etcdserverpb::WatchResponse;
use kvorum_proto::mvccpb::event::EventType;
use kvorum_proto::mvccpb::{Event as EventMessage, KeyValue};
use prost::Message;
use tokio::task::spawn_blocking;
use tonic::Status;

use super::convert::key_value;
use super::status::of_request;
use crate::limits::INLINE_EVENTS_BYTES;
use crate::runtime::{Batch, Handle, RequestError};

/// The field `events` of a response. It is made once for all that carry the same events, off the
/// thread that serves clients if it is long or needs the disk.
pub(super) async fn encoded(
    handle: &Handle,
    batch: &Batch,
    events: &Events,
) -> Result<Bytes, Status> {
    let made = batch.encoded.get_or_try_init(|| async {
        if batch.bytes <= INLINE_EVENTS_BYTES && !events.iter().any(is_stored) {
            return Ok(encode(events.iter().map(message).collect()));
        }
        let _turn = handle.watches.turn_to_make().await;
        let (handle, events) = (handle.clone(), events.clone());
        let made = spawn_blocking(move || read_back(&handle, &events).map(encode));
        made.await.unwrap_or(Err(RequestError::Stopped))
    });
    made.await.cloned().map_err(of_request)
}

fn encode(events: Vec<EventMessage>) -> Bytes {
    WatchResponse { events, ..WatchResponse::default() }.encode_to_vec().into()
}

fn is_stored(event: &Event) -> bool {
    let stored = |version: &Version| version.value == Value::Stored;
    stored(&event.version) || event.prev.as_deref().is_some_and(stored)
}

fn message(event: &Event) -> EventMessage {
    let version = &*event.version;
    let kind = if version.is_deletion() { EventType::Delete } else { EventType::Put };
    // As in etcd what creates a key has nothing before it, even if the same transaction deleted it.
    let creates = !version.is_deletion() && version.create_revision == version.at.main;
    let prev = event.prev.as_deref().filter(|_| !creates);
    EventMessage {
        r#type: kind as i32,
        kv: Some(event_kv(version)),
        prev_kv: prev.map(|prev| key_value(prev, false)),
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

/// All values are read in one go. The list the events are from keeps them from being compacted.
fn read_back(handle: &Handle, events: &[Event]) -> Result<Vec<EventMessage>, RequestError> {
    let mut messages: Vec<EventMessage> = events.iter().map(message).collect();
    let (mut versions, mut wanting) = (Vec::new(), Vec::new());
    for (event, message) in events.iter().zip(&mut messages) {
        let now = (&mut message.kv, Some(&event.version));
        let before = (&mut message.prev_kv, event.prev.as_ref());
        for (kv, version) in [now, before] {
            let (Some(kv), Some(version)) = (kv, version) else { continue };
            if version.value == Value::Stored && !version.is_deletion() {
                versions.push(&**version);
                wanting.push(kv);
            }
        }
    }
    let values = handle.values(&versions)?;
    wanting.into_iter().zip(values).for_each(|(kv, value)| kv.value = value);
    Ok(messages)
}
