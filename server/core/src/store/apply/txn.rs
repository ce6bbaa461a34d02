//! Txn: the operations of one branch, all or none, at one revision.

use std::sync::Arc;

use kvorum_proto::etcdserverpb::TxnRequest;

use super::write::Write;
use crate::error::StoreError;
use crate::planted::{self, Bug};
use crate::store::txn::{Branch, Step};
use crate::store::{Change, Deferred, OpReply, Reply, Store, TxnReply};

impl Store {
    pub(super) fn txn(
        &mut self,
        request: &TxnRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, StoreError> {
        let branch = Branch::choose(&self.root, request);
        branch.check(&self.root)?;
        if planted::is(Bug::TxnTwice) && self.root.index.is_multiple_of(16) {
            Write::new(self, changes).branch(&branch);
        }
        Ok(Reply::Txn(Write::new(self, changes).branch(&branch)))
    }
}

impl Write<'_> {
    fn branch(&mut self, branch: &Branch) -> TxnReply {
        let ops = branch.steps.iter().map(|step| self.step(step)).collect();
        TxnReply { succeeded: branch.succeeded, ops }
    }

    fn step(&mut self, step: &Step) -> OpReply {
        match step {
            Step::Range(request) => {
                let root = &self.store.root;
                OpReply::Range(Deferred::new(Arc::new(root.clone()), request), root.revision)
            }
            Step::Put(request) => {
                let reply = self.put_request(request);
                OpReply::Put(reply, self.store.root.revision)
            }
            Step::Delete(request) => {
                let reply = self.delete_request(request);
                OpReply::Delete(reply, self.store.root.revision)
            }
            Step::Txn(nested) => OpReply::Txn(self.branch(nested), 0),
        }
    }
}
