//! Keys in one global order: numbers below a prefix, without a gap and without a duplicate, from any
//! number of writers.
//!
//! The layout is that of etcd's recipes (`client/v3/experimental/recipes/key.go`, used by its
//! priority queue): the items are `<prefix>/<number, 16 digits>`, and `__<prefix>` is written with
//! every item, so that two writers never take one number. The recipes go on from the last key that is
//! there, and give a number twice when that one was deleted. Here the value of `__<prefix>`, which is
//! empty there, keeps the last number: `<number> <id of the transaction in hexadecimal>`.

use std::time::Duration;

use rand::Rng as _;
use thiserror::Error;
use tokio::time::sleep;

use crate::connection::Connection;
use crate::edit::may_have_written;
use crate::failure::Failure;
use crate::pb;
use crate::queue;
use crate::range::KeyRange;
use crate::request::{Compare, CompareOp, CompareTarget, Get, Op, Put, SortOrder, SortTarget, Txn};

/// The items below one prefix.
#[derive(Clone)]
pub struct Sequence {
    connection: Connection,
    layout: Layout,
}

/// Where its keys are: what is before the numbers, without the separator.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout(Vec<u8>);

/// Items that were put, all in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The number of the first; the others follow.
    pub first: u64,
    pub revision: i64,
    /// Their keys, in order.
    pub keys: Vec<Vec<u8>>,
}

#[derive(Debug, Error)]
pub enum SequenceError {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error("others put something {attempts} times before this could; nothing was put")]
    Contended { attempts: u32 },
    /// It may have been put, and may still be.
    #[error("whether the items were put at number {first} is unknown: {failure}")]
    Unknown { first: u64, failure: Failure },
    #[error("{} is no number, so it is not known how the order goes on", key.escape_ascii())]
    NoNumber { key: Vec<u8> },
    #[error("there are no numbers left")]
    Full,
}

/// Items in one transaction: etcd takes 128 operations, and one is for the counter.
pub const MAX_ITEMS: usize = 127;

/// Digits of a number, as in etcd's recipes: in key order they are in order.
const DIGITS: usize = 16;

const LAST_NUMBER: u64 = 10_u64.pow(16) - 1;

/// Of those who try at the same time one gets through each time, so this is a queue of as many.
const MAX_ATTEMPTS: u32 = 100;

/// A pause after an attempt that somebody else was faster than: at random, up to this at first and
/// twice as much each time, so that all do not come back at once.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const MAX_DOUBLINGS: u32 = 6;

/// How often is asked what became of a transaction without an answer. Each time takes as long as a
/// command may.
const MAX_INQUIRIES: u32 = 3;

/// Writers that are looked back over to find who was the next: further back, history is gone.
const MAX_LOOKED_BACK: usize = 1000;

/// Where the order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    /// The counter's modification revision; 0 if there is none yet.
    revision: i64,
    next: u64,
}

/// What a guarded transaction came to.
enum Outcome {
    Placed(Placed),
    /// Somebody was faster.
    Moved(Position),
}

impl Sequence {
    /// A separator at the end of the prefix is the one before the numbers.
    pub fn new(connection: &Connection, prefix: &[u8]) -> Self {
        Self { connection: connection.clone(), layout: Layout::new(prefix) }
    }

    /// Every item from this number on, and nothing else that is below the prefix.
    pub fn range_from(&self, number: u64) -> KeyRange {
        self.layout.range_from(number)
    }

    /// The number of an item; `None` for a key that is none.
    pub fn number(&self, key: &[u8]) -> Option<u64> {
        self.layout.number(key)
    }

    /// The number that the next item would get.
    pub async fn next(&self) -> Result<u64, SequenceError> {
        Ok(self.position().await?.next)
    }

