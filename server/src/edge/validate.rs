//! What a request must be before it is looked at: etcd's checks, in its order, with its answers.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use kvorum_proto::key_range::successor;

use super::status::Refused;
use crate::limits::MAX_TXN_DEPTH;

pub(super) fn range(request: &RangeRequest) -> Result<(), Refused> {
    if request.key.is_empty() {
        return Err(Refused::EmptyKey);
    }
    if SortOrder::try_from(request.sort_order).is_err()
        || SortTarget::try_from(request.sort_target).is_err()
    {
        return Err(Refused::InvalidSortOption);
    }
    Ok(())
}

pub(super) fn put(request: &PutRequest) -> Result<(), Refused> {
    if request.key.is_empty() {
        return Err(Refused::EmptyKey);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(Refused::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(Refused::LeaseProvided);
    }
    Ok(())
}

pub(super) fn delete(request: &DeleteRangeRequest) -> Result<(), Refused> {
    if request.key.is_empty() { Err(Refused::EmptyKey) } else { Ok(()) }
}

/// Sizes first, so that the search for clashes cannot be made expensive.
pub(super) fn txn(request: &TxnRequest, max_ops: usize) -> Result<(), Refused> {
    sizes(request, max_ops, MAX_TXN_DEPTH)?;
    clashes(&request.success)?;
    clashes(&request.failure)?;
    Ok(())
}

/// Whether every range of a read-only transaction may be answered without asking the quorum.
pub(super) fn is_serializable(request: &TxnRequest) -> bool {
    request.success.iter().chain(&request.failure).all(|op| match &op.request {
        Some(Request::RequestRange(range)) => range.serializable,
        _ => false,
    })
}

/// The most operations a level may have shrink by those of the level above.
fn sizes(request: &TxnRequest, max_ops: usize, max_depth: usize) -> Result<(), Refused> {
    let ops = request.compare.len().max(request.success.len()).max(request.failure.len());
    if ops > max_ops || max_depth == 0 {
        return Err(Refused::TooManyOps);
    }
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(Refused::EmptyKey);
    }
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(request)) => range(request)?,
            Some(Request::RequestPut(request)) => put(request)?,
            Some(Request::RequestDeleteRange(request)) => delete(request)?,
            Some(Request::RequestTxn(request)) => {
                sizes(request, max_ops - ops, max_depth - 1)?;
            }
            None => return Err(Refused::KeyNotFound),
        }
    }
    Ok(())
}

/// What a list of operations writes.
#[derive(Default)]
struct Writes {
    puts: HashSet<Bytes>,
    deletes: Ranges,
}

impl Writes {
    fn put(&mut self, key: Bytes) -> Result<(), Refused> {
        if self.deletes.contain(&key) || !self.puts.insert(key) {
            return Err(Refused::DuplicateKey);
        }
        Ok(())
    }
}

/// No key may be put twice, or put and deleted, on one path through a transaction.
fn clashes(ops: &[RequestOp]) -> Result<Writes, Refused> {
    let mut writes = Writes::default();
    for op in ops {
        if let Some(Request::RequestDeleteRange(delete)) = &op.request {
            writes.deletes.insert(delete.key.clone(), delete.range_end.clone());
        }
    }
    for op in ops {
        let Some(Request::RequestTxn(inner)) = &op.request else { continue };
        let success = clashes(&inner.success)?;
        let failure = clashes(&inner.failure)?;
        for key in &success.puts {
            writes.put(key.clone())?;
        }
        // Only one branch is taken, so both may put the same key.
        for key in failure.puts {
            if writes.deletes.contain(&key)
                || (!writes.puts.insert(key.clone()) && !success.puts.contains(&key))
            {
                return Err(Refused::DuplicateKey);
            }
        }
        writes.deletes.extend(success.deletes);
        writes.deletes.extend(failure.deletes);
    }
    for op in ops {
        if let Some(Request::RequestPut(put)) = &op.request {
            writes.put(put.key.clone())?;
        }
    }
    Ok(writes)
}

