//! What keys were, and what became of them: etcd keeps every revision until it is compacted.
//!
//! - [`walk`] goes back through one key's life, from a revision at which it is there.
//! - [`Replay`] reads everything that happened to a range since the oldest revision that is kept,
//!   deletions included. It makes a server read all that happened since then to any key, so that it
//!   is never begun unasked.
//! - [`Difference`] compares two states of a keyspace, key by key.
//! - [`rollback`](rollback()) finds what makes a prefix what it was, [`undoing`] finds what takes a write back.

mod difference;
mod proof;
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

/// Questions put into one request: what a server takes is 128, unless it is set to fewer.
pub const ASKED_AT_ONCE: usize = 64;

/// Keys of which two values are read in one request: a value is at most 1.5 MiB, unless a server is
/// set otherwise.
pub const COMPARED_AT_ONCE: usize = 8;

/// Asks for one key each, in one request or in as few as the server takes; `None` where there was
/// none. More than [`ASKED_AT_ONCE`] would make answers that are hard to hold.
pub async fn read_each(
    connection: &Connection,
    gets: Vec<Get>,
) -> Result<Vec<Option<pb::KeyValue>>, Failure> {
    let mut found = Vec::with_capacity(gets.len());
    let mut left = &gets[..];
    while !left.is_empty() {
        let count = left.len().min(connection.most_ops());
        let success = left[..count].iter().cloned().map(Op::Get).collect();
        let answer = match connection.txn(Txn { success, ..Txn::default() }).await {
            Err(failure) if failure.is_too_many_ops() && count > 1 => {
                connection.lower_most_ops(count / 2);
                continue;
            }
            answer => answer?,
        };
        if answer.responses.len() != count {
            return Err(Failure::Config("the server has not answered every question".to_owned()));
        }
        found.extend(answer.responses.into_iter().map(only_kv));
        left = &left[count..];
    }
    Ok(found)
}

fn only_kv(response: pb::ResponseOp) -> Option<pb::KeyValue> {
    match response.response {
        Some(pb::ResponseOpKind::ResponseRange(mut range)) => range.kvs.pop(),
        _ => None,
    }
}
