//! Users, roles and permissions, as clients of a member meet them.

mod watches;

use std::fs;
use std::path::Path;

use crate::support::{Cluster, get, put};
use kvorum_proto::authpb::Permission;
use kvorum_proto::authpb::permission::Type;
use kvorum_proto::etcdserverpb::alarm_request::AlarmAction;
use kvorum_proto::etcdserverpb::auth_client::AuthClient;
use kvorum_proto::etcdserverpb::request_op::Request as Op;
use kvorum_proto::etcdserverpb::{
    AlarmRequest, AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleGetRequest,
    AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest, AuthStatusRequest,
    AuthUserAddRequest, AuthUserChangePasswordRequest, AuthUserDeleteRequest, AuthUserGetRequest,
    AuthUserGrantRoleRequest, AuthUserListRequest, AuthUserRevokeRoleRequest, AuthenticateRequest,
    CompactionRequest, HashRequest, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest,
    LeaseRevokeRequest, LeaseTimeToLiveRequest, MemberListRequest, PutRequest, RangeRequest,
    RequestOp, StatusRequest, TxnRequest,
};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const ROOT_PASSWORD: &str = "canary-of-root";
const ALICE_PASSWORD: &str = "canary-of-alice";

/// A message with this token.
fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !token.is_empty() {
        request.metadata_mut().insert("token", token.parse().unwrap());
    }
    request
}

const NOBODY: &str = "";

struct Site {
    cluster: Cluster,
    root: String,
    alice: String,
}

impl Site {
    /// Auth is enabled; alice may read and write `a` to `c`.
    fn start(size: usize) -> Site {
        // Debug builds hash slowly.
        let cluster = Cluster::start_with(size, |config| config.auth.bcrypt_cost = 4);
        let (root, alice) = cluster.runtime.block_on(async {
            let mut auth = auth(&cluster, 0);
            for (name, password) in [("root", ROOT_PASSWORD), ("alice", ALICE_PASSWORD)] {
                let (name, password) = (name.to_owned(), password.to_owned());
                let add = AuthUserAddRequest { name, password, ..Default::default() };
                auth.user_add(add).await.unwrap();
            }
            auth.role_add(AuthRoleAddRequest { name: "some".into() }).await.unwrap();
            auth.role_grant_permission(grant("a", "c")).await.unwrap();
            for (user, role) in [("root", "root"), ("alice", "some")] {
                let (user, role) = (user.to_owned(), role.to_owned());
                auth.user_grant_role(AuthUserGrantRoleRequest { user, role }).await.unwrap();
            }
            auth.auth_enable(AuthEnableRequest {}).await.unwrap();
            let root = login(&cluster, 0, "root", ROOT_PASSWORD).await.unwrap();
            (root, login(&cluster, 0, "alice", ALICE_PASSWORD).await.unwrap())
        });
        Site { cluster, root, alice }
    }

    fn run<T>(&self, work: impl AsyncFnOnce(&Site) -> T) -> T {
        self.cluster.runtime.block_on(work(self))
    }

    fn auth(&self) -> AuthClient<Channel> {
        auth(&self.cluster, 0)
    }

    async fn put(&self, token: &str, message: PutRequest) -> Result<(), Status> {
        self.cluster.client(0).kv().put(by(token, message)).await.map(|_| ())
    }

    async fn range(&self, token: &str, message: RangeRequest) -> Result<i64, Status> {
        let answer = self.cluster.client(0).kv().range(by(token, message)).await?;
        Ok(answer.into_inner().count)
    }

    async fn txn(&self, token: &str, operations: Vec<Op>) -> Result<(), Status> {
        let message = txn(operations);
        self.cluster.client(0).kv().txn(by(token, message)).await.map(|_| ())
    }

    async fn revoke_alice(&self) {
        let revoke = AuthRoleRevokePermissionRequest {
            role: "some".into(),
            key: "a".into(),
            range_end: "c".into(),
        };
        self.auth().role_revoke_permission(by(&self.root, revoke)).await.unwrap();
    }
}

fn auth(cluster: &Cluster, member: usize) -> AuthClient<Channel> {
    AuthClient::new(cluster.client(member).channel())
}

