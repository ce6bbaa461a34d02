//! What keys were, and what became of them: etcd keeps every revision until it is compacted.
//!
//! - [`walk`] goes back through one key's life, from a revision at which it is there.
//! - [`Replay`] reads everything that happened to a range since the oldest revision that is kept,
//!   deletions included. It makes a server read all that happened since then to any key, so that it
//!   is never begun unasked.
//! - [`Difference`] compares two states of a keyspace, key by key.
//! - [`rollback`](rollback()) finds what makes a prefix what it was, [`undoing`] finds what takes a write back.

mod difference;
mod replay;
mod rollback;
mod undo;
mod walk;

pub use difference::{Difference, DifferenceError, Pair, Source};
pub use replay::{Happening, Kind, Replay, ReplayError, Window, follower, window};
pub use rollback::{Rollback, RollbackRequest, rollback};
pub use undo::{Undoing, undoing};
pub use walk::{End, Walked, walk};

use crate::connection::Connection;
use crate::failure::Failure;
use crate::pb;
use crate::request::{Get, Op, Txn};

/// Keys of one plan: their names and revisions are all held at once.
pub const MOST_KEYS: usize = 1_000_000;

/// Questions put into one request: what a server takes is 128.
pub const ASKED_AT_ONCE: usize = 64;

/// Asks for one key each, all in one request; `None` where there was none. At most
/// [`ASKED_AT_ONCE`].
pub async fn read_each(
    connection: &Connection,
    gets: Vec<Get>,
) -> Result<Vec<Option<pb::KeyValue>>, Failure> {
    if gets.is_empty() {
        return Ok(Vec::new());
    }
    let success = gets.into_iter().map(Op::Get).collect();
    let answer = connection.txn(Txn { success, ..Txn::default() }).await?;
    let kv = |response: pb::ResponseOp| match response.response {
        Some(pb::ResponseOpKind::ResponseRange(mut range)) => range.kvs.pop(),
        _ => None,
    };
    Ok(answer.responses.into_iter().map(kv).collect())
}
