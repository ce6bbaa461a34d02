//! Giving up what nobody will ask for: swept history, and values that are safe on disk.
//!
//! A sweep at compaction `C` visits the versions between the compaction before and `C`, both
//! included, and nothing else. The version that a visited one replaced is removed; so is a visited
//! deletion, and its key with it if there was nothing after. What is at `C` itself stays, deletions
//! too: a watch that begins at `C` must see it (etcd #18089). The next sweep begins there and takes
//! it then.
//!
//! How far a sweep has come is written down only when it is done. A restart in the middle begins
//! it again, and finds less to remove.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Change, Reference, Revision, Store, Value, Version, record};
use crate::planted::{self, Bug};

/// Values given up by one call of `durable`, so that it costs the apply thread about 1 ms at most.
const RELEASED_PER_CALL: usize = 1024;

/// Values given up per version written. More than one, so that the queue shrinks under load.
const RELEASED_PER_VERSION: usize = 2;

/// How far sweeping has come.
pub(super) struct Sweep {
    /// The compaction that was swept last.
    done: i64,
    running: Option<Running>,
}

#[derive(Clone, Copy)]
struct Running {
    target: i64,
    next: Revision,
}

/// Superseded versions whose values are still resident, in the order they were superseded.
pub(super) struct Release {
    /// The main revision that superseded a version, and the version.
    pub(super) queue: VecDeque<(i64, Revision)>,
    /// Everything up to this main revision is durable in the backend.
    pub(super) upto: i64,
}

impl Store {
    /// Takes the next small step of physical compaction: visits at most `budget` versions. Returns
    /// what the backend must remove, and whether there is more to do now. What a held root or a
    /// [`Pin`](super::Pin) can still read is left until it is let go.
    pub fn sweep(&mut self, budget: usize) -> (Vec<Change>, bool) {
        let mut changes = Vec::new();
        let Some(Running { target, next }) = self.sweep.running.or_else(|| self.next_sweep())
        else {
            return (changes, false);
        };
        let (from, to) = (next.to_bytes(), Revision::first_of(target + 1).to_bytes());
        let budget = budget.max(1);
        let visited: Vec<_> = (self.root.revisions.range(&from, Some(&to)))
            .take(budget)
            .map(|dated| dated.version.clone())
            .collect();
        for version in &visited {
            let prev = version.prev.map(Reference::revision);
            if let Some(prev) = prev.filter(|prev| prev.main < target) {
                self.remove(prev, &mut changes);
            }
            let forgets =
                [Bug::TombstoneSwept, Bug::RevisionForgotten].into_iter().any(planted::is);
            if version.is_deletion() && version.at.main < target + i64::from(forgets) {
                self.remove(version.at, &mut changes);
                let newest = self.root.keys.get(&version.key);
                if newest.is_some_and(|newest| newest.at == version.at) {
                    self.root.keys.remove(&version.key);
                }
            }
        }
        if let Some(last) = visited.last().filter(|_| visited.len() == budget) {
            let next = Revision { sub: last.at.sub + 1, ..last.at };
            self.sweep.running = Some(Running { target, next });
            return (changes, true);
        }
        self.sweep = Sweep::from(target);
        changes.push(record::meta(record::SWEPT, target));
        let more = self.next_sweep().is_some();
        (changes, more)
    }

    /// The newest compaction whose history is gone from memory, and from the backend once it has
    /// what [`Store::sweep`] returned.
    pub fn swept(&self) -> i64 {
        self.sweep.done
    }

    /// Whether no compaction has left anything to sweep.
    pub fn is_swept(&self) -> bool {
        self.sweep.done >= self.root.compacted
    }

    /// Everything up to the main revision `upto` is durable in the backend, so that the values of
    /// superseded versions can be read back from there and need not stay in memory. The work is
    /// spread over this and the coming calls and entries.
    pub fn durable(&mut self, upto: i64) {
        self.release.upto = self.release.upto.max(upto);
        self.release_values(RELEASED_PER_CALL);
    }

    pub(super) fn release_after(&mut self, changes: usize) {
        self.release_values(changes * RELEASED_PER_VERSION);
    }

    fn next_sweep(&mut self) -> Option<Running> {
        let target = self.eras.may_sweep();
        let next = Revision::first_of(self.sweep.done.max(0));
        (target > self.sweep.done).then_some(Running { target, next })
    }

    /// Removes a version, unless an earlier step did.
    fn remove(&mut self, at: Revision, changes: &mut Vec<Change>) {
        if let Some(removed) = self.root.revisions.remove(&at.to_bytes()) {
            self.root.size_bytes -= removed.version.size_bytes();
            if planted::is(Bug::HashBySweep) {
                self.root.sum -= removed.version.hash;
            }
            changes.push(Change::RemoveVersion(at));
        }
    }

    fn release_values(&mut self, count: usize) {
        for _ in 0..count {
            let Some((superseded_by, at)) = self.release.queue.front().copied() else { return };
            if superseded_by > self.release.upto {
                return;
            }
            self.release.queue.pop_front();
            let revisions = &mut self.root.revisions;
            if let Some(version) = revisions.at(at) {
                let stored = Version { value: Value::Stored, ..Version::clone(version) };
                revisions.put(Arc::new(stored));
            }
        }
    }
}

impl Sweep {
    pub(super) fn from(done: i64) -> Self {
        Sweep { done, running: None }
    }
}

impl Release {
    /// Notes that `version` was superseded by one of main revision `by`. Nothing is gained by
    /// giving up an empty value.
    pub(super) fn superseded(&mut self, version: &Version, by: i64) {
        if version.value_len > 0 {
            self.queue.push_back((by, version.at));
        }
    }
}
