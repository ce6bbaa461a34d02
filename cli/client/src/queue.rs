//! The queue that forms under a name: each who wants it makes a key `<name>/<lease in hexadecimal>`
//! under a lease, and it is the turn of the one whose key was created first.
//!
//! The keys and the order of requests are those of etcd's client (`client/v3/concurrency`), so that
//! its users and ours wait for one another.

use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
use crate::range::KeyRange;
use crate::request::{Get, SortOrder, SortTarget, Watch};
use crate::watch::WatchItem;

/// Before all keys of the queue under `name`.
pub(crate) fn prefix(name: &[u8]) -> Vec<u8> {
    [name, b"/"].concat()
}

/// The key of whoever holds `lease`.
pub(crate) fn key(prefix: &[u8], lease: i64) -> Vec<u8> {
    [prefix, format!("{lease:x}").as_bytes()].concat()
}

/// Asks for the key whose turn it is.
pub(crate) fn first(prefix: &[u8]) -> Get {
    let sort = Some((SortTarget::Create, SortOrder::Ascend));
    Get { range: KeyRange::prefix(prefix), sort, limit: 1, ..Get::default() }
}

/// Returns when every key that was created before `create_revision` is gone.
///
/// Watches one key at a time, the last one before: whoever is further ahead is seen by those
/// behind.
pub(crate) async fn wait_for_turn(
    connection: &Connection,
    prefix: &[u8],
    create_revision: i64,
) -> Result<(), Failure> {
    let before = Get {
        range: KeyRange::prefix(prefix),
        sort: Some((SortTarget::Create, SortOrder::Descend)),
        limit: 1,
        max_create_revision: create_revision - 1,
        ..Get::default()
    };
    loop {
        let answer = connection.get(before.clone()).await?;
        let Some(last) = answer.kvs.first() else { return Ok(()) };
        deleted(connection, &last.key, revision(answer.header.as_ref())).await?;
    }
}

/// Returns when the key has been deleted, or may have been.
async fn deleted(connection: &Connection, key: &[u8], revision: i64) -> Result<(), Failure> {
    let watch =
        Watch { range: KeyRange::single(key), start_revision: revision, ..Watch::default() };
    let mut items = connection.watch(watch).await?;
    loop {
        match items.next().await {
            Some(WatchItem::Events(events)) if events.events.iter().any(is_deletion) => {
                return Ok(());
            }
            // The deletion may be among what was compacted: who waits looks again.
            Some(WatchItem::Ended(end)) if end.compact_revision != 0 => return Ok(()),
            Some(WatchItem::Ended(end)) => return Err(ended(&end)),
            Some(WatchItem::Failed(failure)) => return Err(failure),
            Some(_) => {}
            None => return Err(ended(&pb::WatchResponse::default())),
        }
    }
}

pub(crate) fn is_deletion(event: &pb::Event) -> bool {
    event.r#type == pb::EVENT_DELETE
}

pub(crate) fn revision(header: Option<&pb::ResponseHeader>) -> i64 {
    header.map_or(0, |header| header.revision)
}

/// A watch that the server has ended, as an error.
pub(crate) fn ended(end: &pb::WatchResponse) -> Failure {
    let message = match (end.compact_revision, end.cancel_reason.as_str()) {
        (0, "") => "the server closed the watch",
        (0, reason) => reason,
        _ => "etcdserver: mvcc: required revision has been compacted",
    };
    Failure::Refused { code: tonic::Code::Cancelled, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_place_in_the_queue_is_named_by_its_lease() {
        let prefix = super::prefix(b"jobs");
        assert_eq!(super::key(&prefix, 0x1f), b"jobs/1f");
    }
}
