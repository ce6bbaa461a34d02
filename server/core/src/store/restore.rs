//! Reading the state back from its records.

use std::sync::Arc;

use bytes::Bytes;
use kvorum_proto::etcdserverpb::AlarmMember;
use kvorum_proto::membershippb::Member;
use thiserror::Error;

use super::dead::Dead;
use super::history::Link;
use super::lease::{Attachment, Leased};
use super::sweep::Sweep;
use super::{
    Change, Position, RecordError, Root, StateHash, Store, Table, Value, Version, element, record,
};
use crate::planted::{self, Bug};

/// Why the store cannot be read back.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RestoreError {
    #[error("damaged record in table {table:?} at key {key:02x?}: {cause}")]
    Record { table: Table, key: Bytes, cause: RecordError },
    #[error(
        "the records have the hash {found}, but the state at entry {index} has {expected}: \
         records were lost, added or changed"
    )]
    Hash { index: u64, expected: StateHash, found: StateHash },
}

impl Store {
    /// Reads back the store whose changes led to `records`: those of one table in the order of
    /// their keys, the tables in any order. It answers everything as the one that wrote them did,
    /// history included; values of superseded versions stay in the backend. Records that do not
    /// make the state that the position speaks of are refused.
    pub fn restore(
        position: Position,
        records: impl Iterator<Item = (Table, Bytes, Bytes)>,
    ) -> Result<Self, RestoreError> {
        let (index, expected) = (position.index, position.hash);
        let store = Store::adopt(position, records)?;
        let found = store.root.state_hash();
        if found == expected {
            Ok(store)
        } else {
            Err(RestoreError::Hash { index, expected, found })
        }
    }

    /// The store that `records` make, as [`Store::restore`], where nobody knows what hash they
    /// should have: they are not our own. The position's hash is not looked at.
    pub fn adopt(
        position: Position,
        records: impl Iterator<Item = (Table, Bytes, Bytes)>,
    ) -> Result<Self, RestoreError> {
        let mut restoring = Restoring::new();
        for (table, key, value) in records {
            (restoring.take(table, &key, &value)).map_err(|cause| RestoreError::Record {
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
    dead: Dead,
    /// The version that was read last.
    last: Option<Arc<Version>>,
}

impl Restoring {
    fn new() -> Self {
        let root = Root::empty();
        Restoring {
            root,
            members: Vec::new(),
            alarms: Vec::new(),
            swept: -1,
            dead: Dead::new(),
            last: None,
        }
    }

    fn take(&mut self, table: Table, key: &Bytes, value: &Bytes) -> Result<(), RecordError> {
        match table {
            Table::Versions => self.version(record::decode_version(key, value)?)?,
            Table::Leases => {
                let lease = record::decode_lease(key, value)?;
                self.root.sum += element::lease(&lease);
                self.root.leases.upsert(&lease.id.to_be_bytes(), |_| Leased::new(lease));
            }
            Table::Members => {
                let member = record::decode_member(key, value)?;
                self.root.sum += element::member(&member);
                self.members.push(member);
            }
            Table::Alarms => {
                let alarm = record::decode_alarm(key)?;
                self.root.sum += element::alarm(&alarm);
                self.alarms.push(alarm);
            }
            Table::Users => {
                let user = record::decode_user(key, value)?;
                self.root.sum += element::user(&user);
                self.root.auth.put_user(user);
            }
            Table::Roles => {
                let role = record::decode_role(key, value)?;
                self.root.sum += element::role(&role);
                self.root.auth.put_role(role);
            }
            Table::Meta => self.meta(key, value)?,
        }
        Ok(())
    }

    fn meta(&mut self, name: &[u8], value: &Bytes) -> Result<(), RecordError> {
        if name == record::CLUSTER_VERSION.as_bytes() {
            let version = record::decode_text(value)?;
            self.root.sum += element::cluster_version(&version);
            self.root.cluster_version = Some(version.into());
        } else if name == record::REVISION.as_bytes() {
            self.root.revision = self.root.revision.max(record::decode_revision(value)?);
        } else if name == record::COMPACTED.as_bytes() {
            self.root.compacted = record::decode_revision(value)?;
        } else if name == record::SWEPT.as_bytes() {
            self.swept = record::decode_revision(value)?;
        } else if name == record::AUTH_ENABLED.as_bytes() {
            self.root.auth.set_enabled(record::decode_flag(value)?);
        } else if name == record::AUTH_REVISION.as_bytes() {
            self.root.auth.set_revision(record::decode_revision(value)? as u64);
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
        if planted::is(Bug::LoneDeletionForgotten) && newest.is_none() && read.is_deletion() {
            return Ok(());
        }
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
        let mut version = Version { key, value, prev, jump, depth, ..read };
        version.hash = element::written(&version);
        let version = Arc::new(version);
        root.sum += version.hash;
        self.dead.written(&version, newest.as_deref());
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
        let Restoring { mut root, members, alarms, swept, mut dead, .. } = self;
        for version in &root.keys {
            if let Some(attachment) = Attachment::of(version)
                && !planted::is(Bug::AttachmentsNotRestored)
            {
                let key = attachment.as_bytes().clone();
                root.attachments.upsert(&key, |_| attachment);
            }
        }
        root.index = position.index;
        root.term = position.term;
        root.revision = root.revision.max(root.compacted);
        root.sum -= dead.compact(root.compacted);
        root.members = members.into();
        root.alarms = alarms.into();
        let mut store = Store::around(root, position.conf_state);
        store.dead = dead;
        store.sweep = Sweep::from(swept);
        store
    }
}
