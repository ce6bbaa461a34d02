//! Every bound of the member, with its reason.

use std::time::Duration;

/// Largest encoded request; etcd's default.
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 3 * 512 * 1024;

/// What `--max-request-bytes` may be raised to: a request must fit into one message between
/// members with room to spare.
pub const HIGHEST_MAX_REQUEST_BYTES: usize = 16 << 20;

/// What gRPC may add to a request before it is refused unread; etcd's figure.
pub const GRPC_OVERHEAD_BYTES: usize = 512 * 1024;

/// Most operations in one branch of a transaction; etcd's default.
pub const DEFAULT_MAX_TXN_OPS: usize = 128;

/// Transactions within transactions. The decoder takes 100 messages within each other, a level
/// costs two, and an entry of the log has one more around it: what a client may send must be
/// readable from the log, or no member could ever apply it. Nobody writes more than two by hand.
pub const MAX_TXN_DEPTH: usize = 32;

/// Streams of one client connection. etcd sets no bound; each stream costs us bounded memory, so
/// neither do we by default, but `--max-concurrent-streams` is honoured.
pub const DEFAULT_MAX_CONCURRENT_STREAMS: u32 = u32::MAX;

/// Committed entries that may wait to be applied before writes are refused; etcd's figure.
pub const MAX_APPLY_GAP: u64 = 5_000;

/// Client requests under way in one member. Ten times what a thousand busy clients have; a
/// request costs about 1 KiB besides its data.
pub const MAX_PENDING_REQUESTS: usize = 10_000;

/// Bytes of writes under way in one member: they are held until applied, some of them twice.
pub const MAX_PENDING_BYTES: usize = 128 << 20;

/// Leases expired by one entry: the largest entry a burst of expirations makes.
pub const EXPIRE_BATCH: usize = 1_000;

/// How often the leader looks for leases that have run out; etcd's interval.
pub const LEASE_CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// Messages waiting for one peer: some seconds of heartbeats and acknowledgements.
pub const PEER_QUEUE_MESSAGES: usize = 4_096;

/// Bytes waiting for one peer: several full append messages; raft sends again what is dropped.
pub const PEER_QUEUE_BYTES: usize = 64 << 20;

/// Bytes of peers' messages waiting for the node; beyond it their streams are not read.
pub const INBOX_PEER_BYTES: usize = 64 << 20;

/// One frame between members holds at most about this much, unless one message is larger.
pub const PEER_FRAME_BYTES: usize = 1 << 20;

/// Largest frame a member takes: one message of the largest size raft makes, with room.
pub const MAX_PEER_FRAME_BYTES: usize = 64 << 20;

/// Wait before a broken peer stream is opened again: at first, and at most.
pub const PEER_BACKOFF_MIN: Duration = Duration::from_millis(50);
pub const PEER_BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Time for a peer's connection to be made before it counts as failed.
pub const PEER_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Threads that serve clients. One costs less per request than two that steal from each other.
pub const EDGE_THREADS: usize = 1;

/// Threads for answers that are long or need the disk; more wait for their turn.
pub const BLOCKING_THREADS: usize = 16;

/// Threads that talk to peers; apart from the clients', so that a large answer delays no
/// heartbeat.
pub const PEER_THREADS: usize = 1;

/// Client and peer connections of one listener: below the usual limit of open files.
pub const MAX_CONNECTIONS: usize = 10_000;

/// Answers with more keys than this are put together off the thread that serves clients.
pub const INLINE_RANGE_KEYS: i64 = 1_000;

/// Keys in a chunk of a streamed range at first; adapted to `STREAM_CHUNK_BYTES`.
pub const STREAM_CHUNK_KEYS: i64 = 10;

/// Target size of a chunk of a streamed range.
pub const STREAM_CHUNK_BYTES: usize = DEFAULT_MAX_REQUEST_BYTES;

/// Replies the hub may make for one watch stream before the shell has looked at their size. Each
/// holds at most a chunk of about 1 MiB, so this and `WATCH_STREAM_BYTES` bound what a client
/// that does not read can cost.
pub const WATCH_STREAM_CREDIT: usize = 64;

/// Bytes of events waiting for one stream's client, beyond which it gets no more credit.
pub const WATCH_STREAM_BYTES: usize = 4 << 20;

/// Replies waiting for one stream's client, beyond which it gets no more credit: created and
/// progress replies have no events, but are not free.
pub const WATCH_STREAM_REPLIES: usize = 4_096;

/// Roots the watch thread may be given from before compactions it has not seen yet. More are
/// only taken in an unheard-of hurry; watches then learn of the compaction instead of its events.
pub const WATCH_PENDING_ROOTS: usize = 16;

/// Changes waiting for the backend, in bytes; more pauses the apply thread.
pub const BACKEND_QUEUE_BYTES: usize = 64 << 20;

/// The backend commits when this much has come together…
pub const BACKEND_COMMIT_BYTES: usize = 16 << 20;

/// … or this much time has passed since the first change; etcd's interval.
pub const BACKEND_COMMIT_INTERVAL: Duration = Duration::from_millis(100);

/// Entries applied before a new root is published: bounds the latency of the first of a batch.
pub const APPLY_BATCH: usize = 512;

/// Versions visited by one step of physical compaction; a step takes well under a millisecond.
pub const SWEEP_BUDGET: usize = 500;

/// How long a stopping member waits for its connections to end.
pub const STOP_GRACE: Duration = Duration::from_millis(500);