    /// Puts at most [`MAX_ITEMS`] at the end of the order, all or none.
    ///
    /// A transaction without an answer is never repeated blindly: it can only be done while the
    /// counter stands where it stood, so it is sent again only then, and once the counter has gone
    /// on, its history tells by the id whether it was done.
    pub async fn put(&self, values: &[Vec<u8>], lease: i64) -> Result<Placed, SequenceError> {
        let id = rand::rng().random::<u64>();
        let mut position = self.position().await?;
        for attempt in 0..MAX_ATTEMPTS {
            if LAST_NUMBER - position.next.min(LAST_NUMBER) < values.len() as u64 {
                return Err(SequenceError::Full);
            }
            match self.put_at(position, values, lease, id).await? {
                Outcome::Placed(placed) => return Ok(placed),
                Outcome::Moved(moved) => position = moved,
            }
            let longest = FIRST_PAUSE * 2_u32.pow(attempt.min(MAX_DOUBLINGS));
            sleep(longest.mul_f64(rand::rng().random::<f64>())).await;
        }
        Err(SequenceError::Contended { attempts: MAX_ATTEMPTS })
    }

    async fn put_at(
        &self,
        position: Position,
        values: &[Vec<u8>],
        lease: i64,
        id: u64,
    ) -> Result<Outcome, SequenceError> {
        let keys: Vec<_> =
            (position.next..).map(|number| self.layout.key(number)).take(values.len()).collect();
        let last = position.next + values.len().saturating_sub(1) as u64;
        let items = keys.iter().zip(values);
        let items = items
            .map(|(key, value)| Op::Put(Put { lease, ..Put::new(key.clone(), value.clone()) }));
        let counter = Op::Put(Put::new(self.layout.counter(), format!("{last} {id:016x}")));
        let txn = Txn {
            compares: vec![is_at(self.layout.counter(), position.revision), is_free(&keys)],
            success: [counter].into_iter().chain(items).collect(),
            failure: self.look(),
        };
        let placed = |revision| {
            Outcome::Placed(Placed { first: position.next, revision, keys: keys.clone() })
        };
        let mut unknown = None;
        for _ in 0..MAX_INQUIRIES {
            match self.connection.txn(txn.clone()).await {
                Ok(answer) if answer.succeeded => {
                    return Ok(placed(queue::revision(answer.header.as_ref())));
                }
                Ok(answer) => {
                    let moved = self.position_of(&answer.responses)?;
                    if let Some(failure) = unknown {
                        let first = position.next;
                        let unknown = |_| SequenceError::Unknown { first, failure };
                        if let Some(revision) =
                            self.done_by(id, position, moved).await.map_err(unknown)?
                        {
                            return Ok(placed(revision));
                        }
                    }
                    return Ok(Outcome::Moved(moved));
                }
                Err(failure) if may_have_written(&failure) => unknown = Some(failure),
                Err(failure) => match unknown {
                    None => return Err(failure.into()),
                    // Nothing more can be asked.
                    Some(failure) => {
                        return Err(SequenceError::Unknown { first: position.next, failure });
                    }
                },
            }
        }
        match unknown {
            Some(failure) => Err(SequenceError::Unknown { first: position.next, failure }),
            None => Err(SequenceError::Contended { attempts: MAX_INQUIRIES }),
        }
    }

    /// The revision at which this id was the first to move the counter on from `position`, if it
    /// was.
    async fn done_by(
        &self,
        id: u64,
        position: Position,
        moved: Position,
    ) -> Result<Option<i64>, Failure> {
        let mut at = moved.revision;
        for _ in 0..MAX_LOOKED_BACK {
            let get = |revision| Get { revision, ..Get::key(self.layout.counter()) };
            let here = self.connection.get(get(at)).await?;
            let Some(kv) = here.kvs.first() else { break };
            let before = self.connection.get(get(kv.mod_revision - 1)).await?;
            let before = before.kvs.first().map_or(0, |kv| kv.mod_revision);
            if before <= position.revision {
                let is_own = kv.value.ends_with(format!(" {id:016x}").as_bytes());
                return Ok(is_own.then_some(kv.mod_revision));
            }
            at = before;
        }
        Err(Failure::of_reason("the counter's history does not tell"))
    }

    async fn position(&self) -> Result<Position, SequenceError> {
        let txn = Txn { success: self.look(), ..Txn::default() };
        let answer = self.connection.txn(txn).await?;
        self.position_of(&answer.responses)
    }