/// Disjoint ranges of keys: start to end, the end not included.
#[derive(Default)]
struct Ranges(BTreeMap<Bytes, Bytes>);

impl Ranges {
    /// Adds a range as a request writes it. As in etcd, an end of one zero byte is taken
    /// literally here, so a deletion of everything from a key on clashes with no put.
    fn insert(&mut self, key: Bytes, range_end: Bytes) {
        let end = if range_end.is_empty() { successor(&key) } else { range_end };
        self.insert_half_open(key, end);
    }

    fn insert_half_open(&mut self, mut start: Bytes, mut end: Bytes) {
        if start >= end {
            return;
        }
        // Whatever touches the new range becomes one with it.
        while let Some((other_start, other_end)) = self.0.range(..=end.clone()).next_back() {
            if *other_end < start {
                break;
            }
            let other = other_start.clone();
            let other_end = self.0.remove(&other).expect("the entry was just seen");
            start = start.min(other);
            end = end.max(other_end);
        }
        self.0.insert(start, end);
    }

    fn extend(&mut self, other: Ranges) {
        for (start, end) in other.0 {
            self.insert_half_open(start, end);
        }
    }

    fn contain(&self, key: &Bytes) -> bool {
        self.0.range(..=key.clone()).next_back().is_some_and(|(_, end)| key < end)
    }
}

#[cfg(test)]
mod tests {
    use kvorum_proto::etcdserverpb::{Compare, InternalRaftRequest};
    use prost::Message as _;

    use super::*;

    fn op(request: Request) -> RequestOp {
        RequestOp { request: Some(request) }
    }

    fn put_op(key: &'static str) -> RequestOp {
        op(Request::RequestPut(PutRequest { key: key.into(), ..Default::default() }))
    }

    fn delete_op(key: &'static str, end: &'static str) -> RequestOp {
        op(Request::RequestDeleteRange(DeleteRangeRequest {
            key: key.into(),
            range_end: end.into(),
            ..Default::default()
        }))
    }

    fn get_op(key: &'static str, serializable: bool) -> RequestOp {
        op(Request::RequestRange(RangeRequest {
            key: key.into(),
            serializable,
            ..Default::default()
        }))
    }

