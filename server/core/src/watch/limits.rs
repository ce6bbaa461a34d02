//! The hub's limits, each with its reason.

/// Answers to its own requests that may wait in a stream without credit before the shell must
/// stop reading further requests from it. etcd's control channel holds as many.
pub const BACKLOG: usize = 16;

/// Watches on one stream. Clients put all their watches on one stream, so it is generous; at
/// some 300 bytes each it keeps one stream below 40 MB.
pub const WATCHES_PER_STREAM: usize = 131_072;

/// Bytes of keys and range ends on one stream: long keys must not multiply the limit above.
pub const WATCH_KEY_BYTES_PER_STREAM: usize = 64 << 20;

/// At what size a response is cut for a watch that asked for fragments: etcd's request limit.
pub const RESPONSE_BYTES: usize = 3 << 19;

/// States right before compactions that may wait for the hub. More come together only in an
/// unheard-of hurry; watches then learn of the compaction instead of its events.
pub(super) const PENDING_ROOTS: usize = 16;

/// Versions looked at in one chunk. etcd sends at most as many revisions in a response; at some
/// 200 ns each a chunk keeps the watch thread for well under a millisecond.
pub(super) const CHUNK_VERSIONS: usize = 1000;

/// Events gathered in one chunk over all groups of watches, so that thousands of different
/// ranges over the same keys cannot multiply the chunk's memory.
pub(super) const CHUNK_EVENTS: usize = 65_536;

/// Bytes of keys and values in one chunk, and so, but for a single larger revision, in one
/// response.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// Watches of one stream that catch up together in one chunk.
pub(super) const RIDERS: usize = 512;

/// Each credit lets so many watches ride along, since most of them may find nothing; more would
/// be work for replies that cannot be sent.
pub(super) const RIDERS_PER_CREDIT: usize = 4;
