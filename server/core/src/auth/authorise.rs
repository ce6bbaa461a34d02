//! The decision: may this principal do that.
//!
//! Which operation needs what is etcd's, as its server of 2026 has it after the advisories
//! CVE-2026-33413 (`MemberList`, `Alarm`, `Compact` and leases were open), CVE-2026-33343 (nested
//! transactions were) and CVE-2026-44283 (`prev_kv` and the lease of a put in a transaction were).
//! An operation in a transaction is decided by the code that decides it on its own.

use bytes::Bytes;
use kvorum_proto::authpb::User;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RequestOp, TxnRequest};
use kvorum_proto::key_range::KeyRange;

use super::cover::{Cover, Reach, union_covers, union_reach};
use super::state::{has_role, has_root_role};
use super::{Auth, AuthError, Principal};
use crate::store::Root;

/// What somebody wants to do, as far as it matters for who may.
#[derive(Clone, Copy, Debug)]
pub enum Access<'a> {
    /// Everybody may: it tells and changes nothing that is worth protecting.
    Open,
    /// Whoever is a user at all.
    User,
    /// Whoever has the role root.
    Admin,
    /// Members only, about themselves; no client can ask for it.
    Member,
    /// Look at a user: everybody may look at himself.
    ReadUser(&'a str),
    /// Look at a role: everybody may look at his own.
    ReadRole(&'a str),
    /// Read keys, or watch them.
    Read(&'a KeyRange),
    Put(&'a PutRequest),
    Delete(&'a DeleteRangeRequest),
    /// Whichever branch it takes.
    Txn(&'a TxnRequest),
    /// Revoke a lease or keep it alive: that decides about all its keys.
    WriteLease(i64),
    /// See the keys of a lease.
    ReadLease(i64),
    /// See which leases there are.
    ReadLeases,
}

/// Whether `principal` may do this in the state of `root`.
pub fn authorise(root: &Root, principal: &Principal, access: Access) -> Result<(), AuthError> {
    let auth = root.auth();
    if !auth.is_enabled() || *principal == Principal::Member {
        return Ok(());
    }
    let asking = Asking { root, auth, principal };
    match access {
        Access::Open => Ok(()),
        Access::User => asking.name().map(|_| ()),
        Access::Admin => asking.admin(),
        Access::Member => Err(AuthError::PermissionDenied),
        Access::ReadUser(name) => {
            // Who has no name is told of the user without a name, as in etcd: there is none.
            let own = principal.user().unwrap_or_default();
            asking.admin().or_else(|error| (own == name).then_some(()).ok_or(error))
        }
        Access::ReadRole(role) => asking.admin().or_else(|error| {
            let user = auth.user(asking.name()?).map_err(|_| error)?;
            has_role(user, role).then_some(()).ok_or(error)
        }),
        Access::Read(range) => asking.read(range),
        Access::Put(put) => asking.put(put),
        Access::Delete(delete) => asking.delete(delete),
        Access::Txn(txn) => asking.txn(txn),
        Access::WriteLease(id) => asking.name().and_then(|_| asking.lease(id, Kind::Write)),
        Access::ReadLease(id) => asking.name().and_then(|_| asking.lease(id, Kind::Read)),
        Access::ReadLeases => {
            asking.name().and_then(|_| asking.leases(root.lease_ids(), Kind::Read))
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Read,
    Write,
}

/// Somebody who asks while auth is enabled.
struct Asking<'a> {
    root: &'a Root,
    auth: &'a Auth,
    principal: &'a Principal,
}

impl<'a> Asking<'a> {
    fn name(&self) -> Result<&'a str, AuthError> {
        self.principal.user().filter(|name| !name.is_empty()).ok_or(AuthError::UserEmpty)
    }

    /// As in etcd, this does not look at the auth revision: an administrator with a token that
    /// speaks of a revision can add one user after the other.
    fn admin(&self) -> Result<(), AuthError> {
        let user = self.auth.user(self.name()?)?;
        if has_root_role(user) { Ok(()) } else { Err(AuthError::PermissionDenied) }
    }

    /// Who touches keys. A user who is gone has no permission left.
    fn user(&self) -> Result<&'a User, AuthError> {
        let Principal::User { name, auth_revision } = self.principal else {
            return Err(AuthError::UserEmpty);
        };
        match *auth_revision {
            0 => Err(AuthError::UserEmpty),
            revision if revision < self.auth.revision() => Err(AuthError::OldRevision),
            _ => self.auth.user(name).map_err(|_| AuthError::PermissionDenied),
        }
    }

    fn read(&self, range: &KeyRange) -> Result<(), AuthError> {
        self.keys(range, Kind::Read)
    }

    /// A lease decides about its keys, so a key may be attached only by who may write them all.
    fn put(&self, put: &PutRequest) -> Result<(), AuthError> {
        let key = KeyRange::single(put.key.clone());
        self.keys(&key, Kind::Write)?;
        if put.lease != 0 {
            self.lease(put.lease, Kind::Write)?;
        }
        if put.prev_kv { self.read(&key) } else { Ok(()) }
    }

    fn delete(&self, delete: &DeleteRangeRequest) -> Result<(), AuthError> {
        let range = KeyRange::new(delete.key.clone(), delete.range_end.clone());
        self.keys(&range, Kind::Write)?;
        if delete.prev_kv { self.read(&range) } else { Ok(()) }
    }

    /// What is compared is as good as read.
    fn txn(&self, txn: &TxnRequest) -> Result<(), AuthError> {
        for compare in &txn.compare {
            self.read(&KeyRange::new(compare.key.clone(), compare.range_end.clone()))?;
        }
        txn.success.iter().chain(&txn.failure).try_for_each(|op| self.operation(op))
    }

    fn operation(&self, operation: &RequestOp) -> Result<(), AuthError> {
        match &operation.request {
            Some(Request::RequestRange(range)) => {
                self.read(&KeyRange::new(range.key.clone(), range.range_end.clone()))
            }
            Some(Request::RequestPut(put)) => self.put(put),
            Some(Request::RequestDeleteRange(delete)) => self.delete(delete),
            Some(Request::RequestTxn(nested)) => self.txn(nested),
            None => Ok(()),
        }
    }

    fn keys(&self, range: &KeyRange, kind: Kind) -> Result<(), AuthError> {
        let user = self.user()?;
        if has_root_role(user) || union_covers(&self.covers(user, kind), range) {
            Ok(())
        } else {
            Err(AuthError::PermissionDenied)
        }
    }

    fn lease(&self, id: i64, kind: Kind) -> Result<(), AuthError> {
        self.leases(std::iter::once(id), kind)
    }

    /// Whether every key of the leases may be read or written; those without keys are everybody's.
    fn leases(&self, ids: impl Iterator<Item = i64>, kind: Kind) -> Result<(), AuthError> {
        let mut with_keys =
            ids.filter_map(|id| Some((id, self.root.lease_key_from(id, &[])?))).peekable();
        if with_keys.peek().is_none() || self.admin().is_ok() {
            return Ok(());
        }
        let covers = self.covers(self.user()?, kind);
        let covered = with_keys.all(|(id, first)| self.lease_is_within(&covers, id, first));
        if covered { Ok(()) } else { Err(AuthError::PermissionDenied) }
    }

    /// It takes as many steps as there are spans of keys, however many keys hang on the lease.
    fn lease_is_within(&self, covers: &[&Cover], id: i64, first: Bytes) -> bool {
        let mut key = first;
        loop {
            match union_reach(covers, &key) {
                None => return false,
                Some(Reach::Unbounded) => return true,
                Some(Reach::Before(end)) => match self.root.lease_key_from(id, end) {
                    Some(next) => key = next,
                    None => return true,
                },
            }
        }
    }

    fn covers(&self, user: &'a User, kind: Kind) -> Vec<&'a Cover> {
        let granted = self.auth.granted(user);
        granted
            .map(|granted| match kind {
                Kind::Read => &granted.readable,
                Kind::Write => &granted.writable,
            })
            .collect()
    }
}
