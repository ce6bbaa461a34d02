//! What takes back what was written, from the revisions at which it was.

use std::collections::{BTreeMap, BTreeSet};

use super::{ASKED_AT_ONCE, MOST_KEYS, read_each};
use crate::change::{Change, Target, settle_leases};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
use crate::range::KeyRange;
use crate::request::Get;

/// What an undo comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undoing {
    /// What is to be written, in the order of keys.
    pub changes: Vec<Change>,
    /// Keys that are as they were before already.
    pub settled: u64,
    /// Keys that somebody has changed since, and the revision; 0: deleted.
    pub changed_since: Vec<(Vec<u8>, i64)>,
    /// Keys that come back without the lease that they had, for it is gone.
    pub lost_leases: u64,
}

/// What one transaction did to a key.
struct Written {
    /// The key as it was before; `None`: it was not there.
    before: Option<pb::KeyValue>,
    revision: i64,
    deleted: bool,
}

/// Compares the state right before each revision with that at it, in the ranges that were touched:
/// whatever differs was done by the transaction of that revision.
///
/// `undone` are the revisions at which writes were taken back. What such a one has left as the
/// write had made it, nobody has changed since.
pub async fn undoing(
    connection: &Connection,
    transactions: &[(i64, Vec<KeyRange>)],
    undone: &BTreeSet<i64>,
) -> Result<Undoing, Failure> {
    let mut written = BTreeMap::new();
    for (revision, ranges) in transactions {
        find(connection, *revision, ranges, &mut written).await?;
    }
    let leases = written.values().filter_map(|one| one.before.as_ref()).map(|kv| kv.lease);
    let leases = settle_leases(connection, leases).await?;
    let mut undoing = Undoing::default();
    let written: Vec<_> = written.into_iter().collect();
    for some in written.chunks(ASKED_AT_ONCE / 3) {
        let gets = some.iter().flat_map(|(key, one)| {
            [0, one.revision - 1, one.revision]
                .map(|revision| Get { revision, ..Get::key(key.clone()) })
        });
        let read = read_each(connection, gets.collect()).await?;
        for ((key, one), read) in some.iter().zip(read.chunks_exact(3)) {
            let lease = read[1].as_ref().map_or(0, |kv| leases.alive_or_none(kv.lease));
            let states = States { now: &read[0], before: &read[1], after: &read[2] };
            undoing.add(key, one, &states, (lease, undone));
        }
    }
    Ok(undoing)
}

/// A key now, right before the write and right after it.
struct States<'a> {
    now: &'a Option<pb::KeyValue>,
    before: &'a Option<pb::KeyValue>,
    after: &'a Option<pb::KeyValue>,
}

impl Undoing {
    fn add(
        &mut self,
        key: &[u8],
        one: &Written,
        states: &States<'_>,
        (lease, undone): (i64, &BTreeSet<i64>),
    ) {
        let States { now, before, after } = states;
        let as_before = match (now, before) {
            (None, None) => true,
            (Some(now), Some(before)) => now.value == before.value && now.lease == lease,
            _ => false,
        };
        let found = now.as_ref().map_or(0, |kv| kv.mod_revision);
        let as_written = match (now, after) {
            (Some(now), Some(after)) => now.value == after.value,
            _ => false,
        };
        let expected = match one.deleted {
            _ if as_written && undone.contains(&found) => found,
            true => 0,
            false => one.revision,
        };
        if as_before && found != expected {
            self.settled += 1;
        } else if found != expected {
            self.changed_since.push((key.to_vec(), found));
        } else {
            let to = match before {
                None => Target::Deleted,
                Some(kv) => {
                    self.lost_leases += u64::from(kv.lease != lease);
                    Target::At { key: key.to_vec(), revision: one.revision - 1, lease }
                }
            };
            self.changes.push(Change { key: key.to_vec(), expected, to });
        }
    }
}

