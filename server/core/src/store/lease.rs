//! Leases and the keys attached to them.

use bytes::{BufMut, Bytes, BytesMut};

use super::root::FANOUT;
use super::{Root, Version};
use crate::index::{Entry, Tree};

/// A lease as it is replicated. When it expires is the leader's soft state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    pub id: i64,
    /// Granted time to live.
    pub ttl_s: i64,
    /// What was left at the last checkpoint; 0 if there was none since it was granted or renewed.
    pub remaining_s: i64,
}

/// A lease as an entry of the tree of leases.
#[derive(Clone)]
pub(super) struct Leased {
    key: [u8; 8],
    pub(super) record: LeaseRecord,
}

/// That a key is attached to a lease: the lease's id, then the key.
#[derive(Clone)]
pub(super) struct Attachment(Bytes);

pub(super) type Leases = Tree<Leased, FANOUT>;
pub(super) type Attachments = Tree<Attachment, FANOUT>;

impl Root {
    pub fn lease(&self, id: i64) -> Option<LeaseRecord> {
        self.leases.get(&id.to_be_bytes()).map(|leased| leased.record)
    }

    /// Every lease, in the order of ids read as unsigned numbers.
    pub fn leases(&self) -> impl Iterator<Item = LeaseRecord> + '_ {
        self.leases.iter().map(|leased| leased.record)
    }

    pub fn lease_ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.leases().map(|lease| lease.id)
    }

    pub fn lease_count(&self) -> u64 {
        self.leases.weight()
    }

    /// How many keys are attached to a lease.
    pub fn lease_key_count(&self, id: i64) -> u64 {
        let after = id.cast_unsigned().checked_add(1).map(u64::to_be_bytes);
        self.attachments.count(&id.to_be_bytes(), after.as_ref().map(|after| &after[..]))
    }

    /// The keys attached to a lease, in key order.
    pub fn lease_keys(&self, id: i64) -> impl Iterator<Item = Bytes> + '_ {
        let prefix = id.to_be_bytes();
        self.attachments
            .range(&prefix, None)
            .take_while(move |attachment| attachment.0.starts_with(&prefix))
            .map(move |attachment| attachment.0.slice(prefix.len()..))
    }
}

impl Root {
    /// The first key at or after `from` that is attached to a lease. O(log n).
    pub(crate) fn lease_key_from(&self, id: i64, from: &[u8]) -> Option<Bytes> {
        let prefix = id.to_be_bytes();
        let first = self.attachments.range(&[&prefix, from].concat(), None).next()?;
        first.0.starts_with(&prefix).then(|| first.0.slice(prefix.len()..))
    }
}

impl Leased {
    pub(super) fn new(record: LeaseRecord) -> Self {
        Leased { key: record.id.to_be_bytes(), record }
    }
}

impl Attachment {
    /// `None` for a version without a lease.
    pub(super) fn of(version: &Version) -> Option<Self> {
        if version.lease == 0 {
            return None;
        }
        let mut bytes = BytesMut::with_capacity(8 + version.key.len());
        bytes.put_i64(version.lease);
        bytes.put_slice(&version.key);
        Some(Attachment(bytes.freeze()))
    }

    pub(super) fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl Entry for Leased {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

impl Entry for Attachment {
    fn key(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use kvorum_proto::etcdserverpb::{InternalRaftRequest, LeaseGrantRequest, PutRequest};
    use raft_proto::eraftpb::ConfState;

    use crate::store::Store;

    #[test]
    fn the_keys_of_a_lease_are_counted_and_no_others() {
        let mut store = Store::bootstrap(Vec::new(), ConfState::default());
        let mut apply = |entry: InternalRaftRequest| {
            let index = store.root().index() + 1;
            store.apply(index, 1, &entry).reply.expect("it is done");
        };
        for (id, keys) in [(7, 2), (8, 1), (9, 0), (-1, 3)] {
            let lease_grant = Some(LeaseGrantRequest { id, ttl: 60 });
            apply(InternalRaftRequest { lease_grant, ..InternalRaftRequest::default() });
            for key in 0..keys {
                let key = format!("{id}/{key}").into();
                let put = Some(PutRequest { key, lease: id, ..PutRequest::default() });
                apply(InternalRaftRequest { put, ..InternalRaftRequest::default() });
            }
        }
        let root = store.root();
        assert_eq!([7, 8, 9, -1].map(|id| root.lease_key_count(id)), [2, 1, 0, 3]);
    }
}
