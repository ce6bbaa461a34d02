//! Watches that have come equally far and go on together.

use std::collections::{BTreeMap, BTreeSet};

use super::gathered::{Gathered, Share};
use super::index::{Index, Member, Options};
use super::keys::Keys;
use super::limits::Budget;
use super::reply::{Delivery, StreamId};
use super::stream::{Batch, Stream};
use crate::store::{Revision, Root};

/// One walk over the history serves them all.
#[derive(Debug)]
pub(super) struct Cohort {
    /// Everything up to here was looked at for them. No cursor of theirs lies further on, but
    /// for synced watches that start in the future.
    pub(super) upto: i64,
    pub(super) index: Index,
    gathered: Gathered,
}

/// What handing out came to.
#[derive(Default)]
pub(super) struct HandedOut {
    /// Watches whose streams could take no more, or for which there was no room, and from where on
    /// they are owed.
    pub(super) stuck: Vec<(Member, Revision)>,
    pub(super) streams: BTreeSet<StreamId>,
}

impl Cohort {
    pub(super) fn at(upto: i64) -> Cohort {
        Cohort { upto, index: Index::default(), gathered: Gathered::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    pub(super) fn remove(&mut self, keys: &Keys, options: Options, member: Member) {
        self.index.remove(keys, options, member);
        if self.is_empty() {
            // What was found holds on to history.
            self.gathered = Gathered::default();
        }
    }

    /// One step through the revisions from `from` on, at most to `until`.
    pub(super) fn step(&mut self, root: &Root, (from, until): (i64, i64), budget: &Budget) {
        self.upto = self.gathered.step(root, &self.index, (from, until), budget);
    }

    pub(super) fn is_full(&self, budget: &Budget) -> bool {
        self.gathered.is_full(budget)
    }

    /// Sends what was found as far as there is credit. `header` has the revision for the headers
    /// and the size at which fragments are cut.
    pub(super) fn hand_out(
        &mut self,
        streams: &mut BTreeMap<StreamId, Stream>,
        (revision, response_bytes): (i64, usize),
        out: &mut Vec<Delivery>,
    ) -> HandedOut {
        let mut handed_out = HandedOut::default();
        for Share { group, found, left_out } in self.gathered.take() {
            let owed = left_out.map(Revision::first_of);
            let Some(group) = self.index.group_if_there(group) else { continue };
            let batch = Batch { found: &found, revision, response_bytes };
            for &(id, watch_id) in &group.members {
                let stream = streams.get_mut(&id).expect("an indexed watch has a stream");
                let mut send = |reply| out.push(Delivery { stream: id, reply });
                let delivered = stream.deliver(watch_id, &batch, &mut send);
                // A watch may begin later than that.
                let owed = owed.map(|from| stream.cursor(watch_id).max(from));
                if let Some(cursor) = delivered.err().or(owed) {
                    handed_out.stuck.push(((id, watch_id), cursor));
                }
                handed_out.streams.insert(id);
            }
        }
        handed_out
    }
}
