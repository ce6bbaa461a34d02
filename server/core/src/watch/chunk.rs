//! One bounded walk over the store's history, for many watches at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::index::{GroupId, Index};
use super::limits::{CHUNK_BYTES, CHUNK_EVENTS, CHUNK_VERSIONS};
use super::reply::{Event, Found, payload_len};
use crate::store::Root;

/// What groups of watches are owed of the revisions up to `end`.
pub(super) struct Chunk {
    pub(super) batches: Vec<(GroupId, Arc<Found>)>,
    pub(super) end: i64,
}

/// Looks at the revisions from `from` to at most `upto`. It stops only between revisions, so a
/// revision is always whole, however large.
pub(super) fn read(root: &Root, index: &Index, from: i64, upto: i64) -> Chunk {
    let mut batches: BTreeMap<GroupId, Vec<Event>> = BTreeMap::new();
    let mut groups = Vec::new();
    let (mut versions, mut events, mut bytes) = (0, 0, 0);
    let mut end = upto;
    let mut current = from;
    for version in root.events(from) {
        if version.at.main > upto {
            break;
        }
        if version.at.main > current {
            if versions >= CHUNK_VERSIONS || events >= CHUNK_EVENTS || bytes >= CHUNK_BYTES {
                end = current;
                break;
            }
            current = version.at.main;
        }
        versions += 1;
        index.watching(&version.key, &mut groups);
        groups.retain(|group| index.group(*group).options.want(version));
        if groups.is_empty() {
            continue;
        }
        let prev = if groups.iter().any(|group| index.group(*group).options.prev_kv) {
            root.prev(version)
        } else {
            None
        };
        bytes += payload_len(version) + prev.as_deref().map_or(0, payload_len);
        events += groups.len();
        for group in &groups {
            let prev = if index.group(*group).options.prev_kv { prev.clone() } else { None };
            let event = Event { version: Arc::clone(version), prev };
            batches.entry(*group).or_default().push(event);
        }
    }
    let share = |(group, events)| (group, Arc::new(Found::new(events, root)));
    Chunk { batches: batches.into_iter().map(share).collect(), end }
}
