//! Under which leases keys arrive.

use std::collections::BTreeMap;

use crate::change::settle_leases;
use crate::connection::Connection;
use crate::failure::Failure;

/// What becomes of the leases that keys were under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeaseRule {
    /// A key comes under its lease if that is alive in the cluster it goes to, else under none.
    #[default]
    Keep,
    /// As [`LeaseRule::Keep`], with a new lease in the place of each that is gone.
    New,
    /// No key comes under a lease.
    None,
}

/// The leases of keys that arrive, and what they come to. Holds each lease once.
#[derive(Debug, Default)]
pub struct LeaseBook {
    rule: LeaseRule,
    /// The keys come from the cluster that they go to: elsewhere an id means another lease.
    at_home: bool,
    known: BTreeMap<i64, Fate>,
    tally: LeaseTally,
}

/// How many keys arrive how, if they were under a lease or are under one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaseTally {
    pub kept: u64,
    /// They come without a lease.
    pub lost: u64,
    /// They come under a lease that is to be granted.
    pub new: u64,
    /// They had none, and leave the one that they are under.
    pub left: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Alive,
    Gone,
    /// One is to be granted in its place…
    Wanted,
    /// …and this is it.
    Became(i64),
}

/// Leases of one transfer: some MiB.
const MAX_LEASES: usize = 100_000;

impl LeaseBook {
    pub fn new(rule: LeaseRule, at_home: bool) -> Self {
        Self { rule, at_home, ..Self::default() }
    }

    /// Makes a lease known, which is asked about once; 0 is none.
    pub async fn learn(&mut self, connection: &Connection, lease: i64) -> Result<(), Failure> {
        if lease == 0 || self.known.contains_key(&lease) {
            return Ok(());
        }
        if self.known.len() == MAX_LEASES {
            let text = format!("the keys are under more than {MAX_LEASES} leases: --leases none");
            return Err(Failure::Config(text));
        }
        let asks = self.at_home && self.rule != LeaseRule::None;
        let alive = asks && settle_leases(connection, [lease]).await?.alive_or_none(lease) == lease;
        let fate = match self.rule {
            _ if alive => Fate::Alive,
            LeaseRule::New => Fate::Wanted,
            LeaseRule::Keep | LeaseRule::None => Fate::Gone,
        };
        self.known.insert(lease, fate);
        Ok(())
    }

    /// Whether a key that was under `lease` and is under `there` has no other to come under. One that
    /// is to come under a new lease may be under any: by an earlier try, or by whoever keeps it.
    pub(super) fn is_right(&mut self, lease: i64, there: i64) -> bool {
        match self.fate(lease) {
            None | Some(Fate::Gone) => there == 0,
            Some(Fate::Alive) => there == lease,
            Some(Fate::Wanted | Fate::Became(_)) => there != 0,
        }
    }

    /// The lease to put a key under that was under `lease` and is under `there`. Of one that is
    /// [wanted](Self::wanted) it is 0.
    pub(super) fn put(&mut self, lease: i64, there: i64) -> i64 {
        match self.fate(lease) {
            None => {
                self.tally.left += u64::from(there != 0);
                0
            }
            Some(Fate::Gone) => {
                self.tally.lost += 1;
                0
            }
            Some(Fate::Alive) => {
                self.tally.kept += 1;
                lease
            }
            Some(Fate::Wanted) => {
                self.tally.new += 1;
                0
            }
            Some(Fate::Became(new)) => {
                self.tally.new += 1;
                new
            }
        }
    }

    /// `None`: it was under none.
    fn fate(&self, lease: i64) -> Option<Fate> {
        (lease != 0).then(|| self.known.get(&lease).copied().unwrap_or(Fate::Gone))
    }

    /// The leases in whose place new ones are to be granted.
    pub fn wanted(&self) -> Vec<i64> {
        let wanted = self.known.iter().filter(|(_, fate)| **fate == Fate::Wanted);
        wanted.map(|(lease, _)| *lease).collect()
    }

    /// A lease was granted in the place of `lease`; `None`: the keys come under none.
    pub fn became(&mut self, lease: i64, new: Option<i64>) {
        self.known.insert(lease, new.map_or(Fate::Gone, Fate::Became));
    }

    /// Of the keys that were put so far.
    pub fn tally(&self) -> LeaseTally {
        self.tally
    }

    pub fn is_at_home(&self) -> bool {
        self.at_home
    }
}

#[cfg(test)]
impl LeaseBook {
    pub(super) fn with(rule: LeaseRule, wanted: i64) -> Self {
        let mut book = Self::new(rule, true);
        book.known.insert(wanted, Fate::Wanted);
        book
    }
}

#[cfg(test)]
mod tests {
    use super::{LeaseBook, LeaseRule, LeaseTally};

    #[test]
    fn what_is_under_some_lease_stays_there_and_takes_no_other_key_with_it() {
        let mut book = LeaseBook::with(LeaseRule::New, 7);
        assert!(book.is_right(7, 70) && !book.is_right(7, 0));
        assert_eq!((book.wanted(), book.put(7, 0)), (vec![7], 0));
        book.became(7, Some(71));
        assert_eq!((book.wanted(), book.put(7, 0)), (vec![], 71));
        assert!(book.is_right(7, 70), "it may be kept by somebody");
    }

    #[test]
    fn what_becomes_of_leases_is_counted() {
        let mut book = LeaseBook::with(LeaseRule::New, 7);
        book.became(7, Some(70));
        assert_eq!([book.put(0, 3), book.put(0, 0), book.put(7, 0), book.put(8, 0)], [0, 0, 70, 0]);
        let expected = LeaseTally { kept: 0, lost: 1, new: 1, left: 1 };
        assert_eq!(book.tally(), expected);
        book.became(7, None);
        assert_eq!(book.put(7, 0), 0);
    }
}
