//! The state machine: keys with their history, leases, alarms and members.

mod change;
mod reply;
mod version;

pub use change::{Change, Position, Table};
pub use reply::{Applied, DeleteReply, OpReply, PutReply, RangeReply, Reply, TxnReply};
pub use version::{Revision, Value, Version};
