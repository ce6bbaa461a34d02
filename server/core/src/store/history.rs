//! Finding older versions.

use std::sync::Arc;

use super::root::Revisions;
use super::{Reference, Revision, Root, Version};

impl Root {
    /// Everything that changed from main revision `from` on, in the order it happened. What is
    /// older than the compacted revision is left out.
    pub fn events(&self, from: i64) -> impl Iterator<Item = &Arc<Version>> + '_ {
        let from = Revision::first_of(from.max(self.compacted).max(0)).to_bytes();
        self.revisions.range(&from, None).map(|dated| &dated.version)
    }

    /// What `version` replaced: the version of its key just before its main revision, if there
    /// was one and compaction has left it readable.
    pub fn prev(&self, version: &Version) -> Option<Arc<Version>> {
        let before = version.at.main - 1;
        if before < self.compacted {
            return None;
        }
        self.valid_at(self.revisions.at(version.prev?.revision())?, before).cloned()
    }

    /// The version of `key` that was valid at `main`; `None` if there was none. A revision that
    /// compaction removed has no answer, and must not be asked for.
    pub fn version_at(&self, key: &[u8], main: i64) -> Option<Arc<Version>> {
        self.valid_at(self.keys.get(key)?, main).cloned()
    }

    /// The newest version at or before `main` of the chain that ends in `newest`, unless it is a
    /// deletion. A reference that leads nowhere leads to what a sweep removed, which at a
    /// revision that can still be read is a deletion or nothing.
    pub(super) fn valid_at<'a>(
        &'a self,
        newest: &'a Arc<Version>,
        main: i64,
    ) -> Option<&'a Arc<Version>> {
        let mut version = newest;
        while version.at.main > main {
            version = self.revisions.at(step_back(version, main)?)?;
        }
        (!version.is_deletion()).then_some(version)
    }
}

/// Where to look next for what was valid at `main`: as far back as does not lead past it.
fn step_back(version: &Version, main: i64) -> Option<Revision> {
    let jump = version.jump.map(Reference::revision).filter(|jump| jump.main > main);
    jump.or(version.prev.map(Reference::revision))
}

/// The references of a new version to those behind it.
pub(super) struct Link {
    pub(super) prev: Option<Reference>,
    pub(super) jump: Option<Reference>,
    pub(super) depth: u32,
}

impl Link {
    /// Jumps of equal length are merged into one twice as long, as in a skew-binary number. A
    /// jump to a version that was swept counts as the end of the chain.
    pub(super) fn behind(newest: Option<&Arc<Version>>, revisions: &Revisions) -> Self {
        let Some(prev) = newest else {
            return Link { prev: None, jump: None, depth: 0 };
        };
        let merged = || {
            let near = revisions.at(prev.jump?.revision())?;
            let far = revisions.at(near.jump?.revision())?;
            let equal = prev.depth.wrapping_sub(near.depth) == near.depth.wrapping_sub(far.depth);
            equal.then_some(far.at).and_then(Reference::to)
        };
        Link {
            prev: Reference::to(prev.at),
            jump: merged().or(Reference::to(prev.at)),
            depth: prev.depth.wrapping_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, Value};
    use kvorum_proto::etcdserverpb::{InternalRaftRequest, PutRequest};

    const VERSIONS: i64 = 10_000;

    fn store() -> Store {
        let mut store = Store::bootstrap(Vec::new(), raft_proto::eraftpb::ConfState::default());
        let put = PutRequest { key: "k".into(), value: "v".into(), ..PutRequest::default() };
        let entry = InternalRaftRequest { put: Some(put), ..InternalRaftRequest::default() };
        for index in 1..=VERSIONS {
            store.apply(index as u64, 1, &entry).reply.expect("a put is done");
        }
        store
    }

    fn steps(root: &Root, main: i64) -> usize {
        let mut version = root.keys.get(b"k").expect("it was put");
        let mut steps = 0;
        while version.at.main > main {
            let back = step_back(version, main).expect("the chain goes on");
            version = root.revisions.at(back).expect("it was not compacted");
            steps += 1;
        }
        assert_eq!(version.at.main, main);
        steps
    }

    #[test]
    fn an_old_version_is_found_in_a_logarithmic_number_of_steps() {
        let root = store().root();
        let most = (2..=VERSIONS + 1).map(|main| steps(&root, main)).max();
        // Three times the binary logarithm of the length, rounded up.
        assert!(most.is_some_and(|most| most <= 3 * 14), "{most:?}");
    }

    #[test]
    fn values_are_given_up_in_bounded_steps_and_never_the_newest() {
        let mut store = store();
        let resident = |store: &Store| {
            let dated = store.root.revisions.iter();
            dated.filter(|dated| dated.version.value != Value::Stored).count() as i64
        };
        store.durable(VERSIONS);
        assert_eq!(resident(&store), VERSIONS - 1024);
        for _ in 0..VERSIONS / 1024 {
            store.durable(VERSIONS);
        }
        // The version at `VERSIONS` was superseded by one that is not durable yet.
        assert_eq!(resident(&store), 2);
        store.durable(VERSIONS + 1);
        assert_eq!(resident(&store), 1);
        assert!(store.root.keys.get(b"k").is_some_and(|newest| newest.value != Value::Stored));
    }
}
