//! Which versions etcd's `HashKV` goes over, in which order: two clusters with the same data, ours
//! and etcd's, must come to the same number.
//!
//! At revision `R` of a store compacted at `C` these are (etcd 3.6 `mvcc/hash.go`):
//!
//! - everything written after `C` and up to `R`, deletions too;
//! - of what was written up to `C`, whatever is still the value of its key at `R`. If no key has a
//!   value at `R`, it is instead whatever was the value of its key at `C`: etcd leaves nothing out
//!   when it finds nothing to keep, and that is what a finished compaction has left there.
//!
//! A deletion at `C` itself is left out, as it is by all versions of etcd. So the hash does not
//! depend on how far a sweep has come. etcd's does while a compaction is under way, and it answers
//! for its last ten compactions from memory, with the compaction before as `compact_revision`,
//! until it is restarted; here the answer is the one it gives after that.

use std::sync::Arc;

use super::{Revision, Root, Version};
use crate::error::StoreError;

/// A walk over the versions that count, a few at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvHash {
    /// The revision that is hashed.
    pub revision: i64,
    next: Revision,
    /// Whether some key has a value at `revision`.
    keeps: bool,
}

impl KvHash {
    /// The walk at a revision; 0 is the current one, and before all revisions there is nothing.
    pub fn new(root: &Root, revision: i64) -> Result<KvHash, StoreError> {
        if revision < 0 {
            return Ok(KvHash { revision, next: Revision::default(), keeps: false });
        }
        let revision = root.readable(revision)?;
        let keeps = if revision == root.revision {
            root.keys.weight() > 0
        } else {
            root.keys.iter().any(|newest| root.valid_at(newest, revision).is_some())
        };
        Ok(KvHash { revision, next: Revision::default(), keeps })
    }

    /// Visits up to `budget` versions of the same root, and returns those among them that count,
    /// in the order of their revisions; `None` after the last.
    pub fn step(&mut self, root: &Root, budget: usize) -> Option<Vec<Arc<Version>>> {
        if self.revision < 0 {
            return None;
        }
        let (from, to) = (self.next.to_bytes(), Revision::first_of(self.revision + 1).to_bytes());
        let mut counting = Vec::new();
        let mut last = None;
        for dated in root.revisions.range(&from, Some(&to)).take(budget.max(1)) {
            let version = &dated.version;
            last = Some(version.at);
            if self.counts(root, version) {
                counting.push(Arc::clone(version));
            }
        }
        let at = last?;
        self.next = Revision { sub: at.sub + 1, ..at };
        Some(counting)
    }

    fn counts(&self, root: &Root, version: &Version) -> bool {
        if version.at.main > root.compacted {
            return true;
        }
        let valid_at = if self.keeps { self.revision } else { root.compacted };
        let newest = root.keys.get(&version.key);
        let valid = newest.and_then(|newest| root.valid_at(newest, valid_at));
        valid.is_some_and(|valid| valid.at == version.at)
    }
}

#[cfg(test)]
mod tests {
    use kvorum_proto::etcdserverpb::{
        CompactionRequest, DeleteRangeRequest, InternalRaftRequest, PutRequest,
    };
    use raft_proto::eraftpb::ConfState;

    use super::*;
    use crate::store::Store;

    fn store() -> Store {
        Store::bootstrap(Vec::new(), ConfState::default())
    }

    fn apply(store: &mut Store, entry: &InternalRaftRequest) {
        store.apply(store.root().index() + 1, 1, entry).reply.expect("it is done");
    }

    fn put(store: &mut Store, key: &'static str) {
        let put = Some(PutRequest { key: key.into(), ..PutRequest::default() });
        apply(store, &InternalRaftRequest { put, ..InternalRaftRequest::default() });
    }

    fn delete(store: &mut Store, key: &'static str) {
        let delete_range =
            Some(DeleteRangeRequest { key: key.into(), ..DeleteRangeRequest::default() });
        apply(store, &InternalRaftRequest { delete_range, ..InternalRaftRequest::default() });
    }

    fn compact(store: &mut Store, revision: i64) {
        let compaction = Some(CompactionRequest { revision, physical: false });
        apply(store, &InternalRaftRequest { compaction, ..InternalRaftRequest::default() });
    }

    /// The main revisions that count, by steps of any size alike.
    fn counting(root: &Root, revision: i64) -> Vec<i64> {
        let walk = |budget| {
            let mut walk = KvHash::new(root, revision).expect("it can be read");
            let mut found = Vec::new();
            while let Some(versions) = walk.step(root, budget) {
                found.extend(versions.iter().map(|version| version.at.main));
            }
            found
        };
        let found = walk(usize::MAX);
        assert_eq!(walk(1), found);
        assert_eq!(walk(2), found);
        found
    }

    #[test]
    fn without_a_compaction_everything_up_to_the_revision_counts() {
        let mut store = store();
        put(&mut store, "a");
        put(&mut store, "a");
        delete(&mut store, "a");
        put(&mut store, "b");
        assert_eq!(counting(&store.root(), 0), [2, 3, 4, 5]);
        assert_eq!(counting(&store.root(), 3), [2, 3]);
        for nothing in [1, -1] {
            assert_eq!(counting(&store.root(), nothing), [] as [i64; 0]);
        }
    }

    #[test]
    fn of_what_was_compacted_only_what_is_still_there_at_the_revision_counts() {
        let mut store = store();
        put(&mut store, "a"); // 2: replaced at 6
        put(&mut store, "b"); // 3: stays
        put(&mut store, "c"); // 4
        delete(&mut store, "c"); // 5, at the compacted revision
        put(&mut store, "a"); // 6
        compact(&mut store, 5);
        assert_eq!(counting(&store.root(), 0), [3, 6]);
        assert_eq!(counting(&store.root(), 5), [2, 3]);
        while store.sweep(1).1 {}
        assert_eq!(counting(&store.root(), 0), [3, 6]);
        assert_eq!(KvHash::new(&store.root(), 4), Err(StoreError::Compacted));
        assert_eq!(KvHash::new(&store.root(), 7), Err(StoreError::FutureRevision));
    }

    #[test]
    fn where_no_key_is_left_what_was_there_at_the_compaction_counts() {
        let mut store = store();
        put(&mut store, "a"); // 2
        put(&mut store, "a"); // 3
        put(&mut store, "b"); // 4
        delete(&mut store, "b"); // 5, at the compacted revision
        delete(&mut store, "a"); // 6
        compact(&mut store, 5);
        assert_eq!(counting(&store.root(), 0), [3, 6]);
        while store.sweep(1).1 {}
        assert_eq!(counting(&store.root(), 0), [3, 6]);
    }
}
