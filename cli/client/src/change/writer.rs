//! Guarded transactions, no larger than a server takes.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use tonic::Code;

use super::{Applied, Change, Conflict, Stopped, Target};
use crate::connection::Connection;
use crate::edit::may_have_written;
use crate::failure::Failure;
use crate::pb;
use crate::range::KeyRange;
use crate::request::{Compare, CompareOp, CompareTarget, Delete, Get, Op, Put, Txn};
use crate::travel::read_each;

/// Writes changes in transactions. `applied` hears of each, and can stop what comes after it.
pub struct Writer<F> {
    connection: Connection,
    applied: F,
    /// Steps in the order they came; the changes of one go into one transaction.
    waiting: VecDeque<Vec<Change>>,
    most_changes: usize,
    most_bytes: usize,
}

/// Keys and values of one transaction. A server takes 1.5 MiB, unless it is set otherwise, and there
/// is room for what surrounds them.
const MOST_BYTES: usize = 1 << 20;

/// Values read at a time. As values are at most 1.5 MiB unless a server is set otherwise, they do
/// not take more than some tens of MiB.
const READ_AT_ONCE: usize = 16;

/// Of a change, beside its key and value.
const FRAME_BYTES: usize = 64;

impl<F> Writer<F>
where
    F: FnMut(&Applied) -> ControlFlow<()>,
{
    pub fn new(connection: &Connection, applied: F) -> Self {
        let most_bytes = MOST_BYTES.min(connection.config().max_request_bytes);
        Self {
            connection: connection.clone(),
            applied,
            waiting: VecDeque::new(),
            most_changes: connection.most_ops(),
            most_bytes,
        }
    }

    /// Takes changes that are to happen in one transaction, each of another key, and writes when
    /// there are enough for one.
    ///
    /// Dropping the future may leave a transaction of which nobody knows whether it happened.
    pub async fn push(&mut self, step: Vec<Change>) -> Result<(), Stopped> {
        self.waiting.push_back(step);
        while self.waiting_changes() >= self.most_changes || self.waiting_bytes() >= self.most_bytes
        {
            self.write().await?;
        }
        Ok(())
    }

    fn waiting_changes(&self) -> usize {
        self.waiting.iter().map(Vec::len).sum()
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting.iter().flatten().map(size).sum()
    }

    /// Writes what is left.
    pub async fn finish(mut self) -> Result<(), Stopped> {
        while !self.waiting.is_empty() {
            self.write().await?;
        }
        Ok(())
    }

    /// Writes one transaction of what waits longest.
    async fn write(&mut self) -> Result<(), Stopped> {
        self.read_values().await?;
        let steps = self.next_steps();
        let changes: Vec<&Change> = self.waiting.iter().take(steps).flatten().collect();
        let count = changes.len();
        let txn = transaction(&changes);
        let answer = match self.connection.txn(txn).await {
            Ok(answer) => answer,
            Err(failure) if is_too_much(&failure) && steps > 1 => {
                self.most_changes = (count / 2).max(1);
                return Ok(());
            }
            Err(failure) if may_have_written(&failure) => {
                return Err(Stopped::Unknown { cause: failure, keys: written(&changes) });
            }
            Err(failure) => return Err(failure.into()),
        };
        if !answer.succeeded {
            return Err(Stopped::Conflict(conflicts(&changes, &answer)));
        }
        let header = answer.header.unwrap_or_default();
        let applied = Applied {
            cluster_id: header.cluster_id,
            revision: header.revision,
            keys: written(&changes),
        };
        self.waiting.drain(..steps);
        match (self.applied)(&applied) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stopped::Interrupted),
        }
    }

    /// How many steps the next transaction takes: at least one.
    fn next_steps(&self) -> usize {
        let (mut steps, mut changes, mut bytes) = (0, 0, 0);
        for step in &self.waiting {
            changes += step.len();
            bytes += step.iter().map(size).sum::<usize>();
            if steps > 0 && (changes > self.most_changes || bytes > self.most_bytes) {
                break;
            }
            steps += 1;
        }
        steps
    }

    /// Reads values until there are enough for a transaction.
    async fn read_values(&mut self) -> Result<(), Stopped> {
        let (mut changes, mut bytes) = (0, 0);
        while changes < self.most_changes && bytes < self.most_bytes {
            let next = self.waiting.iter().flatten().skip(changes).take(READ_AT_ONCE);
            let next: Vec<_> = next.map(|change| (change.key.clone(), change.to.clone())).collect();
            if next.is_empty() {
                break;
            }
            let read = read(&self.connection, &next).await?;
            let waiting = self.waiting.iter_mut().flatten().skip(changes);
            for (change, to) in waiting.zip(read) {
                if let Some(to) = to {
                    change.to = to;
                }
                bytes += size(change);
            }
            changes += next.len();
        }
        Ok(())
    }
}

/// The targets that were to be read, with their values.
async fn read(
    connection: &Connection,
    changes: &[(Vec<u8>, Target)],
) -> Result<Vec<Option<Target>>, Stopped> {
    let source = |to: &Target| match to {
        Target::At { key, revision, lease } => Some((key.clone(), *revision, *lease)),
        Target::Deleted | Target::Value { .. } | Target::Unchanged => None,
    };
    let sources: Vec<_> = changes.iter().map(|(_, to)| source(to)).collect();
    let gets = sources.iter().flatten();
    let gets = gets.map(|(key, revision, _)| Get { revision: *revision, ..Get::key(key.clone()) });
    let oldest = sources.iter().flatten().map(|(_, revision, _)| *revision).min();
    let values = read_each(connection, gets.collect()).await;
    let values = values.map_err(|failure| match oldest {
        Some(revision) if failure.is_compacted() => Stopped::Compacted(revision),
        _ => Stopped::Failed(failure),
    })?;
    let mut values = values.into_iter();
    let read = sources.into_iter().map(|source| match source {
        None => Ok(None),
        Some((key, revision, lease)) => match values.next().flatten() {
            Some(kv) => Ok(Some(Target::Value { value: kv.value, lease })),
            None => Err(Stopped::Gone { key, revision }),
        },
    });
    read.collect()
}

