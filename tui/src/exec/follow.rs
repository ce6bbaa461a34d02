//! One watch each, over interruptions, changes of address and compactions.

use std::time::Duration;

use bytes::Bytes;
use kvorum_client::{Connection, KeyRange, Watch, WatchItem, WatchStream, pb};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Outbox, revision};
use crate::msg::{Change, PREVIEW_BYTES, Reply, WatchEvent, WatchSignal};

/// A watch that cannot be opened is tried again after this.
const WATCH_PAUSE: Duration = Duration::from_secs(1);
/// Events handed over at a time.
const EVENTS_MAX: usize = 256;

/// Follows a watch over interruptions, changes of address and compactions, until it is cancelled or
/// refused.
pub(super) async fn follow(
    range: KeyRange,
    mut connections: watch::Receiver<Connection>,
    outbox: Outbox,
) {
    let mut next_revision = 0;
    let mut opened = false;
    loop {
        let connection = connections.borrow_and_update().clone();
        let watch =
            Watch { range: range.clone(), start_revision: next_revision, ..Watch::default() };
        let ended = match connection.watch(watch).await {
            Ok(stream) => {
                listen(stream, &mut next_revision, &mut opened, &mut connections, &outbox).await
            }
            Err(failure) if failure.is_connection() || failure.is_no_leader() => {
                outbox.tell(WatchSignal::Interrupted { reason: failure.to_string() }).await;
                let _ = timeout(WATCH_PAUSE, connections.changed()).await;
                None
            }
            Err(failure) => Some(failure.to_string()),
        };
        if let Some(reason) = ended {
            outbox.tell(WatchSignal::Ended { reason }).await;
            return;
        }
    }
}

/// Passes on what one stream says. `None`: it has to be opened again; else why it never will.
async fn listen(
    mut stream: WatchStream,
    next_revision: &mut i64,
    opened: &mut bool,
    connections: &mut watch::Receiver<Connection>,
    outbox: &Outbox,
) -> Option<String> {
    let mut lost = false;
    loop {
        let item = tokio::select! {
            item = stream.next() => item,
            // Somebody else answers, while this stream's members do not.
            changed = connections.changed(), if lost => match changed {
                Ok(()) => return None,
                Err(_) => return Some("the dashboard is closing".into()),
            },
        };
        match item {
            Some(WatchItem::Watching { revision }) => {
                if *next_revision == 0 {
                    *next_revision = revision + 1;
                }
                let first = !std::mem::replace(opened, true);
                lost = false;
                let signal =
                    if first { WatchSignal::Opened { revision } } else { WatchSignal::Resumed };
                outbox.tell(signal).await;
            }
            Some(WatchItem::Events(response)) => {
                for events in response.events.chunks(EVENTS_MAX) {
                    let events: Vec<WatchEvent> = events.iter().filter_map(watch_event).collect();
                    let newest =
                        events.iter().map(|event| event.revision).max().unwrap_or_default();
                    *next_revision = (*next_revision).max(newest + 1);
                    outbox.tell(WatchSignal::Events(events)).await;
                }
            }
            Some(WatchItem::Progress(response)) => {
                *next_revision = (*next_revision).max(revision(response.header.as_ref()) + 1);
            }
            Some(WatchItem::Lost(failure)) => {
                lost = true;
                outbox.tell(WatchSignal::Interrupted { reason: failure.to_string() }).await;
            }
            Some(WatchItem::Ended(response)) if response.compact_revision > 0 => {
                let gap =
                    WatchSignal::Gap { from: *next_revision, compacted: response.compact_revision };
                *next_revision = response.compact_revision;
                outbox.tell(gap).await;
                return None;
            }
            Some(WatchItem::Ended(response)) => {
                let reason = response.cancel_reason;
                return Some(if reason.is_empty() {
                    "the cluster ended the watch".into()
                } else {
                    reason
                });
            }
            Some(WatchItem::Failed(failure))
                if failure.is_connection() || failure.is_no_leader() =>
            {
                return None;
            }
            Some(WatchItem::Failed(failure)) => return Some(failure.to_string()),
            None => return None,
        }
    }
}

impl Outbox {
    async fn tell(&self, signal: WatchSignal) {
        self.send(Ok(Reply::Watch(signal))).await;
    }
}

fn watch_event(event: &pb::Event) -> Option<WatchEvent> {
    let kv = event.kv.as_ref()?;
    let change = if event.r#type == pb::EVENT_DELETE {
        Change::Delete
    } else {
        Change::Put {
            preview: Bytes::copy_from_slice(&kv.value[..kv.value.len().min(PREVIEW_BYTES)]),
            size: kv.value.len() as u64,
            created: kv.version == 1,
        }
    };
    Some(WatchEvent { revision: kv.mod_revision, change, key: Bytes::copy_from_slice(&kv.key) })
}
