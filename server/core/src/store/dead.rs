//! What a compaction at each revision takes from the [state hash](super::hash).

use std::collections::VecDeque;

use super::{StateHash, Version};

/// Notes in one block: growing costs 16 KiB at a time, and is never a copy of them all.
const BLOCK: usize = 1024;

/// The sum of all versions that are dead under a compaction, for every compaction that can still
/// come. One note of 16 bytes for each main revision after the compacted one.
///
/// Every main revision after the compacted one has a version, so the notes have no gap but one
/// that ends at or before it.
pub(super) struct Dead {
    /// Which main revision is being written, or was last.
    main: i64,
    /// Dead under a compaction at `main`.
    at_main: StateHash,
    /// What else is dead under one at `main + 1`.
    after_main: StateHash,
    /// The main revision of the first note.
    first: i64,
    notes: VecDeque<Vec<StateHash>>,
    /// Dead under a compaction between the last gap and the first note.
    before: StateHash,
    /// What compactions have taken so far.
    taken: StateHash,
}

impl Dead {
    /// Nothing was written so far; an empty store is at revision 1.
    pub(super) fn new() -> Self {
        Dead {
            main: 1,
            at_main: StateHash::default(),
            after_main: StateHash::default(),
            first: 1,
            notes: VecDeque::new(),
            before: StateHash::default(),
            taken: StateHash::default(),
        }
    }

    /// Notes a version as it is written, and the version of its key before it. Versions come in
    /// the order of their revisions.
    pub(super) fn written(&mut self, version: &Version, old: Option<&Version>) {
        let main = version.at.main;
        if main != self.main {
            self.begin(main);
        }
        // A deletion has been counted when it was written.
        if let Some(old) = old.filter(|old| !old.is_deletion()) {
            if old.at.main < main {
                self.at_main += old.hash;
            } else {
                self.after_main += old.hash;
            }
        }
        if version.is_deletion() {
            self.after_main += version.hash;
        }
    }

    /// What leaves the state at a compaction.
    pub(super) fn compact(&mut self, at: i64) -> StateHash {
        let dead = self.under(at);
        let mut leaves = dead;
        leaves -= self.taken;
        self.taken = dead;
        while self.notes.front().is_some_and(|block| self.first + block.len() as i64 <= at) {
            let block = self.notes.pop_front();
            self.first += block.map_or(0, |block| block.len() as i64);
        }
        leaves
    }

    fn begin(&mut self, main: i64) {
        let ended = std::mem::replace(&mut self.main, main);
        let dead = self.at_main;
        self.at_main += std::mem::take(&mut self.after_main);
        if main == ended + 1 {
            self.note(ended, dead);
        } else {
            self.notes.clear();
            self.before = self.at_main;
        }
    }

    fn note(&mut self, main: i64, dead: StateHash) {
        if self.notes.is_empty() {
            self.first = main;
        }
        if let Some(block) = self.notes.back_mut().filter(|block| block.len() < BLOCK) {
            block.push(dead);
        } else {
            let mut block = Vec::with_capacity(BLOCK);
            block.push(dead);
            self.notes.push_back(block);
        }
    }

    /// The sum of all that is dead under a compaction at `at`.
    fn under(&self, at: i64) -> StateHash {
        if at >= self.main {
            let mut dead = self.at_main;
            if at > self.main {
                dead += self.after_main;
            }
            return dead;
        }
        let Ok(place) = usize::try_from(at.saturating_sub(self.first)) else { return self.before };
        let block = self.notes.get(place / BLOCK);
        block.and_then(|block| block.get(place % BLOCK)).copied().unwrap_or(self.before)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use kvorum_proto::etcdserverpb::{CompactionRequest, InternalRaftRequest, PutRequest};
    use raft_proto::eraftpb::ConfState;

    use super::BLOCK;
    use crate::store::{Change, Position, RestoreError, Revision, Store, record};

    fn put(store: &mut Store, key: String) {
        let put = PutRequest { key: key.into(), ..PutRequest::default() };
        apply(store, &InternalRaftRequest { put: Some(put), ..InternalRaftRequest::default() });
    }

    fn compact(store: &mut Store, revision: i64) {
        let compaction = Some(CompactionRequest { revision, physical: false });
        apply(store, &InternalRaftRequest { compaction, ..InternalRaftRequest::default() });
    }

    fn apply(store: &mut Store, entry: &InternalRaftRequest) {
        store.apply(store.root.index + 1, 1, entry).reply.expect("it is done");
    }

    fn assert_exact(store: &Store) {
        let empty = |_: Revision| Ok::<_, Infallible>(Bytes::new());
        assert_eq!(store.root.recompute_hash(empty), Ok(store.root.state_hash()));
    }

    #[test]
    fn a_compaction_may_be_any_number_of_blocks_behind() {
        let mut store = Store::bootstrap(Vec::new(), ConfState::default());
        let block = BLOCK as i64;
        // How many revisions are written before, and how far behind the compaction is.
        for (written, behind) in [
            (5 * block, 3 * block + 1),
            (1, 3 * block + 1),
            (0, 3 * block),
            (0, block - 1),
            (7, 0),
            (block, block - 2),
            (1, 0),
            (2 * block - 3, 1),
        ] {
            (0..written).for_each(|i| put(&mut store, format!("key{}", i % 7)));
            let at = store.root.revision - behind;
            compact(&mut store, at);
            assert_exact(&store);
            let kept: usize = store.dead.notes.iter().map(Vec::len).sum();
            assert!(kept <= behind as usize + BLOCK, "{kept} notes, compacted {behind} behind");
        }
    }

    #[test]
    fn revisions_that_were_never_written_may_be_compacted() {
        let mut store = Store::bootstrap(Vec::new(), ConfState::default());
        (0..9).for_each(|i| put(&mut store, format!("key{}", i % 2)));
        // As if the state had been moved far ahead of every revision that anybody saw.
        let position = Position { index: store.root.index, ..Position::default() };
        let ahead = [record::meta(record::REVISION, 1000), record::meta(record::COMPACTED, 900)];
        let changes: Vec<Change> = store.root.export().chain(ahead).collect();
        let restore = |position: Position| {
            let records = changes.iter().map(Change::encode);
            Store::restore(
                position,
                records.filter_map(|(table, key, value)| Some((table, key, value?))),
            )
        };
        let Err(RestoreError::Hash { found, .. }) = restore(position.clone()) else {
            panic!("the position has no hash");
        };
        let mut store = restore(Position { hash: found, ..position }).expect("it has the hash");
        assert_exact(&store);
        (0..9).for_each(|i| put(&mut store, format!("key{}", i % 2)));
        for at in [950, 1000, 1001, 1005, 1009] {
            compact(&mut store, at);
            assert_exact(&store);
        }
    }
}
