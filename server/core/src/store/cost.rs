//! What reading takes, told before it is done.
//!
//! The one measure is how many versions are looked at, each some 100 ns. It is counted from the
//! index, in O(log n) for a range, and only until it is known to be too much.

use bytes::Bytes;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{Compare, RangeRequest, TxnRequest};
use kvorum_proto::key_range::KeyRange;

use super::range::{is_filtered, needs_all};
use super::{DeleteReply, OpReply, Root, TxnReply};

/// What reading the past is worth beside the keys that it finds: their values may have to be read
/// back from the disk, which takes some 200 µs.
pub const PAST_LOOKS: u64 = 2_000;

/// Looks at versions that may still be taken. Whatever takes more than there are left answers
/// `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks(u64);

impl Looks {
    pub const fn at_most(looks: u64) -> Looks {
        Looks(looks)
    }

    /// Less those that the answer to a range takes.
    pub fn for_range(self, root: &Root, request: &RangeRequest) -> Option<Looks> {
        if (1..root.revision).contains(&request.revision) {
            let found = keys(root, &request.key, &request.range_end);
            return self.less(PAST_LOOKS.saturating_add(found));
        }
        if request.count_only {
            return self.less(1);
        }
        let found = keys(root, &request.key, &request.range_end);
        let limit = u64::try_from(request.limit).unwrap_or(0);
        let limited = limit > 0 && !is_filtered(request) && !needs_all(request);
        self.less(if limited { found.min(limit) } else { found })
    }

    /// Less those that a transaction takes, whichever of its branches is chosen: its comparisons,
    /// its ranges and the previous values it asks for.
    pub fn for_txn(self, root: &Root, request: &TxnRequest) -> Option<Looks> {
        let mut compared = request.compare.iter();
        let left = compared.try_fold(self, |left, compare| left.for_compare(root, compare))?;
        let mut ops = request.success.iter().chain(&request.failure);
        ops.try_fold(left, |left, op| match &op.request {
            Some(Request::RequestRange(range)) => left.for_range(root, range),
            Some(Request::RequestTxn(nested)) => left.less(1)?.for_txn(root, nested),
            Some(Request::RequestDeleteRange(delete)) if delete.prev_kv => {
                left.less(keys(root, &delete.key, &delete.range_end))
            }
            Some(Request::RequestPut(_) | Request::RequestDeleteRange(_)) | None => left.less(1),
        })
    }

    /// Less those that putting the answer together takes.
    pub fn for_reply(self, reply: &TxnReply) -> Option<Looks> {
        reply.ops.iter().try_fold(self, |left, op| match op {
            OpReply::Range(range, _) => left.for_range(range.root(), range.request()),
            OpReply::Put(..) => left.less(1),
            OpReply::Delete(deletion, _) => left.for_deletion(deletion),
            OpReply::Txn(nested, _) => left.less(1)?.for_reply(nested),
        })
    }

    /// Less those at the previous values.
    pub fn for_deletion(self, reply: &DeleteReply) -> Option<Looks> {
        self.less(reply.prev.len() as u64)
    }

    fn for_compare(self, root: &Root, compare: &Compare) -> Option<Looks> {
        self.less(keys(root, &compare.key, &compare.range_end))
    }

    /// Nothing is for nothing.
    fn less(self, looks: u64) -> Option<Looks> {
        self.0.checked_sub(looks.max(1)).map(Looks)
    }
}

