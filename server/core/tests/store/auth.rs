//! Commands of the scripts about users, roles and who may do what; and that a transaction is
//! allowed exactly when each of its operations would be.
//!
//! Who asks is written `alice`, `alice@3` for one whose proof is of auth revision 3, `nobody` or
//! `member`.

use std::fmt::Write;

use bytes::Bytes;
use kvorum_core::auth::{Access, AuthError, Principal, authorise};
use kvorum_core::store::Root;
use kvorum_proto::authpb::permission::Type;
use kvorum_proto::authpb::{Permission, UserAddOptions};
use kvorum_proto::etcdserverpb::compare::CompareTarget;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleDeleteRequest,
    AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest, AuthUserAddRequest,
    AuthUserChangePasswordRequest, AuthUserDeleteRequest, AuthUserGrantRoleRequest,
    AuthUserListRequest, AuthUserRevokeRoleRequest, Compare, DeleteRangeRequest,
    InternalAuthenticateRequest, InternalRaftRequest, LeaseGrantRequest, PutRequest, RangeRequest,
    RequestOp, TxnRequest,
};
use kvorum_proto::key_range::KeyRange;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::machine::Machine;
use crate::parse::{self, Tree, Words, key_range, number};

pub(crate) fn principal(root: &Root, who: &str) -> Principal {
    match who.split_once('@') {
        _ if who == "nobody" => Principal::Anonymous,
        _ if who == "member" => Principal::Member,
        Some((name, revision)) => {
            Principal::User { name: name.into(), auth_revision: number(revision) as u64 }
        }
        None => Principal::User { name: who.into(), auth_revision: root.auth().revision() },
    }
}

/// Whether somebody may do what needs no entry, or what a write would do.
pub(crate) fn may(root: &Root, who: &str, what: Words, lines: &[Tree]) -> Result<(), AuthError> {
    let principal = principal(root, who);
    let decide = |access| authorise(root, &principal, access);
    match what {
        ["do", "anything"] => decide(Access::Open),
        ["be", "a", "user"] => decide(Access::User),
        ["be", "an", "admin"] => decide(Access::Admin),
        ["be", "a", "member"] => decide(Access::Member),
        // The one name that a script cannot write.
        ["see", "user", "-"] => decide(Access::ReadUser("")),
        ["see", "user", name] => decide(Access::ReadUser(name)),
        ["see", "role", name] => decide(Access::ReadRole(name)),
        ["see", "lease", id] => decide(Access::ReadLease(number(id))),
        ["see", "leases"] => decide(Access::ReadLeases),
        ["keep", "lease", id] => decide(Access::WriteLease(number(id))),
        ["read", range] => {
            let (key, range_end) = key_range(range);
            decide(Access::Read(&KeyRange::new(key, range_end)))
        }
        ["put", words @ ..] => decide(Access::Put(&parse::put(words))),
        ["del", words @ ..] => decide(Access::Delete(&parse::delete(words))),
        ["txn"] => decide(Access::Txn(&parse::txn(lines))),
        other => panic!("unknown question {other:?}"),
    }
}

/// Makes the entry of a command.
pub(crate) fn fill(entry: &mut InternalRaftRequest, name: &str, words: Words) {
    match (name, words) {
        ("auth_enable", []) => entry.auth_enable = Some(AuthEnableRequest {}),
        ("auth_disable", []) => entry.auth_disable = Some(AuthDisableRequest {}),
        ("user_list", []) => entry.auth_user_list = Some(AuthUserListRequest {}),
        ("authenticate", [name, digest]) => {
            let (name, simple_token) = ((*name).into(), (*digest).into());
            let request = InternalAuthenticateRequest { name, simple_token, ..Default::default() };
            entry.authenticate = Some(request);
        }
        ("user", words) => user(entry, words),
        ("role", words) => role(entry, words),
        other => panic!("unknown command {other:?}"),
    }
}

