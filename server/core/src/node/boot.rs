//! What a member finds on its disks when it starts, and whether raft may go on from it.

use raft_proto::eraftpb::{ConfState, Entry, HardState};
use thiserror::Error;

use crate::planted::{self, Bug};

use super::membership::is_valid;

/// The entries from `first` on have this term, up to the next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermRun {
    pub first: u64,
    pub term: u64,
}

/// All that survived: the log's word and the backend's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Boot {
    /// The last hard state in the log; all zeros on the first start.
    pub hard_state: HardState,
    /// Who votes, as of the applied index. On the first start the initial cluster.
    pub conf_state: ConfState,
    /// Index and term up to which the backend has applied; zeros on the first start.
    pub applied: (u64, u64),
    /// Index and term of the entry before the first one the log holds; zeros if it holds all.
    pub base: (u64, u64),
    /// Index of the last entry; the base's if there is none.
    pub last: u64,
    /// The terms of all entries held.
    pub runs: Vec<TermRun>,
    /// The newest entries without a gap, at least all after the applied index.
    pub tail: Vec<Entry>,
    /// The log was damaged and has lost what it held up to this entry at least: this member may
    /// have promised more than it knows. Term and vote are the last it gave all the same.
    pub incomplete: Option<u64>,
}

/// Why a member cannot go on from what it found. Log and backend do not belong together, or
/// one of them has lost its end.
#[derive(Debug, Error)]
pub enum BootError {
    #[error(
        "the data is applied up to index {applied}, but the log begins after {base} and ends at \
         {last}: log and data do not belong together, restore both from one backup"
    )]
    AppliedOutsideLog { applied: u64, base: u64, last: u64 },
    #[error(
        "entry {index} has term {log} in the log and term {applied} in the data: log and data do \
         not belong together, restore both from one backup"
    )]
    TermsDiffer { index: u64, log: u64, applied: u64 },
    #[error("the log ends at index {last}, but its hard state says that {commit} was committed")]
    CommitOutsideLog { commit: u64, last: u64 },
    #[error("the log's last entry has term {entry}, but its hard state only knows term {term}")]
    TermBehindLog { entry: u64, term: u64 },
    #[error("the log's entries or terms are not without a gap near index {index}")]
    Gap { index: u64 },
    #[error("member {id:x} is not among the cluster's voters and learners")]
    NotAMember { id: u64 },
    #[error(
        "the stored list of voters and learners contradicts itself: restore the data directory \
         from a backup"
    )]
    Configuration,
    #[error(
        "the log was damaged and has lost entries, up to {lost} at least, and no other member \
         votes that could have them: restore the data directory from a backup"
    )]
    Alone { lost: u64 },
    #[error("raft does not start: {0}")]
    Raft(#[from] raft::Error),
}

impl Boot {
    /// Checks all that raft would panic about.
    pub(super) fn check(&self, id: u64) -> Result<(), BootError> {
        let (applied, base, last) = (self.applied.0, self.base.0, self.last);
        if applied < base || applied > last {
            return Err(BootError::AppliedOutsideLog { applied, base, last });
        }
        self.check_runs()?;
        let log = self.term(applied);
        if log != self.applied.1 {
            return Err(BootError::TermsDiffer { index: applied, log, applied: self.applied.1 });
        }
        if self.hard_state.commit > last {
            return Err(BootError::CommitOutsideLog { commit: self.hard_state.commit, last });
        }
        if self.hard_state.term < self.term(last) {
            let (entry, term) = (self.term(last), self.hard_state.term);
            return Err(BootError::TermBehindLog { entry, term });
        }
        self.check_tail()?;
        let conf = &self.conf_state;
        let mut members = conf.voters.iter().chain(&conf.learners).chain(&conf.voters_outgoing);
        if !members.any(|member| *member == id) {
            return Err(BootError::NotAMember { id });
        }
        if !is_valid(conf, id) {
            return Err(BootError::Configuration);
        }
        let alone = conf.voters.iter().chain(&conf.voters_outgoing).all(|voter| *voter == id);
        match self.incomplete {
            Some(lost) if alone => Err(BootError::Alone { lost }),
            _ => Ok(()),
        }
    }

