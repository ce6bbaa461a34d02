//! Leases: granted, revoked, checkpointed, expired.

use kvorum_proto::etcdserverpb::{LeaseCheckpointRequest, LeaseExpireRequest, LeaseGrantRequest};

use super::write::Write;
use crate::error::StoreError;
use crate::planted::{self, Bug};
use crate::store::lease::Leased;
use crate::store::{Change, LeaseRecord, Reply, Store, element, record};

/// etcd's limit: longer times overflow when they are counted in nanoseconds.
const LEASE_TTL_MAX_S: i64 = 9_000_000_000;

impl Store {
    /// Id and time to live were chosen before the log; what the edge should have refused or
    /// raised is refused or raised here as well.
    pub(super) fn grant_lease(
        &mut self,
        request: &LeaseGrantRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, StoreError> {
        let id = request.id;
        if id == 0 {
            return Err(StoreError::LeaseNotFound);
        }
        if request.ttl > LEASE_TTL_MAX_S {
            return Err(StoreError::LeaseTtlTooLarge);
        }
        if self.root.lease(id).is_some() {
            return Err(StoreError::LeaseExists);
        }
        let ttl = request.ttl.max(1);
        self.put_lease(LeaseRecord { id, ttl_s: ttl, remaining_s: 0 }, changes);
        Ok(Reply::LeaseGranted { id, ttl })
    }

    pub(super) fn revoke_lease(
        &mut self,
        id: i64,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, StoreError> {
        if self.root.lease(id).is_none() {
            return Err(StoreError::LeaseNotFound);
        }
        self.end_lease(id, changes);
        Ok(Reply::Done)
    }

    /// Leases that are gone by now are passed over.
    pub(super) fn checkpoint_leases(
        &mut self,
        request: &LeaseCheckpointRequest,
        changes: &mut Vec<Change>,
    ) -> Reply {
        for checkpoint in &request.checkpoints {
            if let Some(lease) = self.root.lease(checkpoint.id) {
                let remaining_s = checkpoint.remaining_ttl;
                self.put_lease(LeaseRecord { remaining_s, ..lease }, changes);
            }
        }
        Reply::Done
    }

    /// The leader of `request.term` found these leases out of time. In another term another
    /// leader has given them more, so nothing is done. Each lease ends at a revision of its own.
    pub(super) fn expire_leases(
        &mut self,
        term: u64,
        request: &LeaseExpireRequest,
        changes: &mut Vec<Change>,
    ) -> Reply {
        if request.term == term || planted::is(Bug::ExpireInAnyTerm) {
            for id in &request.i_ds {
                self.end_lease(*id, changes);
            }
        }
        Reply::Done
    }

    /// Removes the lease and deletes its keys, in key order, at one revision.
    fn end_lease(&mut self, id: i64, changes: &mut Vec<Change>) {
        let Some(ended) = self.root.leases.remove(&id.to_be_bytes()) else { return };
        self.root.sum -= element::lease(&ended.record);
        let keys: Vec<_> = self.root.lease_keys(id).collect();
        let mut write = Write::new(self, changes);
        for key in keys {
            if let Some(live) = write.store.root.keys.get(&key).cloned() {
                write.delete(&live);
            }
        }
        changes.push(record::remove_lease(id));
    }

    fn put_lease(&mut self, lease: LeaseRecord, changes: &mut Vec<Change>) {
        changes.push(record::lease(&lease));
        if let Some(old) = self.root.lease(lease.id) {
            self.root.sum -= element::lease(&old);
        }
        self.root.sum += element::lease(&lease);
        self.root.leases.upsert(&lease.id.to_be_bytes(), |_| Leased::new(lease));
    }
}
