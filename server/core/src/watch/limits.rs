//! The hub's limits, each with its reason.

/// Answers to its own requests that may wait in a stream without credit before the shell must
/// stop reading further requests from it. etcd's control channel holds as many.
pub const BACKLOG: usize = 16;

/// Watches on one stream. Clients put all their watches on one stream, so it is generous; at
/// some 300 bytes each it keeps one stream below 40 MB.
pub const WATCHES_PER_STREAM: usize = 131_072;

/// Bytes of keys and range ends on one stream: long keys must not multiply the limit above.
pub const WATCH_KEY_BYTES_PER_STREAM: usize = 64 << 20;

/// At what size a response is cut for a watch that asked for fragments, unless requests have
/// another limit: etcd's for requests with what gRPC may add.
pub const RESPONSE_BYTES: usize = 2 << 20;

/// States right before compactions that may wait for the hub. More come together only in an
/// unheard-of hurry; watches then learn of the compaction instead of its events.
pub(super) const PENDING_ROOTS: usize = 16;

/// Each credit lets so many watches of a stream ride along, since most of them may find nothing;
/// more would be work for replies that cannot be sent.
pub(super) const RIDERS_PER_CREDIT: usize = 16;

/// How much of the history one step of the hub takes on, and what it keeps meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Versions looked at in one step. At some 200 ns each a step keeps the watch thread for well
    /// under a millisecond.
    pub step_versions: usize,
    /// Versions looked at before what was found is handed out: a watch that finds something now
    /// and then gets it together, and within some tens of milliseconds.
    pub walk_versions: usize,
    /// Events gathered over all groups of watches, so that thousands of different ranges over
    /// the same keys cannot multiply the memory: each is a reference, 16 bytes. Groups for which
    /// there is no room in a large revision get it later.
    pub events: usize,
    /// Bytes gathered for one group, and so, but for a single larger revision, in one response.
    pub bytes: usize,
    /// Bytes of one stream's replies that are on their way, beyond which it gets no more events: what
    /// a client that does not read can hold, but for one reply. The shell sets it, which knows when
    /// they are taken.
    pub stream_bytes: usize,
    /// Watches that catch up together, so many replies at most that a step hands out.
    pub riders: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            step_versions: 1_000,
            walk_versions: 65_536,
            events: 65_536,
            bytes: 1 << 20,
            stream_bytes: usize::MAX,
            riders: 4_096,
        }
    }
}
