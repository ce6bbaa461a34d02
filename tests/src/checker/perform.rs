//! What a request does to the state, and what it answers: etcd's rules for one operation.
//!
//! Answers have no headers, inner ones neither; the revision is the state's afterwards.

use kvorum_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvorum_proto::etcdserverpb::request_op::Request as Part;
use kvorum_proto::etcdserverpb::response_op::Response as Reply;
use kvorum_proto::etcdserverpb::{
    CompactionResponse, Compare, DeleteRangeRequest, DeleteRangeResponse, LeaseGrantResponse,
    LeaseKeepAliveResponse, LeaseRevokeResponse, PutRequest, PutResponse, RangeRequest,
    RangeResponse, ResponseOp, TxnRequest, TxnResponse,
};
use kvorum_proto::mvccpb::KeyValue;

use super::history::{Refusal, Response};
use super::span::Span;
use super::state::State;

/// What is done to the state. A lease's id and time to live are known from its answer, if any.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action<'a> {
    Put(&'a PutRequest),
    Range(&'a RangeRequest),
    DeleteRange(&'a DeleteRangeRequest),
    Txn(&'a TxnRequest),
    Grant { id: i64, ttl: i64 },
    Revoke { id: i64 },
    KeepAlive { id: i64 },
    Compact { revision: i64 },
    Expire { id: i64 },
}

impl State {
    pub(super) fn perform(&mut self, action: Action) -> Result<Response, Refusal> {
        let outcome = self.dispatch(action);
        self.end_revision();
        outcome
    }

    fn dispatch(&mut self, action: Action) -> Result<Response, Refusal> {
        Ok(match action {
            Action::Put(put) => {
                self.lease_is_there(put)?;
                self.old_is_there(put)?;
                Response::Put(self.reply_put(put))
            }
            Action::Range(range) => {
                self.check_range(range)?;
                Response::Range(self.reply_range(range))
            }
            Action::DeleteRange(delete) => Response::DeleteRange(self.reply_delete(delete)),
            Action::Txn(txn) => {
                let path = self.choose(txn);
                self.check(&path)?;
                Response::Txn(self.execute(&path))
            }
            Action::Grant { id, ttl } => {
                self.grant(id, ttl)?;
                Response::Grant(LeaseGrantResponse { id, ttl, ..LeaseGrantResponse::default() })
            }
            Action::Revoke { id } | Action::Expire { id } => {
                self.end_lease(id)?;
                Response::Revoke(LeaseRevokeResponse::default())
            }
            Action::KeepAlive { id } => {
                let ttl = self.lease(id).unwrap_or(0);
                Response::KeepAlive(LeaseKeepAliveResponse { header: None, id, ttl })
            }
            Action::Compact { revision } => {
                self.compact(revision)?;
                Response::Compact(CompactionResponse::default())
            }
        })
    }

    fn reply_put(&mut self, put: &PutRequest) -> PutResponse {
        let prev = self.put(put);
        PutResponse { header: None, prev_kv: prev.filter(|_| put.prev_kv) }
    }

    fn reply_delete(&mut self, delete: &DeleteRangeRequest) -> DeleteRangeResponse {
        let gone = self.delete(&Span::new(&delete.key, &delete.range_end));
        let deleted = gone.len() as i64;
        let prev_kvs = if delete.prev_kv { gone } else { Vec::new() };
        DeleteRangeResponse { header: None, deleted, prev_kvs }
    }

    /// A range whose revision can be read.
    fn reply_range(&self, request: &RangeRequest) -> RangeResponse {
        let revision = if request.revision > 0 { request.revision } else { self.seen() };
        let mut kvs = self.select(&Span::new(&request.key, &request.range_end), revision);
        let count = kvs.len() as i64;
        if request.count_only {
            return RangeResponse { count, ..RangeResponse::default() };
        }
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let bounds = [
            (request.min_mod_revision, request.max_mod_revision),
            (request.min_create_revision, request.max_create_revision),
        ];
        let unordered = request.sort_order() == SortOrder::None && bounds == [(0, 0); 2];
        if limit > 0 && unordered {
            kvs.truncate(limit.saturating_add(1));
        }
        let within = |(min, max): (i64, i64), it: i64| it >= min && (max == 0 || it <= max);
        kvs.retain(|kv| {
            within(bounds[0], kv.mod_revision) && within(bounds[1], kv.create_revision)
        });
        sort(&mut kvs, request);
        let more = limit > 0 && kvs.len() > limit;
        if more {
            kvs.truncate(limit);
        }
        let mut kvs: Vec<KeyValue> = kvs.into_iter().cloned().collect();
        if request.keys_only {
            for kv in &mut kvs {
                kv.value.clear();
            }
        }
        RangeResponse { header: None, kvs, more, count }
    }

    fn check_range(&self, range: &RangeRequest) -> Result<(), Refusal> {
        if range.revision > self.revision {
            return Err(Refusal::FutureRevision);
        }
        if range.revision > 0 && range.revision < self.compacted {
            return Err(Refusal::Compacted);
        }
        Ok(())
    }

    fn lease_is_there(&self, put: &PutRequest) -> Result<(), Refusal> {
        let there = put.lease == 0 || self.lease(put.lease).is_some();
        there.then_some(()).ok_or(Refusal::NoLease)
    }

    fn old_is_there(&self, put: &PutRequest) -> Result<(), Refusal> {
        let wanted = put.ignore_value || put.ignore_lease;
        let there = !wanted || self.at(&put.key, self.revision).is_some();
        there.then_some(()).ok_or(Refusal::NoKey)
    }

    /// The branches are chosen before anything is done.
    fn choose<'a>(&self, txn: &'a TxnRequest) -> Path<'a> {
        let succeeded = txn.compare.iter().all(|compare| self.holds(compare));
        let ops = if succeeded { &txn.success } else { &txn.failure };
        let steps = ops.iter().filter_map(|op| op.request.as_ref()).map(|part| match part {
            Part::RequestTxn(nested) => Step::Txn(self.choose(nested)),
            part => Step::Part(part),
        });
        Path { succeeded, steps: steps.collect() }
    }

    /// Nothing of a transaction happens if anything in it is refused.
    fn check(&self, path: &Path) -> Result<(), Refusal> {
        for step in &path.steps {
            match step {
                Step::Txn(nested) => self.check(nested)?,
                Step::Part(Part::RequestPut(put)) => {
                    self.old_is_there(put)?;
                    self.lease_is_there(put)?;
                }
                Step::Part(Part::RequestRange(range)) => self.check_range(range)?,
                Step::Part(_) => {}
            }
        }
        Ok(())
    }

    fn execute(&mut self, path: &Path) -> TxnResponse {
        let mut responses = Vec::with_capacity(path.steps.len());
        for step in &path.steps {
            let reply = match step {
                Step::Txn(nested) => Reply::ResponseTxn(self.execute(nested)),
                Step::Part(Part::RequestRange(range)) => {
                    Reply::ResponseRange(self.reply_range(range))
                }
                Step::Part(Part::RequestPut(put)) => Reply::ResponsePut(self.reply_put(put)),
                Step::Part(Part::RequestDeleteRange(delete)) => {
                    Reply::ResponseDeleteRange(self.reply_delete(delete))
                }
                Step::Part(Part::RequestTxn(_)) => unreachable!("a nested one is a path"),
            };
            responses.push(ResponseOp { response: Some(reply) });
        }
        TxnResponse { header: None, succeeded: path.succeeded, responses }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let found = self.select(&Span::new(&compare.key, &compare.range_end), self.revision);
        if found.is_empty() {
            // A value that is not there equals nothing, its numbers are 0.
            return compare.target() != CompareTarget::Value
                && agrees(compare, &KeyValue::default());
        }
        found.into_iter().all(|kv| agrees(compare, kv))
    }
}

/// The branches that a transaction takes.
struct Path<'a> {
    succeeded: bool,
    steps: Vec<Step<'a>>,
}

