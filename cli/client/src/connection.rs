//! One handle for everything: the endpoints, which of them answers, and the rule of what may be
//! tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::Client;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::config::{Config, Patience};
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::link::{Link, wants_tls};
use crate::tls::{Certificate, Setup};

/// A connection to a cluster. Cheap to clone; clones share everything.
///
/// Must be made and used within a tokio runtime. Nothing is dialled before the first operation
/// ([`Connection::new`]), unless it is asked for ([`Connection::open`]).
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    tls: Option<Setup>,
    read_only: Arc<AtomicBool>,
    links: Vec<Arc<Link>>,
    /// The link that answered last, tried first.
    preferred: AtomicUsize,
    /// Operations that the cluster takes in one transaction, as far as it has told.
    most_ops: AtomicUsize,
    /// Links to endpoints asked for one by one that are not in the configuration (what members
    /// advertise), newest last.
    visited: Mutex<Vec<Arc<Link>>>,
}

/// Whether an operation may be sent again after it may have been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Reads,
    Writes,
}

/// Operations of one transaction: etcd's `--max-txn-ops`, unless a server is set to fewer.
const MOST_OPS: usize = 128;

/// How long to wait between rounds over endpoints that cannot be reached.
const ROUND_PAUSE: Duration = Duration::from_millis(100);

/// Time to find out why an answer did not come: a member that is well says so at once.
const DIAGNOSIS_TIMEOUT: Duration = Duration::from_millis(500);

/// Links kept to endpoints outside the configuration. A cluster has at most nine members.
const MAX_VISITED: usize = 16;

