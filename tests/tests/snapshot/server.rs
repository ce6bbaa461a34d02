//! A server with some of everything in it, and all that can be asked of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use etcd_client::{
    AlarmAction, AlarmOptions, AlarmType, Client, LeaseGrantOptions, Permission, PermissionType,
    PutOptions, ResponseHeader, RoleRevokePermissionOptions, Txn, TxnOp, UserAddOptions,
};
use kvorum_tests::cluster::Cluster;
use kvorum_tests::etcdctl::Etcdctl;
use kvorum_tests::program::{Program, real_etcdctl};
use kvorum_tests::wait::until;
use serde_json::Value;

/// Both given by the client, so that two servers that got the same hold the same.
pub(crate) const LEASES: [i64; 2] = [77, 0x1234_5678_9abc];
/// The revision that [`fill`] ends at, and that it compacts.
pub(crate) const LAST: i64 = 337;
const COMPACTED: i64 = 150;
/// How long a server may take from its start to its first answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// Who is asked for what there is, whether that is enforced or not.
const ROOT: &str = "--user=root:it is me";
/// Name and password of one with the role `keys`, and what of `key/` that may be read.
const ALICE: &str = "--user=alice:wonder/land";

/// Whether users and roles are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    Enabled,
    Disabled,
}

/// Some of everything: history, deletions, transactions, large and empty values, a compaction.
#[tokio::main(flavor = "current_thread")]
async fn fill(endpoint: &str, auth: Auth) {
    let mut client = Client::connect([endpoint], None).await.expect("the server is there");
    for id in LEASES {
        let options = LeaseGrantOptions::new().with_id(id);
        client.lease_grant(3600, Some(options)).await.expect("a lease is granted");
    }
    let leased = |id| Some(PutOptions::new().with_lease(id));
    for round in 0..10 {
        for key in 0..30 {
            let value = format!("{round} of {key}").repeat(1 + key * round / 20);
            client.put(format!("key/{key:03}"), value, None).await.expect("a put is done");
        }
        client.put("leased/a", format!("{round}"), leased(LEASES[0])).await.expect("a put");
        client.delete(format!("key/{:03}", 2 * round), None).await.expect("a deletion");
    }
    client.put("leased/b", "b", leased(LEASES[1])).await.expect("a put");
    client.put("empty", "", None).await.expect("a put");
    client.put("large", vec![7; 300_000], None).await.expect("a put");
    client.put(vec![0, 1, 0xff, 0xfe], vec![0, 0xff], None).await.expect("a put");
    let several = Txn::new().and_then(vec![
        TxnOp::put("txn/a", "1", None),
        TxnOp::put("txn/b", "2", None),
        TxnOp::delete("key/001", None),
    ]);
    client.txn(several).await.expect("a transaction");
    for key in 0..11 {
        client.put(format!("more/{key:03}"), "more", None).await.expect("a put is done");
    }
    let last =
        client.get("empty", None).await.expect("a get").header().map(ResponseHeader::revision);
    assert_eq!(last, Some(LAST));
    client.compact(COMPACTED, None).await.expect("a compaction");
    fill_auth(&mut client, auth).await;
}

/// Users with a password and without, with roles and without; roles with keys, ranges and all.
async fn fill_auth(client: &mut Client, auth: Auth) {
    let (read, write) = (PermissionType::Read, PermissionType::Write);
    for role in ["root", "keys", "nothing", "several", "gone"] {
        client.role_add(role).await.expect("a role is made");
    }
    for (role, permission) in [
        ("keys", Permission::new(read, "key/000").with_range_end("key/010")),
        ("keys", Permission::new(PermissionType::Readwrite, "empty")),
        ("several", Permission::new(write, "a").with_from_key()),
        ("several", Permission::new(read, "b/").with_prefix()),
        ("several", Permission::new(read, "c")),
        ("several", Permission::new(read, vec![0, 0xff, 0xfe]).with_all_keys()),
    ] {
        client.role_grant_permission(role, permission).await.expect("a permission is granted");
    }
    client
        .role_revoke_permission("several", "c", None::<RoleRevokePermissionOptions>)
        .await
        .expect("a permission is revoked");
    for (user, password) in [("root", "it is me"), ("alice", "before"), ("bob", "b")] {
        client.user_add(user, password, None).await.expect("a user is made");
    }
    let without = Some(UserAddOptions::new().with_no_pwd());
    client.user_add("carol", "", without).await.expect("a user is made");
    for (user, role) in [
        ("root", "root"),
        ("alice", "keys"),
        ("alice", "gone"),
        ("alice", "several"),
        ("bob", "gone"),
    ] {
        client.user_grant_role(user, role).await.expect("a role is granted");
    }
    client.user_revoke_role("alice", "several").await.expect("a role is revoked");
    client.role_delete("gone").await.expect("a role is removed");
    client.user_change_password("alice", "wonder/land").await.expect("a password is changed");
    if auth == Auth::Enabled {
        client.auth_enable().await.expect("auth is enabled");
    }
}

