//! The member in motion: the threads around the pure heart, and what they share.
//!
//! ```text
//! services ──▶ inbox ──▶ node thread ──▶ log thread ──▶ (persisted) ──▶ inbox
//!                            │──▶ peers
//!                            └──▶ apply thread ──▶ answers, readers, watch thread
//!                                      └──▶ backend thread ──▶ (durable) ──▶ apply thread
//! ```
//!
//! Each thread owns what it changes: the node thread the consensus, the log thread the log, the
//! apply thread the store, the backend thread the backend, the watch thread the hub. They talk by
//! queues, and readers read an immutable root. No thread waits for another but the apply thread
//! for a backend that is far behind. A panic or an error of the disk on any of them stops the
//! member, with a reason.

mod apply_thread;
mod auto_compaction;
mod backend_thread;
mod defragment;
mod divergence;
mod handle;
mod leases;
mod listeners;
mod log_thread;
mod member;
mod node_thread;
mod publish;
mod queue;
mod quota;
mod read_budget;
mod snapshots;
mod start;
mod stop;
mod waiters;
mod watches;

pub use handle::RequestError;
pub use listeners::{Listeners, LocalMember, local_cluster};
pub use member::{Member, Stopper};
pub use start::StartError;
pub use stop::Reason;

pub(crate) use handle::{Handle, Leadership};
pub(crate) use quota::Space;
pub(crate) use read_budget::Charge;
pub(crate) use snapshots::Held;
pub(crate) use start::Newborn;
pub(crate) use stop::Stop;
pub(crate) use watches::{Batch, Outgoing, WatchRequest, WatchSender, WatchStream, Watches};
