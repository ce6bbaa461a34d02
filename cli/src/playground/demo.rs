//! A small data set that shows what people use etcd for: services that live under leases, a
//! configuration tree, a queue of lock holders.

use std::time::Duration;

use kvorum_client::{Connection, Failure, Put};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Configuration, as a centre would push it.
const CONFIG: [(&str, &str); 8] = [
    ("/config/app/feature/dark-mode", "true"),
    ("/config/app/feature/new-checkout", "false"),
    ("/config/app/limits.json", r#"{"requests_per_second": 500, "burst": 50, "timeout_ms": 800}"#),
    ("/config/app/motd", "Welcome to the playground"),
    ("/config/db/dsn", "postgres://db.internal:5432/shop"),
    ("/config/db/pool.json", r#"{"min": 2, "max": 20, "idle_s": 300}"#),
    ("/config/web/banner", "Black Friday starts at midnight"),
    ("/config/web/theme.json", r#"{"color": "blue", "dark": false}"#),
];

/// What was changed since, so that there is a history to look at: the key, and its earlier values.
const CHANGED: [(&str, [&str; 3]); 1] = [(
    "/config/app/limits.json",
    [
        r#"{"requests_per_second": 100, "burst": 20, "timeout_ms": 500}"#,
        r#"{"requests_per_second": 250, "burst": 20, "timeout_ms": 500}"#,
        r#"{"requests_per_second": 250, "burst": 50, "timeout_ms": 800}"#,
    ],
)];

/// Instances of services: each dies with its lease, and the leases are kept alive.
const SERVICES: [(&str, &str); 5] = [
    ("/services/api/10.0.0.11:8080", r#"{"zone": "a", "version": "2.4.1"}"#),
    ("/services/api/10.0.0.12:8080", r#"{"zone": "b", "version": "2.4.1"}"#),
    ("/services/api/10.0.0.13:8080", r#"{"zone": "c", "version": "2.4.0"}"#),
    ("/services/web/10.0.0.21:80", r#"{"zone": "a", "version": "7.0.3"}"#),
    ("/services/web/10.0.0.22:80", r#"{"zone": "b", "version": "7.0.3"}"#),
];

/// Workers that wait for one lock, in this order; the oldest key holds it.
const LOCK: &str = "/locks/nightly-backup";
const WORKERS: [&str; 3] = ["worker-1", "worker-2", "worker-3"];

/// How long an instance outlives its process.
const SERVICE_TTL_S: i64 = 10;
const WORKER_TTL_S: i64 = 30;

/// Between two attempts to come back: well within what a lease allows.
const PAUSE: Duration = Duration::from_millis(500);

/// How long members that have just started may need to agree on a leader, one after the other coming
/// up, on a machine that does much else.
const ELECTIONS: Duration = Duration::from_secs(30);

/// The leases of the data set, kept alive for as long as this is held.
pub(super) struct Demo {
    _lives: JoinSet<()>,
}

impl Demo {
    /// Writes the configuration; what people have made of it since is theirs.
    pub(super) async fn configure(connection: &Connection) -> Result<(), Failure> {
        let earlier = CHANGED.iter().flat_map(|(key, values)| values.map(|value| (*key, value)));
        for (key, value) in earlier.chain(CONFIG) {
            insist(|| connection.put(Put::new(key, value))).await?;
        }
        Ok(())
    }

    /// Lets the services and the workers appear.
    pub(super) async fn start(connection: &Connection) -> Result<Self, Failure> {
        let mut lives = JoinSet::new();
        let services = SERVICES.map(|(key, value)| Role::Service { key, value });
        let workers = WORKERS.map(|name| Role::Worker { name });
        for role in services.into_iter().chain(workers) {
            let lease = insist(|| role.appear(connection)).await?;
            lives.spawn(role.live(connection.clone(), lease));
        }
        Ok(Self { _lives: lives })
    }
}

/// Tries again while the leader changes. What is written here may be written twice.
async fn insist<T, Attempt>(attempt: impl Fn() -> Attempt) -> Result<T, Failure>
where
    Attempt: Future<Output = Result<T, Failure>>,
{
    let until = Instant::now() + ELECTIONS;
    loop {
        match attempt().await {
            Err(failure) if failure.is_no_leader() && Instant::now() < until => sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

/// Somebody whose key is there for as long as he lives.
#[derive(Clone, Copy)]
enum Role {
    Service { key: &'static str, value: &'static str },
    Worker { name: &'static str },
}

impl Role {
    /// Puts the key under a new lease, and says which.
    async fn appear(self, connection: &Connection) -> Result<i64, Failure> {
        let ttl_s = match self {
            Self::Service { .. } => SERVICE_TTL_S,
            Self::Worker { .. } => WORKER_TTL_S,
        };
        let lease = connection.lease_grant(ttl_s).await?.id;
        let put = match self {
            Self::Service { key, value } => Put::new(key, value),
            // The name that etcd's Lock service gives to a place in the queue.
            Self::Worker { name } => Put::new(format!("{LOCK}/{lease:x}"), name),
        };
        connection.put(Put { lease, ..put }).await?;
        Ok(lease)
    }

    /// Keeps the lease alive. One that expired all the same, or was revoked, is replaced, as a real
    /// service would do it.
    async fn live(self, connection: Connection, mut lease: i64) {
        loop {
            match keep_alive(&connection, lease).await {
                Err(failure) if !failure.is_not_found() => sleep(PAUSE).await,
                _ => {
                    sleep(PAUSE).await;
                    lease = self.appear(&connection).await.unwrap_or(lease);
                }
            }
        }
    }
}

/// Returns when the lease is gone; the error may be the connection's alone.
async fn keep_alive(connection: &Connection, lease: i64) -> Result<(), Failure> {
    let mut beats = connection.lease_keep_alive(lease).await?;
    while beats.next().await?.is_some() {}
    Ok(())
}
