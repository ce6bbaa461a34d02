//! What takes back what was written, from the revisions at which it was.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ASKED_AT_ONCE, COMPARED_AT_ONCE, Difference, DifferenceError, MOST_KEYS, Pair, Source,
    read_each,
};
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
    /// Keys that come back under the lease that they had…
    pub kept_leases: u64,
    /// …and without it, for it is gone.
    pub lost_leases: u64,
}

/// What one transaction did to a key.
struct Written {
    revision: i64,
    /// The lease that the key had before; `None`: it was not there.
    lease_before: Option<i64>,
    deleted: bool,
}

/// A key now, right before the write and right after it.
struct States<'a> {
    now: &'a Option<pb::KeyValue>,
    before: &'a Option<pb::KeyValue>,
    after: &'a Option<pb::KeyValue>,
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
) -> Result<Undoing, DifferenceError> {
    let mut written = BTreeMap::new();
    for (revision, ranges) in transactions {
        find(connection, *revision, ranges, &mut written).await?;
    }
    let leases = written.values().filter_map(|one| one.lease_before);
    let leases = settle_leases(connection, leases).await?;
    let mut undoing = Undoing::default();
    let written: Vec<_> = written.into_iter().collect();
    let mut touched = Vec::new();
    for some in written.chunks(ASKED_AT_ONCE) {
        let nows = some.iter().map(|(key, _)| {
            let get = Get::key(key.clone());
            Get { keys_only: true, ..get }
        });
        let nows = read_each(connection, nows.collect()).await?;
        for ((key, one), now) in some.iter().zip(nows) {
            let lease = one.lease_before.map_or(0, |lease| leases.alive_or_none(lease));
            let found = now.map_or(0, |kv| kv.mod_revision);
            if found == one.expected() {
                undoing.take_back(key, one, found, lease);
            } else {
                touched.push((key, one, lease));
            }
        }
    }
    for some in touched.chunks(COMPARED_AT_ONCE) {
        let gets = some.iter().flat_map(|(key, one, _)| {
            [0, one.revision - 1, one.revision]
                .map(|revision| Get { revision, ..Get::key((*key).clone()) })
        });
        let read = read_each(connection, gets.collect()).await?;
        for ((key, one, lease), read) in some.iter().zip(read.chunks_exact(3)) {
            let states = States { now: &read[0], before: &read[1], after: &read[2] };
            undoing.settle(key, one, &states, (*lease, undone));
        }
    }
    undoing.changes.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(undoing)
}

impl Written {
    /// The key's last modification, if nobody has changed it since.
    fn expected(&self) -> i64 {
        if self.deleted { 0 } else { self.revision }
    }
}

impl Undoing {
    fn take_back(&mut self, key: &[u8], one: &Written, expected: i64, lease: i64) {
        let to = match one.lease_before {
            None => Target::Deleted,
            Some(had) => {
                self.lost_leases += u64::from(had != lease);
                self.kept_leases += u64::from(lease != 0);
                Target::At { key: key.to_vec(), revision: one.revision - 1, lease }
            }
        };
        self.changes.push(Change { key: key.to_vec(), expected, to });
    }

    /// A key that is not as it was written.
    fn settle(
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
        let as_written = match (now, after) {
            (Some(now), Some(after)) => now.value == after.value,
            _ => false,
        };
        let found = now.as_ref().map_or(0, |kv| kv.mod_revision);
        if as_before {
            self.settled += 1;
        } else if as_written && undone.contains(&found) {
            self.take_back(key, one, found, lease);
        } else {
            self.changed_since.push((key.to_vec(), found));
        }
    }
}

/// Finds what a transaction did, within what it may have touched.
async fn find(
    connection: &Connection,
    revision: i64,
    ranges: &[KeyRange],
    written: &mut BTreeMap<Vec<u8>, Written>,
) -> Result<(), DifferenceError> {
    let (single, wide): (Vec<_>, Vec<_>) = ranges.iter().partition(|range| range.is_single());
    for some in single.chunks(ASKED_AT_ONCE / 2) {
        let gets = some.iter().flat_map(|range| {
            [revision - 1, revision].map(|revision| Get {
                range: (*range).clone(),
                revision,
                keys_only: true,
                ..Get::default()
            })
        });
        let read = read_each(connection, gets.collect()).await?;
        for (range, states) in some.iter().zip(read.chunks_exact(2)) {
            let before = states[0].as_ref().map(|kv| kv.lease);
            let after = states[1].as_ref().map(|kv| kv.mod_revision);
            note(&range.key, revision, (before, after), written);
        }
    }
    for range in wide {
        let state = |revision| Source::range(connection, range.clone(), revision, false);
        let mut difference = Difference::of(state(revision - 1), state(revision));
        while let Some(pair) = difference.next().await? {
            let (key, before, after) = match &pair {
                Pair::First(kv) => (&kv.key, Some(kv.lease), None),
                Pair::Second(kv) => (&kv.key, None, Some(kv.mod_revision)),
                Pair::Both(before, after) => {
                    (&after.key, Some(before.lease), Some(after.mod_revision))
                }
            };
            note(key, revision, (before, after), written);
            if written.len() > MOST_KEYS {
                let text = format!("the write has more than {MOST_KEYS} keys");
                return Err(Failure::Config(text).into());
            }
        }
    }
    Ok(())
}

/// Notes a key if the transaction of this revision has changed it: the lease that it had before, and
/// its last modification after.
fn note(
    key: &[u8],
    revision: i64,
    (lease_before, after): (Option<i64>, Option<i64>),
    written: &mut BTreeMap<Vec<u8>, Written>,
) {
    let deleted = after.is_none();
    let is_changed = if deleted { lease_before.is_some() } else { after == Some(revision) };
    if is_changed {
        written.insert(key.to_vec(), Written { revision, lease_before, deleted });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{States, Undoing, Written};
    use crate::change::Target;
    use crate::pb;

    #[expect(clippy::unnecessary_wraps, reason = "a key may not be there")]
    fn kv(value: &str, mod_revision: i64, lease: i64) -> Option<pb::KeyValue> {
        let value = value.into();
        Some(pb::KeyValue { value, mod_revision, lease, ..pb::KeyValue::default() })
    }

    #[expect(clippy::needless_pass_by_value, reason = "whoever calls has no use for them")]
    fn undo(now: Option<pb::KeyValue>, before: Option<pb::KeyValue>, deleted: bool) -> Undoing {
        let mut undoing = Undoing::default();
        let lease_before = before.as_ref().map(|kv| kv.lease);
        let one = Written { revision: 9, lease_before, deleted };
        let after = if deleted { None } else { kv("new", 9, 0) };
        let found = now.as_ref().map_or(0, |kv| kv.mod_revision);
        if found == one.expected() {
            undoing.take_back(b"k", &one, found, 0);
        } else {
            let states = States { now: &now, before: &before, after: &after };
            undoing.settle(b"k", &one, &states, (0, &BTreeSet::from([12])));
        }
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