fn user(entry: &mut InternalRaftRequest, words: Words) {
    let own = |word: &str| word.to_owned();
    // The one name that a script cannot write.
    let name_of = |word: &str| if word == "-" { String::new() } else { word.to_owned() };
    match words {
        ["add", name, password @ ..] => {
            let options = password.is_empty().then_some(UserAddOptions { no_password: true });
            entry.auth_user_add = Some(AuthUserAddRequest {
                name: name_of(name),
                options,
                hashed_password: password.first().map(|hash| own(hash)).unwrap_or_default(),
                ..Default::default()
            });
        }
        ["delete", name] => {
            entry.auth_user_delete = Some(AuthUserDeleteRequest { name: own(name) });
        }
        ["password", name, hash] => {
            let (name, hashed_password) = (own(name), own(hash));
            entry.auth_user_change_password =
                Some(AuthUserChangePasswordRequest { name, hashed_password, ..Default::default() });
        }
        ["grant", user, role] => {
            let (user, role) = (own(user), own(role));
            entry.auth_user_grant_role = Some(AuthUserGrantRoleRequest { user, role });
        }
        ["revoke", name, role] => {
            let (name, role) = (own(name), own(role));
            entry.auth_user_revoke_role = Some(AuthUserRevokeRoleRequest { name, role });
        }
        other => panic!("unknown command user {other:?}"),
    }
}

fn role(entry: &mut InternalRaftRequest, words: Words) {
    match words {
        ["add", name] => {
            let name = if *name == "-" { String::new() } else { (*name).to_owned() };
            entry.auth_role_add = Some(AuthRoleAddRequest { name });
        }
        ["delete", name] => {
            entry.auth_role_delete = Some(AuthRoleDeleteRequest { role: (*name).into() });
        }
        ["grant", name] => {
            let name = (*name).into();
            entry.auth_role_grant_permission =
                Some(AuthRoleGrantPermissionRequest { name, perm: None });
        }
        ["grant", name, kind, range] => {
            let perm_type = Type::from_str_name(&kind.to_uppercase()).expect("a kind").into();
            let (key, range_end) = key_range(range);
            let perm = Some(Permission { perm_type, key, range_end });
            let name = (*name).into();
            entry.auth_role_grant_permission = Some(AuthRoleGrantPermissionRequest { name, perm });
        }
        ["revoke", name, range] => {
            let (key, range_end) = key_range(range);
            let role = (*name).into();
            entry.auth_role_revoke_permission =
                Some(AuthRoleRevokePermissionRequest { role, key, range_end });
        }
        other => panic!("unknown command role {other:?}"),
    }
}

pub(crate) fn show(root: &Root, out: &mut String) {
    let auth = root.auth();
    let state = if auth.is_enabled() { "enabled" } else { "disabled" };
    writeln!(out, "auth {state} at revision {}", auth.revision()).expect("text");
    for user in auth.users() {
        let password = user.password.escape_ascii().to_string();
        let (name, roles) = (user.name.escape_ascii(), user.roles.join(","));
        writeln!(out, "user {name} password {password:?} roles {roles:?}").expect("text");
    }
    for role in auth.roles() {
        writeln!(out, "role {}", role.name.escape_ascii()).expect("text");
        for permission in &role.key_permission {
            let kind = permission.perm_type().as_str_name();
            let (key, end) = (&permission.key, &permission.range_end);
            writeln!(out, "  {kind} {key:?} {end:?}").expect("text");
        }
    }
}

const GRANTED: [(Type, &str); 4] =
    [(Type::Readwrite, "b..d"), (Type::Read, "d"), (Type::Write, "e..g"), (Type::Read, "f..")];

/// A cluster with auth, where alice has [`GRANTED`]; lease 1 has a key of hers, lease 2 one of
/// others.
fn machine() -> Machine {
    let mut machine = Machine::new();
    let mut apply = |fill: &dyn Fn(&mut InternalRaftRequest)| {
        let mut entry = InternalRaftRequest::default();
        fill(&mut entry);
        machine.apply(entry).reply.expect("it is done");
    };
    for words in [["add", "root", "aGFzaA=="], ["add", "alice", "aGFzaA=="]] {
        apply(&|entry| user(entry, &words));
    }
    apply(&|entry| role(entry, &["add", "some"]));
    for (kind, range) in GRANTED {
        apply(&|entry| role(entry, &["grant", "some", kind.as_str_name(), range]));
    }
    apply(&|entry| user(entry, &["grant", "root", "root"]));
    apply(&|entry| user(entry, &["grant", "alice", "some"]));
    for (id, key) in [(1, "c"), (2, "a")] {
        apply(&|entry| entry.lease_grant = Some(LeaseGrantRequest { id, ttl: 60 }));
        let put = PutRequest { key: key.into(), lease: id, ..PutRequest::default() };
        apply(&|entry| entry.put = Some(put.clone()));
    }
    apply(&|entry| entry.auth_enable = Some(AuthEnableRequest {}));
    machine
}

