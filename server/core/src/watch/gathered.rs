//! What a bounded walk over the store's history finds, for many watches at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::index::{GroupId, Index};
use super::limits::Budget;
use super::reply::{Event, Found, is_stored};
use crate::store::{Pin, Root};

/// Events found for groups of watches and not handed out yet.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    batches: BTreeMap<GroupId, Batch>,
    events: usize,
    versions: usize,
    /// A group has as much as a response should hold.
    heavy: bool,
    /// Groups for which there was no room, and the revision from which on they are owed.
    left_out: BTreeMap<GroupId, i64>,
    /// Keep the values readable that are not resident.
    pins: Vec<Pin>,
}

/// What was found for a group.
pub(super) struct Share {
    pub(super) group: GroupId,
    pub(super) found: Arc<Found>,
    /// The revision from which on there was no room for it.
    pub(super) left_out: Option<i64>,
}

#[derive(Debug, Default)]
struct Batch {
    events: Vec<Event>,
    bytes: usize,
}

impl Gathered {
    /// Takes one step through the revisions from `from` to at most `until`, and returns the last
    /// one looked at. It stops only between revisions, so a revision is always whole, however
    /// large; if it is too much for all groups together, some of them get it later.
    pub(super) fn step(
        &mut self,
        root: &Root,
        index: &Index,
        (from, until): (i64, i64),
        budget: &Budget,
    ) -> i64 {
        let mut groups = Vec::new();
        let (mut versions, mut stored) = (0, false);
        let mut current = from;
        let mut end = until;
        for version in root.events(from) {
            if version.at.main > until {
                break;
            }
            if version.at.main > current {
                if versions >= budget.step_versions || self.is_full(budget) {
                    end = current;
                    break;
                }
                current = version.at.main;
            }
            versions += 1;
            self.versions += 1;
            index.watching(&version.key, &mut groups);
            groups.retain(|group| {
                index.group(*group).options.want(version) && !self.left_out.contains_key(group)
            });
            if groups.is_empty() {
                continue;
            }
            let with_prev = |group: &GroupId| index.group(*group).options.prev_kv;
            let prev = if groups.iter().any(with_prev) { root.prev(version) } else { None };
            stored |= is_stored(version) || prev.as_deref().is_some_and(is_stored);
            for group in &groups {
                let prev = if with_prev(group) { prev.clone() } else { None };
                self.add(*group, Event { version: Arc::clone(version), prev }, budget);
            }
            if self.events > budget.events {
                self.make_room(current, budget);
            }
        }
        if stored {
            self.pins.push(root.pin());
        }
        end
    }

    /// It is time to hand out what was found.
    pub(super) fn is_full(&self, budget: &Budget) -> bool {
        self.heavy
            || self.events >= budget.events
            || self.versions >= budget.walk_versions
            || !self.left_out.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Share> {
        let Gathered { batches, left_out, pins, .. } = std::mem::take(self);
        let pins: Arc<[Pin]> = pins.into();
        let share = |(group, batch): (GroupId, Batch)| Share {
            group,
            found: Arc::new(Found::new(batch.events, &pins)),
            left_out: left_out.get(&group).copied(),
        };
        batches.into_iter().map(share).collect()
    }

    /// Forgets what a revision, not at its end yet, has for the youngest groups, until half of the
    /// room is free or one group is left.
    fn make_room(&mut self, revision: i64, budget: &Budget) {
        let within = |event: &Event| event.version.at.main == revision;
        let has_some = |batch: &Batch| batch.events.last().is_some_and(within);
        let sharing = self.batches.iter_mut().filter(|(_, batch)| has_some(batch));
        let mut others: Vec<_> = sharing.skip(1).collect();
        while self.events > budget.events / 2
            && let Some((group, batch)) = others.pop()
        {
            let kept = batch.events.partition_point(|event| !within(event));
            let forgotten = batch.events.split_off(kept);
            self.events -= forgotten.len();
            batch.bytes -= forgotten.iter().map(Event::encoded_len).sum::<usize>();
            self.left_out.insert(*group, revision);
        }
    }

    fn add(&mut self, group: GroupId, event: Event, budget: &Budget) {
        let batch = self.batches.entry(group).or_default();
        batch.bytes += event.encoded_len();
        batch.events.push(event);
        self.heavy |= batch.bytes >= budget.bytes;
        self.events += 1;
    }
}