async fn find(
    connection: &Connection,
    revision: i64,
    ranges: &[KeyRange],
    written: &mut BTreeMap<Vec<u8>, Written>,
) -> Result<(), Failure> {
    let before = |range: &KeyRange| Get {
        range: range.clone(),
        revision: revision - 1,
        keys_only: true,
        ..Get::default()
    };
    let (single, wide): (Vec<_>, Vec<_>) = ranges.iter().partition(|range| range.is_single());
    let mut candidates: BTreeMap<Vec<u8>, Option<pb::KeyValue>> = BTreeMap::new();
    for some in single.chunks(ASKED_AT_ONCE) {
        let found = read_each(connection, some.iter().map(|range| before(range)).collect()).await?;
        candidates.extend(some.iter().map(|range| range.key.clone()).zip(found));
    }
    for range in wide {
        let found = connection.get(before(range)).await?;
        candidates.extend(found.kvs.into_iter().map(|kv| (kv.key.clone(), Some(kv))));
    }
    if written.len() + candidates.len() > MOST_KEYS {
        return Err(Failure::Config(format!("the write has more than {MOST_KEYS} keys")));
    }
    let candidates: Vec<_> = candidates.into_iter().collect();
    for some in candidates.chunks(ASKED_AT_ONCE) {
        let afters =
            some.iter().map(|(key, _)| Get { revision, keys_only: true, ..Get::key(key.clone()) });
        let afters = read_each(connection, afters.collect()).await?;
        for ((key, before), after) in some.iter().zip(afters) {
            let deleted = after.is_none();
            let is_ours = match &after {
                Some(kv) => kv.mod_revision == revision,
                None => before.is_some(),
            };
            if !is_ours {
                continue;
            }
            let one = Written { before: before.clone(), revision, deleted };
            // Of several changes of a key, the first tells what was before and the last what to
            // expect; a write changes no key twice.
            written.insert(key.clone(), one);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{States, Undoing, Written};
    use crate::change::Target;
    use crate::pb;

    fn kv(value: &str, mod_revision: i64, lease: i64) -> Option<pb::KeyValue> {
        let value = value.into();
        Some(pb::KeyValue { value, mod_revision, lease, ..pb::KeyValue::default() })
    }

    fn undo(now: Option<pb::KeyValue>, before: Option<pb::KeyValue>, deleted: bool) -> Undoing {
        let mut undoing = Undoing::default();
        let one = Written { before: before.clone(), revision: 9, deleted };
        let after = if deleted { None } else { kv("new", 9, 0) };
        let states = States { now: &now, before: &before, after: &after };
        undoing.add(b"k", &one, &states, (0, &BTreeSet::from([12])));
        undoing
    }

    #[test]
    fn what_a_later_undo_has_left_as_it_was_written_can_be_taken_back() {
        let undone = undo(kv("new", 12, 0), kv("old", 4, 0), false);
        assert_eq!(undone.changes[0].expected, 12);
        let theirs = undo(kv("new", 13, 0), kv("old", 4, 0), false);
        assert_eq!(theirs.changed_since, [(b"k".to_vec(), 13)]);
    }

    #[test]
    fn what_was_created_is_deleted_and_what_was_changed_is_as_before() {
        let created = undo(kv("new", 9, 0), None, false);
        assert_eq!(created.changes[0].to, Target::Deleted);
        assert_eq!(created.changes[0].expected, 9);
        let changed = undo(kv("new", 9, 0), kv("old", 4, 0), false);
        let expected = Target::At { key: b"k".to_vec(), revision: 8, lease: 0 };
        assert_eq!(changed.changes[0].to, expected);
        let deleted = undo(None, kv("old", 4, 0), true);
        assert_eq!(deleted.changes[0].expected, 0);
    }

    #[test]
    fn what_somebody_has_changed_since_is_left_and_named() {
        let since = undo(kv("other", 12, 0), kv("old", 4, 0), false);
        assert_eq!(since.changed_since, [(b"k".to_vec(), 12)]);
        assert!(since.changes.is_empty());
        let gone = undo(None, kv("old", 4, 0), false);
        assert_eq!(gone.changed_since, [(b"k".to_vec(), 0)]);
    }

    #[test]
    fn what_is_as_before_already_needs_nothing() {
        let taken_back = undo(kv("old", 12, 0), kv("old", 4, 0), false);
        assert_eq!((taken_back.settled, taken_back.changes.len()), (1, 0));
    }

    #[test]
    fn a_lease_that_is_gone_is_counted() {
        assert_eq!(undo(kv("new", 9, 0), kv("old", 4, 7), false).lost_leases, 1);
    }
}
