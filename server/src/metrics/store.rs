//! What the store was asked to do.

use kvorum_core::store::{OpReply, Reply, TxnReply};

use super::value::Counter;

/// Operations by kind, as this member applied or served them.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    pub(super) puts: Counter,
    pub(super) deletes: Counter,
    pub(super) ranges: Counter,
    /// Transactions of more than one operation.
    pub(super) txns: Counter,
    pub(super) leases_granted: Counter,
}

#[derive(Default)]
struct Sums {
    puts: u64,
    deletes: u64,
    ranges: u64,
}

impl Operations {
    pub(crate) fn count(&self, reply: &Reply) {
        match reply {
            Reply::Put(_) => self.puts.inc(),
            Reply::Delete(_) => self.deletes.inc(),
            Reply::Txn(txn) => self.count_txn(txn),
            Reply::LeaseGranted { .. } => self.leases_granted.inc(),
            _ => {}
        }
    }

    pub(crate) fn count_range(&self) {
        self.ranges.inc();
    }

    pub(crate) fn count_txn(&self, txn: &TxnReply) {
        let mut sums = Sums::default();
        sums.add(txn);
        self.puts.add(sums.puts);
        self.deletes.add(sums.deletes);
        self.ranges.add(sums.ranges);
        if sums.puts + sums.deletes + sums.ranges > 1 {
            self.txns.inc();
        }
    }
}

impl Sums {
    fn add(&mut self, txn: &TxnReply) {
        for op in &txn.ops {
            match op {
                OpReply::Put(..) => self.puts += 1,
                OpReply::Delete(..) => self.deletes += 1,
                OpReply::Range(..) => self.ranges += 1,
                OpReply::Txn(txn, _) => self.add(txn),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kvorum_core::store::{DeleteReply, PutReply, Store};
    use kvorum_proto::etcdserverpb::request_op::Request;
    use kvorum_proto::etcdserverpb::{RangeRequest, RequestOp, TxnRequest};
    use raft_proto::eraftpb::ConfState;

    use super::*;

    #[test]
    fn a_transaction_counts_for_each_of_its_operations() {
        let operations = Operations::default();
        let one = TxnReply { succeeded: true, ops: vec![OpReply::Put(PutReply::default(), 1)] };
        operations.count(&Reply::Txn(one.clone()));
        let range = Some(Request::RequestRange(RangeRequest::default()));
        let read = TxnRequest { success: vec![RequestOp { request: range }], ..Default::default() };
        let root = Store::bootstrap(Vec::new(), ConfState::default()).root();
        let mut many = root.txn_read(&read).expect("it only reads");
        many.ops.push(OpReply::Txn(one, 0));
        many.ops.push(OpReply::Delete(DeleteReply::default(), 1));
        operations.count(&Reply::Txn(many));
        operations.count(&Reply::Done);
        let Operations { puts, deletes, ranges, txns, .. } = operations;
        let counted = [puts, deletes, ranges, txns].map(|counter| counter.get());
        assert_eq!(counted, [2, 1, 1, 1]);
    }
}
