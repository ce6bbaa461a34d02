//! Waiting until a key is as wanted, without asking again and again.

use super::{KeyValue, shared};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
use crate::request::{Get, Watch};
use crate::watch::WatchItem;

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitFor {
    Exists,
    Deleted,
    Value(Vec<u8>),
}

/// It is so.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// The revision at which it was first seen.
    pub revision: i64,
    /// The key, if it exists.
    pub kv: Option<KeyValue>,
    /// It was so already at the first look.
    pub at_once: bool,
}

impl WaitFor {
    fn is_met(&self, kv: Option<&pb::KeyValue>) -> bool {
        match self {
            Self::Exists => kv.is_some(),
            Self::Deleted => kv.is_none(),
            Self::Value(value) => kv.is_some_and(|kv| kv.value == *value),
        }
    }
}

/// Looks at the key and, unless it is as wanted, watches it from that revision on. A lost watch is
/// opened again, and if what it missed was compacted the key is looked at again. `lost` hears of
/// every loss.
pub async fn wait(
    connection: &Connection,
    key: &[u8],
    wanted: &WaitFor,
    mut lost: impl FnMut(&Failure),
) -> Result<Happened, Failure> {
    let mut at_once = true;
    loop {
        let answer = connection.get(Get { serializable: true, ..Get::key(key) }).await?;
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        let kv = answer.kvs.into_iter().next();
        if wanted.is_met(kv.as_ref()) {
            return Ok(Happened { revision, kv: kv.map(shared), at_once });
        }
        at_once = false;
        let range = crate::range::KeyRange::single(key);
        let watch = Watch { range, start_revision: revision + 1, ..Watch::default() };
        let mut items = connection.watch(watch).await?;
        loop {
            match items.next().await {
                Some(WatchItem::Events(response)) => {
                    if let Some(happened) = find(response.events, wanted) {
                        return Ok(happened);
                    }
                }
                Some(WatchItem::Lost(failure)) => lost(&failure),
                Some(WatchItem::Watching { .. } | WatchItem::Progress(_)) => {}
                // What happened since is no longer there to be told; look again.
                Some(WatchItem::Ended(response)) if response.compact_revision > 0 => break,
                Some(WatchItem::Ended(response)) => {
                    let message = format!("the server ended the watch: {}", response.cancel_reason);
                    return Err(Failure::Refused { code: tonic::Code::Cancelled, message });
                }
                Some(WatchItem::Failed(failure)) => return Err(failure),
                None => break,
            }
        }
    }
}

fn find(events: Vec<pb::Event>, wanted: &WaitFor) -> Option<Happened> {
    events.into_iter().find_map(|event| {
        let revision = event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
        let kv = event.kv.filter(|_| event.r#type != pb::EVENT_DELETE);
        let met = wanted.is_met(kv.as_ref());
        met.then(|| Happened { revision, kv: kv.map(shared), at_once: false })
    })
}

#[cfg(test)]
mod tests {
    use super::{WaitFor, find};
    use crate::pb;

    fn event(revision: i64, value: Option<&str>) -> pb::Event {
        let kind = if value.is_some() { 0 } else { pb::EVENT_DELETE };
        let kv = pb::KeyValue {
            key: b"k".to_vec(),
            value: value.unwrap_or_default().into(),
            mod_revision: revision,
            ..pb::KeyValue::default()
        };
        pb::Event { r#type: kind, kv: Some(kv), prev_kv: None }
    }

    #[test]
    fn the_first_event_that_makes_it_so_is_the_one() {
        let events =
            [event(3, Some("a")), event(4, None), event(5, Some("b")), event(6, Some("b"))];
        let revision =
            |wanted: WaitFor| find(events.to_vec(), &wanted).map(|happened| happened.revision);
        assert_eq!(revision(WaitFor::Exists), Some(3));
        assert_eq!(revision(WaitFor::Deleted), Some(4));
        assert_eq!(revision(WaitFor::Value(b"b".to_vec())), Some(5));
        assert_eq!(revision(WaitFor::Value(b"c".to_vec())), None);
    }
}
