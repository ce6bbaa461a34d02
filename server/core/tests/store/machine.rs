//! A store with the backend its changes make.

use std::collections::BTreeMap;

use bytes::Bytes;
use kvorum_core::store::{
    Applied, Change, Position, RangeReply, RecordError, Revision, Store, Table, Version,
    stored_value,
};
use kvorum_proto::etcdserverpb::{InternalRaftRequest, RequestHeader};
use kvorum_proto::membershippb::Member;
use raft_proto::eraftpb::ConfState;

pub(crate) type Records = BTreeMap<(Table, Bytes), Bytes>;

pub(crate) struct Machine {
    pub(crate) store: Store,
    pub(crate) records: Records,
    pub(crate) term: u64,
    /// Every version as it was written, in order.
    pub(crate) written: Vec<Version>,
    position: Position,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::of(vec![Member { id: 1, ..Member::default() }])
    }

    pub(crate) fn of(members: Vec<Member>) -> Self {
        let conf_state = ConfState { voters: vec![1], ..ConfState::default() };
        let store = Store::bootstrap(members, conf_state);
        let position = store.position();
        let records = Records::new();
        let mut machine = Machine { store, records, term: 1, written: Vec::new(), position };
        let changes = machine.store.initial_changes();
        machine.write(&changes);
        machine
    }

    /// With this in its backend.
    pub(crate) fn installed(position: Position, records: Records) -> Self {
        let store = restored(&position, &records);
        Machine { store, records, term: 1, written: Vec::new(), position }
    }

    /// Applies an entry; the backend follows at once.
    pub(crate) fn apply(&mut self, entry: InternalRaftRequest) -> Applied {
        let index = self.position.index + 1;
        let header = entry.header.clone().unwrap_or_default();
        let header = Some(RequestHeader { id: index, ..header });
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

    /// What the backend had to do for it.
    pub(crate) fn sweep_changes(&mut self, budget: usize) -> Vec<Change> {
        let (changes, _) = self.store.sweep(budget);
        self.write(&changes);
        changes
    }

    /// Only the first changes of a sweep reach the disk.
    pub(crate) fn crash_in_sweep(&mut self, budget: usize, kept: usize) {
        let (changes, _) = self.store.sweep(budget);
        self.write(&changes[..kept.min(changes.len())]);
        self.restart();
    }

    /// What a restart makes of the backend.
    pub(crate) fn restored(&self) -> Store {
        restored(&self.position, &self.records)
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
        let read = |versions: &[&Version]| versions.iter().map(|v| self.read(v.at)).collect();
        reply.resolve(read).expect("what can be read is in the backend");
    }

    fn write(&mut self, changes: &[Change]) {
        perform(&mut self.records, changes);
        self.written.extend(changes.iter().filter_map(|change| match change {
            Change::Version(version) => Some(Version::clone(version)),
            _ => None,
        }));
        self.position = self.store.position();
    }
}

pub(crate) fn perform(records: &mut Records, changes: &[Change]) {
    for change in changes {
        match change.encode() {
            (table, key, Some(value)) => records.insert((table, key), value),
            (table, key, None) => {
                let removed = records.remove(&(table, key));
                assert!(removed.is_some(), "nothing is removed twice: {change:?}");
                removed
            }
        };
    }
}

fn restored(position: &Position, records: &Records) -> Store {
    let records = records.iter();
    let records = records.map(|((table, key), value)| (*table, key.clone(), value.clone()));
    Store::restore(position.clone(), records).expect("the store wrote these records")
}
