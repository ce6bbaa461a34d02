//! The apply thread: the only one that changes the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kvorum_core::node::Input;
use kvorum_core::store::Root;
use raft_proto::eraftpb::Entry;

use super::queue::{Drained, Queue};
use super::{Handle, RequestError};
use crate::limits::{APPLY_BATCH, BACKEND_QUEUE_BYTES, SWEEP_BUDGET};
use crate::stage::{ApplyError, ApplyStage, Delta};

pub(super) enum ApplyWork {
    Commit(Vec<Entry>),
    /// The backend has everything up to this revision.
    Durable {
        revision: i64,
    },
}

/// How often a sweep that a reader holds up is tried again.
const SWEEP_RETRY: Duration = Duration::from_millis(100);

pub(super) struct ApplyThread {
    pub(super) handle: Handle,
    pub(super) stage: ApplyStage,
    pub(super) work: Arc<Queue<ApplyWork>>,
    pub(super) backend: Arc<Queue<Delta>>,
}

impl ApplyThread {
    /// Runs until the queue is closed, or the log holds what this version cannot apply.
    pub(super) fn run(mut self) {
        // The thread behind this one must end even if this one panics.
        let backend = Arc::clone(&self.backend);
        let _closing = backend.close_on_drop();
        let mut work = Vec::new();
        let mut sweep_at = Some(Instant::now());
        loop {
            let drained = self.work.drain(&mut work, sweep_at);
            if drained == Drained::Closed {
                return;
            }
            for work in work.drain(..) {
                if let Err(error) = self.perform(work) {
                    return self.handle.stop.fault(error.to_string());
                }
            }
            if sweep_at.is_none_or(|at| Instant::now() >= at) {
                sweep_at = self.sweep();
            }
        }
    }

    fn perform(&mut self, work: ApplyWork) -> Result<(), ApplyError> {
        match work {
            ApplyWork::Commit(entries) => {
                for batch in entries.chunks(APPLY_BATCH) {
                    self.apply(batch)?;
                }
            }
            ApplyWork::Durable { revision } => self.stage.durable(revision),
        }
        Ok(())
    }

    /// Applies a batch, then lets everybody see it: first the state, then whoever waited for it.
    fn apply(&mut self, entries: &[Entry]) -> Result<(), ApplyError> {
        let batch = self.stage.apply(entries)?;
        for root in batch.before_compactions {
            self.handle.watches.before_compaction(root);
        }
        let index = batch.root.index();
        self.publish(Arc::clone(&batch.root));
        self.handle.leases.note(&batch.leases, &batch.root);
        let answers = batch.answers.into_iter();
        let answers = answers.map(|(id, answer)| (id, answer.map_err(RequestError::Store)));
        self.handle.writes.answer(answers);
        self.handle.reads.advance(index);
        self.handle.watches.wake();
        self.hand_over(batch.delta);
        self.handle.inbox.push(Input::Applied { index });
        Ok(())
    }

    fn publish(&self, root: Arc<Root>) {
        let index = root.index();
        self.handle.root.store(root);
        self.handle.progress.applied.store(index, Ordering::Release);
    }

    /// Gives the changes to the backend; waits if it is far behind.
    fn hand_over(&self, delta: Delta) {
        let bytes = delta.bytes;
        self.backend.push_when_room(delta, bytes, BACKEND_QUEUE_BYTES);
    }

    /// One step of physical compaction; says when to go on, or that there is nothing left.
    fn sweep(&mut self) -> Option<Instant> {
        if self.stage.is_swept() {
            return None;
        }
        let (delta, more) = self.stage.sweep(SWEEP_BUDGET);
        let delay = if more || delta.is_some() { Duration::ZERO } else { SWEEP_RETRY };
        if let Some(delta) = delta {
            self.publish(Arc::new(self.stage.root()));
            self.hand_over(delta);
        }
        Some(Instant::now() + delay)
    }
}
