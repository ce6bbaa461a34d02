//! What a member is told on its command line and by its environment.
//!
//! [`parse`] is pure: arguments and variables in, a [`Config`] or a refusal out. Flags, variables,
//! defaults and texts are etcd's.

mod allow_list;
mod auto_compaction;
mod go_flags;
mod help;
mod initial_cluster;
mod parse;
mod table;
mod tls;
mod url;

use std::path::PathBuf;
use std::time::Duration;

use kvorum_core::lessor::CHECKPOINT_MS;
use thiserror::Error;

pub use allow_list::AllowList;
pub use auto_compaction::AutoCompaction;
pub(crate) use go_flags::parse_duration;
pub use help::help;
pub use initial_cluster::InitialCluster;
pub use parse::parse;
pub use tls::{Tls, TlsPolicy, TlsVersion};
pub use url::{Scheme, Url};

use crate::limits;

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed {
    Run(Box<Config>),
    Version,
    Help,
}

/// Everything a member needs to start.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub name: String,
    pub data_dir: PathBuf,
    pub listen_peer_urls: Vec<Url>,
    pub listen_client_urls: Vec<Url>,
    /// If there are any, clients' HTTP is served there, and gRPC alone on the others.
    pub listen_client_http_urls: Vec<Url>,
    /// Where metrics and health are served besides.
    pub listen_metrics_urls: Vec<Url>,
    pub client_tls: Tls,
    pub peer_tls: Tls,
    pub tls_policy: TlsPolicy,
    pub advertise_client_urls: Vec<Url>,
    pub initial_advertise_peer_urls: Vec<Url>,
    /// As given; read only when the member is born, because a restart ignores it. `None` means
    /// this member alone.
    pub initial_cluster: Option<String>,
    pub initial_cluster_state: ClusterState,
    pub initial_cluster_token: String,
    pub heartbeat_interval_ms: u64,
    pub election_timeout_ms: u64,
    /// Applied entries after which the log is cut.
    pub snapshot_count: u64,
    /// Entries that a cut leaves for members a little behind.
    pub snapshot_catchup_entries: u64,
    pub max_request_bytes: usize,
    pub max_txn_ops: usize,
    pub max_concurrent_streams: u32,
    pub grpc_keep_alive: KeepAlive,
    pub watch_progress_notify_interval: Duration,
    /// Live bytes beyond which writes are refused; 0 is the default, and below it there is none.
    pub quota_backend_bytes: i64,
    pub auto_compaction: AutoCompaction,
    /// How often what is left of a long lease is written down; no flag, for it costs next to
    /// nothing.
    pub lease_checkpoint_interval: Duration,
    /// How long a client of a snapshot may take nothing of it; no flag.
    pub snapshot_stall_timeout: Duration,
    pub http: HttpConfig,
    pub auth: AuthConfig,
    pub log: LogConfig,
    /// What was accepted but has no effect, to be said at the start.
    pub warnings: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterState {
    New,
    Existing,
}

/// Pings on clients' connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Least time between two pings of a client; zero for any.
    pub min_time: Duration,
    /// Time without a word from the client after which it is asked; zero for never.
    pub interval: Duration,
    /// How long it has to answer.
    pub timeout: Duration,
}

impl Default for KeepAlive {
    fn default() -> KeepAlive {
        KeepAlive {
            min_time: Duration::from_secs(5),
            interval: Duration::from_secs(2 * 60 * 60),
            timeout: Duration::from_secs(20),
        }
    }
}

/// What is asked for by plain HTTP, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Whether there is a JSON gateway.
    pub gateway: bool,
    /// Pages of these origins may read answers.
    pub cors: AllowList,
    /// Names under which this member is asked without TLS.
    pub host_whitelist: AllowList,
    /// Whether the metrics have the time every call took.
    pub extensive_metrics: bool,
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        let all = || AllowList::of(["*"]);
        HttpConfig { gateway: true, cors: all(), host_whitelist: all(), extensive_metrics: false }
    }
}

/// How passwords are hashed and what stands for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// `simple`, `jwt,…`, or empty for no tokens; read when the member starts, with its files.
    pub token: String,
    /// How long a simple token lives after its last use.
    pub simple_token_ttl: Duration,
    pub bcrypt_cost: u32,
}