async fn login(
    cluster: &Cluster,
    member: usize,
    name: &str,
    password: &str,
) -> Result<String, Status> {
    let (name, password) = (name.to_owned(), password.to_owned());
    let asked = AuthenticateRequest { name, password };
    Ok(auth(cluster, member).authenticate(asked).await?.into_inner().token)
}

fn grant(key: &str, end: &str) -> AuthRoleGrantPermissionRequest {
    let (key, range_end) = (key.to_owned().into(), end.to_owned().into());
    let perm = Some(Permission { perm_type: Type::Readwrite.into(), key, range_end });
    AuthRoleGrantPermissionRequest { name: "some".into(), perm }
}

fn txn(operations: Vec<Op>) -> TxnRequest {
    let success = operations.into_iter().map(|op| RequestOp { request: Some(op) }).collect();
    TxnRequest { success, ..TxnRequest::default() }
}

fn code<T>(answer: Result<T, Status>) -> (Code, String) {
    match answer {
        Ok(_) => (Code::Ok, String::new()),
        Err(status) => (status.code(), status.message().to_owned()),
    }
}

fn denied() -> (Code, String) {
    (Code::PermissionDenied, "etcdserver: permission denied".into())
}

fn nobody() -> (Code, String) {
    (Code::InvalidArgument, "etcdserver: user name is empty".into())
}

fn no_token() -> (Code, String) {
    (Code::Unauthenticated, "etcdserver: invalid auth token".into())
}

#[test]
fn keys_are_for_who_may_touch_them() {
    Site::start(1).run(async |site| {
        let (root, alice) = (&site.root, &site.alice);
        assert_eq!(code(site.put(NOBODY, put("a", "1")).await), nobody());
        assert_eq!(code(site.put("wrong.1", put("a", "1")).await), no_token());
        assert_eq!(code(site.put("wrong", put("a", "1")).await), no_token());
        assert_eq!(code(site.put(alice, put("a", "1")).await).0, Code::Ok);
        assert_eq!(code(site.put(alice, put("c", "1")).await), denied());
        assert_eq!(code(site.put(root, put("c", "1")).await).0, Code::Ok);
        assert_eq!(site.range(alice, get("a")).await.unwrap(), 1);
        assert_eq!(code(site.range(alice, get("c")).await), denied());
        let all = RangeRequest { range_end: "\0".into(), ..get("a") };
        assert_eq!(code(site.range(alice, all.clone()).await), denied());
        let serializable = RangeRequest { serializable: true, ..all.clone() };
        assert_eq!(code(site.range(NOBODY, serializable).await), nobody());
        assert_eq!(site.range(root, all.clone()).await.unwrap(), 2);
        let streamed = site.cluster.client(0).kv().range_stream(by(alice, all)).await;
        assert_eq!(code(streamed), denied());
        // The same by the header that the JSON gateway and others use.
        let mut bearer = Request::new(get("a"));
        bearer.metadata_mut().insert("authorization", format!("Bearer {alice}").parse().unwrap());
        assert_eq!(code(site.cluster.client(0).kv().range(bearer).await).0, Code::Ok);
    });
}

#[test]
fn a_transaction_gives_no_more_than_its_operations() {
    Site::start(1).run(async |site| {
        let alice = &site.alice;
        let denied_put = || Op::RequestPut(put("c", "1"));
        assert_eq!(code(site.txn(alice, vec![denied_put()]).await), denied());
        let nested = Op::RequestTxn(txn(vec![Op::RequestTxn(txn(vec![denied_put()]))]));
        assert_eq!(code(site.txn(alice, vec![nested]).await), denied());
        let read = Op::RequestRange(RangeRequest { range_end: "d".into(), ..get("a") });
        assert_eq!(code(site.txn(alice, vec![Op::RequestTxn(txn(vec![read]))]).await), denied());
        let fine = vec![Op::RequestPut(put("a", "1")), Op::RequestRange(get("b"))];
        assert_eq!(code(site.txn(alice, fine).await).0, Code::Ok);
        // As in etcd: what does nothing needs nobody.
        assert_eq!(code(site.txn(NOBODY, vec![]).await).0, Code::Ok);
        // What may be written and not read is not told by the back door.
        let write_only =
            Permission { perm_type: Type::Write.into(), key: "w".into(), ..Permission::default() };
        let grant = AuthRoleGrantPermissionRequest { name: "some".into(), perm: Some(write_only) };
        site.auth().role_grant_permission(by(&site.root, grant)).await.unwrap();
        let with_prev = || PutRequest { prev_kv: true, ..put("w", "1") };
        assert_eq!(code(site.put(alice, put("w", "1")).await).0, Code::Ok);
        assert_eq!(code(site.put(alice, with_prev()).await), denied());
        assert_eq!(code(site.txn(alice, vec![Op::RequestPut(with_prev())]).await), denied());
    });
}

