//! The gate of an etcd, for the entries of its log.
//!
//! What that etcd admitted has happened, and was acknowledged: it must not be lost because we would
//! have refused it. Alarms and keys are looked at as it does, so what it refused stays refused. But
//! it asks nobody about leases granted, compactions and alarms, and in a transaction it looks
//! neither into the transactions within nor at the lease and `prev_kv` of a put (etcd's
//! `apply_auth.go` and `quota.go`, 3.4.23 and 3.6.0).
//!
//! Newer versions ask more, and nothing says which version applied an entry: of the two mistakes,
//! losing what was acknowledged is the worse one.

use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{PutRequest, RequestOp, TxnRequest};

use super::{Operation, gate};
use crate::auth::Principal;
use crate::error::StoreError;
use crate::store::Root;

pub(super) fn admit(
    root: &Root,
    principal: &Principal,
    operation: &Operation,
) -> Result<(), StoreError> {
    match operation {
        Operation::GrantLease(_)
        | Operation::CheckpointLeases(_)
        | Operation::Compact(_)
        | Operation::Alarm(_) => gate::alarms(root, operation),
        // A lease without keys is everybody's.
        Operation::RevokeLease(request) if root.lease_key_count(request.id) == 0 => {
            gate::alarms(root, operation)
        }
        Operation::Txn(txn) => gate::admit(root, principal, &Operation::Txn(&looked_at(txn))),
        _ => gate::admit(root, principal, operation),
    }
}

/// The part of a transaction that etcd looks at.
fn looked_at(txn: &TxnRequest) -> TxnRequest {
    let branch = |ops: &[RequestOp]| {
        let requests = ops.iter().filter_map(|op| match op.request.as_ref()? {
            Request::RequestTxn(_) => None,
            Request::RequestPut(put) => {
                Some(Request::RequestPut(PutRequest { lease: 0, prev_kv: false, ..put.clone() }))
            }
            request => Some(request.clone()),
        });
        requests.map(|request| RequestOp { request: Some(request) }).collect()
    };
    TxnRequest {
        compare: txn.compare.clone(),
        success: branch(&txn.success),
        failure: branch(&txn.failure),
    }
}

#[cfg(test)]
mod tests {
    use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
    use kvorum_proto::etcdserverpb::{
        AlarmRequest, AlarmType, AuthEnableRequest, AuthRoleAddRequest, AuthUserAddRequest,
        AuthUserGrantRoleRequest, CompactionRequest, InternalRaftRequest, LeaseCheckpointRequest,
        LeaseGrantRequest, RequestHeader,
    };
    use raft_proto::eraftpb::ConfState;

    use super::*;
    use crate::auth::AuthError;
    use crate::store::{Applied, Store};

    fn put(key: &'static str) -> PutRequest {
        PutRequest { key: key.into(), ..PutRequest::default() }
    }

    fn entry() -> InternalRaftRequest {
        InternalRaftRequest::default()
    }

    fn etcds(store: &mut Store, entry: &InternalRaftRequest) -> Applied {
        store.apply_etcds(store.root().index() + 1, 1, entry)
    }

    fn ours(store: &mut Store, entry: &InternalRaftRequest) -> Applied {
        store.apply(store.root().index() + 1, 1, entry)
    }

    fn op(request: Request) -> RequestOp {
        RequestOp { request: Some(request) }
    }