fn letter(n: u8) -> Bytes {
    Bytes::from(vec![b'a' + n])
}

/// The single key, a range, or everything from the key on.
fn range() -> impl Strategy<Value = (Bytes, Bytes)> {
    (0u8..8, 0u8..10).prop_map(|(key, end)| {
        let end = match end {
            0..4 => Bytes::new(),
            4 => Bytes::from_static(&[0]),
            n => letter(key + n - 4),
        };
        (letter(key), end)
    })
}

fn operation() -> impl Strategy<Value = Request> {
    let read = range().prop_map(|(key, range_end)| {
        Request::RequestRange(RangeRequest { key, range_end, ..RangeRequest::default() })
    });
    let put = (0u8..8, any::<bool>(), 0i64..4).prop_map(|(key, prev_kv, lease)| {
        let key = letter(key);
        Request::RequestPut(PutRequest { key, prev_kv, lease, ..PutRequest::default() })
    });
    let delete = (range(), any::<bool>()).prop_map(|((key, range_end), prev_kv)| {
        Request::RequestDeleteRange(DeleteRangeRequest { key, range_end, prev_kv })
    });
    prop_oneof![read, put, delete]
}

fn txn() -> impl Strategy<Value = TxnRequest> {
    let leaf = operation().boxed();
    leaf.prop_recursive(3, 12, 4, |inner| {
        (vec(range(), 0..2), vec(inner.clone(), 0..3), vec(inner, 0..3)).prop_map(
            |(compares, success, failure)| {
                Request::RequestTxn(TxnRequest {
                    compare: compares.into_iter().map(compare).collect(),
                    success: success.into_iter().map(op).collect(),
                    failure: failure.into_iter().map(op).collect(),
                })
            },
        )
    })
    .prop_map(|request| TxnRequest { success: vec![op(request)], ..TxnRequest::default() })
}

fn op(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn compare((key, range_end): (Bytes, Bytes)) -> Compare {
    Compare { key, range_end, target: CompareTarget::Version.into(), ..Compare::default() }
}

/// Whether each operation and comparison would be allowed on its own.
fn all_leaves(txn: &TxnRequest, decide: &dyn Fn(Access) -> bool) -> bool {
    let reads = |key: &Bytes, range_end: &Bytes| {
        decide(Access::Read(&KeyRange::new(key.clone(), range_end.clone())))
    };
    txn.compare.iter().all(|compare| reads(&compare.key, &compare.range_end))
        && txn.success.iter().chain(&txn.failure).all(|op| match op.request.as_ref() {
            Some(Request::RequestRange(range)) => reads(&range.key, &range.range_end),
            Some(Request::RequestPut(put)) => decide(Access::Put(put)),
            Some(Request::RequestDeleteRange(delete)) => decide(Access::Delete(delete)),
            Some(Request::RequestTxn(nested)) => all_leaves(nested, decide),
            None => true,
        })
}

proptest! {
    #[test]
    fn a_transaction_is_allowed_when_each_operation_is(txns in vec(txn(), 8)) {
        let root = machine().store.root();
        for who in ["alice", "root", "nobody", "alice@1", "bob"] {
            let principal = principal(&root, who);
            let decide = |access: Access| authorise(&root, &principal, access).is_ok();
            for txn in &txns {
                let leaves = all_leaves(txn, &decide);
                prop_assert_eq!(decide(Access::Txn(txn)), leaves, "{}", who);
            }
        }
    }

    #[test]
    fn a_put_needs_its_key_its_lease_and_what_it_returns(
        key in 0u8..8, prev_kv: bool, lease in 0i64..4,
    ) {
        let root = machine().store.root();
        let key = letter(key);
        let put = PutRequest { key: key.clone(), prev_kv, lease, ..PutRequest::default() };
        let writable = (b'b'..b'd').contains(&key[0]) || (b'e'..b'g').contains(&key[0]);
        let readable = (b'b'..=b'd').contains(&key[0]) || key[0] >= b'f';
        let allowed = writable && lease != 2 && (!prev_kv || readable);
        let alice = principal(&root, "alice");
        prop_assert_eq!(authorise(&root, &alice, Access::Put(&put)).is_ok(), allowed);
    }
}
