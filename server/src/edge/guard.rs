//! What each method needs, before its service hears of it: the list of all methods there are.
//!
//! A method that is not in the list is not served, so none can be added and forgotten here; a test
//! holds the list against the contract. What depends on the message is decided by the service. What
//! goes through the log is decided where it is applied, and there alone: this member may be behind,
//! and not know yet that somebody has become an administrator, or that auth has ended.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use kvorum_core::auth::Access;
use tonic::Status;

use super::principal::Caller;
use super::status::Refused;
use crate::runtime::Handle;

/// What a method needs, whatever the message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Nothing.
    Nothing,
    /// To be a user.
    User,
    /// The role root.
    Admin,
    /// It depends on the message, or on a state that is sure to be current: its service asks.
    Asked,
    /// All of it goes through the log: whoever applies it asks.
    Applied,
}

/// Each service with its methods. A service without methods listed needs nothing at all.
const SERVICES: &[(&str, &[(&str, Need)])] = &[
    (
        "etcdserverpb.KV",
        &[
            ("Range", Need::Asked),
            ("RangeStream", Need::Asked),
            ("Put", Need::Applied),
            ("DeleteRange", Need::Applied),
            ("Txn", Need::Asked),
            ("Compact", Need::Applied),
        ],
    ),
    ("etcdserverpb.Watch", &[("Watch", Need::Asked)]),
    (
        "etcdserverpb.Lease",
        &[
            ("LeaseGrant", Need::Applied),
            ("LeaseRevoke", Need::Applied),
            ("LeaseKeepAlive", Need::Asked),
            ("LeaseTimeToLive", Need::Asked),
            ("LeaseLeases", Need::Asked),
        ],
    ),
    (
        "etcdserverpb.Cluster",
        &[
            ("MemberAdd", Need::Admin),
            ("MemberRemove", Need::Admin),
            ("MemberUpdate", Need::Admin),
            ("MemberList", Need::User),
            ("MemberPromote", Need::Admin),
        ],
    ),
    (
        "etcdserverpb.Maintenance",
        &[
            // To look needs a user, to raise and to take back the role root, when it is applied.
            ("Alarm", Need::User),
            ("Status", Need::User),
            ("Defragment", Need::Admin),
            ("Hash", Need::Admin),
            ("HashKV", Need::Admin),
            ("Snapshot", Need::Admin),
            ("MoveLeader", Need::Admin),
            ("Downgrade", Need::Admin),
        ],
    ),
    (
        "etcdserverpb.Auth",
        &[
            ("AuthEnable", Need::Applied),
            ("AuthDisable", Need::Applied),
            ("AuthStatus", Need::Asked),
            ("Authenticate", Need::Nothing),
            ("UserAdd", Need::Asked),
            ("UserGet", Need::Asked),
            ("UserList", Need::Asked),
            ("UserDelete", Need::Applied),
            ("UserChangePassword", Need::Asked),
            ("UserGrantRole", Need::Applied),
            ("UserRevokeRole", Need::Applied),
            ("RoleAdd", Need::Applied),
            ("RoleGet", Need::Asked),
            ("RoleList", Need::Asked),
            ("RoleDelete", Need::Applied),
            ("RoleGrantPermission", Need::Applied),
            ("RoleRevokePermission", Need::Applied),
        ],
    ),
    // These two are made of reads and writes of keys, each asked for as the caller's own.
    ("v3lockpb.Lock", &[("Lock", Need::Asked), ("Unlock", Need::Asked)]),
    (
        "v3electionpb.Election",
        &[
            ("Campaign", Need::Asked),
            ("Proclaim", Need::Asked),
            ("Leader", Need::Asked),
            ("Observe", Need::Asked),
            ("Resign", Need::Asked),
        ],
    ),
    ("grpc.health.v1.Health", &[]),
    ("grpc.reflection.v1.ServerReflection", &[]),
    ("grpc.reflection.v1alpha.ServerReflection", &[]),
];

/// Lets a call pass to its service if the method's need is met.
pub(super) async fn check(
    State(handle): State<Handle>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let version = request.headers().get("client-api-version");
    if version.is_some_and(|version| str::from_utf8(version.as_bytes()).is_err()) {
        return Status::from(Refused::InvalidClientApiVersion).into_http();
    }
    let path = request.uri().path();
    let access = match need(path) {
        None => return Status::unimplemented(format!("unknown method {path}")).into_http(),
        Some(Need::Nothing | Need::Asked | Need::Applied) => return next.run(request).await,
        Some(Need::User) => Access::User,
        Some(Need::Admin) => Access::Admin,
    };
    let caller = Caller::from_parts(&handle, request.headers(), request.extensions());
    if let Err(status) = allow(&handle, &caller, access).await {
        return status.into_http();
    }
    next.run(request).await
}

/// The state is let go before the call goes on: some go on for as long as their client likes, and
/// would hold up compaction.
async fn allow(handle: &Handle, caller: &Caller, access: Access<'_>) -> Result<(), Status> {
    caller.authorise(&mut handle.root(), access).await.map(|_| ())
}

/// That of the method with this path; none if there is no such method.
fn need(path: &str) -> Option<Need> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let (_, methods) = SERVICES.iter().find(|(name, _)| *name == service)?;
    if methods.is_empty() {
        return Some(Need::Nothing);
    }
    methods.iter().find(|(name, _)| *name == method).map(|(_, need)| *need)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// `service/method` of every method in the contract.
    fn contract() -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/etcd");
        let mut methods = BTreeSet::new();
        for file in fs::read_dir(folder).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let (mut package, mut service) = ("", "");
            for line in text.lines() {
                let mut words = line.split([' ', ';', '(', '{']).filter(|word| !word.is_empty());
                match (words.next(), words.next()) {
                    (Some("package"), Some(name)) => package = name,
                    (Some("service"), Some(name)) => service = name,
                    (Some("rpc"), Some(name)) => {
                        methods.insert(format!("{package}.{service}/{name}"));
                    }
                    _ => {}
                }
            }
        }
        methods
    }

    #[test]
    fn every_method_of_the_contract_is_in_the_list_and_no_other_is() {
        let listed = SERVICES.iter().flat_map(|(service, methods)| {
            methods.iter().map(move |(method, _)| format!("{service}/{method}"))
        });
        assert_eq!(listed.collect::<BTreeSet<_>>(), contract());
    }

    #[test]
    fn what_is_not_in_the_list_is_not_served() {
        assert_eq!(need("/etcdserverpb.KV/Compact"), Some(Need::Applied));
        assert_eq!(need("/grpc.health.v1.Health/Check"), Some(Need::Nothing));
        for path in ["/etcdserverpb.KV/Erase", "/etcdserverpb.KV", "/other.Service/Range", "/"] {
            assert_eq!(need(path), None, "{path}");
        }
    }
}
