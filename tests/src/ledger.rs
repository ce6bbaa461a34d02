//! What clients were told, held against what the members say happened.
//!
//! Every write has a value of its own, so the history of a store shows which writes took effect
//! and where. An acknowledged write must be there, at the revision that was acknowledged. One
//! whose outcome nobody knows may be there once or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Write {
    Put { key: String, value: String },
    Delete { key: String },
}

/// One attempt, and what the client was told.
#[derive(Clone, Debug)]
struct Attempt {
    write: Write,
    began: Instant,
    /// When the answer came, and the revision it gave. A delete that found nothing has none.
    acknowledged: Option<(Instant, Option<i64>)>,
}

/// All attempts of all clients.
#[derive(Default)]
pub struct Ledger {
    attempts: Mutex<Vec<Attempt>>,
}

/// A change as a member tells it: which revision, and what it did.
pub type History = BTreeMap<i64, Write>;

impl Ledger {
    /// A write that was acknowledged, with the revision it made if it changed anything.
    pub fn acknowledge(&self, write: Write, began: Instant, revision: Option<i64>) {
        let acknowledged = Some((Instant::now(), revision));
        self.lock().push(Attempt { write, began, acknowledged });
    }

    /// A write of which nobody knows whether it took effect.
    pub fn leave_open(&self, write: Write, began: Instant) {
        self.lock().push(Attempt { write, began, acknowledged: None });
    }

    /// How many writes were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.lock().iter().filter(|attempt| attempt.acknowledged.is_some()).count()
    }

    /// The highest revision that a client was told.
    pub fn highest_revision(&self) -> i64 {
        let attempts = self.lock();
        let told = attempts.iter().filter_map(|attempt| attempt.acknowledged?.1);
        told.max().unwrap_or(1)
    }

    /// When the first write that began after `moment` was acknowledged.
    pub fn first_acknowledged_after(&self, moment: Instant) -> Option<Instant> {
        let attempts = self.lock();
        let later = attempts.iter().filter(|attempt| attempt.began >= moment);
        later.filter_map(|attempt| Some(attempt.acknowledged?.0)).min()
    }

    /// All that is wrong with a member's whole history, in words; empty when all is well.
    pub fn faults_of(&self, history: &History) -> Vec<String> {
        let attempts = self.lock();
        let mut faults = Vec::new();
        for (expected, revision) in (2..).zip(history.keys()) {
            if *revision != expected {
                faults.push(format!("revision {expected} is missing, {revision} follows"));
                break;
            }
        }
        lost(&attempts, history, &mut faults);
        invented(&attempts, history, &mut faults);
        turned_around(&attempts, &mut faults);
        faults
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was acknowledged and is not there.
fn lost(attempts: &[Attempt], history: &History, faults: &mut Vec<String>) {
    for attempt in attempts {
        let Some((_, Some(revision))) = attempt.acknowledged else { continue };
        match history.get(&revision) {
            Some(found) if *found == attempt.write => {}
            Some(other) => faults.push(format!(
                "revision {revision} was acknowledged for {:?}, but holds {other:?}",
                attempt.write
            )),
            None => faults
                .push(format!("lost: {:?}, acknowledged at revision {revision}", attempt.write)),
        }
    }
}

/// What is there and was not asked for, or is there twice.
fn invented(attempts: &[Attempt], history: &History, faults: &mut Vec<String>) {
    let mut puts: BTreeSet<&Write> = BTreeSet::new();
    let mut deletes: BTreeMap<&Write, usize> = BTreeMap::new();
    for attempt in attempts {
        match &attempt.write {
            put @ Write::Put { .. } => drop(puts.insert(put)),
            delete @ Write::Delete { .. } => *deletes.entry(delete).or_default() += 1,
        }
    }
    for (revision, write) in history {
        let asked = match write {
            Write::Put { .. } => puts.remove(write),
            Write::Delete { .. } => match deletes.get_mut(write) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    true
                }
                _ => false,
            },
        };
        if !asked {
            faults.push(format!("nobody asked for {write:?} at revision {revision}, or twice"));
        }
    }
}

/// Writes that began after another's acknowledgement and have a lower revision than it.
fn turned_around(attempts: &[Attempt], faults: &mut Vec<String>) {
    let told = attempts.iter().filter_map(|attempt| {
        let (ended, revision) = attempt.acknowledged?;
        Some((attempt.began, ended, revision?))
    });
    let mut by_begin: Vec<(Instant, Instant, i64)> = told.collect();
    let mut by_end: Vec<(Instant, i64)> =
        by_begin.iter().map(|(_, ended, revision)| (*ended, *revision)).collect();
    by_begin.sort();
    by_end.sort();

    let mut ended = by_end.into_iter().peekable();
    let mut highest = 0;
    for (began, _, revision) in by_begin {
        while let Some((_, earlier)) = ended.next_if(|(end, _)| *end < began) {
            highest = highest.max(earlier);
        }
        if revision <= highest {
            faults.push(format!("revision {revision} was given after {highest}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(value: &str) -> Write {
        Write::Put { key: "k".into(), value: value.into() }
    }

    fn ledger() -> Ledger {
        let ledger = Ledger::default();
        ledger.acknowledge(put("a"), Instant::now(), Some(2));
        ledger.leave_open(put("b"), Instant::now());
        ledger.acknowledge(Write::Delete { key: "k".into() }, Instant::now(), Some(4));
        ledger
    }

    fn history(writes: &[(i64, Write)]) -> History {
        writes.iter().cloned().collect()
    }

    #[test]
    fn an_open_write_may_be_there_or_not() {
        let delete = Write::Delete { key: "k".into() };
        let there = history(&[(2, put("a")), (3, put("b")), (4, delete)]);
        assert_eq!(ledger().faults_of(&there), Vec::<String>::new());

        let ledger = Ledger::default();
        ledger.leave_open(put("b"), Instant::now());
        assert_eq!(ledger.faults_of(&History::new()), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_fault_is_found() {
        let delete = Write::Delete { key: "k".into() };
        let faults = |writes: &[(i64, Write)]| ledger().faults_of(&history(writes)).join("; ");
        let lost = faults(&[(2, put("a")), (3, put("b"))]);
        assert!(lost.contains("lost: Delete"), "{lost}");
        let changed = faults(&[(2, put("b")), (3, put("a")), (4, delete.clone())]);
        assert!(changed.contains("but holds"), "{changed}");
        let invented = faults(&[(2, put("a")), (3, put("x")), (4, delete.clone())]);
        assert!(invented.contains("nobody asked for"), "{invented}");
        let twice = faults(&[(2, put("a")), (3, delete.clone()), (4, delete.clone())]);
        assert!(twice.contains("nobody asked for"), "{twice}");
        let hole = faults(&[(2, put("a")), (4, delete)]);
        assert!(hole.contains("revision 3 is missing"), "{hole}");

        let ledger = Ledger::default();
        ledger.acknowledge(put("a"), Instant::now(), Some(3));
        ledger.acknowledge(put("b"), Instant::now(), Some(2));
        let back = ledger.faults_of(&history(&[(2, put("b")), (3, put("a"))])).join("; ");
        assert!(back.contains("revision 2 was given after 3"), "{back}");
    }
}
