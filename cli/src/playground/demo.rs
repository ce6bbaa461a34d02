//! A small data set that shows what people use etcd for: services that live under leases, a
//! configuration tree, a queue of lock holders.

use kvorum_client::{Connection, Failure, Put};
use tokio::task::JoinSet;

/// Configuration, as a centre would push it.
const CONFIG: [(&str, &str); 8] = [
    ("/config/app/feature/dark-mode", "true"),
    ("/config/app/feature/new-checkout", "false"),
    ("/config/app/limits.json", r#"{"requests_per_second": 500, "burst": 50}"#),
    ("/config/app/motd", "Welcome to the playground"),
    ("/config/db/dsn", "postgres://db.internal:5432/shop"),
    ("/config/db/pool.json", r#"{"min": 2, "max": 20, "idle_s": 300}"#),
    ("/config/web/banner", "Black Friday starts at midnight"),
    ("/config/web/theme", "blue"),
];

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

/// The leases of the data set, kept alive for as long as this is held.
pub(super) struct Demo {
    _beats: JoinSet<()>,
}

impl Demo {
    /// Writes the configuration; what people have made of it since is theirs.
    pub(super) async fn configure(connection: &Connection) -> Result<(), Failure> {
        for (key, value) in CONFIG {
            connection.put(Put::new(key, value)).await?;
        }
        Ok(())
    }

    /// Lets the services and the workers appear.
    pub(super) async fn start(connection: &Connection) -> Result<Self, Failure> {
        let mut beats = JoinSet::new();
        for (key, value) in SERVICES {
            let lease = leased(connection, &mut beats, SERVICE_TTL_S).await?;
            connection.put(Put { lease, ..Put::new(key, value) }).await?;
        }
        for worker in WORKERS {
            let lease = leased(connection, &mut beats, WORKER_TTL_S).await?;
            // The name that etcd's Lock service gives to a place in the queue.
            let key = format!("{LOCK}/{lease:x}");
            connection.put(Put { lease, ..Put::new(key, worker) }).await?;
        }
        Ok(Self { _beats: beats })
    }
}

/// Grants a lease and keeps it alive in the background.
async fn leased(
    connection: &Connection,
    beats: &mut JoinSet<()>,
    ttl_s: i64,
) -> Result<i64, Failure> {
    let id = connection.lease_grant(ttl_s).await?.id;
    let connection = connection.clone();
    beats.spawn(async move {
        // A broken stream is opened again; an expired lease is let go.
        while let Ok(mut beat) = connection.lease_keep_alive(id).await {
            loop {
                match beat.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return,
                    Err(failure) if failure.is_connection() => break,
                    Err(_) => return,
                }
            }
        }
    });
    Ok(id)
}
