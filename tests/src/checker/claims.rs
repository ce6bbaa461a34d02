//! Which write of unknown outcome must have made which revision.
//!
//! A value that was seen at a revision was put there by a write that puts that value. If only
//! one can have, it made that revision and no other. This leaves the search little to choose, as
//! values are mostly unlike each other; it cuts only what cannot be.

use std::collections::HashMap;

use bytes::Bytes;
use kvorum_proto::etcdserverpb::PutRequest;
use kvorum_proto::etcdserverpb::TxnRequest;
use kvorum_proto::etcdserverpb::request_op::Request as Part;
use kvorum_proto::mvccpb::KeyValue;

use super::course::Seen;
use super::perform::Action;
use super::step::{Step, Steps, parts};
use super::violation::{Rule, Violation};

/// The puts of all writes, by what they put.
pub(super) struct Puts<'s> {
    steps: &'s [Step<'s>],
    by_pair: HashMap<(&'s Bytes, &'s Bytes), Vec<usize>>,
    /// Those that put again whatever value is there.
    by_key: HashMap<&'s Bytes, Vec<usize>>,
}

#[derive(Debug, Default)]
pub(super) struct Claims {
    by_revision: HashMap<i64, usize>,
    by_step: HashMap<usize, i64>,
}

impl<'s> Puts<'s> {
    pub(super) fn of(steps: &'s Steps) -> Puts<'s> {
        let steps = &steps.ordered[..];
        let mut puts = Puts { steps, by_pair: HashMap::new(), by_key: HashMap::new() };
        for (index, step) in steps.iter().enumerate() {
            match step.action {
                Action::Put(put) => puts.note(index, put),
                Action::Txn(txn) => puts.note_txn(index, txn),
                _ => {}
            }
        }
        puts
    }

    fn note(&mut self, index: usize, put: &'s PutRequest) {
        let known = if put.ignore_value {
            self.by_key.entry(&put.key).or_default()
        } else {
            self.by_pair.entry((&put.key, &put.value)).or_default()
        };
        if known.last() != Some(&index) {
            known.push(index);
        }
    }

    fn note_txn(&mut self, index: usize, txn: &'s TxnRequest) {
        for part in parts(txn) {
            match part {
                Part::RequestPut(put) => self.note(index, put),
                Part::RequestTxn(nested) => self.note_txn(index, nested),
                Part::RequestRange(_) | Part::RequestDeleteRange(_) => {}
            }
        }
    }

    /// Whatever puts this value there.
    fn putting<'a>(&'a self, kv: &'a KeyValue) -> impl Iterator<Item = usize> + 'a {
        let exact = self.by_pair.get(&(&kv.key, &kv.value));
        let again = self.by_key.get(&kv.key);
        exact.into_iter().chain(again).flatten().copied()
    }
}

impl Claims {
    /// What may make the revision, when it is open.
    pub(super) fn admit(&self, step: usize, revision: i64) -> bool {
        self.by_step.get(&step).is_none_or(|claimed| *claimed == revision)
            && self.by_revision.get(&revision).is_none_or(|claimed| *claimed == step)
    }

    /// The revision that only this step can have made.
    pub(super) fn claimed_by(&self, step: usize) -> Option<i64> {
        self.by_step.get(&step).copied()
    }

    /// Notes what was seen at a revision that no acknowledged write made.
    pub(super) fn note(&mut self, seen: &Seen, puts: &Puts) -> Result<(), Violation> {
        let kv = seen.kv;
        if kv.value.is_empty() || self.by_revision.contains_key(&kv.mod_revision) {
            return Ok(());
        }
        let mut open = puts.putting(kv).filter(|step| puts.steps[*step].is_unknown());
        let Some(step) = open.next() else { return Err(self.unmade(seen, puts)) };
        if open.next().is_some() {
            return Ok(());
        }
        if self.by_step.contains_key(&step) {
            return Err(self.unmade(seen, puts));
        }
        self.by_step.insert(step, kv.mod_revision);
        self.by_revision.insert(kv.mod_revision, step);
        Ok(())
    }

    fn unmade(&self, seen: &Seen, puts: &Puts) -> Violation {
        let Some(twice) = puts.putting(seen.kv).next() else {
            let message = format!("{seen}, which no write can have made");
            return Violation::new(Rule::NeverWritten, message);
        };
        let step = &puts.steps[twice];
        let first = step.revision().or_else(|| self.claimed_by(twice)).unwrap_or_default();
        let message = format!(
            "{seen}: revision {} repeats {step}, which made revision {first} and was applied twice",
            seen.kv.mod_revision
        );
        Violation::new(Rule::AppliedTwice, message)
    }
}
