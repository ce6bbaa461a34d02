//! What scenes that are played with a cluster put into it, and what they ask of it.

use std::time::Duration;

use bytes::Bytes;
use kvorum_proto::authpb::Permission;
use kvorum_proto::authpb::permission::Type;
use kvorum_proto::etcdserverpb::auth_client::AuthClient;
use kvorum_proto::etcdserverpb::cluster_client::ClusterClient;
use kvorum_proto::etcdserverpb::kv_client::KvClient;
use kvorum_proto::etcdserverpb::lease_client::LeaseClient;
use kvorum_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    AuthEnableRequest, AuthRoleAddRequest, AuthRoleGrantPermissionRequest, AuthUserAddRequest,
    AuthUserGrantRoleRequest, CompactionRequest, DeleteRangeRequest, LeaseGrantRequest,
    MemberListRequest, PutRequest, RangeRequest, RequestOp, StatusRequest, TxnRequest,
};
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::cluster::Cluster;
use crate::http;
use crate::wait::until;

/// A way to a member that needs no program of ours.
pub struct Keyspace {
    runtime: Runtime,
    channel: Channel,
    endpoint: String,
}

/// A week: what is left of it is told in days.
const TTL_S: i64 = 7 * 24 * 3600;

impl Keyspace {
    /// At the first member.
    pub fn of(cluster: &Cluster) -> Keyspace {
        let runtime = Runtime::new().expect("threads can be had");
        let url = cluster.members[0].client_url();
        let endpoint = Endpoint::from_shared(url).expect("a URL of ours is one");
        let channel = runtime.block_on(endpoint.connect()).expect("the member can be reached");
        Keyspace { runtime, channel, endpoint: cluster.members[0].endpoint() }
    }

