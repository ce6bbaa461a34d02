//! What an applied entry changes on disk.

use std::sync::Arc;

use bytes::Bytes;
use raft_proto::eraftpb::ConfState;

use super::{Revision, StateHash, Version};

/// The backend's tables. The names are part of the disk format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Revision (main, sub; 16 bytes big-endian) to version.
    Versions,
    /// Lease id (8 bytes big-endian) to lease.
    Leases,
    /// Member id (8 bytes big-endian) to member.
    Members,
    /// Member id and alarm (12 bytes big-endian) to nothing.
    Alarms,
    /// User name to user.
    Users,
    /// Role name to role.
    Roles,
    /// Name to value: revision, compacted revision, cluster version, whether auth is enabled, its
    /// revision.
    Meta,
}

/// One operation that makes the backend equal to the store. Versions are encoded only when they
/// are written, off the apply thread.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Version(Arc<Version>),
    RemoveVersion(Revision),
    Put { table: Table, key: Bytes, value: Bytes },
    Remove { table: Table, key: Bytes },
}

/// How far the log has been applied; stored in one transaction with what it produced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Position {
    pub index: u64,
    pub term: u64,
    pub conf_state: ConfState,
    /// Of the state at `index`.
    pub hash: StateHash,
}
