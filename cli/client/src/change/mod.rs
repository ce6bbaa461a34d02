//! Changing many keys safely: every change says what it expects to find, and nothing is written
//! where something else is found.
//!
//! - A [`Change`] is what one key is to become, if it is still as it was seen.
//! - A [`Writer`] makes guarded transactions of changes, no larger than a server takes. One
//!   transaction is all or nothing; of several, those that are done stay done, and whoever asked
//!   hears of each ([`Applied`]), so that it can be told, taken back, or gone on from.
//! - [`settle_leases`] decides under which leases keys can come back.
//! - The [`Journal`] remembers which keys were written at which revision, for an undo.

mod journal;
mod leases;
mod writer;

use thiserror::Error;

pub use journal::{Entry, Journal, MAX_JOURNAL_BYTES};
pub use leases::{Leases, settle_leases};
pub use writer::Writer;

use crate::failure::Failure;

/// What one key is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub key: Vec<u8>,
    /// The revision of the key's last modification as it was seen; 0: there is no such key.
    pub expected: i64,
    pub to: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Deleted,
    /// `lease` 0 is none.
    Value {
        value: Vec<u8>,
        lease: i64,
    },
    /// The value that a key had at a revision, which is read when it is written: a plan of many
    /// keys holds no values.
    At {
        key: Vec<u8>,
        revision: i64,
        lease: i64,
    },
    /// As it is: the change only guards others of its transaction.
    Unchanged,
}

/// A transaction that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Of the cluster that was written to.
    pub cluster_id: u64,
    /// At which all of it happened.
    pub revision: i64,
    /// The keys that were written or deleted.
    pub keys: Vec<Vec<u8>>,
}

/// A key that is not as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub key: Vec<u8>,
    pub expected: i64,
    /// 0: it is gone.
    pub found: i64,
}

/// Why not everything was written. What was applied before stays.
#[derive(Debug, Clone, Error)]
pub enum Stopped {
    /// Keys that are not as they were seen, never none. Nothing of this transaction was written.
    #[error("{} changed by somebody else meanwhile", number(.0.len(), "key was", "keys were"))]
    Conflict(Vec<Conflict>),
    /// A value is no longer there to be read at this revision.
    #[error("the history at revision {0} was compacted meanwhile")]
    Compacted(i64),
    /// A value that was planned to be written was not there at this revision.
    #[error("a key was not there at revision {revision}")]
    Gone { key: Vec<u8>, revision: i64 },
    /// Nothing of this transaction was written.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The last transaction may have been carried out or not; it is not sent again.
    #[error("{cause}")]
    Unknown { cause: Failure, keys: Vec<Vec<u8>> },
    /// It was asked to stop.
    #[error("it was interrupted")]
    Interrupted,
}

fn number(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