#[test]
fn a_lease_is_for_who_may_write_its_keys() {
    Site::start(1).run(async |site| {
        let client = site.cluster.client(0);
        let (root, alice) = (&site.root, &site.alice);
        for id in [1, 2] {
            let grant = LeaseGrantRequest { id, ttl: 60 };
            client.lease().lease_grant(by(alice, grant)).await.unwrap();
        }
        let grant = LeaseGrantRequest { id: 3, ttl: 60 };
        assert_eq!(code(client.lease().lease_grant(by(NOBODY, grant)).await), nobody());
        site.put(alice, PutRequest { lease: 1, ..put("a", "1") }).await.unwrap();
        site.put(root, PutRequest { lease: 2, ..put("c", "1") }).await.unwrap();
        let attach = PutRequest { lease: 2, ..put("a", "1") };
        assert_eq!(code(site.put(alice, attach.clone()).await), denied());
        assert_eq!(code(site.txn(alice, vec![Op::RequestPut(attach)]).await), denied());
        for (id, keep) in [(1, Code::Ok), (2, Code::PermissionDenied)] {
            let asked = tokio_stream::iter([LeaseKeepAliveRequest { id }]);
            let mut kept =
                client.lease().lease_keep_alive(by(alice, asked)).await.unwrap().into_inner();
            assert_eq!(code(kept.message().await).0, keep, "keeping {id}");
            let keys = LeaseTimeToLiveRequest { id, keys: true };
            assert_eq!(code(client.lease().lease_time_to_live(by(alice, keys)).await).0, keep);
        }
        let time = LeaseTimeToLiveRequest { id: 2, keys: false };
        assert_eq!(code(client.lease().lease_time_to_live(by(alice, time)).await).0, Code::Ok);
        let leases = |token: &str| by(token, LeaseLeasesRequest {});
        assert_eq!(code(client.lease().lease_leases(leases(alice)).await), denied());
        assert_eq!(code(client.lease().lease_leases(leases(root)).await).0, Code::Ok);
        let revoke = |id| by(alice, LeaseRevokeRequest { id });
        assert_eq!(code(client.lease().lease_revoke(revoke(2)).await), denied());
        assert_eq!(code(client.lease().lease_revoke(revoke(1)).await).0, Code::Ok);
    });
}

