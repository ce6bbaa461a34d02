//! What happened, revision by revision: the outcome of the search.

use super::search::Search;
use super::state::Change;

#[derive(Debug)]
pub(super) struct Timeline {
    /// In order of revisions, and within one in the order of the operations that made it.
    pub(super) changes: Vec<Change>,
    /// By revision: when what made it was called, and where its changes begin.
    revisions: Vec<(u64, usize)>,
}

impl Timeline {
    pub(super) fn of(search: Search) -> Timeline {
        let mut timeline = Timeline { changes: search.state.log, revisions: vec![(0, 0); 2] };
        let mut begins = 0;
        for (revision, maker) in (2..).zip(search.makers) {
            let of_it = |change: &&Change| change.revision < revision;
            begins += timeline.changes[begins..].iter().take_while(of_it).count();
            timeline.revisions.push((search.steps[maker].call, begins));
        }
        timeline.revisions.push((u64::MAX, timeline.changes.len()));
        timeline
    }

    pub(super) fn last(&self) -> i64 {
        self.revisions.len() as i64 - 2
    }

    /// Nothing can have been known of the revision before.
    pub(super) fn begun_ns(&self, revision: i64) -> u64 {
        let known = usize::try_from(revision).ok().filter(|_| revision <= self.last());
        known.map_or(u64::MAX, |index| self.revisions[index].0)
    }

    /// The changes of one revision.
    pub(super) fn at(&self, revision: i64) -> &[Change] {
        if revision < 1 || revision > self.last() {
            return &[];
        }
        let index = revision as usize;
        &self.changes[self.revisions[index].1..self.revisions[index + 1].1]
    }
}