/// A server and the etcdctl that asks it.
pub(crate) struct Server {
    pub(crate) cluster: Cluster,
    pub(crate) etcdctl: Etcdctl,
}

impl Server {
    pub(crate) fn start(program: &Program) -> Server {
        let cluster = Cluster::start(program, 1);
        let etcdctl = real_etcdctl().expect("whoever has etcd has etcdctl");
        let etcdctl = Etcdctl::new(&etcdctl, cluster.endpoints());
        Server { cluster, etcdctl }
    }

    pub(crate) fn filled(program: &Program, auth: Auth) -> Server {
        let mut server = Server::start(program);
        fill(&server.cluster.endpoints(), auth);
        server.log_in(auth);
        server
    }

    /// From now on etcdctl is root, if that is asked for.
    fn log_in(&mut self, auth: Auth) {
        if auth == Auth::Enabled {
            let etcdctl = real_etcdctl().expect("whoever has etcd has etcdctl");
            self.etcdctl = Etcdctl::new(&etcdctl, self.cluster.endpoints()).with(&[ROOT]);
        }
    }

    /// Starts a server on what `make` puts into its data directory.
    pub(crate) fn of(program: &Program, auth: Auth, make: impl FnOnce(&Path, &[String])) -> Server {
        let mut server = Server::made(program, auth, make);
        server.cluster.await_serving();
        server
    }

    /// The same, but it may not be well.
    pub(crate) fn made(
        program: &Program,
        auth: Auth,
        make: impl FnOnce(&Path, &[String]),
    ) -> Server {
        let mut server = Server::start(program);
        server.log_in(auth);
        let member = &mut server.cluster.members[0];
        member.terminate();
        let dir = member.data_dir();
        fs::remove_dir_all(&dir).expect("a folder can be removed");
        let flags = [
            "--name=m1".to_owned(),
            format!("--data-dir={}", dir.display()),
            format!("--initial-cluster=m1={}", member.peer_url()),
            format!("--initial-advertise-peer-urls={}", member.peer_url()),
        ];
        make(&dir, &flags);
        member.start();
        server
    }

    /// An etcdctl without a user.
    pub(crate) fn anyone(&self) -> Etcdctl {
        let etcdctl = real_etcdctl().expect("whoever has etcd has etcdctl");
        Etcdctl::new(&etcdctl, self.cluster.endpoints())
    }

    /// In the name of members that are not there.
    #[tokio::main(flavor = "current_thread")]
    pub(crate) async fn raise_alarms(&self) {
        let endpoints = [self.cluster.endpoints()];
        let mut client = Client::connect(endpoints, None).await.expect("the server is there");
        for (member, kind) in [(7, AlarmType::Corrupt), (8, AlarmType::Nospace)] {
            let mut options = AlarmOptions::new();
            options.with_member(member);
            let raised = client.alarm(AlarmAction::Activate, kind, Some(options)).await;
            raised.expect("an alarm is raised");
        }
    }

