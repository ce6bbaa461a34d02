//! Reading the state back from its records.

use std::sync::Arc;

use bytes::Bytes;
use kvorum_proto::etcdserverpb::AlarmMember;
use kvorum_proto::membershippb::Member;
use thiserror::Error;

use super::history::Link;
use super::lease::{Attachment, Leased};
use super::sweep::Sweep;
use super::{Change, Position, RecordError, Root, Store, Table, Value, Version, record};

/// A record that the store cannot be read back from.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("damaged record in table {table:?} at key {key:02x?}: {cause}")]
pub struct RestoreError {
    pub table: Table,
    pub key: Bytes,
    pub cause: RecordError,
}

impl Store {
    /// Reads back the store whose changes led to `records`: those of one table in the order of
    /// their keys, the tables in any order. It answers everything as the one that wrote them did,
    /// history included; values of superseded versions stay in the backend.
    pub fn restore(
        position: Position,
        records: impl Iterator<Item = (Table, Bytes, Bytes)>,
    ) -> Result<Self, RestoreError> {
        let mut restoring = Restoring::new();
        for (table, key, value) in records {
            (restoring.take(table, &key, &value)).map_err(|cause| RestoreError {
                table,
                key,
                cause,
            })?;
        }
        Ok(restoring.finish(position))
    }

    /// What must be in the backend of a store that nothing has been applied to.
    pub fn initial_changes(&self) -> Vec<Change> {
        let mut changes = vec![record::meta(record::REVISION, self.root.revision)];
        changes.extend(self.root.members.iter().map(record::member));
        changes
    }
}

struct Restoring {
    root: Root,
    members: Vec<Member>,
    alarms: Vec<AlarmMember>,
    swept: i64,
    /// The version that was read last.
    last: Option<Arc<Version>>,
}

impl Restoring {
    fn new() -> Self {
        let root = Root::empty();
        Restoring { swept: -1, root, members: Vec::new(), alarms: Vec::new(), last: None }
    }

    fn take(&mut self, table: Table, key: &Bytes, value: &Bytes) -> Result<(), RecordError> {
        match table {
            Table::Versions => self.version(record::decode_version(key, value)?)?,
            Table::Leases => {
                let lease = record::decode_lease(key, value)?;
                self.root.leases.upsert(&lease.id.to_be_bytes(), |_| Leased::new(lease));
            }
            Table::Members => self.members.push(record::decode_member(key, value)?),
            Table::Alarms => self.alarms.push(record::decode_alarm(key)?),
            Table::Meta => self.meta(key, value)?,
        }
        Ok(())
    }

    fn meta(&mut self, name: &[u8], value: &Bytes) -> Result<(), RecordError> {
        if name == record::CLUSTER_VERSION.as_bytes() {
            self.root.cluster_version = Some(record::decode_text(value)?.into());
        } else if name == record::REVISION.as_bytes() {
            self.root.revision = self.root.revision.max(record::decode_revision(value)?);
        } else if name == record::COMPACTED.as_bytes() {
            self.root.compacted = record::decode_revision(value)?;
        } else if name == record::SWEPT.as_bytes() {
            self.swept = record::decode_revision(value)?;
        } else {
            return Err(RecordError::Name);
        }
        Ok(())
    }

    fn version(&mut self, read: Version) -> Result<(), RecordError> {
        if self.last.as_ref().is_some_and(|last| last.at >= read.at) {
            return Err(RecordError::Order);
        }
        let root = &mut self.root;
        let newest = root.keys.get(&read.key).cloned();
        let Link { prev, jump, depth } = Link::behind(newest.as_ref(), &root.revisions);
        // A version owns its value, and shares its key with the others.
        let key = match &newest {
            Some(newest) => newest.key.clone(),
            None => Bytes::copy_from_slice(&read.key),
        };
        let value = match read.value {
            Value::Resident(value) => Value::Resident(Bytes::copy_from_slice(&value)),
            Value::Stored => Value::Stored,
        };
        let version = Arc::new(Version { key, value, prev, jump, depth, ..read });
        if let Some(newest) = newest.filter(|newest| newest.value_len > 0) {
            let superseded = Version { value: Value::Stored, ..Version::clone(&newest) };
            root.revisions.put(Arc::new(superseded));
        }
        root.revision = root.revision.max(version.at.main);
        root.size_bytes += version.size_bytes();
        root.keys.upsert(&version.key, |_| version.clone());
        root.revisions.put(version.clone());
        self.last = Some(version);
        Ok(())
    }

    fn finish(self, position: Position) -> Store {
        let Restoring { mut root, members, alarms, swept, .. } = self;
        for version in &root.keys {
            if let Some(attachment) = Attachment::of(version) {
                let key = attachment.as_bytes().clone();
                root.attachments.upsert(&key, |_| attachment);
            }
        }
        root.index = position.index;
        root.term = position.term;
        root.revision = root.revision.max(root.compacted);
        root.members = members.into();
        root.alarms = alarms.into();
        let mut store = Store::around(root, position.conf_state);
        store.sweep = Sweep::from(swept);
        store
    }
}
