//! The backend thread: gathers what was applied and commits it a few times a second.

use kvorum_core::node::Input;
use kvorum_server::limits::BACKEND_COMMIT_BYTES;
use kvorum_server::stage::{Delta, StoreStage, Stored};
use kvorum_server::storage::backend::RedbBackend;

use super::apply::ApplyWork;
use super::{Place, Thread};
use crate::sim::time::{Time, US};
use crate::sim::world::World;

pub(in crate::sim) struct BackendThread {
    stage: StoreStage,
    queue: Vec<Delta>,
    pub(super) queued_bytes: usize,
    since: Option<Time>,
    /// A commit is under way that was not yet performed.
    due: bool,
    /// A commit was performed that nobody has heard of.
    stored: Option<Stored>,
}

impl BackendThread {
    pub(super) fn new(stage: StoreStage) -> BackendThread {
        BackendThread {
            stage,
            queue: Vec::new(),
            queued_bytes: 0,
            since: None,
            due: false,
            stored: None,
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether the queue takes so much more; what is larger than the limit goes in alone.
    pub(super) fn has_room(&self, bytes: usize, limit: usize) -> bool {
        self.queued_bytes == 0 || self.queued_bytes + bytes <= limit
    }

    pub(super) fn push(&mut self, delta: Delta) {
        self.queued_bytes += delta.bytes;
        self.queue.push(delta);
    }

    /// Everything before is void: the state is another one, and this holds it.
    pub(super) fn replace(&mut self, backend: RedbBackend) {
        self.stage.replace(backend);
        self.queue.clear();
        (self.queued_bytes, self.since, self.due, self.stored) = (0, None, false, None);
    }

    fn commit(&mut self) -> Result<(), String> {
        self.due = false;
        let committed = self.stage.commit();
        self.stored = committed.map_err(|error| format!("cannot write the store: {error}"))?;
        Ok(())
    }
}

impl World {
    pub(super) fn backend_begins(&mut self, place: Place) -> Result<Option<Time>, String> {
        let now = self.agenda.now();
        let interval = self.plan.commit_interval;
        let early = self.random.chance(50);
        let busy = self.random.skewed(self.plan.commit);
        let Some(life) = self.life(place) else { return Ok(None) };
        let backend = &mut life.backend;
        for delta in backend.queue.drain(..) {
            backend.stage.gather(delta);
            backend.since.get_or_insert(now);
        }
        backend.queued_bytes = 0;
        self.room_for_applied(place);
        let Some(life) = self.life(place) else { return Ok(None) };
        let backend = &mut life.backend;
        let Some(since) = backend.since else { return Ok(None) };
        let full = backend.stage.gathered_bytes().is_some_and(|n| n >= BACKEND_COMMIT_BYTES);
        if !full && now < since + interval {
            self.call_at(place, Thread::Backend, since + interval);
            return Ok(None);
        }
        backend.since = None;
        backend.due = true;
        if early {
            backend.commit()?;
        }
        Ok(Some(busy.max(100 * US)))
    }

    pub(super) fn backend_ends(&mut self, place: Place) -> Result<Option<Time>, String> {
        let Some(life) = self.life(place) else { return Ok(None) };
        if life.backend.due {
            life.backend.commit()?;
        }
        if let Some(stored) = life.backend.stored.take() {
            self.stored(place, stored);
        }
        Ok(None)
    }

    /// Everything up to here survives a crash.
    fn stored(&mut self, place: Place, stored: Stored) {
        let now = self.agenda.now();
        let numbers = [place.member as u64, stored.index, stored.revision as u64];
        self.trace.note(now, "stored", &numbers, || {
            format!("m{}: index {}, revision {}", place.member, stored.index, stored.revision)
        });
        self.figures.note("commits");
        self.apply_work(place, ApplyWork::Durable(stored.revision));
        self.input(place.member, Input::Stored { index: stored.index });
        self.swept(place, stored.swept);
    }
}