enum Step<'a> {
    Part(&'a Part),
    Txn(Path<'a>),
}

/// Without an order, anything but the key is sorted in ascending order.
fn sort(kvs: &mut [&KeyValue], request: &RangeRequest) {
    let descending = request.sort_order() == SortOrder::Descend;
    if !descending && request.sort_target() == SortTarget::Key {
        return;
    }
    kvs.sort_by(|a, b| {
        let order = match request.sort_target() {
            SortTarget::Key => a.key.cmp(&b.key),
            SortTarget::Version => a.version.cmp(&b.version),
            SortTarget::Create => a.create_revision.cmp(&b.create_revision),
            SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
            SortTarget::Value => a.value.cmp(&b.value),
        };
        if descending { order.reverse() } else { order }
    });
}

fn agrees(compare: &Compare, kv: &KeyValue) -> bool {
    // An operand of another kind than the target counts as none.
    let order = match (compare.target(), &compare.target_union) {
        (CompareTarget::Version, Some(TargetUnion::Version(it))) => kv.version.cmp(it),
        (CompareTarget::Create, Some(TargetUnion::CreateRevision(it))) => {
            kv.create_revision.cmp(it)
        }
        (CompareTarget::Mod, Some(TargetUnion::ModRevision(it))) => kv.mod_revision.cmp(it),
        (CompareTarget::Lease, Some(TargetUnion::Lease(it))) => kv.lease.cmp(it),
        (CompareTarget::Value, Some(TargetUnion::Value(it))) => kv.value.cmp(it),
        (CompareTarget::Version, _) => kv.version.cmp(&0),
        (CompareTarget::Create, _) => kv.create_revision.cmp(&0),
        (CompareTarget::Mod, _) => kv.mod_revision.cmp(&0),
        (CompareTarget::Lease, _) => kv.lease.cmp(&0),
        (CompareTarget::Value, _) => kv.value[..].cmp(&[]),
    };
    match compare.result() {
        CompareResult::Equal => order.is_eq(),
        CompareResult::NotEqual => order.is_ne(),
        CompareResult::Greater => order.is_gt(),
        CompareResult::Less => order.is_lt(),
    }
}
