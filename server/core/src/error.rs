//! Why the store refuses a request.

use thiserror::Error;

use crate::auth::AuthError;

/// A refusal, with etcd's text, on which clients rely. The edge adds the gRPC code.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    #[error("etcdserver: key not found")]
    KeyNotFound,
    #[error("etcdserver: mvcc: database space exceeded")]
    NoSpace,
    #[error("etcdserver: corrupt cluster")]
    Corrupt,
    /// For who asks, or for what it would do to users and roles.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A transaction that writes was asked for as a read; it belongs into the log.
    #[error("a transaction that writes cannot be served as a read: propose it")]
    NotReadOnly,
    /// The log holds an entry of a kind that this version does not know, so the state can not be
    /// followed any further: the member must stop before it applies it.
    #[error("unknown kind of log entry: a newer version wrote it, upgrade this member")]
    UnknownEntry,
}

impl StoreError {
    /// Whether every member that applies the same entry to the same state refuses it alike. What
    /// is not deterministic must never be an answer: the member stops instead.
    pub fn is_deterministic(self) -> bool {
        match self {
            StoreError::Compacted
            | StoreError::FutureRevision
            | StoreError::LeaseNotFound
            | StoreError::LeaseExists
            | StoreError::LeaseTtlTooLarge
            | StoreError::KeyNotFound
            | StoreError::NoSpace
            | StoreError::Corrupt
            | StoreError::Auth(_)
            | StoreError::NotReadOnly => true,
            StoreError::UnknownEntry => false,
        }
    }
}
