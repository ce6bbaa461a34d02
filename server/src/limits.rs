//! Every bound of the member, with its reason.

use std::time::Duration;

/// Largest encoded request; etcd's default.
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 3 * 512 * 1024;

/// What `--max-request-bytes` may be raised to: a request must fit into one message between
/// members with room to spare.
pub const HIGHEST_MAX_REQUEST_BYTES: usize = 16 << 20;

/// Entries applied between two cuts of the log; etcd 3.6's default.
pub const DEFAULT_SNAPSHOT_COUNT: u64 = 10_000;

/// Entries that a cut leaves, so that a member a little behind needs no snapshot; etcd's figure.
pub const DEFAULT_SNAPSHOT_CATCHUP_ENTRIES: u64 = 5_000;

/// What gRPC may add to a request before it is refused unread; etcd's figure.
pub const GRPC_OVERHEAD_BYTES: usize = 512 * 1024;

/// Most operations in one branch of a transaction; etcd's default.
pub const DEFAULT_MAX_TXN_OPS: usize = 128;

/// Transactions within transactions. The decoder takes 100 messages within each other, a level
/// costs two, and an entry of the log has one more around it: what a client may send must be
/// readable from the log, or no member could ever apply it. Nobody writes more than two by hand.
pub const MAX_TXN_DEPTH: usize = 32;

/// Streams of one client connection at a time, unless `--max-concurrent-streams` says otherwise; a
/// client waits with more. etcd sets no bound, but what an answer waits in for a client that takes
/// nothing is up to `WHOLE_ANSWER_BYTES` a stream: so one connection cannot pin more than some 128
/// MiB. The busiest clients watch a thousand things, each by itself.
pub const DEFAULT_MAX_CONCURRENT_STREAMS: u32 = 2_000;

/// Committed entries that may wait to be applied before writes are refused; etcd's figure.
pub const MAX_APPLY_GAP: u64 = 5_000;

/// Client requests under way in one member. Ten times what a thousand busy clients have; a
/// request costs about 1 KiB besides its data.
pub const MAX_PENDING_REQUESTS: usize = 10_000;

/// Bytes of requests that clients have begun to send and not ended, on all connections to the same
/// listeners together: some seventy of the largest. Most are whole when their beginning is seen.
pub const PARTIAL_REQUESTS_BYTES: usize = 128 << 20;

/// Time for a request to become whole once it has begun: the largest at 50 kB/s.
pub const REQUEST_ARRIVES_WITHIN: Duration = Duration::from_secs(30);

/// Long requests of JSON that are translated at a time; more wait for their turn, so that there are
/// threads left for those who read.
pub const GATEWAY_TRANSLATIONS: usize = 2;

/// Messages within one that comes as JSON, whatever `--max-txn-ops` says: empty ones are two bytes
/// of a text and a hundred times that once they are read. 16,000 operations are far beyond what
/// anybody sets.
pub const GATEWAY_MESSAGES: usize = 1 << 16;

/// Bytes of writes under way in one member: they are held until applied, some of them twice.
pub const MAX_PENDING_BYTES: usize = 128 << 20;

/// Leases expired by one entry, and keys deleted with them, but for what the last of them adds: at
/// some 10 µs each the others who write wait for it a few milliseconds.
pub const EXPIRE_BATCH: usize = 200;

/// Between two such entries while more leases are out of time: small portions often, not large ones
/// now and then, so that no write waits long. A burst takes a fifth of the log's and the apply
/// thread's time, and 100,000 leases with a key each end within some ten seconds. etcd ends 1,000 a
/// second.
pub const EXPIRE_PAUSE: Duration = Duration::from_millis(10);

/// Checkpoints of leases in one entry; etcd's figure.
pub const CHECKPOINT_BATCH: usize = 1_000;

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

/// Largest chunk of a snapshot that a member takes: twice what any sends, which is a frame and one
/// record more.
pub const MAX_SNAPSHOT_CHUNK_BYTES: usize = 2 * (PEER_FRAME_BYTES + HIGHEST_MAX_REQUEST_BYTES);

/// How long the sender or the receiver of a snapshot waits for the other: a link or a disk too
/// slow for a chunk in this time is of no use, and the state that is held holds up physical
/// compaction.
pub const SNAPSHOT_STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long sending a snapshot to a member may take in all: 8 GB, the largest quota anyone should
/// set, at 10 MB/s.
pub const SNAPSHOT_MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// How slowly a client may take a snapshot on the whole, in bytes a second: a line of 2 Mbit/s still
/// makes a backup, of the 2 GiB of the default quota in some two hours. Slower, and history that a
/// compaction has ended would be held for days.
pub const SNAPSHOT_CLIENT_RATE_MIN: u64 = 256 * 1024;