    /// With auth enabled, and a user without any role.
    fn store() -> Store {
        let mut store = Store::bootstrap(Vec::new(), ConfState::default());
        let user = |name: &str| {
            let (name, hashed_password) = (name.to_owned(), "aGFzaA==".to_owned());
            Some(AuthUserAddRequest { name, hashed_password, ..AuthUserAddRequest::default() })
        };
        let (root, role) = ("root".to_owned(), "root".to_owned());
        for entry in [
            InternalRaftRequest { put: Some(put("k")), ..entry() },
            InternalRaftRequest { put: Some(put("k")), ..entry() },
            InternalRaftRequest { auth_user_add: user("root"), ..entry() },
            InternalRaftRequest { auth_user_add: user("nobody"), ..entry() },
            InternalRaftRequest {
                auth_role_add: Some(AuthRoleAddRequest { name: role.clone() }),
                ..entry()
            },
            InternalRaftRequest {
                auth_user_grant_role: Some(AuthUserGrantRoleRequest { user: root, role }),
                ..entry()
            },
            InternalRaftRequest { auth_enable: Some(AuthEnableRequest {}), ..entry() },
        ] {
            assert!(ours(&mut store, &entry).reply.is_ok());
        }
        store
    }

    #[test]
    fn what_etcd_asks_nobody_about_has_happened() {
        let alarm = AlarmRequest {
            action: AlarmAction::Activate as i32,
            member_id: 7,
            alarm: AlarmType::Corrupt as i32,
        };
        for entry in [
            InternalRaftRequest {
                lease_grant: Some(LeaseGrantRequest { id: 7, ttl: 60 }),
                ..entry()
            },
            InternalRaftRequest {
                lease_checkpoint: Some(LeaseCheckpointRequest::default()),
                ..entry()
            },
            InternalRaftRequest {
                compaction: Some(CompactionRequest { revision: 2, physical: false }),
                ..entry()
            },
            InternalRaftRequest { alarm: Some(alarm), ..entry() },
        ] {
            let mut store = store();
            assert!(ours(&mut store, &entry).reply.is_err(), "{entry:?}");
            assert!(etcds(&mut store, &entry).reply.is_ok(), "{entry:?}");
        }
    }

    #[test]
    fn what_etcd_refuses_is_refused() {
        let mut store = store();
        let auth_revision = store.root().auth().revision();
        let header =
            RequestHeader { username: "nobody".into(), auth_revision, ..Default::default() };
        let txn = |ops| Some(TxnRequest { success: ops, ..TxnRequest::default() });
        let plain = op(Request::RequestPut(put("k")));
        let nested = op(Request::RequestTxn(txn(vec![plain.clone()]).unwrap()));
        let header = Some(header);
        for (entry, refused) in [
            (InternalRaftRequest { put: Some(put("k")), ..entry() }, true),
            (InternalRaftRequest { txn: txn(vec![plain]), ..entry() }, true),
            (InternalRaftRequest { txn: txn(vec![nested]), ..entry() }, false),
        ] {
            let entry = InternalRaftRequest { header: header.clone(), ..entry };
            let denied = Err(StoreError::Auth(AuthError::PermissionDenied));
            assert_eq!(ours(&mut store, &entry).reply, denied, "{entry:?}");
            let reply = etcds(&mut store, &entry).reply;
            assert_eq!(reply.is_err(), refused, "{entry:?}: {reply:?}");
        }
    }

    #[test]
    fn without_space_what_stands_in_a_transaction_within_another_is_let_in_as_etcd_does() {
        let mut store = Store::bootstrap(Vec::new(), ConfState::default());
        let alarm = AlarmRequest {
            action: AlarmAction::Activate as i32,
            member_id: 7,
            alarm: AlarmType::Nospace as i32,
        };
        let alarm = InternalRaftRequest { alarm: Some(alarm), ..entry() };
        assert!(etcds(&mut store, &alarm).reply.is_ok());
        let txn = |op| TxnRequest { success: vec![op], ..TxnRequest::default() };
        let plain = txn(op(Request::RequestPut(put("k"))));
        let nested = txn(op(Request::RequestTxn(plain.clone())));
        for (txn, refused) in [(plain, true), (nested, false)] {
            let entry = InternalRaftRequest { txn: Some(txn), ..entry() };
            assert_eq!(ours(&mut store, &entry).reply, Err(StoreError::NoSpace));
            assert_eq!(etcds(&mut store, &entry).reply.is_err(), refused, "{entry:?}");
        }
    }
}