impl Default for AuthConfig {
    fn default() -> AuthConfig {
        AuthConfig {
            token: "simple".to_owned(),
            simple_token_ttl: limits::DEFAULT_AUTH_TOKEN_TTL,
            bcrypt_cost: limits::DEFAULT_BCRYPT_COST,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    pub level: LogLevel,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    #[default]
    Info,
    Warn,
    Error,
    /// `panic` and `fatal`: only what ends the member.
    Fatal,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Json,
    Console,
}

impl Default for Config {
    fn default() -> Config {
        let peer = vec![Url::http("localhost", DEFAULT_PEER_PORT)];
        let client = vec![Url::http("localhost", DEFAULT_CLIENT_PORT)];
        Config {
            name: DEFAULT_NAME.to_owned(),
            data_dir: PathBuf::from(format!("{DEFAULT_NAME}.etcd")),
            listen_peer_urls: peer.clone(),
            listen_client_urls: client.clone(),
            listen_client_http_urls: Vec::new(),
            listen_metrics_urls: Vec::new(),
            client_tls: Tls { skip_client_san_verification: true, ..Tls::default() },
            peer_tls: Tls::default(),
            tls_policy: TlsPolicy::default(),
            advertise_client_urls: client,
            initial_advertise_peer_urls: peer,
            initial_cluster: None,
            initial_cluster_state: ClusterState::New,
            initial_cluster_token: "etcd-cluster".to_owned(),
            heartbeat_interval_ms: 100,
            election_timeout_ms: 1000,
            snapshot_count: limits::DEFAULT_SNAPSHOT_COUNT,
            snapshot_catchup_entries: limits::DEFAULT_SNAPSHOT_CATCHUP_ENTRIES,
            max_request_bytes: limits::DEFAULT_MAX_REQUEST_BYTES,
            max_txn_ops: limits::DEFAULT_MAX_TXN_OPS,
            max_concurrent_streams: limits::DEFAULT_MAX_CONCURRENT_STREAMS,
            grpc_keep_alive: KeepAlive::default(),
            watch_progress_notify_interval: Duration::from_secs(600),
            quota_backend_bytes: 0,
            auto_compaction: AutoCompaction::Off,
            lease_checkpoint_interval: Duration::from_millis(CHECKPOINT_MS),
            snapshot_stall_timeout: limits::SNAPSHOT_STALL_TIMEOUT,
            http: HttpConfig::default(),
            auth: AuthConfig::default(),
            log: LogConfig::default(),
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// How long a request may take: queueing, computation and disk, and a leader's election.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(5) + 2 * self.election_timeout()
    }

    pub fn election_timeout(&self) -> Duration {
        Duration::from_millis(self.election_timeout_ms)
    }
}

const DEFAULT_NAME: &str = "default";
const DEFAULT_PEER_PORT: u16 = 2380;
const DEFAULT_CLIENT_PORT: u16 = 2379;

/// Why a configuration is refused; nothing has been touched yet.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ConfigError {
    #[error("flag provided but not defined: -{0}")]
    UnknownFlag(String),
    #[error("bad flag syntax: {0}")]
    BadSyntax(String),
    #[error("flag needs an argument: -{0}")]
    NeedsArgument(String),
    #[error("{0:?} is not a valid flag")]
    StrayArgument(String),
    #[error("invalid value {value:?} for flag -{flag}: {reason}")]
    BadFlagValue { flag: String, value: String, reason: String },
    #[error("invalid value {value:?} for {variable}: {reason}")]
    BadVariable { variable: String, value: String, reason: String },
    #[error(
        "conflicting environment variable is shadowed by corresponding command-line flag \
         (either unset environment variable or disable flag)): {0}"
    )]
    Shadowed(String),
    #[error("--{flag}: {sentence}")]
    NotSupported { flag: String, sentence: String },
    #[error("error setting up initial cluster: {reason} (in {item:?})")]
    InitialCluster { item: String, reason: String },
    #[error("couldn't find local name {name:?} in the initial cluster configuration")]
    NotInCluster { name: String },
    #[error("{0}")]
    Invalid(String),
}

impl ConfigError {
    /// Go's flag package ends the process with 2, etcd's own checks with 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            ConfigError::UnknownFlag(_)
            | ConfigError::BadSyntax(_)
            | ConfigError::NeedsArgument(_)
            | ConfigError::BadFlagValue { .. } => 2,
            _ => 1,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ConfigError::UnknownFlag(name) => Some(match table::closest(name) {
                Some(close) => format!("did you mean --{close}? --help lists the flags"),
                None => "--help lists the flags".to_owned(),
            }),
            ConfigError::BadSyntax(_)
            | ConfigError::NeedsArgument(_)
            | ConfigError::StrayArgument(_)
            | ConfigError::BadFlagValue { .. } => Some("--help lists the flags".to_owned()),
            ConfigError::Shadowed(variable) => {
                Some(format!("unset {variable}, or leave the flag out"))
            }
            ConfigError::InitialCluster { .. } => Some(
                "write --initial-cluster name=http://host:2380,name=http://host:2380".to_owned(),
            ),
            ConfigError::NotInCluster { name } => Some(format!(
                "add {name}=<its peer URL> to --initial-cluster, or set --name to one that is in it"
            )),
            ConfigError::BadVariable { .. }
            | ConfigError::NotSupported { .. }
            | ConfigError::Invalid(_) => None,
        }
    }
}
