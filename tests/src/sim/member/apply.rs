//! The apply thread: committed entries become the next state, which all see before anybody who
//! waited for it is answered.

use std::collections::VecDeque;

use kvorum_core::node::Input;
use kvorum_core::store::{Position, Root, Store};
use kvorum_server::limits::{APPLY_BATCH, SWEEP_BUDGET};
use kvorum_server::stage::{ApplyStage, Batch, Delta};
use raft_proto::eraftpb::Entry;

use super::{Place, Thread};
use crate::sim::check::Applied;
use crate::sim::time::{MS, Time, US};
use crate::sim::world::World;

/// As in the runtime: how often a sweep that a reader holds up is tried again.
const SWEEP_RETRY: Time = 100 * MS;

#[derive(Debug)]
pub(super) enum ApplyWork {
    Entries(Vec<Entry>),
    /// The backend has everything up to this revision.
    Durable(i64),
    /// Keep the state for the peer with this id.
    Hold(u64),
    /// Put the received state at this index in place, or forget it.
    Install(u64),
    Discard(u64),
}

/// How far the batch at hand has come.
enum Under {
    Nothing,
    /// Its entries are taken.
    Taken(Vec<Entry>),
    /// Its state can be read; nobody was answered.
    Published {
        batch: Batch,
        answers: Vec<Applied>,
    },
    /// Its changes wait for room.
    Waiting {
        delta: Delta,
        applied: Option<u64>,
    },
}

pub(in crate::sim) struct ApplyThread {
    stage: ApplyStage,
    work: VecDeque<ApplyWork>,
    under: Under,
    sweep_at: Option<Time>,
}

impl ApplyThread {
    pub(super) fn new(stage: ApplyStage, now: Time) -> ApplyThread {
        ApplyThread { stage, work: VecDeque::new(), under: Under::Nothing, sweep_at: Some(now) }
    }

    pub(in crate::sim) fn is_swept(&self) -> bool {
        self.stage.is_swept()
    }

    pub(super) fn position(&self) -> Position {
        self.stage.position()
    }

    pub(super) fn root(&self) -> Root {
        self.stage.root()
    }

    pub(super) fn replace(&mut self, store: Store) {
        self.stage.replace(store);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.work.is_empty() && matches!(self.under, Under::Nothing)
    }

    pub(super) fn has_work(&self, now: Time) -> bool {
        !self.work.is_empty() || self.sweep_at.is_some_and(|at| at <= now)
    }
}

impl World {
    pub(super) fn commit(&mut self, place: Place, entries: &[Entry]) {
        let Some(life) = self.life(place) else { return };
        for piece in entries.chunks(APPLY_BATCH) {
            life.apply.work.push_back(ApplyWork::Entries(piece.to_vec()));
        }
        self.call(place.member, Thread::Apply);
    }

    pub(super) fn apply_work(&mut self, place: Place, work: ApplyWork) {
        let Some(life) = self.life(place) else { return };
        life.apply.work.push_back(work);
        self.call(place.member, Thread::Apply);
    }

    pub(super) fn apply_begins(&mut self, place: Place) -> Result<Option<Time>, String> {
        let now = self.agenda.now();
        let per_entry = self.plan.apply;
        let Some(life) = self.life(place) else { return Ok(None) };
        if !matches!(life.apply.under, Under::Nothing) {
            // It waits for the backend, which calls it.
            return Ok(None);
        }
        Ok(match life.apply.work.pop_front() {
            Some(ApplyWork::Entries(entries)) => {
                let count = entries.len() as u64;
                life.apply.under = Under::Taken(entries);
                Some((1..=count).map(|_| self.random.skewed(per_entry)).sum())
            }
            Some(ApplyWork::Durable(revision)) => {
                life.apply.stage.durable(revision);
                Some(5 * US)
            }
            Some(ApplyWork::Hold(to)) => {
                self.hold(place, to);
                Some(5 * US)
            }
            Some(ApplyWork::Install(index)) => {
                self.install(place, index)?;
                Some(self.random.between((MS, 50 * MS)))
            }
            Some(ApplyWork::Discard(index)) => {
                self.discard(place, index)?;
                Some(100 * US)
            }
            None if life.apply.sweep_at.is_some_and(|at| at <= now) => {
                self.sweep(place);
                Some(20 * US)
            }
            None => {
                if let Some(at) = life.apply.sweep_at {
                    self.call_at(place, Thread::Apply, at);
                }
                None
            }
        })
    }

