//! From a configuration to everything a running member is made of.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;

use arc_swap::ArcSwap;
use kvorum_core::node::{self, BootError, Node};
use kvorum_core::store::Store;
use kvorum_proto::etcdserverpb::InternalRaftRequest;
use kvorum_proto::membershippb::{Attributes, Member as MemberRecord, RaftAttributes};
use prost::Message;
use raft_proto::eraftpb::{ConfState, Entry};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};

use super::divergence::States;
use super::handle::{Leadership, Progress, RequestLimits, Shared};
use super::leases::Leases;
use super::queue::Queue;
use super::quota::Quota;
use super::read_budget::ReadBudget;
use super::snapshots::{IncomingPlace, Snapshots};
use super::stop::Stop;
use super::waiters::{Reads, Writes};
use super::{Handle, Watches};
use crate::auth::{Passwords, TokenConfig, Tokens};
use crate::config::{ClusterState, Config, ConfigError, InitialCluster};
use crate::identity::{Identity, RequestIds, cluster_id, hex, member_id};
use crate::limits::{MAX_SENT_SNAPSHOTS, MAX_WAITS};
use crate::logging::raft_logger;
use crate::metrics::Metrics;
use crate::peer::{PeerAddress, Peers, introduce};
use crate::stage::StoredValues;
use crate::storage::StorageError;
use crate::storage::backend::{Backend, RedbBackend};
use crate::storage::boot::{self, Booted};
use crate::storage::dir::{DataDir, MemberDir, holds_member};
use crate::storage::disk::{Disk, FileDisk};
use crate::storage::wal::{Log, Options};
use crate::tls::{Role, TlsError};

/// Why a member did not start. Each says what to do.
#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot listen on {url}: {source}; stop whoever does, or choose another --{flag}")]
    Listen { url: String, flag: &'static str, source: io::Error },
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Boot(#[from] BootError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("a peer's URL cannot be dialled: {0}")]
    Peer(String),
    #[error(
        "{reason}, and this data directory is empty: what the member had promised is lost; \
         remove it from the cluster and add it again, or put its own data directory back"
    )]
    MadeAnew { reason: String },
    #[error("the system refuses: {0}")]
    Runtime(#[source] io::Error),
}

impl StartError {
    /// What to do about it, where the message does not say it already.
    pub fn hint(&self) -> Option<String> {
        match self {
            StartError::Config(error) => error.hint(),
            _ => None,
        }
    }
}

/// A member that has been read from its disk and does not move yet.
pub(super) struct Parts {
    pub(super) handle: Handle,
    pub(super) node: Node,
    pub(super) store: Store,
    pub(super) log: Log,
    pub(super) backend: RedbBackend,
}

/// Opens the data directory, where a new member is born if there is none, and puts together what
/// it holds. Nothing is written before the configuration of a new member has been checked.
pub(super) fn assemble(
    config: &Config,
    peer_tls: &Arc<Role>,
) -> Result<(Parts, DataDir), StartError> {
    let tokens = tokens(config)?;
    let disk: Arc<dyn Disk> = Arc::new(FileDisk);
    let born = holds_member(&*disk, &config.data_dir).unwrap_or(false);
    let newborn = if born { None } else { Some(Newborn::plan(config)?) };
    let dir = DataDir::open(disk, &config.data_dir).map_err(StorageError::from)?;
    if dir.is_open_to_others().map_err(StorageError::from)? {
        tracing::warn!(
            data_dir = %config.data_dir.display(),
            "others than its owner can get into the data directory: chmod 700 keeps them out"
        );
    }
    let options = Options::default();
    if let Some(newborn) = newborn
        && !dir.has_member().map_err(StorageError::from)?
    {
        tracing::info!(
            data_dir = %config.data_dir.display(),
            member_id = hex(newborn.identity.member_id),
            cluster_id = hex(newborn.identity.cluster_id),
            "a new member begins"
        );
        ask_to_begin(&newborn, peer_tls)?;
        boot::bootstrap(&dir, newborn.identity, newborn.members, newborn.conf_state, options)?;
    }
    let booted = boot::boot(&dir, options)?;
    if let Some(torn) = &booted.torn {
        tracing::warn!(what = torn, "the end of the log was cut: it was never acknowledged");
    }
    if let Some(salvaged) = &booted.salvaged {
        tracing::warn!(
            what = salvaged.to_string(),
            "the log is damaged: what is good of it was kept, and this member does not vote until \
             it has got back the rest from the leader"
        );
    } else if let Some(lost) = booted.consensus.incomplete {
        tracing::warn!(
            lost_index = lost,
            "the log has not got back yet all that it had lost to damage: until then this member \
             does not vote"
        );
    }
    let joined = join(config, tokens, booted, dir.member(), peer_tls)?;
    Ok((joined, dir))
}

/// Reads the keys that `--auth-token` names, if it names any.
fn tokens(config: &Config) -> Result<Tokens, ConfigError> {
    Tokens::new(&TokenConfig {
        auth_token: &config.auth.token,
        simple_ttl: config.auth.simple_token_ttl,
    })
    .map_err(|error| ConfigError::Invalid(error.to_string()))
}

