//! Compact: history up to a revision can no longer be read. What it held is swept later.

use kvorum_proto::etcdserverpb::CompactionRequest;

use crate::error::StoreError;
use crate::planted::{self, Bug};
use crate::store::{Change, Reply, Store, record};

impl Store {
    /// The current revision is written down with it: once deletions are swept, no version may be
    /// left that tells it.
    pub(super) fn compact(
        &mut self,
        request: &CompactionRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, StoreError> {
        let at = request.revision;
        if at <= self.root.compacted {
            return Err(StoreError::Compacted);
        }
        if at > self.root.revision {
            return Err(StoreError::FutureRevision);
        }
        self.root.compacted = at;
        self.root.sum -= self.dead.compact(at);
        self.eras.end(&mut self.root.pin, at);
        if !planted::is(Bug::RevisionForgotten) {
            changes.push(record::meta(record::REVISION, self.root.revision));
        }
        changes.push(record::meta(record::COMPACTED, at));
        Ok(Reply::Done)
    }
}
