//! What each kind of log entry does; one operation a file.

mod alarm;
mod compaction;
mod delete;
mod gate;
mod lease;
mod member;
mod put;
mod txn;
mod write;

use kvorum_proto::etcdserverpb::{
    AlarmRequest, CompactionRequest, DeleteRangeRequest, InternalRaftRequest,
    LeaseCheckpointRequest, LeaseExpireRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest,
    TxnRequest,
};
use kvorum_proto::membershippb::{ClusterMemberAttrSetRequest, ClusterVersionSetRequest};

use super::{Change, Reply, Store};
use crate::error::StoreError;

/// What an entry asks for.
enum Operation<'a> {
    /// A read in the log, as old versions of etcd made them; nobody waits for its answer.
    Range,
    Put(&'a PutRequest),
    Delete(&'a DeleteRangeRequest),
    Txn(&'a TxnRequest),
    Compact(&'a CompactionRequest),
    GrantLease(&'a LeaseGrantRequest),
    RevokeLease(&'a LeaseRevokeRequest),
    CheckpointLeases(&'a LeaseCheckpointRequest),
    ExpireLeases(&'a LeaseExpireRequest),
    Alarm(&'a AlarmRequest),
    SetMemberAttributes(&'a ClusterMemberAttrSetRequest),
    SetClusterVersion(&'a ClusterVersionSetRequest),
}

impl<'a> Operation<'a> {
    /// `None` for a kind that is unknown here.
    fn of(entry: &'a InternalRaftRequest) -> Option<Self> {
        use Operation as O;
        (entry.cluster_version_set.as_ref().map(O::SetClusterVersion))
            .or_else(|| entry.cluster_member_attr_set.as_ref().map(O::SetMemberAttributes))
            .or_else(|| entry.range.as_ref().map(|_| O::Range))
            .or_else(|| entry.put.as_ref().map(O::Put))
            .or_else(|| entry.delete_range.as_ref().map(O::Delete))
            .or_else(|| entry.txn.as_ref().map(O::Txn))
            .or_else(|| entry.compaction.as_ref().map(O::Compact))
            .or_else(|| entry.lease_grant.as_ref().map(O::GrantLease))
            .or_else(|| entry.lease_revoke.as_ref().map(O::RevokeLease))
            .or_else(|| entry.lease_checkpoint.as_ref().map(O::CheckpointLeases))
            .or_else(|| entry.lease_expire.as_ref().map(O::ExpireLeases))
            .or_else(|| entry.alarm.as_ref().map(O::Alarm))
    }
}

impl Store {
    /// Whether an entry is of a kind that [`Store::apply`] knows.
    pub fn knows(entry: &InternalRaftRequest) -> bool {
        Operation::of(entry).is_some()
    }

    pub(super) fn perform(
        &mut self,
        term: u64,
        entry: &InternalRaftRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, StoreError> {
        let operation = Operation::of(entry).ok_or(StoreError::UnknownEntry)?;
        gate::admit(&self.root, &operation)?;
        match operation {
            Operation::Range => Ok(Reply::Done),
            Operation::Put(request) => self.put(request, changes),
            Operation::Delete(request) => Ok(self.delete(request, changes)),
            Operation::Txn(request) => self.txn(request, changes),
            Operation::Compact(request) => self.compact(request, changes),
            Operation::GrantLease(request) => self.grant_lease(request, changes),
            Operation::RevokeLease(request) => self.revoke_lease(request.id, changes),
            Operation::CheckpointLeases(request) => Ok(self.checkpoint_leases(request, changes)),
            Operation::ExpireLeases(request) => Ok(self.expire_leases(term, request, changes)),
            Operation::Alarm(request) => Ok(self.alarm(request, changes)),
            Operation::SetMemberAttributes(request) => {
                Ok(self.set_member_attributes(request, changes))
            }
            Operation::SetClusterVersion(request) => Ok(self.set_cluster_version(request, changes)),
        }
    }
}
