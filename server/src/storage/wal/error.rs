//! Why the log refuses.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::identity::Identity;

/// An error of the log. All are final: the process stops, and says this.
#[derive(Debug, Error)]
pub enum LogError {
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "the log is damaged: {} at byte {offset}, after entry {index}: {what}; restore the data \
         directory from a backup",
        path.display()
    )]
    Damaged { path: PathBuf, offset: u64, index: u64, what: String },
    #[error(
        "the log has a gap: {} is missing; put it back, or restore the data directory from a \
         backup",
        path.display()
    )]
    Missing { path: PathBuf },
    #[error(
        "{} belongs to another member: it is of member {:x} of cluster \
         {:x}, this is member {:x} of cluster {:x}; put this member's \
         own log back, or choose another --data-dir",
        path.display(),
        found.member_id,
        found.cluster_id,
        expected.member_id,
        expected.cluster_id
    )]
    Stranger { path: PathBuf, found: Identity, expected: Identity },
    #[error(
        "{} has log format {found}, and this program knows {known} only; run the version of \
         kvorum that wrote it",
        path.display()
    )]
    Format { path: PathBuf, found: u32, known: u32 },
    #[error(
        "the log is damaged, and {} does not say any more in which term this member was and to \
         whom it gave its vote; remove the member from the cluster and add it again with an empty \
         data directory",
        path.display()
    )]
    VoteLost { path: PathBuf },
    #[error("the log stopped at an earlier error and takes nothing more: {0}")]
    Poisoned(String),
    #[error(
        "the log does not hold entries {low}..{high}: it begins after {base} and ends at {last}"
    )]
    OutOfRange { low: u64, high: u64, base: u64, last: u64 },
    #[error("entry {index} of term {term} cannot follow entry {last} of term {last_term}")]
    Order { index: u64, term: u64, last: u64, last_term: u64 },
    #[error(
        "the log cannot begin anew after entry {index}: entry {commit} is committed, and the last \
         one would be {last}"
    )]
    Base { index: u64, commit: u64, last: u64 },
    #[error("a group of {bytes} bytes is too large for the log")]
    TooLarge { bytes: usize },
    #[error(
        "{} is the last segment that a log can have; remove this member from the cluster and add \
         it again with an empty data directory",
        path.display()
    )]
    Full { path: PathBuf },
}

impl LogError {
    /// Says of damage after which entry it was found.
    pub(super) fn after(mut self, entry: u64) -> LogError {
        if let LogError::Damaged { index, .. } = &mut self {
            *index = entry;
        }
        self
    }

    /// Names what failed and on which file, for `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
        let path = path.to_owned();
        move |source| LogError::Io { action, path, source }
    }
}
