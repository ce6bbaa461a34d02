//! Transactions: which branch is taken, and whether it may be.
//!
//! As in etcd, every comparison, those of nested transactions included, and every check sees the
//! state before the transaction; only its operations see each other's writes.

use std::cmp::Ordering;
use std::sync::Arc;

use kvorum_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest,
};
use kvorum_proto::key_range::KeyRange;

use super::{Deferred, OpReply, Root, TxnReply, Version};
use crate::error::StoreError;
use crate::planted::{self, Bug};

/// Whether a transaction, whichever branches it takes, writes nothing and so can do without the
/// log.
pub fn is_read_only(request: &TxnRequest) -> bool {
    request.success.iter().chain(&request.failure).all(|op| match &op.request {
        Some(Request::RequestPut(_) | Request::RequestDeleteRange(_)) => false,
        Some(Request::RequestTxn(nested)) => is_read_only(nested),
        Some(Request::RequestRange(_)) | None => true,
    })
}

impl Root {
    /// Serves a transaction that only reads.
    pub fn txn_read(&self, request: &TxnRequest) -> Result<TxnReply, StoreError> {
        if !is_read_only(request) {
            return Err(StoreError::NotReadOnly);
        }
        let branch = Branch::choose(self, request);
        branch.check(self)?;
        read_branch(&Arc::new(self.clone()), &branch)
    }
}

fn read_branch(root: &Arc<Root>, branch: &Branch) -> Result<TxnReply, StoreError> {
    let mut ops = Vec::with_capacity(branch.steps.len());
    for step in &branch.steps {
        ops.push(match step {
            Step::Range(range) => {
                OpReply::Range(Deferred::new(Arc::clone(root), range), root.revision)
            }
            Step::Txn(nested) => OpReply::Txn(read_branch(root, nested)?, 0),
            Step::Put(_) | Step::Delete(_) => return Err(StoreError::NotReadOnly),
        });
    }
    Ok(TxnReply { succeeded: branch.succeeded, ops })
}

/// The branch that a transaction takes, with those of the transactions nested in it.
pub(super) struct Branch<'a> {
    pub(super) succeeded: bool,
    pub(super) steps: Vec<Step<'a>>,
}

pub(super) enum Step<'a> {
    Range(&'a RangeRequest),
    Put(&'a PutRequest),
    Delete(&'a DeleteRangeRequest),
    Txn(Branch<'a>),
}

impl<'a> Branch<'a> {
    pub(super) fn choose(root: &Root, request: &'a TxnRequest) -> Self {
        let succeeded = request.compare.iter().all(|compare| holds(root, compare));
        let ops = if succeeded { &request.success } else { &request.failure };
        // An operation without content, which the edge refuses, does nothing.
        let steps = ops.iter().filter_map(|op| op.request.as_ref()).map(|request| match request {
            Request::RequestRange(range) => Step::Range(range),
            Request::RequestPut(put) => Step::Put(put),
            Request::RequestDeleteRange(delete) => Step::Delete(delete),
            Request::RequestTxn(nested) => Step::Txn(Branch::choose(root, nested)),
        });
        Branch { succeeded, steps: steps.collect() }
    }

    /// Finds every reason to refuse the transaction before anything of it is applied.
    pub(super) fn check(&self, root: &Root) -> Result<(), StoreError> {
        self.steps.iter().try_for_each(|step| match step {
            Step::Range(range) => check_range(root, range),
            Step::Put(put) => check_put(root, put),
            Step::Delete(_) => Ok(()),
            Step::Txn(nested) => nested.check(root),
        })
    }
}

/// Unlike a read of its own, one in a transaction does not take a negative revision for the
/// current one, once there was a compaction.
fn check_range(root: &Root, range: &RangeRequest) -> Result<(), StoreError> {
    if planted::is(Bug::RefusalBySweep)
        && (1..root.compacted).contains(&range.revision)
        && root
            .revisions
            .iter()
            .next()
            .is_some_and(|oldest| oldest.version.at.main <= range.revision)
    {
        return Ok(());
    }
    match range.revision {
        0 => Ok(()),
        revision if revision > root.revision => Err(StoreError::FutureRevision),
        revision if revision < root.compacted => Err(StoreError::Compacted),
        _ => Ok(()),
    }
}

pub(super) fn check_put(root: &Root, put: &PutRequest) -> Result<(), StoreError> {
    if (put.ignore_value || put.ignore_lease)
        && root.keys.get(&put.key).is_none_or(|newest| newest.is_deletion())
    {
        return Err(StoreError::KeyNotFound);
    }
    if put.lease != 0 && root.lease(put.lease).is_none() {
        return Err(StoreError::LeaseNotFound);
    }
    Ok(())
}

/// Whether a comparison holds for every key of its range. With no key there it is made with a
/// version of zeros, but for a value: an absent value equals nothing.
fn holds(root: &Root, compare: &Compare) -> bool {
    let range = KeyRange::new(compare.key.clone(), compare.range_end.clone());
    let mut versions = root.live(&range).peekable();
    if versions.peek().is_none() {
        return compare.target() != CompareTarget::Value && holds_for(compare, None);
    }
    versions.all(|version| holds_for(compare, Some(version)))
}

/// A missing operand, or one of another target, counts as zero or an empty value; an unknown
/// target compares equal and an unknown relation always holds.
fn holds_for(compare: &Compare, version: Option<&Version>) -> bool {
    use TargetUnion::{CreateRevision, Lease, ModRevision, Value, Version as Writes};
    let operand = compare.target_union.as_ref();
    let ordering = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Version) => {
            let wanted = if let Some(Writes(wanted)) = operand { *wanted } else { 0 };
            version.map_or(0, |version| version.version).cmp(&wanted)
        }
        Ok(CompareTarget::Create) => {
            let wanted = if let Some(CreateRevision(wanted)) = operand { *wanted } else { 0 };
            version.map_or(0, |version| version.create_revision).cmp(&wanted)
        }
        Ok(CompareTarget::Mod) => {
            let wanted = if let Some(ModRevision(wanted)) = operand { *wanted } else { 0 };
            version.map_or(0, |version| version.at.main).cmp(&wanted)
        }
        Ok(CompareTarget::Lease) => {
            let wanted = if let Some(Lease(wanted)) = operand { *wanted } else { 0 };
            version.map_or(0, |version| version.lease).cmp(&wanted)
        }
        Ok(CompareTarget::Value) => {
            let wanted: &[u8] = if let Some(Value(wanted)) = operand { wanted } else { &[] };
            // The value of a key's newest version is always resident.
            let value = version.and_then(|version| version.value.resident());
            value.map_or(&[][..], |value| value).cmp(wanted)
        }
        Err(_) => Ordering::Equal,
    };
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering.is_eq(),
        Ok(CompareResult::NotEqual) => ordering.is_ne(),
        Ok(CompareResult::Greater) => ordering.is_gt(),
        Ok(CompareResult::Less) => ordering.is_lt(),
        Err(_) => true,
    }
}