/// What a client may take besides: a small file is not late because of one pause.
pub const SNAPSHOT_CLIENT_GRACE: Duration = Duration::from_secs(15 * 60);

/// Snapshots sent to clients at once. Each has a thread and keeps what it reads from being swept;
/// nobody makes more than two backups at a time.
pub const MAX_SENT_SNAPSHOTS: usize = 4;

/// One message of a snapshot for a client: few enough messages for a large file, and far below
/// what any client takes.
pub const SNAPSHOT_CHUNK_BYTES: usize = 128 * 1024;

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

/// Connections of clients, and of peers; fewer if the process may not open so many files. Ten
/// times what a busy cluster has; an idle one costs some KiB.
pub const MAX_CONNECTIONS: usize = 10_000;

/// Connections that are served however few files the process may open: a handful of clients each
/// with a few.
pub const MIN_CONNECTIONS: usize = 64;

/// How long nothing may be heard on a TCP connection before the system asks whether the other end
/// is there, and between two questions; etcd's figure.
pub const TCP_KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Connections to the listeners for metrics: a few that scrape, and whoever looks.
pub const METRICS_CONNECTIONS: usize = 64;

/// Open files kept back from connections: log, backend, lock, listeners, what is dialled to peers,
/// and connections for metrics. A member that cannot open its next log file stops.
pub const OPEN_FILES_RESERVE: u64 = 64 + METRICS_CONNECTIONS as u64;

/// Open files a server asks the system for, as far as it is let: all connections, and the rest.
pub const OPEN_FILES_WANTED: u64 = 2 * MAX_CONNECTIONS as u64 + OPEN_FILES_RESERVE;

/// Time for a connection to finish its handshake and to send the head of its first request, or in
/// HTTP/2 to settle in; etcd 3.7's for the former. Clients do so at once; one that does not takes a
/// place from others.
pub const CONNECTION_OPENING_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for the first request of an HTTP/2 connection whose client has settled in. One that dials
/// long before it asks anything dials again without anyone noticing.
pub const CONNECTION_FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Streams a client may have reset before they were looked at; more is an attack (CVE-2023-44487),
/// and ends the connection. h2's figure.
pub const HTTP2_PENDING_RESETS: usize = 20;

/// Streams that were reset here because of what the client sent; more ends the connection. h2's
/// figure (RUSTSEC-2024-0003).
pub const HTTP2_LOCAL_RESETS: usize = 1_024;

/// Largest head of a request. A token of many roles takes some KiB.
pub const HTTP_HEAD_BYTES: usize = 64 << 10;

/// Bytes of an answer that wait for a client to take them, per stream; hyper's figure.
pub const HTTP2_SEND_BUFFER_BYTES: usize = 400 << 10;

/// Time for the head of an HTTP/1 request, and between two requests; hyper's default.
pub const HTTP1_HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers up to this size are made in memory as a whole; larger ones go out in chunks, under the
/// budget and with a deadline. Most answers by far are smaller, and one message is cheaper than a
/// chain of chunks.
pub const WHOLE_ANSWER_BYTES: usize = 64 << 10;

/// A chunk of a large answer: some socket buffers full, little enough that hundreds of slow clients
/// fit into the budget.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Chunks of large answers that are made at a time, a fraction of a millisecond each. With one for
/// each client that lists, threads that make them would keep the cores from whoever writes.
pub const CHUNK_MAKERS: usize = 2;

/// Values from this size on go out as they are held, without being copied into a chunk.
pub const SHARED_VALUE_BYTES: usize = 16 * 1024;

/// What gRPC's clients can take in one message: a signed 32-bit length.
pub const MAX_MESSAGE_BYTES: u32 = i32::MAX as u32;

/// Reads that look for answers which may be large, at a time: twice what the threads of a small
/// machine get done. Each may list every key there is, at 8 bytes a key.
pub const LARGE_READS: usize = 4;

/// Memory of all large answers on their way: lists at 8 bytes a key, and chunks. It is room for 10
/// lists of a million keys, or 200 clients that are slow.
pub const READ_BUDGET_BYTES: usize = 128 << 20;

/// Lists of answers that wait for room in that budget; more are turned away. Without it each of
/// those that may wait could bring a million keys.
pub const WAITING_LISTS_BYTES: usize = 64 << 20;

/// Reads that may wait for a turn or for memory; each is a request of at most
/// `--max-request-bytes`.
pub const WAITING_READS: usize = 1_000;

/// Old values that one answer may be sorted by: they are not in memory until then.
pub const SORTED_VALUES_BYTES: usize = 64 << 20;

/// Versions that an answer may look at on the thread that serves clients, about 100 µs; more are
/// looked at beside it.
pub const INLINE_LOOKS: u64 = 1_000;

/// Versions that one transaction may look at, in comparisons too: a second's work, and ten times a
/// million keys.
pub const TXN_LOOKS: u64 = 10_000_000;

