//! What the checker says when a guarantee is broken.

use std::fmt::{self, Display, Formatter};

/// The guarantee that is broken. Where several are, the one found first is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// An answer without a header, or about something that was not asked.
    Malformed,
    /// Something is of a revision lower than one that was already answered with.
    RevisionBack,
    /// Two writes of one revision.
    RevisionTwice,
    /// Two operations that did not overlap took effect in the other order.
    RealTime,
    /// A linearizable read does not know what was already answered.
    StaleRead,
    /// The answer is not what the store held.
    Answer,
    /// A value was read that no write can have left there.
    NeverWritten,
    /// An acknowledged write is not there at the end.
    LostWrite,
    /// A write took effect twice.
    AppliedTwice,
    /// A revision exists that no write can have made.
    Unexplained,
    /// A refusal for which the store gave no reason.
    Refusal,
    /// A serializable read that is no past state.
    SerializableRead,
    /// A lease ended before its time.
    ExpiredEarly,
    /// The search gave up.
    Undecided,
    WatchProtocol,
    WatchFilter,
    WatchStart,
    WatchOrdered,
    WatchUnique,
    WatchAtomic,
    WatchReliable,
    WatchResumable,
    WatchBookmarkable,
    WatchContent,
    WatchIsCreate,
    WatchPrevKv,
    WatchCompacted,
    WatchFuture,
}

/// One broken guarantee, with who was told what and what was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub message: String,
}

impl Violation {
    pub(super) fn new(rule: Rule, message: String) -> Violation {
        Violation { rule, message }
    }
}

impl Display for Violation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.message)
    }
}