    fn branches(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> TxnRequest {
        TxnRequest { compare: Vec::new(), success, failure }
    }

    fn nested(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
        op(Request::RequestTxn(branches(success, failure)))
    }

    #[test]
    fn a_range_needs_a_key_and_known_sort_options() {
        let request = RangeRequest { key: "k".into(), ..Default::default() };
        assert_eq!(range(&request), Ok(()));
        assert_eq!(range(&RangeRequest::default()), Err(Refused::EmptyKey));
        let order = RangeRequest { sort_order: 99, ..request.clone() };
        assert_eq!(range(&order), Err(Refused::InvalidSortOption));
        let target = RangeRequest { sort_target: 99, ..request };
        assert_eq!(range(&target), Err(Refused::InvalidSortOption));
    }

    #[test]
    fn what_a_put_says_to_ignore_it_may_not_provide() {
        let request = PutRequest { key: "k".into(), ..Default::default() };
        assert_eq!(put(&request), Ok(()));
        assert_eq!(put(&PutRequest::default()), Err(Refused::EmptyKey));
        let value = PutRequest { ignore_value: true, value: "v".into(), ..request.clone() };
        assert_eq!(put(&value), Err(Refused::ValueProvided));
        let lease = PutRequest { ignore_lease: true, lease: 1, ..request };
        assert_eq!(put(&lease), Err(Refused::LeaseProvided));
    }

    #[test]
    fn each_level_of_a_transaction_has_what_the_level_above_left() {
        let many = |n: usize| (0..n).map(|_| get_op("k", false)).collect::<Vec<_>>();
        assert_eq!(txn(&branches(many(128), many(128)), 128), Ok(()));
        assert_eq!(txn(&branches(many(129), vec![]), 128), Err(Refused::TooManyOps));
        assert_eq!(txn(&branches(vec![nested(many(127), vec![])], vec![]), 128), Ok(()));
        assert_eq!(
            txn(&branches(vec![nested(many(128), vec![])], vec![]), 128),
            Err(Refused::TooManyOps)
        );
    }

    #[test]
    fn a_transaction_that_is_accepted_can_be_read_back_from_the_log() {
        let of_depth = |depth: usize| {
            let innermost = branches(vec![put_op("a")], vec![]);
            (1..depth).fold(innermost, |inner, _| {
                let op = RequestOp { request: Some(Request::RequestTxn(inner)) };
                branches(vec![op], vec![])
            })
        };
        let deepest = of_depth(MAX_TXN_DEPTH);
        assert_eq!(txn(&deepest, 128), Ok(()));
        let entry = InternalRaftRequest { txn: Some(deepest), ..Default::default() };
        let bytes = entry.encode_to_vec();
        assert_eq!(InternalRaftRequest::decode(bytes.as_slice()), Ok(entry));
        assert_eq!(txn(&of_depth(MAX_TXN_DEPTH + 1), 128), Err(Refused::TooManyOps));
    }

    #[test]
    fn a_transaction_names_its_keys_and_operations() {
        let compare = TxnRequest { compare: vec![Compare::default()], ..Default::default() };
        assert_eq!(txn(&compare, 128), Err(Refused::EmptyKey));
        let empty = branches(vec![RequestOp { request: None }], vec![]);
        assert_eq!(txn(&empty, 128), Err(Refused::KeyNotFound));
    }

    #[test]
    fn no_path_through_a_transaction_writes_a_key_twice() {
        let duplicate = Err(Refused::DuplicateKey);
        for (request, expected) in [
            (branches(vec![put_op("a"), put_op("b")], vec![put_op("a")]), Ok(())),
            (branches(vec![put_op("a"), put_op("a")], vec![]), duplicate),
            (branches(vec![], vec![put_op("a"), put_op("a")]), duplicate),
            (branches(vec![put_op("b"), delete_op("a", "c")], vec![]), duplicate),
            (branches(vec![put_op("c"), delete_op("a", "c")], vec![]), Ok(())),
            (branches(vec![put_op("a"), delete_op("a", "")], vec![]), duplicate),
            (branches(vec![delete_op("a", "c"), delete_op("b", "d")], vec![]), Ok(())),
            (branches(vec![nested(vec![put_op("a")], vec![put_op("a")])], vec![]), Ok(())),
            (branches(vec![put_op("a"), nested(vec![], vec![put_op("a")])], vec![]), duplicate),
            (
                branches(
                    vec![nested(vec![put_op("a")], vec![]), nested(vec![put_op("a")], vec![])],
                    vec![],
                ),
                duplicate,
            ),
            (
                branches(vec![put_op("b"), nested(vec![delete_op("a", "c")], vec![])], vec![]),
                duplicate,
            ),
            (
                branches(vec![delete_op("a", "c"), nested(vec![put_op("b")], vec![])], vec![]),
                duplicate,
            ),
            (branches(vec![put_op("b"), delete_op("a", "\0")], vec![]), Ok(())),
        ] {
            assert_eq!(txn(&request, 128), expected, "{request:?}");
        }
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut ranges = Ranges::default();
        for (start, end) in [("a", "c"), ("e", "g"), ("b", "f"), ("x", "w")] {
            ranges.insert(start.into(), end.into());
        }
        assert_eq!(ranges.0.len(), 1);
        assert!(ranges.contain(&"d".into()));
        assert!(!ranges.contain(&"g".into()));
    }

    #[test]
    fn a_transaction_is_serializable_if_all_its_ranges_are() {
        assert!(is_serializable(&branches(vec![get_op("a", true)], vec![])));
        assert!(!is_serializable(&branches(vec![get_op("a", true)], vec![get_op("a", false)])));
    }
}
