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
    /// Keep the values readable that are not resident.
    pins: Vec<Pin>,
}

#[derive(Debug, Default)]
struct Batch {
    events: Vec<Event>,
    bytes: usize,
}

impl Gathered {
    /// Takes one step through the revisions from `from` to at most `until`, and returns the last
    /// one looked at. It stops only between revisions, so a revision is always whole, however
    /// large.
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
            groups.retain(|group| index.group(*group).options.want(version));
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
        }
        if stored {
            self.pins.push(root.pin());
        }
        end
    }

    /// It is time to hand out what was found.
    pub(super) fn is_full(&self, budget: &Budget) -> bool {
        self.heavy || self.events >= budget.events || self.versions >= budget.walk_versions
    }

    pub(super) fn take(&mut self) -> Vec<(GroupId, Arc<Found>)> {
        let Gathered { batches, pins, .. } = std::mem::take(self);
        let pins: Arc<[Pin]> = pins.into();
        let share = |(group, batch): (_, Batch)| (group, Arc::new(Found::new(batch.events, &pins)));
        batches.into_iter().map(share).collect()
    }

    fn add(&mut self, group: GroupId, event: Event, budget: &Budget) {
        let batch = self.batches.entry(group).or_default();
        batch.bytes += event.encoded_len();
        batch.events.push(event);
        self.heavy |= batch.bytes >= budget.bytes;
        self.events += 1;
    }
}
