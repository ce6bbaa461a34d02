//! etcd's files: the way in and the way out.
//!
//! - [`bolt`]: the file format that etcd keeps its state in.
//! - [`schema`]: which buckets there are, and what their keys and values mean.
//! - [`snapshot`]: a snapshot, which is such a file with its SHA-256 behind it.
//! - [`latest`]: the keys of a snapshot in their order.
//! - [`hashkv`]: the hash of a snapshot's keys and history.
//! - [`wal`]: etcd's write-ahead log, read only.
//! - [`restore`]: a data directory of ours from a snapshot, or from a data directory of etcd's.

pub mod bolt;
pub mod hashkv;
pub mod latest;
pub mod restore;
pub mod schema;
pub mod snapshot;
pub mod wal;