    /// Asks for the counter, and for the last item: whoever keeps to etcd's recipes alone leaves the
    /// counter empty.
    fn look(&self) -> Vec<Op> {
        let sort = Some((SortTarget::Key, SortOrder::Descend));
        let last =
            Get { range: self.range_from(0), sort, limit: 1, keys_only: true, ..Get::default() };
        vec![Op::Get(Get::key(self.layout.counter())), Op::Get(last)]
    }

    fn position_of(&self, responses: &[pb::ResponseOp]) -> Result<Position, SequenceError> {
        let mut found = responses.iter().map(|response| match &response.response {
            Some(pb::ResponseOpKind::ResponseRange(range)) => range.kvs.first(),
            _ => None,
        });
        let (counter, last) = (found.next().flatten(), found.next().flatten());
        let counted = counter.and_then(|kv| counted(&kv.value));
        let last = match last {
            Some(kv) => Some(
                self.number(&kv.key)
                    .ok_or_else(|| SequenceError::NoNumber { key: kv.key.clone() })?,
            ),
            None => None,
        };
        Ok(Position {
            revision: counter.map_or(0, |kv| kv.mod_revision),
            next: counted.max(last).map_or(0, |number| number.saturating_add(1)),
        })
    }
}

impl Layout {
    fn new(prefix: &[u8]) -> Self {
        Self(prefix.strip_suffix(b"/").unwrap_or(prefix).to_vec())
    }

    fn range_from(&self, number: u64) -> KeyRange {
        // What follows the digits of the last number is no digit.
        let end = [&self.0[..], b"/:"].concat();
        KeyRange::between(self.key(number), end)
    }

    fn number(&self, key: &[u8]) -> Option<u64> {
        let digits = key.strip_prefix(&self.0[..])?.strip_prefix(b"/")?;
        let is_number = digits.len() == DIGITS && digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| str::from_utf8(digits).ok()?.parse().ok()).flatten()
    }

    fn key(&self, number: u64) -> Vec<u8> {
        [&self.0[..], b"/", format!("{number:0DIGITS$}").as_bytes()].concat()
    }

    fn counter(&self) -> Vec<u8> {
        [b"__", &self.0[..]].concat()
    }
}

/// The last number, by the counter's value.
fn counted(value: &[u8]) -> Option<u64> {
    str::from_utf8(value).ok()?.split(' ').next()?.parse().ok()
}

fn is_at(key: Vec<u8>, revision: i64) -> Compare {
    let (range, target) = (KeyRange::single(key), CompareTarget::ModRevision(revision));
    Compare { range, op: CompareOp::Equal, target }
}

/// That none of these keys, which follow one another, is there.
fn is_free(keys: &[Vec<u8>]) -> Compare {
    let range = match keys {
        [first, .., last] => KeyRange::between(first.clone(), [&last[..], &[0]].concat()),
        _ => KeyRange::single(keys.concat()),
    };
    Compare { range, op: CompareOp::Equal, target: CompareTarget::CreateRevision(0) }
}

#[cfg(test)]
mod tests {
    use super::{LAST_NUMBER, Layout, counted};

    #[test]
    fn the_keys_are_those_of_etcds_recipes() {
        for prefix in [&b"/jobs"[..], b"/jobs/"] {
            let jobs = Layout::new(prefix);
            assert_eq!(jobs.key(42), b"/jobs/0000000000000042");
            assert_eq!(jobs.counter(), b"__/jobs");
            assert_eq!(jobs.number(&jobs.key(42)), Some(42));
            assert_eq!(jobs.number(&jobs.key(LAST_NUMBER)), Some(LAST_NUMBER));
            assert!(
                jobs.range_from(7).holds(&jobs.key(7)) && !jobs.range_from(7).holds(&jobs.key(6))
            );
            for other in
                [&b"/jobs/42"[..], b"/jobs", b"/jobs/00000000000000x2", b"/other/0000000000000042"]
            {
                assert_eq!(jobs.number(other), None);
            }
        }
    }

    #[test]
    fn a_counter_that_only_marks_a_write_counts_nothing() {
        assert_eq!(counted(b"17 00000000000000ff"), Some(17));
        assert_eq!((counted(b""), counted(b"\xff"), counted(b"x 1")), (None, None, None));
    }
}