    pub fn put<'a>(&self, key: impl AsRef<[u8]>, value: impl Into<Value<'a>>) {
        self.put_with(0, key.as_ref(), value.into().0);
    }

    /// Grants a lease and puts a key under it.
    pub fn lease_put(&self, lease: i64, key: &str, value: &str) {
        let grant = LeaseGrantRequest { id: lease, ttl: TTL_S };
        let mut client = LeaseClient::new(self.channel.clone());
        self.runtime.block_on(client.lease_grant(grant)).expect("a lease is granted");
        self.put_with(lease, key.as_bytes(), value.as_bytes());
    }

    fn put_with(&self, lease: i64, key: &[u8], value: &[u8]) {
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        let put = PutRequest { key, value, lease, ..PutRequest::default() };
        self.runtime.block_on(self.kv().put(put)).expect("a put is taken");
    }

    /// Puts a key under a lease that is there.
    pub fn put_under(&self, lease: i64, key: &str, value: &str) {
        self.put_with(lease, key.as_bytes(), value.as_bytes());
    }

    pub fn delete(&self, key: &str) {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let delete = DeleteRangeRequest { key, ..DeleteRangeRequest::default() };
        self.runtime.block_on(self.kv().delete_range(delete)).expect("a key is deleted");
    }

    /// Gives up all history.
    pub fn compact(&self) {
        self.runtime.block_on(async {
            let range = RangeRequest { key: "/".into(), ..RangeRequest::default() };
            let answer = self.kv().range(range).await.expect("a read is answered").into_inner();
            let revision = answer.header.expect("an answer has a header").revision;
            let compaction = CompactionRequest { revision, physical: true };
            self.kv().compact(compaction).await.expect("history can be given up");
        });
    }

    pub fn read_linearizably(&self) {
        self.revision();
    }

    /// The newest revision.
    pub fn revision(&self) -> i64 {
        let range = RangeRequest { key: "/".into(), ..RangeRequest::default() };
        let answer = self.runtime.block_on(self.kv().range(range)).expect("a read is answered");
        answer.into_inner().header.expect("an answer has a header").revision
    }

    /// Ten branches of as many keys each.
    pub fn fill(&self, keys: usize) {
        self.fill_with(keys, 0);
    }

    /// Other values for the keys of [`Keyspace::fill`].
    pub fn fill_again(&self, keys: usize, value: &str) {
        self.fill_as(keys, "", |i| format!("{value} {i}"));
    }

    /// Other values for the keys of [`Keyspace::fill_with`].
    pub fn fill_again_with(&self, keys: usize, more: usize, value: &str) {
        self.fill_as(keys, &"x".repeat(more), |i| format!("{value} {i}"));
    }

    /// As [`Keyspace::fill`], with so many bytes more in the name of each key.
    pub fn fill_with(&self, keys: usize, more: usize) {
        self.fill_as(keys, &"x".repeat(more), |i| format!("value {i}"));
    }

    fn fill_as(&self, keys: usize, more: &str, value: impl Fn(usize) -> String) {
        const BATCH: usize = 100;
        for first in (0..keys).step_by(BATCH) {
            let puts = (first..first + BATCH).map(|i| {
                let key = format!("/many/{}/key-{i:06}{more}", i % 10).into();
                let value = value(i).into();
                let put = PutRequest { key, value, ..PutRequest::default() };
                RequestOp { request: Some(Request::RequestPut(put)) }
            });
            let txn = TxnRequest { success: puts.collect(), ..TxnRequest::default() };
            self.runtime.block_on(self.kv().txn(txn)).expect("a transaction is taken");
        }
    }

    /// Alice may do something with `/app/` and read `/shared`, bob nothing, root everything.
    pub fn enable_auth(&self) {
        let grant = |kind: Type, key: &str, end: &str| {
            let (key, range_end) = (key.to_owned().into(), end.to_owned().into());
            Some(Permission { perm_type: kind.into(), key, range_end })
        };
        let mut auth = AuthClient::new(self.channel.clone());
        self.runtime.block_on(async {
            for (name, password) in [("root", "secret"), ("alice", "hidden"), ("bob", "hidden")] {
                let user = AuthUserAddRequest {
                    name: name.into(),
                    password: password.into(),
                    ..AuthUserAddRequest::default()
                };
                auth.user_add(user).await.expect("a user is added");
            }
            for (name, perm) in [
                ("root", None),
                ("app", grant(Type::Readwrite, "/app/", "/app0")),
                ("shared", grant(Type::Read, "/shared", "")),
                ("writer", grant(Type::Write, "/top/1", "")),
            ] {
                auth.role_add(AuthRoleAddRequest { name: name.into() }).await.expect("a role");
                if perm.is_some() {
                    let grant = AuthRoleGrantPermissionRequest { name: name.into(), perm };
                    auth.role_grant_permission(grant).await.expect("a permission is granted");
                }
            }
            for (user, role) in [("root", "root"), ("alice", "app"), ("alice", "shared")] {
                let grant = AuthUserGrantRoleRequest { user: user.into(), role: role.into() };
                auth.user_grant_role(grant).await.expect("a role is granted");
            }
            auth.auth_enable(AuthEnableRequest {}).await.expect("auth is enabled");
        });
    }

    /// Whether the member offers `RangeStream`, as etcd does from 3.7 on.
    pub fn streams(&self) -> bool {
        let range = RangeRequest { key: "/".into(), ..RangeRequest::default() };
        let asked = self
            .runtime
            .block_on(async { self.kv().range_stream(range).await?.into_inner().message().await });
        asked.is_ok()
    }

    /// The ids of the cluster and of its members, in the order of the members' names.
    pub fn ids(&self) -> (u64, Vec<u64>) {
        let mut client = ClusterClient::new(self.channel.clone());
        let list = self.runtime.block_on(client.member_list(MemberListRequest::default()));
        let list = list.expect("members are listed").into_inner();
        let cluster = list.header.map_or(0, |header| header.cluster_id);
        let mut members: Vec<_> = list.members.into_iter().map(|one| (one.name, one.id)).collect();
        members.sort();
        (cluster, members.into_iter().map(|(_, id)| id).collect())
    }

    /// Whether the member says that it has no leader.
    pub fn lacks_leader(&self) -> bool {
        let mut client = MaintenanceClient::new(self.channel.clone());
        let status = self.runtime.block_on(client.status(StatusRequest {}));
        status.is_ok_and(|status| status.get_ref().leader == 0)
    }

    /// Waits until so many watches are open.
    pub fn watched(&self, count: usize) {
        let line = format!("etcd_debugging_mvcc_watcher_total {count}\n");
        let found = until(Duration::from_secs(20), || {
            let metrics = http::request(&self.endpoint, "GET /metrics", &[], "");
            metrics.is_ok_and(|metrics| metrics.body.contains(&line)).then_some(())
        });
        found.expect("the watch is opened");
    }

    fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone())
    }
}

/// Text or bytes.
pub struct Value<'a>(&'a [u8]);

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value(text.as_bytes())
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value(text.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Value(bytes)
    }
}