    pub(super) fn apply_ends(&mut self, place: Place) -> Result<Option<Time>, String> {
        let Some(life) = self.life(place) else { return Ok(None) };
        match std::mem::replace(&mut life.apply.under, Under::Nothing) {
            Under::Taken(entries) => self.apply(place, &entries),
            Under::Published { batch, answers } => {
                self.answer(place, batch, answers);
                Ok(None)
            }
            waiting @ Under::Waiting { .. } => {
                life.apply.under = waiting;
                Ok(None)
            }
            Under::Nothing => {
                self.sweep_if_due(place);
                Ok(None)
            }
        }
    }

    /// First the state: whoever looks from now on sees it.
    fn apply(&mut self, place: Place, entries: &[Entry]) -> Result<Option<Time>, String> {
        let Some(life) = self.life(place) else { return Ok(None) };
        let mut batch = life.apply.stage.apply(entries).map_err(|error| error.to_string())?;
        let answers = self.check_applied(place, entries, &mut batch);
        let Some(life) = self.life(place) else { return Ok(None) };
        for root in batch.before_compactions.drain(..) {
            life.watch.feed.before_compaction(root);
        }
        self.note_marks(place, std::mem::take(&mut batch.marks));
        let Some(life) = self.life(place) else { return Ok(None) };
        life.root = std::sync::Arc::clone(&batch.root);
        life.values.release();
        life.apply.under = Under::Published { batch, answers };
        Ok(Some(self.random.between((US, 20 * US))))
    }

    /// Then whoever waited for it.
    fn answer(&mut self, place: Place, batch: Batch, answers: Vec<Applied>) {
        let now = self.agenda.now();
        let index = batch.root.index();
        let clock = self.members[place.member].clock;
        let Some(life) = self.life(place) else { return };
        if !batch.leases.is_empty() {
            life.lessor.note(&batch.leases, &batch.root, clock.now_ms(now));
        }
        for answer in answers {
            self.write_applied(place, answer);
        }
        self.reads_advance(place, index);
        self.wake_watches(place);
        self.hand_over(place, batch.delta, Some(index));
        self.sweep_if_due(place);
    }

    /// Gives the changes to the backend, or waits until it has room for them.
    fn hand_over(&mut self, place: Place, delta: Delta, applied: Option<u64>) {
        let limit = self.plan.backend_bytes;
        let Some(life) = self.life(place) else { return };
        if !life.backend.has_room(delta.bytes, limit) {
            life.apply.under = Under::Waiting { delta, applied };
            self.figures.note("applies held up");
            return;
        }
        life.backend.push(delta);
        self.call(place.member, Thread::Backend);
        if let Some(index) = applied {
            self.input(place.member, Input::Applied { index });
        }
    }

    /// The backend has taken what waited for it.
    pub(super) fn room_for_applied(&mut self, place: Place) {
        let Some(life) = self.life(place) else { return };
        match std::mem::replace(&mut life.apply.under, Under::Nothing) {
            Under::Waiting { delta, applied } => {
                self.hand_over(place, delta, applied);
                self.call(place.member, Thread::Apply);
            }
            under => life.apply.under = under,
        }
    }

    fn sweep_if_due(&mut self, place: Place) {
        let now = self.agenda.now();
        let Some(life) = self.life(place) else { return };
        if life.apply.sweep_at.is_none_or(|at| at <= now) {
            self.sweep(place);
        }
    }

    /// One step of physical compaction.
    fn sweep(&mut self, place: Place) {
        let now = self.agenda.now();
        let Some(life) = self.life(place) else { return };
        if !matches!(life.apply.under, Under::Nothing) {
            return;
        }
        life.apply.sweep_at = None;
        if life.apply.stage.is_swept() {
            return;
        }
        let (delta, more) = life.apply.stage.sweep(SWEEP_BUDGET);
        let delay = if more || delta.is_some() { 0 } else { SWEEP_RETRY };
        life.apply.sweep_at = Some(now + delay);
        if let Some(delta) = delta {
            life.root = std::sync::Arc::new(life.apply.stage.root());
            self.figures.note("sweeps");
            self.hand_over(place, delta, None);
        }
        self.call_at(place, Thread::Apply, now + delay);
    }
}