impl Connection {
    /// Prepares a connection. Reads the TLS files; dials nobody.
    pub fn new(config: Config) -> Result<Self, Failure> {
        if config.endpoints.is_empty() {
            return Err(Failure::Config("no endpoint is given: --endpoints host:port".to_owned()));
        }
        let needs_tls = config.tls.is_wanted()
            || config.endpoints.iter().any(|endpoint| wants_tls(endpoint, &config));
        let tls = if needs_tls { Some(Setup::new(&config.tls)?) } else { None };
        let read_only = Arc::new(AtomicBool::new(config.read_only));
        let link =
            |endpoint: &Endpoint| Link::new(endpoint.clone(), &config, tls.as_ref(), &read_only);
        let links = config
            .endpoints
            .iter()
            .map(|endpoint| Ok(Arc::new(link(endpoint)?)))
            .collect::<Result<_, Failure>>()?;
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                read_only,
                tls,
                links,
                preferred: AtomicUsize::new(0),
                most_ops: AtomicUsize::new(MOST_OPS),
                visited: Mutex::new(Vec::new()),
            }),
        })
    }

    /// Prepares a connection and makes sure that one endpoint answers and accepts the credentials.
    pub async fn open(config: Config) -> Result<Self, Failure> {
        let connection = Self::new(config)?;
        connection.status_of_any().await?;
        Ok(connection)
    }

    /// Whether nothing that changes the cluster leaves.
    pub fn is_read_only(&self) -> bool {
        self.shared.read_only.load(Ordering::Relaxed)
    }

    /// Holds for every request that is not sent yet, of every clone.
    pub fn set_read_only(&self, read_only: bool) {
        self.shared.read_only.store(read_only, Ordering::Relaxed);
    }

    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The endpoints of the configuration, in its order.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.shared.config.endpoints
    }

    /// The endpoint that answered last, or the first one.
    pub fn current_endpoint(&self) -> &Endpoint {
        &self.links()[self.preferred()].endpoint
    }

    /// The certificate that servers are shown, if there is one.
    pub fn own_certificate(&self) -> Option<Certificate> {
        self.shared.tls.as_ref()?.own.as_deref().cloned()
    }

    /// Operations that the cluster takes in one transaction.
    pub(crate) fn most_ops(&self) -> usize {
        self.shared.most_ops.load(Ordering::Relaxed)
    }

    /// The cluster has refused more.
    pub(crate) fn lower_most_ops(&self, most: usize) {
        self.shared.most_ops.fetch_min(most.max(1), Ordering::Relaxed);
    }

    fn links(&self) -> &[Arc<Link>] {
        &self.shared.links
    }

    fn preferred(&self) -> usize {
        self.shared.preferred.load(Ordering::Relaxed)
    }

    /// Runs one operation within the command timeout, at the first endpoint that can be reached.
    pub(crate) async fn call<T, F, Fut>(&self, effect: Effect, operation: F) -> Result<T, Failure>
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<T, etcd_client::Error>>,
    {
        let operation = &operation;
        self.on_any(effect, |link| async move { operation(link.client().await?).await }).await
    }

    /// As [`Self::call`], with the whole link at hand.
    pub(crate) async fn on_any<T, F, Fut>(&self, effect: Effect, operation: F) -> Result<T, Failure>
    where
        F: Fn(Arc<Link>) -> Fut,
        Fut: Future<Output = Result<T, etcd_client::Error>>,
    {
        let deadline = self.deadline();
        loop {
            let mut unreachable = Vec::new();
            let mut moved_on = None;
            for offset in 0..self.links().len() {
                let index = (self.preferred() + offset) % self.links().len();
                let link = &self.links()[index];
                // On the heap, for the client's futures are large and rarely wait here.
                let attempt = Box::pin(operation(link.clone()));
                match self.at_link(link, effect, deadline, attempt).await {
                    Err(Failure::Unreachable(errors)) => unreachable.extend(errors),
                    Err(failure) if effect == Effect::Reads && moves_on(&failure) => {
                        moved_on = Some(failure);
                    }
                    outcome => {
                        self.shared.preferred.store(index, Ordering::Relaxed);
                        return outcome;
                    }
                }
            }
            if let Some(failure) = moved_on {
                return Err(failure);
            }
            let retry_at = Instant::now() + ROUND_PAUSE;
            if self.config().patience == Patience::FailAtOnce || retry_at >= deadline {
                return Err(Failure::Unreachable(unreachable));
            }
            sleep_until(retry_at).await;
        }
    }

    /// Runs one operation at exactly this endpoint, which need not be in the configuration.
    pub(crate) async fn call_at<T, F, Fut>(
        &self,
        effect: Effect,
        endpoint: &Endpoint,
        operation: F,
    ) -> Result<T, Failure>
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<T, etcd_client::Error>>,
    {
        let link = self.link_to(endpoint).await?;
        let deadline = self.deadline();
        loop {
            let attempt = Box::pin(async { operation(link.client().await?).await });
            let outcome = self.at_link(&link, effect, deadline, attempt).await;
            let retry_at = Instant::now() + ROUND_PAUSE;
            let again = self.config().patience == Patience::UntilTimeout && retry_at < deadline;
            match outcome {
                Err(Failure::Unreachable(_)) if again => sleep_until(retry_at).await,
                outcome => return outcome,
            }
        }
    }

    async fn at_link<T>(
        &self,
        link: &Link,
        effect: Effect,
        deadline: Instant,
        attempt: impl Future<Output = Result<T, etcd_client::Error>>,
    ) -> Result<T, Failure> {
        let write = effect == Effect::Writes;
        match timeout_at(deadline, attempt).await {
            Ok(Ok(value)) => {
                link.note_heard();
                Ok(value)
            }
            Ok(Err(error)) => Err(Box::pin(link.explained(link.failure(error, write))).await),
            Err(_) => {
                let endpoint = link.endpoint.to_string();
                let after = self.config().command_timeout;
                Err(if self.lacks_leader(link).await {
                    Failure::NoLeader { endpoint, after, write }
                } else {
                    Failure::NoAnswer { endpoint, after, write }
                })
            }
        }
    }

    /// Whether the member behind a link that let a request wait too long knows no leader: then that
    /// is the reason. Only a person is told reasons.
    async fn lacks_leader(&self, link: &Link) -> bool {
        if self.config().patience == Patience::UntilTimeout {
            return false;
        }
        let ask = async {
            let status = link.client().await?.maintenance_client().status().await?;
            Ok::<_, etcd_client::Error>(status.leader() == 0)
        };
        matches!(timeout(DIAGNOSIS_TIMEOUT, Box::pin(ask)).await, Ok(Ok(true)))
    }

    pub(crate) async fn link_to(&self, endpoint: &Endpoint) -> Result<Arc<Link>, Failure> {
        if let Some(link) = self.links().iter().find(|link| link.endpoint == *endpoint) {
            return Ok(link.clone());
        }
        let mut visited = self.shared.visited.lock().await;
        if let Some(link) = visited.iter().find(|link| link.endpoint == *endpoint) {
            return Ok(link.clone());
        }
        let config = self.config();
        let tls = match &self.shared.tls {
            None if wants_tls(endpoint, config) => Some(Setup::new(&config.tls)?),
            tls => tls.clone(),
        };
        let read_only = &self.shared.read_only;
        let link = Arc::new(Link::new(endpoint.clone(), config, tls.as_ref(), read_only)?);
        if visited.len() == MAX_VISITED {
            visited.remove(0);
        }
        visited.push(link.clone());
        Ok(link)
    }

    fn deadline(&self) -> Instant {
        // A timeout too long for the clock is as good as none.
        let now = Instant::now();
        now.checked_add(self.config().command_timeout)
            .unwrap_or_else(|| now + Duration::from_secs(60 * 60 * 24 * 365))
    }
}

/// Whether another member may well answer a read that failed here.
fn moves_on(failure: &Failure) -> bool {
    matches!(failure, Failure::Broken { .. })
        || matches!(failure, Failure::Refused { code: tonic::Code::Unavailable, .. })
}
