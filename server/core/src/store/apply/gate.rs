//! What stands between an entry and the state: the whole list of checks that are not an
//! operation's own. They see the replicated state only, so every member decides alike.

use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{AlarmType, TxnRequest};

use super::Operation;
use crate::auth::{Access, Principal, authorise};
use crate::error::StoreError;
use crate::store::Root;

/// In etcd's order: alarms first, then who asks.
pub(super) fn admit(
    root: &Root,
    principal: &Principal,
    operation: &Operation,
) -> Result<(), StoreError> {
    alarms(root, operation)?;
    Ok(authorise(root, principal, access(operation))?)
}

pub(super) fn alarms(root: &Root, operation: &Operation) -> Result<(), StoreError> {
    if raised(root, AlarmType::Corrupt) && touches_data(operation) {
        return Err(StoreError::Corrupt);
    }
    if raised(root, AlarmType::Nospace) && takes_space(operation) {
        return Err(StoreError::NoSpace);
    }
    Ok(())
}

/// What the principal in an entry's header needs. The edge has asked before, but of another
/// state: this answer is the one that counts.
fn access<'a>(operation: &Operation<'a>) -> Access<'a> {
    match *operation {
        // A read in the log answers nobody here; who authenticates is no user yet.
        Operation::Read | Operation::Authenticate(_) => Access::Open,
        Operation::Put(request) => Access::Put(request),
        Operation::Delete(request) => Access::Delete(request),
        Operation::Txn(request) => Access::Txn(request),
        Operation::GrantLease(_) => Access::User,
        Operation::RevokeLease(request) => Access::WriteLease(request.id),
        Operation::Alarm(request) if request.action == AlarmAction::Get as i32 => Access::User,
        Operation::Compact(_)
        | Operation::Alarm(_)
        | Operation::EnableAuth
        | Operation::DisableAuth
        | Operation::User(_)
        | Operation::Role(_) => Access::Admin,
        Operation::CheckpointLeases(_)
        | Operation::ExpireLeases(_)
        | Operation::SetMemberAttributes(_)
        | Operation::SetClusterVersion(_) => Access::Member,
    }
}

fn raised(root: &Root, kind: AlarmType) -> bool {
    root.alarms.iter().any(|alarm| alarm.alarm() == kind)
}

/// What a member must not do to data that may be damaged.
fn touches_data(operation: &Operation) -> bool {
    match operation {
        Operation::Read
        | Operation::Put(_)
        | Operation::Delete(_)
        | Operation::Txn(_)
        | Operation::Compact(_)
        | Operation::GrantLease(_)
        | Operation::RevokeLease(_)
        | Operation::ExpireLeases(_) => true,
        Operation::CheckpointLeases(_)
        | Operation::Alarm(_)
        | Operation::SetMemberAttributes(_)
        | Operation::SetClusterVersion(_)
        | Operation::EnableAuth
        | Operation::DisableAuth
        | Operation::Authenticate(_)
        | Operation::User(_)
        | Operation::Role(_) => false,
    }
}

/// What needs space that only others can give back: deletions and compactions must get through.
fn takes_space(operation: &Operation) -> bool {
    match operation {
        Operation::Put(_) | Operation::GrantLease(_) => true,
        Operation::Txn(txn) => puts(txn),
        Operation::Read
        | Operation::Delete(_)
        | Operation::Compact(_)
        | Operation::RevokeLease(_)
        | Operation::ExpireLeases(_)
        | Operation::CheckpointLeases(_)
        | Operation::Alarm(_)
        | Operation::SetMemberAttributes(_)
        | Operation::SetClusterVersion(_)
        | Operation::EnableAuth
        | Operation::DisableAuth
        | Operation::Authenticate(_)
        | Operation::User(_)
        | Operation::Role(_) => false,
    }
}

/// Whether a put stands in either branch, nested ones included.
fn puts(txn: &TxnRequest) -> bool {
    txn.success.iter().chain(&txn.failure).any(|op| match &op.request {
        Some(Request::RequestPut(_)) => true,
        Some(Request::RequestTxn(nested)) => puts(nested),
        Some(Request::RequestRange(_) | Request::RequestDeleteRange(_)) | None => false,
    })
}
