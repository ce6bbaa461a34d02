//! Members in this process, and clients for them.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use kvorum_proto::etcdserverpb::cluster_client::ClusterClient;
use kvorum_proto::etcdserverpb::kv_client::KvClient;
use kvorum_proto::etcdserverpb::lease_client::LeaseClient;
use kvorum_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use kvorum_proto::etcdserverpb::watch_client::WatchClient;
use kvorum_proto::etcdserverpb::{PutRequest, RangeRequest};
use kvorum_proto::v3electionpb::election_client::ElectionClient;
use kvorum_proto::v3lockpb::lock_client::LockClient;
use kvorum_server::{Listeners, LocalMember, Member, StartError, local_cluster};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

/// Long enough for every machine; nothing waits this long when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at what is waited for.
const PAUSE: Duration = Duration::from_millis(20);

/// A cluster in a folder of its own, and a runtime for its clients.
pub(crate) struct Cluster {
    pub(crate) members: Vec<Option<Member>>,
    pub(crate) runtime: Runtime,
    configs: Vec<kvorum_server::config::Config>,
    _dir: TempDir,
}

impl Cluster {
    pub(crate) fn start(size: usize) -> Cluster {
        Cluster::start_with(size, |_| {})
    }

    /// Every member with its configuration changed so.
    pub(crate) fn start_with(
        size: usize,
        change: impl Fn(&mut kvorum_server::config::Config),
    ) -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<LocalMember> = (1..=size)
            .map(|n| LocalMember { name: format!("m{n}"), peer_port: 0, client_port: 0 })
            .collect();
        let planned = local_cluster(dir.path(), &names).unwrap();
        let mut cluster = Cluster {
            members: Vec::new(),
            runtime: Runtime::new().unwrap(),
            configs: Vec::new(),
            _dir: dir,
        };
        for (mut config, listeners) in planned {
            change(&mut config);
            cluster.members.push(Some(Member::start_on(&config, listeners).unwrap()));
            cluster.configs.push(config);
        }
        for member in cluster.members.iter().flatten() {
            assert!(member.wait_ready(PATIENCE), "a member did not get ready");
        }
        cluster
    }

    pub(crate) fn config(&self, index: usize) -> kvorum_server::config::Config {
        self.configs[index].clone()
    }

    pub(crate) fn stop(&mut self, index: usize) {
        self.members[index].take().unwrap().stop();
    }

    /// Starts a stopped member again, on its ports.
    pub(crate) fn restart(&mut self, index: usize) {
        let member = self.try_restart(index).unwrap_or_else(|error| panic!("no start: {error}"));
        assert!(member.wait_ready(PATIENCE), "a member did not get ready");
        self.members[index] = Some(member);
    }

    /// The same without waiting, and it may fail. A connection of somebody else may come from a
    /// port that was let go of, so that it is in use for a while.
    pub(crate) fn try_restart(&self, index: usize) -> Result<Member, StartError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match Listeners::bind(&self.configs[index]) {
                Err(StartError::Listen { source, .. })
                    if source.kind() == ErrorKind::AddrInUse && Instant::now() < until =>
                {
                    std::thread::sleep(PAUSE);
                }
                bound => return Member::start_on(&self.configs[index], bound?),
            }
        }
    }

    pub(crate) fn url(&self, index: usize) -> String {
        self.members[index].as_ref().unwrap().client_urls()[0].clone()
    }

    pub(crate) fn client(&self, index: usize) -> Client {
        let _context = self.runtime.enter();
        Client(Endpoint::from_shared(self.url(index)).unwrap().connect_lazy())
    }
}

#[derive(Clone)]
pub(crate) struct Client(Channel);

impl Client {
    pub(crate) fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.0.clone()).max_decoding_message_size(usize::MAX)
    }

    pub(crate) fn channel(&self) -> Channel {
        self.0.clone()
    }

    pub(crate) fn watch(&self) -> WatchClient<Channel> {
        WatchClient::new(self.0.clone())
    }

    pub(crate) fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.0.clone())
    }

    pub(crate) fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.0.clone())
    }

    pub(crate) fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.0.clone())
    }

    pub(crate) fn lock(&self) -> LockClient<Channel> {
        LockClient::new(self.0.clone())
    }

    pub(crate) fn election(&self) -> ElectionClient<Channel> {
        ElectionClient::new(self.0.clone())
    }

    pub(crate) async fn put(&self, key: &str, value: &str) -> i64 {
        let response = self.kv().put(put(key, value)).await.unwrap().into_inner();
        response.header.unwrap().revision
    }

    pub(crate) async fn get(&self, key: &str) -> Option<String> {
        let response = self.kv().range(get(key)).await.unwrap().into_inner();
        let kv = response.kvs.into_iter().next()?;
        Some(String::from_utf8(kv.value.to_vec()).unwrap())
    }
}

pub(crate) fn put(key: &str, value: &str) -> PutRequest {
    let (key, value) = (key.to_owned().into(), value.to_owned().into());
    PutRequest { key, value, ..PutRequest::default() }
}

pub(crate) fn get(key: &str) -> RangeRequest {
    RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() }
}

/// Polls until `check` gives something, for at most [`PATIENCE`].
pub(crate) async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < until, "in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
