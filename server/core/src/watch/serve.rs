//! The steps in which watches are served: one step through the history at a time.
//!
//! Watches that are behind travel in convoys. A convoy starts where a watch waits, takes along
//! whoever waits on its way, and goes on to the present, where its riders become synced. So
//! however many watches come back at once, the history is walked over for all of them together. A
//! rider whose stream has no credit for what was found is left behind with a cursor of its own.
//!
//! There are two lanes, served by turns. In the one a convoy starts at the watch that is farthest
//! from the present, so that everybody arrives; in the other at one that is close to it, so that
//! a short delay is made up for without waiting for those who come from far.

use std::collections::BTreeSet;

use super::cohort::{Cohort, HandedOut};
use super::hub::Hub;
use super::index::Member;
use super::limits::RIDERS_PER_CREDIT;
use super::reply::{Delivery, StreamId, WatchId};
use super::stream::Place;
use crate::planted::{self, Bug};
use crate::store::{Revision, Root};

/// A lane of convoys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Far,
    Near,
}

impl Lane {
    pub(super) const ALL: [Lane; 2] = [Lane::Far, Lane::Near];

    fn other(self) -> Lane {
        match self {
            Lane::Far => Lane::Near,
            Lane::Near => Lane::Far,
        }
    }
}

impl Hub {
    /// Ends the watches whose next events a compaction may have taken.
    pub(super) fn note_compaction(&mut self, root: &Root, out: &mut Vec<Delivery>) {
        let compacted = root.compacted_revision();
        if compacted <= self.compacted {
            return;
        }
        self.compacted = compacted;
        let mut lost: Vec<Member> = Vec::new();
        for lane in Lane::ALL {
            // What was found before still goes out.
            self.hand_out(lane, out);
            lost.extend(self.overtaken(&self.convoys[lane as usize]));
        }
        for (id, stream) in &self.streams {
            let gone = stream.behind.iter().take_while(|(cursor, _)| cursor.main < compacted);
            lost.extend(gone.map(|(_, watch)| (*id, *watch)));
        }
        lost.extend(self.overtaken(&self.synced));
        for (stream, id) in &lost {
            self.overtake(*stream, *id, compacted);
        }
        for cohort in self.convoys.iter_mut().chain([&mut self.synced]) {
            cohort.upto = cohort.upto.max(compacted - 1);
        }
        for (stream, _) in lost {
            self.pump(stream, out);
        }
    }

    /// The watches of a cohort that the newest compaction overtook.
    fn overtaken(&self, cohort: &Cohort) -> Vec<Member> {
        if cohort.upto + 1 >= self.compacted {
            return Vec::new();
        }
        let overtaken =
            |(stream, id): &Member| self.streams[stream].watches[id].cursor.main < self.compacted;
        cohort.index.members().filter(overtaken).collect()
    }

    /// Serves all synced watches one step of what is new.
    pub(super) fn follow(&mut self, root: &Root, out: &mut Vec<Delivery>) {
        let newest = root.revision();
        if self.synced.upto >= newest {
            return;
        }
        if self.synced.is_empty() {
            self.synced.upto = newest;
            return;
        }
        let twice = planted::is(Bug::EventTwice) && self.synced.upto % 16 == 0;
        let from = self.synced.upto + i64::from(!twice);
        self.synced.step(root, (from, newest), &self.budget);
        let header = (self.synced.upto, self.response_bytes);
        let handed_out = self.synced.hand_out(&mut self.streams, header, out);
        for ((stream, id), cursor) in handed_out.stuck {
            self.settle(stream, id, cursor);
        }
    }

    /// Takes the convoy whose turn it is one step on.
    pub(super) fn catch_up(&mut self, root: &Root, out: &mut Vec<Delivery>) {
        for lane in [self.turn, self.turn.other()] {
            if self.ride(lane, root, out) {
                self.turn = lane.other();
                break;
            }
        }
        if !self.is_catching_up() {
            self.turn = Lane::Far;
        }
    }

    /// Some watches are on their way, or could be.
    pub(super) fn is_catching_up(&self) -> bool {
        self.waiting.len() > 0 || self.convoys.iter().any(|convoy| !convoy.is_empty())
    }

