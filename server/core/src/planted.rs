//! Bugs that can be planted, one at a time, to see that generated load finds them.
//!
//! Each is a mutation of the product that brings back a fault of etcd's history, or falls into a
//! trap of raft's. The questions stand where the fault would be. Only the feature `planted` makes
//! any answer yes, and only the tests enable it; without it the compiler removes them.

/// A mutation, named by what goes wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// The position is stored before what led to it (etcd #13766).
    PositionBeforeChanges,
    /// The log says that a group is durable before it is (etcd #14370).
    PersistedBeforeSync,
    /// A follower's acknowledgements and votes leave before its log is durable (etcd #14140, and
    /// raft's `persisted_messages`).
    AckBeforeSync,
    /// Changes are stored without the position that belongs to them (etcd #14685).
    ChangesWithoutPosition,
    /// Progress is reported up to the store's revision, not up to what was sent (etcd #15220).
    ProgressOvertakes,
    /// A revision is looked at twice for watches (etcd #15271, #17247).
    EventTwice,
    /// A transaction is executed twice (etcd #17247).
    TxnTwice,
    /// A watch that compaction overtook while its stream was full goes on behind the gap (etcd
    /// #17529).
    OvertakenSilently,
    /// The newest deletion is swept and the revision it had is not written down (etcd #17780).
    RevisionForgotten,
    /// A deletion at the compacted revision itself is swept (etcd #18089).
    TombstoneSwept,
    /// Whether a range in a transaction is refused depends on how far a sweep has come (etcd
    /// #18667).
    RefusalBySweep,
    /// A watch that starts in the future gets what comes before (etcd #19487, #20221).
    FutureWatchEarly,
    /// Every question of a read has the same context (etcd #20418, raft's `read_index`).
    ReadContextReused,
    /// A read is served without waiting for what it must see.
    ReadBeforeApply,
    /// Leases are expired by whoever led once (etcd #15247).
    ExpireInAnyTerm,
    /// The lessor goes on with leases that were revoked (etcd #20813).
    RevokedLeaseRenewed,
    /// The state hash depends on how far a sweep has come (etcd #15919).
    HashBySweep,
    /// Which keys hang on a lease is not found out again when a state is read back (the like of
    /// etcd #14571).
    AttachmentsNotRestored,
    /// What is applied does not count as committed after a restart (qdrant #1172).
    CommitBehindApplied,
    /// A vote is not written down.
    VoteForgotten,
    /// A member is made in its place, and not beside it (etcd #16596).
    TornBootstrap,
    /// A received state takes its place before the log begins after it.
    InstallBeforeBase,
    /// The log is cut past what the backend holds.
    CutPastStored,
    /// A deletion of which nothing older is left is not read back (etcd #19179).
    LoneDeletionForgotten,
    /// What the process before wrote and never synced counts as durable at a start.
    UnsyncedTrusted,
    /// A member whose log was damaged votes before it has got back what it lost.
    IncompleteVotes,
}

impl Bug {
    pub const ALL: [Bug; 26] = [
        Bug::PositionBeforeChanges,
        Bug::PersistedBeforeSync,
        Bug::AckBeforeSync,
        Bug::ChangesWithoutPosition,
        Bug::ProgressOvertakes,
        Bug::EventTwice,
        Bug::TxnTwice,
        Bug::OvertakenSilently,
        Bug::RevisionForgotten,
        Bug::TombstoneSwept,
        Bug::RefusalBySweep,
        Bug::FutureWatchEarly,
        Bug::ReadContextReused,
        Bug::ReadBeforeApply,
        Bug::ExpireInAnyTerm,
        Bug::RevokedLeaseRenewed,
        Bug::HashBySweep,
        Bug::AttachmentsNotRestored,
        Bug::CommitBehindApplied,
        Bug::VoteForgotten,
        Bug::TornBootstrap,
        Bug::InstallBeforeBase,
        Bug::CutPastStored,
        Bug::LoneDeletionForgotten,
        Bug::UnsyncedTrusted,
        Bug::IncompleteVotes,
    ];
}

#[cfg(feature = "planted")]
mod chosen {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a bug for what runs on this thread, or none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether this bug is planted.
    pub fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted")]
pub use chosen::{is, plant};

/// Whether this bug is planted: never.
#[cfg(not(feature = "planted"))]
pub const fn is(_: Bug) -> bool {
    false
}
