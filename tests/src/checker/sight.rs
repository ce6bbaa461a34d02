//! What watches saw of the revisions that no acknowledged write made, and did not see.

use std::collections::BTreeMap;

use kvorum_proto::etcdserverpb::WatchResponse;
use kvorum_proto::mvccpb::{Event, KeyValue};

use super::evidence::{in_order, put, tells};
use super::history::{Ground, History, Leg, Watch};
use super::state::Change;
use super::step::{Effect, Step, Steps};
use crate::rules::Interest;

/// The revisions of which neither an answer nor the ground tells who made them.
pub(super) struct OpenRevisions {
    /// By revision, how many there are up to it.
    upto: Vec<usize>,
}

/// What one leg of a watch saw of them.
pub(super) struct Sight<'s> {
    interest: Interest<'s>,
    from: i64,
    upto: i64,
    pub(super) events: BTreeMap<i64, Vec<&'s Event>>,
    /// Whatever says something about one of them, be it that a key was not there, and until when
    /// it was so.
    pub(super) pairs: Vec<(&'s KeyValue, i64)>,
}

impl OpenRevisions {
    pub(super) fn of(steps: &Steps, ground: Option<&Ground>, last: i64) -> OpenRevisions {
        let mut open = vec![1; last as usize + 1];
        open[..2].fill(0);
        let wrote = |step: &&Step| step.effect == Effect::Write;
        for revision in steps.ordered.iter().filter(wrote).filter_map(Step::revision) {
            open[revision as usize] = 0;
        }
        if let Some(ground) = ground {
            let from = usize::try_from(ground.compacted).unwrap_or(0).min(open.len());
            open[from..].fill(0);
        }
        let mut sum = 0;
        for count in &mut open {
            sum += *count;
            *count = sum;
        }
        OpenRevisions { upto: open }
    }

    /// Whether there is one from `first` to `last`.
    pub(super) fn any_in(&self, first: i64, last: i64) -> bool {
        let upto = |revision: i64| {
            let index = usize::try_from(revision).unwrap_or(0).min(self.upto.len() - 1);
            self.upto[index]
        };
        first <= last && upto(last) > upto(first - 1)
    }
}

/// The highest revision that a watch was told of, among those that can be.
pub(super) fn newest(history: &History, most: i64) -> i64 {
    let legs = history.watches.iter().flat_map(|watch| &watch.legs);
    let responses = legs.flat_map(|leg| &leg.responses);
    let told = responses.flat_map(|(_, response)| {
        let last = response.events.last().map_or(0, revision);
        [header(response), last]
    });
    told.filter(|told| *told <= most).max().unwrap_or(1)
}

impl<'s> Sight<'s> {
    /// Of all legs; the last one is known to have seen what the watch is owed.
    pub(super) fn of(watch: &'s Watch, open: &OpenRevisions) -> Vec<Sight<'s>> {
        let legs = watch.legs.iter();
        let mut sights: Vec<Sight> = legs.filter_map(|leg| Sight::new(leg, open)).collect();
        let last = watch.legs.last();
        let lives = last.is_some_and(|leg| leg.responses.iter().all(|it| !it.1.canceled));
        if let Some(last) = sights.last_mut().filter(|_| lives) {
            last.upto = last.upto.max(watch.owed);
        }
        sights
    }

    fn new(leg: &'s Leg, open: &OpenRevisions) -> Option<Sight<'s>> {
        let created = leg.responses.iter().find(|(_, response)| response.created)?;
        let from = match leg.request.start_revision {
            0 => header(&created.1) + 1,
            start => start,
        };
        let interest = Interest::new(&leg.request);
        let (events, pairs) = (BTreeMap::new(), Vec::new());
        let mut sight = Sight { interest, from, upto: 0, events, pairs };
        for (_, response) in &leg.responses {
            if response.events.is_empty() && !response.created && !response.canceled {
                sight.upto = header(response).max(sight.upto);
            }
            for event in &response.events {
                sight.upto = revision(event).max(sight.upto);
                sight.note(event, open);
            }
        }
        Some(sight)
    }

    fn note(&mut self, event: &'s Event, open: &OpenRevisions) {
        let at = revision(event);
        if open.any_in(at, at) {
            self.events.entry(at).or_default().push(event);
        }
        let made = put(event).map(|kv| (kv, at));
        let before = event.prev_kv.as_ref().map(|kv| (kv, at - 1));
        for (kv, until) in made.into_iter().chain(before) {
            if in_order(kv) && open.any_in(2, until) {
                self.pairs.push((kv, until));
            }
        }
    }

    /// Whether it would have been told just what it was.
    pub(super) fn admits(&self, revision: i64, changes: &[Change]) -> bool {
        if revision < self.from || revision > self.upto {
            return true;
        }
        let told = self.events.get(&revision).map_or(&[][..], |events| &events[..]);
        let mut wanted = changes.iter().filter(|change| change.is_wanted(&self.interest));
        told.iter().all(|event| wanted.next().is_some_and(|change| tells(event, change)))
            && wanted.next().is_none()
    }
}

fn header(response: &WatchResponse) -> i64 {
    response.header.as_ref().map_or(0, |header| header.revision)
}

fn revision(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}