#[test]
fn the_cluster_is_for_administrators() {
    Site::start(1).run(async |site| {
        let client = site.cluster.client(0);
        for (token, user, admin) in [
            (NOBODY, Code::InvalidArgument, Code::InvalidArgument),
            (&site.alice, Code::Ok, Code::PermissionDenied),
            (&site.root, Code::Ok, Code::Ok),
        ] {
            let (mut cluster, mut maintenance) = (client.cluster(), client.maintenance());
            assert_eq!(
                code(cluster.member_list(by(token, MemberListRequest::default())).await).0,
                user
            );
            assert_eq!(code(maintenance.status(by(token, StatusRequest {})).await).0, user);
            let alarms = |action: AlarmAction| {
                let (action, alarm) = (action.into(), 1);
                by(token, AlarmRequest { action, member_id: 1, alarm })
            };
            assert_eq!(code(maintenance.alarm(alarms(AlarmAction::Get)).await).0, user);
            assert_eq!(code(maintenance.alarm(alarms(AlarmAction::Deactivate)).await).0, admin);
            let hashed = code(maintenance.hash(by(token, HashRequest {})).await).0;
            assert!(hashed == admin || (admin == Code::Ok && hashed == Code::Unimplemented));
            let compact = CompactionRequest { revision: 1, physical: false };
            assert_eq!(code(client.kv().compact(by(token, compact)).await).0, admin);
            assert_eq!(
                code(site.auth().user_list(by(token, AuthUserListRequest {})).await).0,
                admin
            );
            assert_eq!(
                code(site.auth().auth_status(by(token, AuthStatusRequest {})).await).0,
                admin
            );
            let add = AuthRoleAddRequest { name: "other".into() };
            assert_eq!(code(site.auth().role_add(by(token, add)).await).0, admin);
        }
        let user = |name: &str| by(&site.alice, AuthUserGetRequest { name: name.into() });
        assert_eq!(site.auth().user_get(user("alice")).await.unwrap().into_inner().roles, ["some"]);
        assert_eq!(code(site.auth().user_get(user("root")).await), denied());
        let role = |role: &str| by(&site.alice, AuthRoleGetRequest { role: role.into() });
        assert_eq!(site.auth().role_get(role("some")).await.unwrap().into_inner().perm.len(), 1);
        assert_eq!(code(site.auth().role_get(role("other")).await), denied());
    });
}

#[test]
fn tokens_end_with_the_password_and_with_auth() {
    Site::start(1).run(async |site| {
        let failed = "etcdserver: authentication failed, invalid user ID or password";
        let failed = (Code::InvalidArgument, failed.to_owned());
        let no_password = AuthUserAddRequest {
            name: "cert".into(),
            options: Some(kvorum_proto::authpb::UserAddOptions { no_password: true }),
            ..AuthUserAddRequest::default()
        };
        site.auth().user_add(by(&site.root, no_password)).await.unwrap();
        for (name, password) in [("alice", "wrong"), ("bob", "wrong"), ("alice", "")] {
            assert_eq!(code(login(&site.cluster, 0, name, password).await), failed, "{name}");
        }
        let text = "auth: authentication failed, password was given for no password user";
        let bare = code(login(&site.cluster, 0, "cert", "").await);
        assert_eq!(bare, (Code::Unknown, text.to_owned()), "as etcd 3.4 and 3.6 tell it");
        let (name, password) = ("alice".to_owned(), "another".to_owned());
        let change = AuthUserChangePasswordRequest { name, password, ..Default::default() };
        site.auth().user_change_password(by(&site.root, change)).await.unwrap();
        assert_eq!(code(site.range(&site.alice, get("a")).await), no_token());
        let alice = login(&site.cluster, 0, "alice", "another").await.unwrap();
        assert_eq!(code(site.range(&alice, get("a")).await).0, Code::Ok);
        let delete = AuthUserDeleteRequest { name: "alice".into() };
        site.auth().user_delete(by(&site.root, delete)).await.unwrap();
        assert_eq!(code(site.range(&alice, get("a")).await), no_token());
        site.auth().auth_disable(by(&site.root, AuthDisableRequest {})).await.unwrap();
        assert_eq!(code(site.range(NOBODY, get("a")).await).0, Code::Ok);
        let enabled = code(login(&site.cluster, 0, "root", ROOT_PASSWORD).await);
        assert_eq!(enabled.1, "etcdserver: authentication is not enabled");
        site.auth().auth_enable(AuthEnableRequest {}).await.unwrap();
        assert_eq!(code(site.range(&site.root, get("a")).await), no_token());
    });
}

#[test]
fn a_token_is_good_at_every_member_at_once() {
    Site::start(3).run(async |site| {
        for round in 0..10 {
            let token = login(&site.cluster, round % 3, "alice", ALICE_PASSWORD).await.unwrap();
            for member in 0..3 {
                let serializable = RangeRequest { serializable: true, ..get("a") };
                let mut kv = site.cluster.client(member).kv();
                let answer = code(kv.range(by(&token, serializable)).await);
                assert_eq!(answer.0, Code::Ok, "round {round}, member {member}: {answer:?}");
            }
        }
    });
}

