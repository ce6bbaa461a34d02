//! What `/metrics` shows, under etcd's names.
//!
//! Counters stand here and are counted up by the shell, where things happen; what is a state is
//! read when the page is asked for. A name is listed only where the thing it names is measured:
//! etcd's figures of the Go runtime, of bbolt and of its v2 store mean nothing here. No key, value,
//! user or token is ever a label, and no label comes from a client.

mod grpc;
mod health;
mod page;
mod peers;
mod process;
mod store;
mod text;
mod value;
mod watch;

use std::time::SystemTime;

pub(crate) use grpc::observe;
pub(crate) use page::page;

use grpc::Calls;
use health::HealthChecks;
use peers::PeerTraffic;
use store::Operations;
use value::{Counter, Histogram, Level};

/// Bounds of etcd's histograms of the disk: 1 ms, and each the double of the one before.
const DISK_BOUNDS_S: &[f64] = &[
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096,
    8.192,
];

/// Everything that is counted.
pub(crate) struct Metrics {
    pub(crate) calls: Calls,
    pub(crate) health: HealthChecks,
    pub(crate) operations: Operations,
    pub(crate) peers: PeerTraffic,
    pub(crate) leader_changes: Counter,
    pub(crate) proposals_failed: Counter,
    pub(crate) reads_failed: Counter,
    pub(crate) leases_renewed: Counter,
    pub(crate) leases_expired: Counter,
    pub(crate) defragmentations: Level,
    pub(crate) log_synced: Histogram,
    pub(crate) store_committed: Histogram,
    events: Counter,
    watch_streams: Level,
    watchers: Level,
    started_unix_s: f64,
}

impl Metrics {
    pub(crate) fn new(extensive: bool) -> Metrics {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Metrics {
            calls: Calls::new(extensive),
            health: HealthChecks::default(),
            operations: Operations::default(),
            peers: PeerTraffic::default(),
            leader_changes: Counter::default(),
            proposals_failed: Counter::default(),
            reads_failed: Counter::default(),
            leases_renewed: Counter::default(),
            leases_expired: Counter::default(),
            defragmentations: Level::default(),
            log_synced: Histogram::new(DISK_BOUNDS_S),
            store_committed: Histogram::new(DISK_BOUNDS_S),
            events: Counter::default(),
            watch_streams: Level::default(),
            watchers: Level::default(),
            started_unix_s: since_1970.map_or(0.0, |since| since.as_secs_f64()),
        }
    }
}
