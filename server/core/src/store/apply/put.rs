//! Put: one key, one new version.

use bytes::Bytes;
use kvorum_proto::etcdserverpb::PutRequest;

use super::write::Write;
use crate::error::StoreError;
use crate::store::txn::check_put;
use crate::store::{Change, PutReply, Reply, Store};

impl Store {
    pub(super) fn put(
        &mut self,
        request: &PutRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, StoreError> {
        // The lease is looked up before the key, here; in a transaction it is the other way round.
        if request.lease != 0 && self.root.lease(request.lease).is_none() {
            return Err(StoreError::LeaseNotFound);
        }
        check_put(&self.root, request)?;
        Ok(Reply::Put(Write::new(self, changes).put_request(request)))
    }
}

impl Write<'_> {
    /// The request has been checked. Only a transaction that deletes a key and then puts it, which
    /// the edge refuses, can leave nothing to keep: then the value is empty, and there is no lease.
    pub(super) fn put_request(&mut self, request: &PutRequest) -> PutReply {
        let newest = self.store.root.keys.get(&request.key);
        let live = newest.filter(|newest| !newest.is_deletion());
        let lease = match live {
            _ if !request.ignore_lease => request.lease,
            Some(live) => live.lease,
            None => 0,
        };
        let value = match live {
            _ if !request.ignore_value => Bytes::copy_from_slice(&request.value),
            Some(live) => live.value.resident().cloned().unwrap_or_default(),
            None => Bytes::new(),
        };
        let prev = self.put(&request.key, value, lease);
        PutReply { prev: prev.filter(|_| request.prev_kv) }
    }
}