/// How long finding the answer to a transaction may take. What reading the past takes is not known
/// before.
pub const TXN_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Keys in a chunk of a streamed range at first; adapted to `STREAM_CHUNK_BYTES`.
pub const STREAM_CHUNK_KEYS: i64 = 10;

/// Target size of a chunk of a streamed range.
pub const STREAM_CHUNK_BYTES: usize = DEFAULT_MAX_REQUEST_BYTES;

/// How long a streamed range, or a large answer, waits for its client to take a chunk: a link too
/// slow for one in this time is of no use, and the state that is read holds up physical compaction.
pub const LARGE_READ_SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a streamed range, or a large answer, may take in all, to within one more wait for its
/// client: the shortest usual interval between compactions, so that it holds up one at most.
pub const LARGE_READ_MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// Replies the hub may make for one watch stream before the shell gives it more credit: as many as
/// are handed over at a time, far below `WATCH_STREAM_REPLIES`.
pub const WATCH_STREAM_CREDIT: usize = 64;

/// Bytes of replies on their way to one stream's client, beyond which it gets no more events. Each
/// holds about 1 MiB at most, so this is what a client that does not read can cost, but for what its
/// connection buffers.
pub const WATCH_STREAM_BYTES: usize = 4 << 20;

/// Replies waiting for one stream's client, beyond which it gets no more credit: created and
/// progress replies have no events, but are not free.
pub const WATCH_STREAM_REPLIES: usize = 4_096;

/// Events up to this size are encoded on the thread that serves clients, if their values are in
/// memory: some ten microseconds, less than to have another thread do it.
pub const INLINE_EVENTS_BYTES: usize = 16 << 10;

/// Responses to watches that are made at a time, if they are long or their values are read back. A
/// thousand watches that come back at once would otherwise keep all threads for such work busy, and
/// these the cores: whoever writes meanwhile would wait for its turn among them.
pub const WATCH_READERS: usize = 2;

/// How long a watch stream waits for its client to take a response. Waiting events keep what they
/// refer to from being compacted; a client that was only slow resumes by revision. Longer than
/// a pause for garbage or a lost link takes, shorter than the usual interval between compactions.
pub const WATCH_SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// Changes waiting for the backend, in bytes; more pauses the apply thread.
pub const BACKEND_QUEUE_BYTES: usize = 64 << 20;

/// The backend commits when this much has come together…
pub const BACKEND_COMMIT_BYTES: usize = 16 << 20;

/// … or this much time has passed since the first change; etcd's interval.
pub const BACKEND_COMMIT_INTERVAL: Duration = Duration::from_millis(100);

/// What one step of a defragmentation copies: written in some ten milliseconds, for so long do
/// the store's own commits wait.
pub const DEFRAGMENT_STEP_BYTES: usize = 1 << 20;

/// Versions visited by one step of `HashKV`, a few milliseconds: between two steps other work gets
/// a thread, and a client that has gone ends it.
pub const HASH_STEP_VERSIONS: usize = 4_096;

/// Entries applied before a new root is published: bounds the latency of the first of a batch.
pub const APPLY_BATCH: usize = 512;

/// Versions visited by one step of physical compaction; a step takes well under a millisecond.
pub const SWEEP_BUDGET: usize = 500;

/// How long a stopping member waits for its connections to end.
pub const STOP_GRACE: Duration = Duration::from_millis(500);

/// Calls that wait for a lock or to lead, and observers of elections, in one member: as many as
/// requests that are under way. Each has a task and a stream of watches, some KiB.
pub const MAX_WAITS: usize = MAX_PENDING_REQUESTS;

/// The costs bcrypt has: each is twice the work of the one before.
pub const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=31;

/// etcd's default: some 50 ms of a core for each password.
pub const DEFAULT_BCRYPT_COST: u32 = 10;

/// bcrypt looks at no more of a password.
pub const MAX_PASSWORD_BYTES: usize = 72;

/// Passwords that may wait to be hashed: at the default cost, as many as one core hashes within
/// half of the shortest time a request may take; who waits longer is about to give up.
pub const PASSWORD_QUEUE: usize = 64;

/// New passwords that may wait to be hashed, apart from logins: more than anybody sets at a time.
pub const NEW_PASSWORD_QUEUE: usize = 16;

/// How much of a name that anybody may send is written into the log: enough to know whose it is.
pub const LOGGED_NAME_CHARS: usize = 64;

/// How long a simple token lives after its last use; etcd's default.
pub const DEFAULT_AUTH_TOKEN_TTL: Duration = Duration::from_secs(300);

/// Simple tokens a member remembers, about 20 MB of them. Each has cost a password: more than
/// two cores check in the default life of a token. Beyond it the one used longest ago ends.
pub const MAX_SIMPLE_TOKENS: usize = 1 << 16;