/// Keys of the range that exist now.
fn keys(root: &Root, key: &Bytes, range_end: &Bytes) -> u64 {
    if range_end.is_empty() {
        return 1;
    }
    let range = KeyRange::new(key.clone(), range_end.clone());
    root.count(&range, root.revision).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use kvorum_proto::etcdserverpb::compare::CompareResult;
    use kvorum_proto::etcdserverpb::{
        DeleteRangeRequest, InternalRaftRequest, PutRequest, RequestOp,
    };
    use raft_proto::eraftpb::ConfState;

    use super::*;
    use crate::store::Store;

    const KEYS: u64 = 100;

    fn root() -> Root {
        let mut store = Store::bootstrap(Vec::new(), ConfState::default());
        for index in 1..=KEYS {
            let put = PutRequest { key: format!("k{index}").into(), ..PutRequest::default() };
            let entry = InternalRaftRequest { put: Some(put), ..InternalRaftRequest::default() };
            store.apply(index, 1, &entry).reply.expect("a put is done");
        }
        store.root()
    }

    fn all() -> RangeRequest {
        RangeRequest { key: "k".into(), range_end: "l".into(), ..RangeRequest::default() }
    }

    fn op(request: Request) -> RequestOp {
        RequestOp { request: Some(request) }
    }

    fn txn(op: &RequestOp, times: u64) -> TxnRequest {
        let success = (0..times).map(|_| op.clone()).collect();
        TxnRequest { success, ..TxnRequest::default() }
    }

    fn spent(left: impl Fn(Looks) -> Option<Looks>) -> u64 {
        let Looks(left) = left(Looks::at_most(1 << 30)).expect("there are enough");
        (1 << 30) - left
    }

    #[test]
    fn a_range_takes_what_it_has_to_look_at_and_not_what_it_answers() {
        let root = root();
        let takes = |request: RangeRequest| spent(|looks| looks.for_range(&root, &request));
        assert_eq!(takes(all()), KEYS);
        assert_eq!(takes(RangeRequest { key: "k1".into(), ..RangeRequest::default() }), 1);
        assert_eq!(takes(RangeRequest { count_only: true, ..all() }), 1);
        let limited = RangeRequest { limit: 3, ..all() };
        assert_eq!(takes(limited.clone()), 3);
        // What a filter or an order leaves is known only when all of it was looked at.
        assert_eq!(takes(RangeRequest { min_mod_revision: 1, ..limited.clone() }), KEYS);
        let (sort_order, sort_target) = (1, 3);
        assert_eq!(takes(RangeRequest { sort_order, sort_target, ..limited.clone() }), KEYS);
        assert_eq!(takes(RangeRequest { revision: root.revision(), ..limited.clone() }), 3);
        assert!(takes(RangeRequest { revision: 5, ..limited }) > PAST_LOOKS);
    }

    #[test]
    fn what_a_transaction_takes_is_added_up_over_branches_and_nesting() {
        let root = root();
        let takes = |request: TxnRequest| spent(|looks| looks.for_txn(&root, &request));
        let read = op(Request::RequestRange(all()));
        let nested = op(Request::RequestTxn(txn(&read, 10)));
        assert_eq!(takes(txn(&nested, 10)), 100 * KEYS + 10);
        let failure = vec![read.clone()];
        assert_eq!(takes(TxnRequest { failure, ..txn(&read, 1) }), 2 * KEYS);
        let compare = Compare {
            key: "k".into(),
            range_end: "l".into(),
            result: CompareResult::Greater.into(),
            ..Compare::default()
        };
        assert_eq!(takes(TxnRequest { compare: vec![compare; 5], ..txn(&read, 1) }), 6 * KEYS);
        let delete = DeleteRangeRequest { key: "k".into(), range_end: "l".into(), prev_kv: true };
        assert_eq!(takes(txn(&op(Request::RequestDeleteRange(delete)), 1)), KEYS);
        assert_eq!(Looks::at_most(10 * KEYS - 1).for_txn(&root, &txn(&read, 10)), None);
    }

    #[test]
    fn an_answer_takes_what_its_operations_saw() {
        let root = root();
        let request = txn(&op(Request::RequestRange(all())), 3);
        let reply = root.txn_read(&request).expect("it only reads");
        let nested = OpReply::Txn(reply.clone(), 0);
        let reply = TxnReply { succeeded: true, ops: vec![nested, reply.ops[0].clone()] };
        assert_eq!(spent(|looks| looks.for_reply(&reply)), 4 * KEYS + 1);
    }
}