/// A member with this id may have been here before and have lost its data.
fn ask_to_begin(newborn: &Newborn, tls: &Arc<Role>) -> Result<(), StartError> {
    let peers = addresses(&newborn.members, newborn.identity.member_id);
    let context = tokio::runtime::Handle::current();
    let asked = introduce(newborn.identity, peers, Arc::clone(tls));
    // The caller may be part of a runtime of its own, which must not wait itself.
    let answer = thread::scope(|scope| scope.spawn(|| context.block_on(asked)).join());
    match answer {
        Ok(Err(reason)) => Err(StartError::MadeAnew { reason }),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

fn join(
    config: &Config,
    tokens: Tokens,
    booted: Booted,
    dir: MemberDir,
    peer_tls: &Arc<Role>,
) -> Result<Parts, StartError> {
    let Booted { identity, store, backend, log, consensus, .. } = booted;
    let applied = consensus.applied.0;
    tracing::info!(
        local_member_id = hex(identity.member_id),
        cluster_id = hex(identity.cluster_id),
        applied_index = applied,
        last_index = consensus.last,
        revision = store.root().revision(),
        "the member is read from its data directory"
    );
    let ms = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let mut settings = node::Config::with_times(
        identity.member_id,
        rand::random(),
        ms(config.heartbeat_interval_ms),
        ms(config.election_timeout_ms),
    );
    settings.snapshot_count = config.snapshot_count;
    settings.catch_up_entries = config.snapshot_catchup_entries;
    settings.logger = raft_logger();
    let announced = announced_incarnations(&consensus.tail);
    let node = Node::new(settings, consensus)?;
    let peers = addresses(store.root().members(), identity.member_id);
    let peers = Peers::new(peers, peer_tls).map_err(StartError::Peer)?;
    let shared = Shared {
        identity,
        name: config.name.clone(),
        announced,
        limits: RequestLimits {
            max_request_bytes: config.max_request_bytes,
            max_txn_ops: config.max_txn_ops,
            max_concurrent_streams: config.max_concurrent_streams,
            request_timeout: config.request_timeout(),
            election_timeout: config.election_timeout(),
            snapshot_stall_timeout: config.snapshot_stall_timeout,
        },
        http: config.http.clone(),
        metrics: Metrics::new(config.http.extensive_metrics),
        ids: RequestIds::new(identity.member_id, rand::random()),
        inbox: Queue::new(),
        root: ArcSwap::from_pointee(store.root()),
        progress: Progress {
            applied: AtomicU64::new(applied),
            incomplete: AtomicBool::new(node.status().incomplete),
            ..Progress::default()
        },
        leadership: watch::Sender::new(Leadership {
            role: node::Role::Follower,
            term: 0,
            leader: 0,
        }),
        writes: Writes::new(),
        reads: Reads::new(applied),
        reading: ReadBudget::new(config.request_timeout()),
        watches: Watches::new(),
        leases: Leases::new(config.lease_checkpoint_interval),
        values: StoredValues::new(backend.values()),
        peers,
        states: States::new(identity.member_id, &store.position().conf_state, &store.root()),
        snapshots: Snapshots::default(),
        sent_snapshots: Arc::new(Semaphore::new(MAX_SENT_SNAPSHOTS)),
        storing: Arc::new(Queue::new()),
        incoming: IncomingPlace::new(dir),
        quota: Quota::new(config.quota_backend_bytes),
        hashing: Semaphore::new(1),
        swept: watch::Sender::new(store.swept()),
        waits: Arc::new(Semaphore::new(MAX_WAITS)),
        tokens,
        passwords: Passwords::new(config.auth.bcrypt_cost),
        auth_news: watch::Sender::new((0, false)),
        stop: Stop::new(),
    };
    Ok(Parts { handle: Handle(Arc::new(shared)), node, store, log, backend })
}

/// The incarnations that members told in entries which are not applied here yet.
fn announced_incarnations(tail: &[Entry]) -> BTreeMap<u64, u64> {
    let requests =
        tail.iter().filter_map(|entry| InternalRaftRequest::decode(entry.data.clone()).ok());
    let told = requests.filter_map(|request| request.cluster_member_attr_set);
    told.filter_map(|told| Some((told.member_id, told.member_attributes?.incarnation))).collect()
}

/// Where the other members are dialled.
fn addresses(members: &[MemberRecord], me: u64) -> Vec<PeerAddress> {
    members
        .iter()
        .filter(|member| member.id != me)
        .filter_map(|member| {
            let urls = member.raft_attributes.as_ref()?.peer_urls.clone();
            Some(PeerAddress { id: member.id, urls })
        })
        .collect()
}

/// Who a new member will be, in which cluster.
pub(crate) struct Newborn {
    pub(crate) identity: Identity,
    pub(crate) members: Vec<MemberRecord>,
    pub(crate) conf_state: ConfState,
}

impl Newborn {
    pub(crate) fn plan(config: &Config) -> Result<Newborn, StartError> {
        let cluster = InitialCluster::of_new_member(config)?;
        if config.initial_cluster_state == ClusterState::Existing {
            return Err(StartError::Config(ConfigError::NotSupported {
                flag: "initial-cluster-state".to_owned(),
                sentence: "joining a running cluster is not supported yet; give the --data-dir \
                           of a member, or start a new cluster with 'new'"
                    .to_owned(),
            }));
        }
        let token = &config.initial_cluster_token;
        let mut members = Vec::new();
        let mut own = 0;
        for (name, urls) in cluster.members() {
            let peer_urls: Vec<String> = urls.iter().map(ToString::to_string).collect();
            let id = member_id(peer_urls.iter().map(String::as_str), token);
            if name == config.name {
                own = id;
            }
            members.push(MemberRecord {
                id,
                raft_attributes: Some(RaftAttributes { peer_urls, is_learner: false }),
                member_attributes: Some(Attributes {
                    name: name.to_owned(),
                    ..Attributes::default()
                }),
            });
        }
        members.sort_by_key(|member| member.id);
        let voters: Vec<u64> = members.iter().map(|member| member.id).collect();
        let identity = Identity {
            cluster_id: cluster_id(voters.iter().copied()),
            member_id: own,
            incarnation: rand::random::<u64>().max(1),
        };
        Ok(Newborn { identity, members, conf_state: ConfState::from((voters, [])) })
    }
}
