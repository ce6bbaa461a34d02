//! The versions the server reports.

/// The etcd release whose behaviour this server has, and which it reports everywhere.
pub const ETCD_VERSION: &str = "3.6.0";

/// The minor version of the cluster and of the stored data, as etcd reports them.
pub const CLUSTER_VERSION: &str = "3.6.0";

/// This program's own version.
pub const KVORUM_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `--version` prints; the first line is etcd's.
pub fn version_text() -> String {
    format!("etcd Version: {ETCD_VERSION}\nKvorum Version: {KVORUM_VERSION}\n")
}