    /// As soon as it answers.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let list = || Some(self.etcdctl.run(&["alarm", "list"])).filter(|said| said.code == 0);
        let said = until(ANSWERS_WITHIN, list).expect("it answers").stdout;
        let mut alarms: Vec<String> = said.lines().map(|line| line.trim().to_owned()).collect();
        alarms.sort();
        alarms
    }

    pub(crate) fn snapshot(&self, file: &Path) {
        let file = file.to_str().expect("the path is text");
        let said = self.etcdctl.say(&["snapshot", "save", file]);
        assert!(said.contains(&format!("Snapshot saved at {file}")), "{said}");
    }

    pub(crate) fn revision(&self) -> i64 {
        let got = self.etcdctl.json(&["get", "none"]);
        got["header"]["revision"].as_i64().expect("an answer has a revision")
    }

    /// The hash of the revisions up to one, and what is compacted; 0 for all.
    pub(crate) fn hash_at(&self, revision: i64) -> (Value, Value) {
        let said = self.etcdctl.json(&["endpoint", "hashkv", &format!("--rev={revision}")]);
        let hash = &said[0]["HashKV"];
        assert!(hash["hash"].is_u64(), "{said}");
        (hash["hash"].clone(), hash["compact_revision"].clone())
    }

    /// The hash now and at some revisions before, the first that can be asked for among them. (The
    /// compacted revision itself etcd 3.4 refuses, 3.6 does not.)
    pub(crate) fn hashes(&self) -> Vec<(Value, Value)> {
        [COMPACTED + 1, 200, 331, LAST, 0].map(|revision| self.hash_at(revision)).to_vec()
    }

    /// Ids and times of all leases, in the order of the ids.
    pub(crate) fn leases(&self) -> Vec<(i64, i64)> {
        let listed = self.etcdctl.json(&["lease", "list"])["leases"].clone();
        let ids = listed.as_array().expect("there are some").iter();
        let mut leases: Vec<(i64, i64)> = ids
            .map(|lease| {
                let id = lease["id"].as_i64().expect("an id is a number");
                let told = self.etcdctl.json(&["lease", "timetolive", &format!("{id:x}")]);
                (id, told["granted-ttl"].as_i64().expect("a time is a number"))
            })
            .collect();
        leases.sort_unstable();
        leases
    }

    /// Who there is and may do what.
    fn users_and_roles(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for (list, names, get) in [("user", "users", "user"), ("role", "roles", "role")] {
            let listed = self.etcdctl.json(&[list, "list"]);
            for name in listed[names].as_array().expect("there are some") {
                let name = name.as_str().expect("a name is text");
                let mut got = self.etcdctl.json(&[get, "get", name]);
                got.as_object_mut().expect("the answer is an object").remove("header");
                if name == "root" {
                    // It may everything; only etcd 3.5 and later say so.
                    got.as_object_mut().expect("the answer is an object").remove("perm");
                }
                all.extend([Value::from(name), got]);
            }
        }
        all
    }

    /// What alice may and may not, whom the passwords went with.
    pub(crate) fn expect_auth(&self, auth: Auth) {
        let anyone = self.anyone();
        let enabled = auth == Auth::Enabled;
        let refused = anyone.run(&["get", "empty"]).stderr.contains("user name is empty");
        assert_eq!(refused, enabled);
        if !enabled {
            return;
        }
        assert_eq!(anyone.say(&["get", "key/005", "--print-value-only", ALICE]).lines().count(), 1);
        assert_eq!(anyone.say(&["put", "empty", "", ALICE]), "OK\n");
        for args in [["get", "key/020"], ["get", "more/000"], ["del", "key/005"]] {
            let outcome = anyone.run(&[&args[..], &[ALICE]].concat());
            assert!(outcome.stderr.contains("permission denied"), "{args:?}: {outcome:?}");
        }
        for (user, complaint) in [
            ("--user=alice:before", "authentication failed, invalid user ID or password"),
            // Let in, but without any role.
            ("--user=bob:b", "permission denied"),
            ("--user=bob:c", "authentication failed, invalid user ID or password"),
            // Known as one who has no password, whichever is given.
            ("--user=carol:c", "password was given for no password user"),
        ] {
            let outcome = anyone.run(&["get", "empty", user]);
            assert!(outcome.stderr.contains(complaint), "{user}: {outcome:?}");
        }
    }

    /// All that can be asked of keys, leases, users and roles.
    pub(crate) fn contents(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let range = ["get", "", "--from-key"];
        for revision in [COMPACTED, 200, 331, 332, 333, LAST] {
            let at = format!("--rev={revision}");
            let got = self.etcdctl.json(&[&range[..], &[&at]].concat());
            all.push(got["kvs"].clone());
        }
        let mut leases = self.etcdctl.json(&["lease", "list"])["leases"].clone();
        if let Some(leases) = leases.as_array_mut() {
            leases.sort_by_key(|lease| lease["id"].as_i64());
        }
        all.push(leases);
        for id in LEASES {
            let id = format!("{id:x}");
            let lease = self.etcdctl.json(&["lease", "timetolive", &id, "--keys"]);
            all.extend([lease["granted-ttl"].clone(), lease["keys"].clone()]);
        }
        all.extend(self.users_and_roles());
        all
    }
}
