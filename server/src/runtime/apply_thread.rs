//! The apply thread: the only one that changes the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kvorum_core::auth::TokenNews;
use kvorum_core::node::Input;
use kvorum_core::store::Root;
use raft_proto::eraftpb::Entry;

use super::backend_thread::StoreWork;
use super::queue::{Drained, Queue};
use super::snapshots::Held;
use super::{Handle, RequestError};
use crate::limits::{APPLY_BATCH, BACKEND_QUEUE_BYTES, SWEEP_BUDGET};
use crate::stage::{ApplyError, ApplyStage, Delta};
use crate::storage::backend::Backend;
use crate::storage::snapshot::{self, Received};

pub(super) enum ApplyWork {
    Commit(Vec<Entry>),
    /// The backend has everything up to this revision.
    Durable {
        revision: i64,
    },
    /// Keep the state as it is for a peer.
    Hold {
        to: u64,
    },
    /// Put the state that was received in the place of ours.
    Install {
        index: u64,
    },
    /// Forget the state that was received.
    Discard {
        index: u64,
    },
}

/// How often a sweep that a reader holds up is tried again.
const SWEEP_RETRY: Duration = Duration::from_millis(100);

pub(super) struct ApplyThread {
    pub(super) handle: Handle,
    pub(super) stage: ApplyStage,
    pub(super) work: Arc<Queue<ApplyWork>>,
    pub(super) backend: Arc<Queue<StoreWork>>,
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
                if let Err(reason) = self.perform(work) {
                    return self.handle.stop.fault(reason);
                }
            }
            if sweep_at.is_none_or(|at| Instant::now() >= at) {
                sweep_at = self.sweep();
            }
        }
    }

    fn perform(&mut self, work: ApplyWork) -> Result<(), String> {
        match work {
            ApplyWork::Commit(entries) => {
                for batch in entries.chunks(APPLY_BATCH) {
                    self.apply(batch).map_err(|error| error.to_string())?;
                }
            }
            ApplyWork::Durable { revision } => self.stage.durable(revision),
            ApplyWork::Hold { to } => self.hold(to),
            ApplyWork::Install { index } => self.install(index)?,
            ApplyWork::Discard { index } => self.discard(index)?,
        }
        Ok(())
    }

    /// Applies a batch, then lets everybody see it: first the state, then whoever waited for it.
    fn apply(&mut self, entries: &[Entry]) -> Result<(), ApplyError> {
        let batch = self.stage.apply(entries)?;
        for root in batch.before_compactions {
            self.handle.watches.before_compaction(root);
        }
        self.handle.states.note(batch.marks);
        let index = batch.root.index();
        // Whoever hears that a token is good or void finds it so.
        batch.tokens.into_iter().for_each(|news| self.note(news));
        self.publish(Arc::clone(&batch.root));
        self.handle.leases.note(&batch.leases, &batch.root);
        let done = batch.answers.iter().filter_map(|(_, answer)| answer.as_ref().ok());
        done.for_each(|outcome| self.handle.metrics.operations.count(&outcome.reply));
        let answers = batch.answers.into_iter();
        let answers = answers.map(|(id, answer)| (id, answer.map_err(RequestError::Store)));
        self.handle.writes.answer(answers);
        self.handle.reads.advance(index);
        self.handle.watches.wake();
        self.hand_over(batch.delta);
        self.handle.inbox.push(Input::Applied { index });
        Ok(())
    }

    fn note(&self, news: TokenNews) {
        let tokens = &self.handle.tokens;
        match news {
            TokenNews::Issued { digest, user } => tokens.remember(&digest, &user),
            TokenNews::Void { user } => tokens.void_user(&user),
            TokenNews::VoidAll => tokens.clear(),
        }
    }

    fn hold(&self, to: u64) {
        let position = self.stage.position();
        let taken = Input::SnapshotTaken {
            to,
            index: position.index,
            term: position.term,
            conf_state: position.conf_state.clone(),
        };
        let root = Arc::new(self.stage.root());
        self.handle.snapshots.hold(to, Held { root, position });
        self.handle.inbox.push(taken);
    }

    /// Goes on with the state that was received. It is durable, and so is the log's word that it
    /// begins there.
    fn install(&mut self, index: u64) -> Result<(), String> {
        let Some((received, place)) = self.handle.incoming.take(index) else {
            return Err(format!("the state of entry {index} was received and is gone"));
        };
        let Received { position, store, backend } = received;
        let installed = snapshot::install(self.handle.incoming.dir(), &position);
        installed.map_err(|error| format!("cannot put a received state in place: {error}"))?;
        // Who still reads the state before goes on reading its own values.
        self.handle.values.replace(backend.values(), self.stage.root().pin());
        let swept = store.swept();
        self.stage.replace(store);
        self.backend.push(StoreWork::Replace { backend: Box::new(backend), swept });
        // Whoever has the place next finds the backend thread with this state.
        place.left();
        let root = Arc::new(self.stage.root());
        let revision = root.revision();
        // Which tokens became void on the way is not known here; clients ask for new ones.
        self.handle.tokens.clear();
        self.publish(root);
        self.handle.leases.replaced();
        self.handle.reads.advance(index);
        self.handle.watches.wake();
        self.handle.inbox.push(Input::Applied { index });
        self.handle.inbox.push(Input::Stored { index });
        tracing::info!(index, revision, "a snapshot from the leader is this member's state now");
        Ok(())
    }

    fn discard(&self, index: u64) -> Result<(), String> {
        let Some((received, place)) = self.handle.incoming.take(index) else { return Ok(()) };
        snapshot::discard(self.handle.incoming.dir(), &received.position)
            .map_err(|error| format!("cannot forget a received state: {error}"))?;
        place.left();
        Ok(())
    }

    fn publish(&self, root: Arc<Root>) {
        let index = root.index();
        let auth = (root.auth().revision(), root.auth().is_enabled());
        self.handle.root.store(root);
        self.handle.auth_news.send_if_modified(|known| std::mem::replace(known, auth) != auth);
        self.handle.progress.applied.store(index, Ordering::Release);
        self.handle.values.release();
    }

    /// Gives the changes to the backend; waits if it is far behind.
    fn hand_over(&self, delta: Delta) {
        let bytes = delta.bytes;
        self.backend.push_when_room(StoreWork::Delta(delta), bytes, BACKEND_QUEUE_BYTES);
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
