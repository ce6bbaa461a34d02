//! A store with the backend its changes make.

use std::collections::BTreeMap;

use bytes::Bytes;
use kvorum_core::store::{
    Applied, Change, Position, RangeReply, RecordError, Revision, Store, Table, stored_value,
};
use kvorum_proto::etcdserverpb::{InternalRaftRequest, RequestHeader};
use kvorum_proto::membershippb::Member;
use raft_proto::eraftpb::ConfState;

pub(crate) type Records = BTreeMap<(Table, Bytes), Bytes>;

pub(crate) struct Machine {
    pub(crate) store: Store,
    pub(crate) records: Records,
    pub(crate) term: u64,
    position: Position,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let members = vec![Member { id: 1, ..Member::default() }];
        let conf_state = ConfState { voters: vec![1], ..ConfState::default() };
        let store = Store::bootstrap(members, conf_state);
        let position = store.position();
        let mut machine = Machine { store, records: Records::new(), term: 1, position };
        let changes = machine.store.initial_changes();
        machine.write(&changes);
        machine
    }

    /// Applies an entry; the backend follows at once.
    pub(crate) fn apply(&mut self, entry: InternalRaftRequest) -> Applied {
        let index = self.position.index + 1;
        let header = Some(RequestHeader { id: index, ..RequestHeader::default() });
        let entry = InternalRaftRequest { header, ..entry };
        let applied = self.store.apply(index, self.term, &entry);
        assert_eq!(applied.request_id, index, "an answer finds who waits for it");
        assert_eq!(applied.revision, self.store.root().revision());
        self.write(&applied.changes);
        applied
    }

    /// Returns how many versions were removed, and whether there is more to do.
    pub(crate) fn sweep(&mut self, budget: usize) -> (usize, bool) {
        let (changes, more) = self.store.sweep(budget);
        self.write(&changes);
        let removed = changes.iter().filter(|change| matches!(change, Change::RemoveVersion(_)));
        (removed.count(), more)
    }

    /// What a restart makes of the backend.
    pub(crate) fn restored(&self) -> Store {
        let records = self.records.iter();
        let records = records.map(|((table, key), value)| (*table, key.clone(), value.clone()));
        Store::restore(self.position.clone(), records).expect("the store wrote these records")
    }

    pub(crate) fn restart(&mut self) {
        self.store = self.restored();
        assert_eq!(self.store.position(), self.position);
    }

    /// Reads back the value of a version from the backend.
    pub(crate) fn read(&self, at: Revision) -> Result<Bytes, RecordError> {
        let key = (Table::Versions, Bytes::copy_from_slice(&at.to_bytes()));
        stored_value(self.records.get(&key).ok_or(RecordError::Empty)?)
    }

    pub(crate) fn resolve(&self, reply: &mut RangeReply) {
        reply.resolve(|at| self.read(at)).expect("what can be read is in the backend");
    }

    fn write(&mut self, changes: &[Change]) {
        for change in changes {
            match change.encode() {
                (table, key, Some(value)) => self.records.insert((table, key), value),
                (table, key, None) => {
                    let removed = self.records.remove(&(table, key));
                    assert!(removed.is_some(), "nothing is removed twice: {change:?}");
                    removed
                }
            };
        }
        self.position = self.store.position();
    }
}
