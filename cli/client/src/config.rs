//! What a connection is made from. Plain data: where it came from (flags, variables, a context) is
//! the caller's affair.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::endpoint::Endpoint;
use crate::gate::Rpc;

/// Everything a [`Connection`](crate::Connection) needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Tried in this order; the one that answered last is tried first.
    pub endpoints: Vec<Endpoint>,
    /// Time for name, connect and TLS of one endpoint together.
    pub dial_timeout: Duration,
    /// Time for one operation, connecting included. Watches and keep-alives have no end.
    pub command_timeout: Duration,
    /// A connection with nothing to say is probed this often…
    pub keepalive_time: Duration,
    /// …and given up when a probe is not answered for this long.
    pub keepalive_timeout: Duration,
    pub credentials: Option<Credentials>,
    /// Shown with every request; where there is one, nobody logs in by the credentials.
    pub token: Option<Token>,
    pub tls: Tls,
    /// Largest answer accepted, in bytes.
    pub max_recv_bytes: usize,
    /// Largest request sent, in bytes.
    pub max_request_bytes: usize,
    pub patience: Patience,
    /// Nothing that changes the cluster leaves; see [`crate::READS`].
    pub read_only: bool,
    /// Who is told of every request, at most [`crate::MAX_NOTED`] at a time.
    pub notes: Option<mpsc::Sender<Rpc>>,
}

impl Config {
    /// A configuration with etcdctl's defaults for everything but the endpoints.
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            dial_timeout: Duration::from_secs(2),
            command_timeout: Duration::from_secs(5),
            keepalive_time: Duration::from_secs(2),
            keepalive_timeout: Duration::from_secs(6),
            credentials: None,
            token: None,
            tls: Tls::default(),
            // etcd's client: a list is bounded by what one message can be.
            max_recv_bytes: i32::MAX as usize,
            // etcd's client; a server refuses above 1.5 MiB by default.
            max_request_bytes: 2 * 1024 * 1024,
            patience: Patience::FailAtOnce,
            read_only: false,
            notes: None,
        }
    }
}

/// What to do when no endpoint can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Report it when every endpoint has been tried once.
    FailAtOnce,
    /// Go round the endpoints until the command timeout is up, as etcdctl does.
    UntilTimeout,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What a server that knows its signature takes for a user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// TLS as etcdctl's flags describe it. Used for `https` and `unixs`, and for an endpoint without a
/// scheme if any option is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Use TLS although no file is given (`--insecure-transport=false`).
    pub required: bool,
    pub cacert: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub insecure_skip_verify: bool,
}

impl Tls {
    /// Whether an endpoint without a scheme is spoken to over TLS.
    pub fn is_wanted(&self) -> bool {
        self.required || self.cacert.is_some() || self.cert.is_some() || self.key.is_some()
    }
}