#[test]
fn a_user_of_just_now_is_known_wherever_its_token_is_shown() {
    Site::start(3).run(async |site| {
        for round in 0..10 {
            let (name, role) = (format!("user{round}"), "some".to_owned());
            let (user, password) = (name.clone(), "p".to_owned());
            let add = AuthUserAddRequest { name: name.clone(), password, ..Default::default() };
            site.auth().user_add(by(&site.root, add)).await.unwrap();
            let grant = AuthUserGrantRoleRequest { user, role };
            site.auth().user_grant_role(by(&site.root, grant)).await.unwrap();
            let token = login(&site.cluster, 0, &name, "p").await.unwrap();
            for member in (0..3).rev() {
                let serializable = RangeRequest { serializable: true, ..get("a") };
                let mut kv = site.cluster.client(member).kv();
                let answer = code(kv.range(by(&token, serializable)).await);
                assert_eq!(answer.0, Code::Ok, "round {round}, member {member}: {answer:?}");
            }
        }
    });
}

#[test]
fn a_member_that_is_behind_refuses_no_administrator() {
    Site::start(3).run(async |site| {
        let mut first = site.auth();
        let mut root = site.root.clone();
        for round in 0..20 {
            let mut other = auth(&site.cluster, 1 + round % 2);
            let add = AuthRoleAddRequest { name: format!("by nobody {round}") };
            first.auth_disable(by(&root, AuthDisableRequest {})).await.unwrap();
            let answer = code(other.role_add(add).await);
            assert_eq!(answer.0, Code::Ok, "round {round}: {answer:?}");
            first.auth_enable(AuthEnableRequest {}).await.unwrap();
            // Tokens ended with auth.
            root = login(&site.cluster, 0, "root", ROOT_PASSWORD).await.unwrap();
            let alice = login(&site.cluster, 0, "alice", ALICE_PASSWORD).await.unwrap();
            let (user, role) = ("alice".to_owned(), "root".to_owned());
            let grant = AuthUserGrantRoleRequest { user: user.clone(), role: role.clone() };
            first.user_grant_role(by(&root, grant)).await.unwrap();
            let add = AuthRoleAddRequest { name: format!("by alice {round}") };
            let answer = code(other.role_add(by(&alice, add)).await);
            assert_eq!(answer.0, Code::Ok, "round {round}: {answer:?}");
            let revoke = AuthUserRevokeRoleRequest { name: user, role };
            first.user_revoke_role(by(&root, revoke)).await.unwrap();
        }
    });
}

#[test]
fn no_password_and_no_token_is_in_the_data_directory() {
    let mut site = Site::start(1);
    let change = AuthUserChangePasswordRequest {
        name: "alice".into(),
        password: "canary-of-another".into(),
        ..AuthUserChangePasswordRequest::default()
    };
    let alice = site.alice.clone();
    site.run(async |site| {
        site.auth().user_change_password(by(&site.root, change)).await.unwrap();
        site.put(&site.root, put("found", "marked-value")).await.unwrap();
    });
    let folder = site.cluster.config(0).data_dir;
    site.cluster.stop(0);
    let letters = |token: &str| token.split('.').next().unwrap().to_owned();
    let tokens = [letters(&site.root), letters(&alice)];
    assert!(contains(&folder, b"marked-value"), "the files are read");
    assert!(contains(&folder, b"$2a$"), "the hash is kept");
    for secret in ["canary", &tokens[0], &tokens[1]] {
        assert!(!contains(&folder, secret.as_bytes()), "{secret} is on the disk");
    }
    // Users and roles are there after a restart; tokens are only what the log still says.
    site.cluster.restart(0);
    site.run(async |site| {
        let alice = login(&site.cluster, 0, "alice", "canary-of-another").await.unwrap();
        assert_eq!(code(site.range(&alice, get("found")).await), denied());
        assert_eq!(code(site.range(&alice, get("a")).await).0, Code::Ok);
    });
}

fn contains(folder: &Path, wanted: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return contains(&path, wanted);
        }
        fs::read(&path).unwrap().windows(wanted.len()).any(|bytes| bytes == wanted)
    })
}