    /// Says whether there was a convoy.
    fn ride(&mut self, lane: Lane, root: &Root, out: &mut Vec<Delivery>) -> bool {
        let boarded = self.board(lane);
        let present = self.synced.upto;
        let convoy = &mut self.convoys[lane as usize];
        if convoy.is_empty() {
            return false;
        }
        if convoy.upto < present {
            convoy.step(root, (convoy.upto + 1, present), &self.budget);
        }
        let upto = convoy.upto;
        for ((stream, id), cursor) in boarded {
            // The step ended before it came there; the other lane may be faster.
            if cursor.main > upto + 1 {
                self.settle(stream, id, cursor);
            }
        }
        if upto == present || self.convoys[lane as usize].is_full(&self.budget) {
            self.hand_out(lane, out);
        }
        if upto == present {
            self.arrive(lane, out);
        }
        true
    }

    /// Lets the watches in that wait where the next step leads, so many that each stream which
    /// waits has its share.
    fn board(&mut self, lane: Lane) -> Vec<(Member, Revision)> {
        let budget = &self.budget;
        let step = i64::try_from(budget.step_versions).unwrap_or(i64::MAX);
        let convoy = &mut self.convoys[lane as usize];
        if convoy.is_empty() {
            let start = match lane {
                Lane::Far => self.waiting.farthest(),
                Lane::Near => self.waiting.closest(self.synced.upto.saturating_sub(step)),
            };
            let Some(start) = start else { return Vec::new() };
            *convoy = Cohort::at(start - 1);
        }
        let from = convoy.upto + 1;
        let to = from.saturating_add(step);
        let share = (budget.riders / self.waiting.len().max(1)).max(1);
        let mut boarded = Vec::new();
        for id in self.waiting.between(from, to, budget.riders) {
            let stream = self.streams.get_mut(&id).expect("a stream that waits is open");
            let useful = stream.credit.replies.saturating_mul(RIDERS_PER_CREDIT);
            let seats = share.min(useful).saturating_sub(stream.riding);
            let free = budget.riders.saturating_sub(convoy.index.len());
            let window = (Revision::first_of(from), WatchId::MIN)..;
            let waits = stream.behind.range(window).take_while(|(cursor, _)| cursor.main < to);
            let chosen: Vec<_> = waits.take(seats.min(free)).copied().collect();
            for (cursor, watch_id) in chosen {
                if let Some(watch) = stream.set_out(watch_id, lane) {
                    convoy.index.add(&watch.keys, watch.options, (id, watch_id));
                    boarded.push(((id, watch_id), cursor));
                }
            }
            self.waiting.list(id, stream);
        }
        boarded
    }

    /// Hands out what a convoy has found.
    fn hand_out(&mut self, lane: Lane, out: &mut Vec<Delivery>) {
        let header = (self.synced.upto, self.response_bytes);
        let convoy = &mut self.convoys[lane as usize];
        let HandedOut { stuck, streams } = convoy.hand_out(&mut self.streams, header, out);
        for ((stream, id), cursor) in stuck {
            self.settle(stream, id, cursor);
        }
        for stream in streams {
            self.pump(stream, out);
        }
    }

    /// A convoy has come to the present: its riders are synced.
    fn arrive(&mut self, lane: Lane, out: &mut Vec<Delivery>) {
        let upto = self.convoys[lane as usize].upto;
        let arrived = std::mem::replace(&mut self.convoys[lane as usize], Cohort::at(upto));
        let mut streams = BTreeSet::new();
        for (id, watch_id) in arrived.index.members() {
            let stream = self.streams.get_mut(&id).expect("an indexed watch has a stream");
            if let Some(watch) = stream.sync(watch_id, upto) {
                self.synced.index.add(&watch.keys, watch.options, (id, watch_id));
            }
            streams.insert(id);
        }
        for stream in streams {
            self.pump(stream, out);
        }
    }

    /// Puts a watch where its cursor says: behind, or among the synced.
    pub(super) fn settle(&mut self, stream: StreamId, id: WatchId, cursor: Revision) {
        self.leave(stream, id);
        let Some(known) = self.streams.get_mut(&stream) else { return };
        if cursor.main <= self.synced.upto {
            known.fall_behind(id, cursor);
        } else if let Some(watch) = known.sync(id, cursor.main - 1) {
            self.synced.index.add(&watch.keys, watch.options, (stream, id));
        }
        self.waiting.list(stream, known);
    }

    /// Takes a watch out of where it is.
    pub(super) fn leave(&mut self, stream: StreamId, id: WatchId) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        let Some(watch) = known.watches.get(&id) else { return };
        let member = (stream, id);
        match watch.place {
            Place::Nowhere | Place::Behind => {}
            Place::Synced => self.synced.remove(&watch.keys, watch.options, member),
            Place::Riding(lane) => {
                self.convoys[lane as usize].remove(&watch.keys, watch.options, member);
            }
        }
        known.leave(id);
    }
}