fn transaction(changes: &[&Change]) -> Txn {
    let compares = changes.iter().map(|change| Compare {
        range: KeyRange::single(change.key.clone()),
        op: CompareOp::Equal,
        target: CompareTarget::ModRevision(change.expected),
    });
    let success = changes.iter().filter_map(|change| match &change.to {
        Target::Deleted => Some(Op::Delete(Delete::key(change.key.clone()))),
        Target::Value { value, lease } => {
            let put = Put::new(change.key.clone(), value.clone());
            Some(Op::Put(Put { lease: *lease, ..put }))
        }
        Target::At { .. } | Target::Unchanged => None,
    });
    let failure = changes.iter().map(|change| {
        let get = Get::key(change.key.clone());
        Op::Get(Get { keys_only: true, ..get })
    });
    Txn { compares: compares.collect(), success: success.collect(), failure: failure.collect() }
}

fn conflicts(changes: &[&Change], answer: &pb::TxnResponse) -> Vec<Conflict> {
    let found = answer.responses.iter().map(|response| match &response.response {
        Some(pb::ResponseOpKind::ResponseRange(range)) => {
            range.kvs.first().map_or(0, |kv| kv.mod_revision)
        }
        _ => 0,
    });
    let conflict = |(change, found): (&&Change, i64)| {
        let Change { key, expected, .. } = change;
        (*expected != found).then(|| Conflict { key: key.clone(), expected: *expected, found })
    };
    changes.iter().zip(found).filter_map(conflict).collect()
}

fn written(changes: &[&Change]) -> Vec<Vec<u8>> {
    let changed = changes.iter().filter(|change| change.to != Target::Unchanged);
    changed.map(|change| change.key.clone()).collect()
}

fn size(change: &Change) -> usize {
    let value = match &change.to {
        Target::Value { value, .. } => value.len(),
        Target::Deleted | Target::At { .. } | Target::Unchanged => 0,
    };
    // The key stands in the comparison and in each branch.
    FRAME_BYTES + 3 * change.key.len() + value
}

/// A server may be set to take less than others do.
fn is_too_much(failure: &Failure) -> bool {
    failure.is_too_many_ops()
        || matches!(failure, Failure::Refused { code, message }
            if message == "etcdserver: request is too large"
                || (*code == Code::ResourceExhausted && message.contains("larger than max")))
}

#[cfg(test)]
mod tests {
    use super::{Change, Conflict, Target, conflicts, is_too_much, size, transaction, written};
    use crate::failure::Failure;
    use crate::pb;
    use crate::request::{CompareTarget, Op};

    fn change(key: &str, expected: i64, to: Target) -> Change {
        Change { key: key.into(), expected, to }
    }

    fn value(text: &str) -> Target {
        Target::Value { value: text.into(), lease: 7 }
    }

    #[test]
    fn every_change_of_a_transaction_is_guarded_and_a_guard_alone_writes_nothing() {
        let changes = [
            change("a", 3, value("x")),
            change("b", 0, Target::Deleted),
            change("c", 4, Target::Unchanged),
        ];
        let changes: Vec<_> = changes.iter().collect();
        let txn = transaction(&changes);
        let guards: Vec<_> = txn.compares.iter().map(|compare| &compare.target).collect();
        assert_eq!(guards, [3, 0, 4].map(CompareTarget::ModRevision).iter().collect::<Vec<_>>());
        let [Op::Put(put), Op::Delete(_)] = txn.success.as_slice() else { panic!("two writes") };
        assert_eq!((put.value.as_slice(), put.lease), (&b"x"[..], 7));
        assert_eq!(txn.failure.len(), 3);
        assert_eq!(written(&changes), [b"a", b"b"]);
        assert!(size(changes[0]) > size(changes[1]));
    }

    #[test]
    fn a_conflict_names_the_keys_that_are_not_as_expected() {
        let changes = [change("a", 3, value("x")), change("b", 0, value("y"))];
        let changes: Vec<_> = changes.iter().collect();
        let found = |revision: i64| {
            let kv = pb::KeyValue { mod_revision: revision, ..pb::KeyValue::default() };
            let kvs = if revision == 0 { vec![] } else { vec![kv] };
            let range = pb::RangeResponse { kvs, ..pb::RangeResponse::default() };
            pb::ResponseOp { response: Some(pb::ResponseOpKind::ResponseRange(range)) }
        };
        let answer =
            pb::TxnResponse { responses: vec![found(3), found(9)], ..pb::TxnResponse::default() };
        let expected = [Conflict { key: b"b".to_vec(), expected: 0, found: 9 }];
        assert_eq!(conflicts(&changes, &answer), expected);
    }

    #[test]
    fn what_is_too_much_for_a_server_is_told_from_what_it_refuses() {
        let refused = |message: &str| Failure::Refused {
            code: tonic::Code::InvalidArgument,
            message: message.to_owned(),
        };
        assert!(is_too_much(&refused("etcdserver: too many operations in txn request")));
        assert!(is_too_much(&refused("etcdserver: request is too large")));
        assert!(!is_too_much(&refused("etcdserver: duplicate key given in txn request")));
    }
}
