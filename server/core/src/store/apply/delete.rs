//! DeleteRange: every key of a range, in key order, at one revision.

use kvorum_proto::etcdserverpb::DeleteRangeRequest;
use kvorum_proto::key_range::KeyRange;

use super::write::Write;
use crate::store::{Change, DeleteReply, Reply, Store};

impl Store {
    pub(super) fn delete(
        &mut self,
        request: &DeleteRangeRequest,
        changes: &mut Vec<Change>,
    ) -> Reply {
        Reply::Delete(Write::new(self, changes).delete_request(request))
    }
}

impl Write<'_> {
    pub(super) fn delete_request(&mut self, request: &DeleteRangeRequest) -> DeleteReply {
        let range = KeyRange::new(request.key.clone(), request.range_end.clone());
        let live: Vec<_> = self.store.root.live(&range).cloned().collect();
        for version in &live {
            self.delete(version);
        }
        let deleted = live.len() as i64;
        DeleteReply { deleted, prev: if request.prev_kv { live } else { Vec::new() } }
    }
}
