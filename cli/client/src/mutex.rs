//! Locks: of all who want one, one has it at a time, in the order in which they came.

use thiserror::Error;

use crate::failure::Failure;
use crate::pb;
use crate::queue;
use crate::range::KeyRange;
use crate::request::{Compare, CompareOp, CompareTarget, Get, Op, Put, Txn};
use crate::session::LeaseSession;

/// A lock that is held for as long as its session lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    /// Where it is, `<name>/<lease in hexadecimal>`; the lock is lost when this key is.
    pub key: Vec<u8>,
    /// When it was got. Of two who have the lock one after the other, the later one has the higher
    /// revision, so that whoever is written to can refuse the earlier one.
    pub revision: i64,
    /// The fencing token: when its key was made. Who has the lock later has a higher one, and it is
    /// what [`crate::explore::locks`] shows.
    pub token: i64,
}

/// What came of wanting a lock at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    Held(HeldLock),
    /// Somebody else has it.
    Taken {
        /// The holder's token.
        token: i64,
        /// The holder's lease.
        lease: i64,
        /// How many wait behind the holder.
        waiting: i64,
    },
}

/// The part of a line that is before a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// The holder's token.
    pub token: i64,
    /// The holder's lease.
    pub lease: i64,
    /// How many wait behind the holder, at most 999.
    pub waiting: usize,
}

/// Of those who stand ahead. Behind them nobody's turn is near.
const MOST_COUNTED: i64 = 1000;

/// Why there is no lock.
#[derive(Debug, Clone, Error)]
pub enum LockError {
    #[error("mutex: session is expired")]
    Expired,
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl LeaseSession {
    /// Waits in line for the lock `name`, and has it.
    ///
    /// Whether the future ends with an error or is dropped, the session may be left with a place in
    /// the line; closing it gives that up.
    pub async fn lock(&self, name: &[u8]) -> Result<HeldLock, LockError> {
        tokio::select! {
            locked = self.wait_in_line(name) => locked,
            () = self.ended() => Err(LockError::Expired),
        }
    }

    /// Has the lock `name` if nobody has it or waits for it; never stands in the line.
    pub async fn try_lock(&self, name: &[u8]) -> Result<Tried, LockError> {
        tokio::select! {
            tried = self.enter_if_empty(name) => Ok(tried?),
            () = self.ended() => Err(LockError::Expired),
        }
    }

    /// Who stands in the line for the lock `name` before this session; `None` if nobody does, or
    /// this session is not in it.
    pub async fn ahead(&self, name: &[u8]) -> Result<Option<Ahead>, Failure> {
        let (connection, prefix) = (self.connection(), queue::prefix(name));
        let own = connection.get(Get::key(queue::key(&prefix, self.lease()))).await?;
        let Some(own) = own.kvs.first() else { return Ok(None) };
        let line = Get {
            max_create_revision: own.create_revision - 1,
            keys_only: true,
            limit: MOST_COUNTED,
            ..queue::first(&prefix)
        };
        let line = connection.get(line).await?;
        Ok(line.kvs.first().map(|holder| Ahead {
            token: holder.create_revision,
            lease: holder.lease,
            waiting: line.kvs.len() - 1,
        }))
    }

    async fn enter_if_empty(&self, name: &[u8]) -> Result<Tried, Failure> {
        let prefix = queue::prefix(name);
        let key = queue::key(&prefix, self.lease());
        let txn = Txn {
            // Of a range without keys, this holds; every key in it has been created.
            compares: vec![Compare {
                range: KeyRange::prefix(prefix.as_slice()),
                op: CompareOp::Equal,
                target: CompareTarget::CreateRevision(0),
            }],
            success: vec![Op::Put(Put { lease: self.lease(), ..Put::new(key.clone(), "") })],
            failure: vec![Op::Get(queue::first(&prefix))],
        };
        let answer = self.connection().txn(txn).await?;
        let revision = queue::revision(answer.header.as_ref());
        let found = answer.responses.first().and_then(|response| match &response.response {
            Some(pb::ResponseOpKind::ResponseRange(range)) => Some(range),
            _ => None,
        });
        Ok(match found.and_then(|range| Some((range.kvs.first()?, range.count))) {
            None => Tried::Held(HeldLock { key, revision, token: revision }),
            Some((holder, count)) => Tried::Taken {
                token: holder.create_revision,
                lease: holder.lease,
                waiting: count - 1,
            },
        })
    }

    async fn wait_in_line(&self, name: &[u8]) -> Result<HeldLock, LockError> {
        let (connection, prefix) = (self.connection(), queue::prefix(name));
        let key = queue::key(&prefix, self.lease());
        let answer = connection.txn(enter(&prefix, &key, self.lease())).await?;
        let now = queue::revision(answer.header.as_ref());
        let mut found = answer.responses.iter().map(first_kv);
        let (own, first) = (found.next().flatten(), found.next().flatten());
        // A session that is in the line already keeps its place.
        let own = if answer.succeeded { now } else { own.ok_or(LockError::Expired)? };
        if first.is_none_or(|first| first == own) {
            return Ok(HeldLock { key, revision: now, token: own });
        }
        queue::wait_for_turn(connection, &prefix, own).await?;
        let still = connection.get(Get::key(key.clone())).await?;
        if still.kvs.is_empty() {
            return Err(LockError::Expired);
        }
        Ok(HeldLock { key, revision: queue::revision(still.header.as_ref()), token: own })
    }
}

/// Makes the key unless it is there, and asks in the same breath whose turn it is.
fn enter(prefix: &[u8], key: &[u8], lease: i64) -> Txn {
    let first = || Op::Get(queue::first(prefix));
    Txn {
        compares: vec![Compare {
            range: KeyRange::single(key),
            op: CompareOp::Equal,
            target: CompareTarget::CreateRevision(0),
        }],
        success: vec![Op::Put(Put { lease, ..Put::new(key, "") }), first()],
        failure: vec![Op::Get(Get::key(key)), first()],
    }
}

/// The create revision of the key that was found, if one was.
fn first_kv(response: &pb::ResponseOp) -> Option<i64> {
    match &response.response {
        Some(pb::ResponseOpKind::ResponseRange(range)) => {
            range.kvs.first().map(|kv| kv.create_revision)
        }
        _ => None,
    }
}