    /// A crash may come between applying and writing down what was committed; what is applied
    /// was committed.
    pub(super) fn committed(&self) -> u64 {
        if planted::is(Bug::CommitBehindApplied) {
            return self.hard_state.commit;
        }
        self.hard_state.commit.max(self.applied.0)
    }

    fn term(&self, index: u64) -> u64 {
        if index <= self.base.0 {
            return self.base.1;
        }
        let after = self.runs.partition_point(|run| run.first <= index);
        after.checked_sub(1).map_or(0, |at| self.runs[at].term)
    }

    fn check_runs(&self) -> Result<(), BootError> {
        let gap = |index| Err(BootError::Gap { index });
        let mut before = TermRun { first: self.base.0, term: self.base.1 };
        if let Some(first) = self.runs.first()
            && first.first != self.base.0 + 1
        {
            return gap(first.first);
        }
        if self.runs.is_empty() && self.last > self.base.0 {
            return gap(self.last);
        }
        for run in &self.runs {
            let continues = run.first > before.first && run.term >= before.term;
            if !continues || run.term == 0 || run.first > self.last {
                return gap(run.first);
            }
            before = *run;
        }
        Ok(())
    }

    fn check_tail(&self) -> Result<(), BootError> {
        let needed = self.last - self.applied.0;
        if (self.tail.len() as u64) < needed {
            return Err(BootError::Gap { index: self.applied.0 + 1 });
        }
        let mut expected = self.last;
        for entry in self.tail.iter().rev() {
            if entry.index != expected || entry.index <= self.base.0 {
                return Err(BootError::Gap { index: expected });
            }
            if entry.term != self.term(entry.index) {
                return Err(BootError::Gap { index: entry.index });
            }
            expected -= 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries 1 to 3 of term 1 and 4 to 5 of term 2, applied up to 3.
    fn boot() -> Boot {
        let entry = |index| Entry { index, term: 2, ..Entry::default() };
        Boot {
            hard_state: HardState { term: 2, vote: 1, commit: 4 },
            conf_state: ConfState::from(([1], [])),
            applied: (3, 1),
            base: (0, 0),
            last: 5,
            runs: vec![TermRun { first: 1, term: 1 }, TermRun { first: 4, term: 2 }],
            tail: vec![entry(4), entry(5)],
            incomplete: None,
        }
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut Boot), reason: &str) {
        let mut boot = boot();
        change(&mut boot);
        let error = boot.check(1).expect_err("it does not fit together").to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn what_fits_together_is_taken() {
        boot().check(1).expect("it fits together");
        assert_eq!(boot().committed(), 4);
        let first = Boot { conf_state: ConfState::from(([1], [])), ..Boot::default() };
        first.check(1).expect("a first start");
    }

    #[test]
    fn a_log_that_begins_where_the_data_ends_is_taken() {
        let boot = Boot { base: (3, 1), last: 3, runs: vec![], tail: vec![], ..boot() };
        let hard_state = HardState { commit: 3, ..boot.hard_state.clone() };
        Boot { hard_state, ..boot }.check(1).expect("it fits together");
    }

    #[test]
    fn what_is_applied_was_committed() {
        let boot = Boot { hard_state: HardState { term: 2, vote: 1, commit: 0 }, ..boot() };
        boot.check(1).expect("a crash may lose the commit index");
        assert_eq!(boot.committed(), 3);
    }

    #[test]
    fn what_does_not_fit_together_is_refused_with_a_diagnosis() {
        refused(|boot| boot.applied = (6, 2), "applied up to index 6");
        refused(|boot| boot.base = (4, 2), "begins after 4");
        refused(|boot| boot.applied = (3, 2), "entry 3 has term 1 in the log and term 2");
        refused(|boot| boot.hard_state.commit = 6, "6 was committed");
        refused(|boot| boot.hard_state.term = 1, "only knows term 1");
        refused(|boot| boot.tail.truncate(1), "near index 4");
        refused(|boot| boot.tail[0].term = 1, "near index 4");
        refused(|boot| boot.runs[0].first = 2, "near index 2");
        refused(|boot| boot.runs.clear(), "near index 5");
        refused(|boot| boot.conf_state.voters = vec![2], "member 1 is not");
        refused(|boot| boot.conf_state.learners = vec![1], "contradicts itself");
        refused(|boot| boot.incomplete = Some(7), "up to 7 at least, and no other member");
    }
}
