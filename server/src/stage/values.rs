//! Values of old versions, read back from the backend.

use std::sync::Arc;

use bytes::Bytes;
use kvorum_core::store::{Pin, Revision, Version};
use parking_lot::RwLock;

use crate::storage::backend::{BackendError, Values};

/// The readers' side of the backend. When the state is replaced as a whole, so is the backend;
/// whoever reads an older state then finds its values in those before, until the last of its
/// readers is gone.
#[derive(Debug)]
pub struct StoredValues(RwLock<Backends>);

#[derive(Debug)]
struct Backends {
    newest: Arc<dyn Values>,
    /// Newest first. Each came with a snapshot of its own and stays as long as somebody reads a
    /// root from before that, which roots' age limit bounds.
    before: Vec<(Arc<dyn Values>, Pin)>,
}

/// What the backends hold as the value of a version.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Value(Bytes),
    Nothing,
    /// Something is there at the version's revision, and it is not what was put.
    Other,
}

impl StoredValues {
    pub fn new(newest: Arc<dyn Values>) -> StoredValues {
        StoredValues(RwLock::new(Backends { newest, before: Vec::new() }))
    }

    /// From now on states are in another backend; `pin` is that of the last state in this one.
    pub fn replace(&self, newest: Arc<dyn Values>, pin: Pin) {
        let mut backends = self.0.write();
        let before = std::mem::replace(&mut backends.newest, newest);
        backends.before.insert(0, (before, pin));
    }

    /// The newest state, and all that is read of it, is in another file.
    pub fn move_to(&self, newest: Arc<dyn Values>) {
        self.0.write().newest = newest;
    }

    /// Lets go of backends that nobody can need any more.
    pub fn release(&self) {
        if !self.0.read().before.is_empty() {
            self.0.write().before.retain(|(_, pin)| !pin.is_last_of_store());
        }
    }

    /// The values of versions, in their order, held against their hashes. A member that had come apart from its cluster
    /// and was then given the cluster's state has other values at the same revisions in the
    /// backend before: whoever still reads the state of that time finds its own there.
    pub fn of(&self, versions: &[&Version]) -> Result<Vec<Found>, BackendError> {
        let mut found: Vec<Found> = versions.iter().map(|_| Found::Nothing).collect();
        let mut missing: Vec<usize> = (0..versions.len()).collect();
        for backend in self.all() {
            let at: Vec<Revision> = missing.iter().map(|n| versions[*n].at).collect();
            for (n, value) in missing.iter().zip(backend.values(&at)?) {
                match value {
                    Some(value) if versions[*n].has_value(&value) => {
                        found[*n] = Found::Value(value);
                    }
                    Some(_) => found[*n] = Found::Other,
                    None => {}
                }
            }
            missing.retain(|n| !matches!(found[*n], Found::Value(_)));
            if missing.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    /// All of them, newest first.
    fn all(&self) -> Vec<Arc<dyn Values>> {
        let backends = self.0.read();
        let before = backends.before.iter().map(|(before, _)| before);
        std::iter::once(&backends.newest).chain(before).map(Arc::clone).collect()
    }
}

impl Values for StoredValues {
    fn values(&self, at: &[Revision]) -> Result<Vec<Option<Bytes>>, BackendError> {
        let of_one = |at: &Revision| {
            let found = self.all().into_iter().find_map(|backend| backend.value(*at).transpose());
            found.transpose()
        };
        at.iter().map(of_one).collect()
    }

    fn size_bytes(&self) -> Result<u64, BackendError> {
        let newest = Arc::clone(&self.0.read().newest);
        newest.size_bytes()
    }

    fn in_use_bytes(&self) -> u64 {
        self.0.read().newest.in_use_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kvorum_core::store::{Root, Store, Value};
    use kvorum_proto::etcdserverpb::{
        CompactionRequest, InternalRaftRequest, PutRequest, RangeRequest,
    };
    use raft_proto::eraftpb::ConfState;

    use super::*;

    #[derive(Debug)]
    struct Fixed(BTreeMap<i64, &'static str>);

    impl Values for Fixed {
        fn values(&self, at: &[Revision]) -> Result<Vec<Option<Bytes>>, BackendError> {
            let value = |at: &Revision| self.0.get(&at.main).copied();
            let values = at.iter().map(|at| value(at).map(Bytes::from));
            Ok(values.collect())
        }

        fn size_bytes(&self) -> Result<u64, BackendError> {
            Ok(self.0.len() as u64)
        }

        fn in_use_bytes(&self) -> u64 {
            0
        }
    }

    fn fixed<const N: usize>(values: [(i64, &'static str); N]) -> Arc<dyn Values> {
        Arc::new(Fixed(values.into()))
    }

    fn found(values: &StoredValues, main: i64) -> Option<Bytes> {
        values.value(Revision { main, sub: 0 }).expect("nothing fails")
    }

    /// A store that ended an era, a root from before that, and its newest root's pin.
    fn store() -> (Root, Pin) {
        let mut store = Store::bootstrap(Vec::new(), ConfState::default());
        let early = store.root();
        let compaction = Some(CompactionRequest { revision: 1, physical: false });
        let request = InternalRaftRequest { compaction, ..Default::default() };
        store.apply(1, 1, &request).reply.expect("revision 1 can be compacted");
        (early, store.root().pin())
    }

    /// The version that a put of `value` makes at revision 2, without its value.
    fn version(value: &'static str) -> Version {
        let mut store = Store::bootstrap(Vec::new(), ConfState::default());
        let (key, value) = (Bytes::from_static(b"k"), Bytes::from_static(value.as_bytes()));
        let put = Some(PutRequest { key: key.clone(), value, ..PutRequest::default() });
        let request = InternalRaftRequest { put, ..Default::default() };
        store.apply(1, 1, &request).reply.expect("a key can be put");
        let read = RangeRequest { key, ..RangeRequest::default() };
        let read = store.root().range(&read).expect("a key can be read");
        Version { value: Value::Stored, ..Version::clone(&read.versions[0]) }
    }

    #[test]
    fn a_value_is_the_one_that_was_put_whichever_backend_has_it() {
        let values = StoredValues::new(fixed([(2, "ours")]));
        let (_early, pin) = store();
        values.replace(fixed([(2, "the cluster's")]), pin);
        let unknown = Version { at: Revision { main: 3, sub: 0 }, ..version("ours") };
        let [ours, theirs, nobodys] = ["ours", "the cluster's", "nobody's"].map(version);
        let found = values.of(&[&unknown, &ours, &nobodys, &theirs]).expect("nothing fails");
        let value = |value: &'static str| Found::Value(Bytes::from_static(value.as_bytes()));
        let expected = [Found::Nothing, value("ours"), Found::Other, value("the cluster's")];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_state_that_was_replaced_is_read_until_no_root_of_any_of_its_eras_is_left() {
        let values = StoredValues::new(fixed([(2, "first")]));
        let (early, pin) = store();
        values.replace(fixed([(3, "second")]), pin);
        let (late, pin) = store();
        values.replace(fixed([(4, "third")]), pin);
        let all = |values: &StoredValues| [2, 3, 4].map(|main| found(values, main).is_some());
        values.release();
        assert_eq!(all(&values), [true, true, true]);
        drop(early);
        values.release();
        assert_eq!(all(&values), [false, true, true]);
        drop(late);
        values.release();
        assert_eq!(all(&values), [false, false, true]);
        assert_eq!(values.size_bytes().expect("nothing fails"), 1);
    }
}
