//! The apply thread: the only one that changes the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kvorum_core::node::Input;
use kvorum_core::store::{Change, Root, Store};
use kvorum_proto::etcdserverpb::InternalRaftRequest;
use prost::Message;
use raft_proto::eraftpb::{Entry, EntryType};

use super::backend_thread::{Delta, change_bytes};
use super::leases::LeaseNews;
use super::queue::{Drained, Queue};
use super::waiters::Outcome;
use super::{Handle, RequestError};
use crate::limits::{APPLY_BATCH, BACKEND_QUEUE_BYTES, SWEEP_BUDGET};

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
    pub(super) store: Store,
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
                    self.apply(batch)?;
                }
            }
            ApplyWork::Durable { revision } => self.store.durable(revision),
        }
        Ok(())
    }

    /// Applies a batch, then lets everybody see it: first the state, then whoever waited for it.
    fn apply(&mut self, batch: &[Entry]) -> Result<(), String> {
        let Some(index) = batch.last().map(|entry| entry.index) else { return Ok(()) };
        let mut answers = Vec::with_capacity(batch.len());
        let mut changes = Vec::with_capacity(batch.len());
        let mut leases = LeaseNews::default();
        for entry in batch {
            let Some(request) = decode(entry)? else {
                self.store.skip(entry.index, entry.term);
                continue;
            };
            if request.compaction.is_some() {
                self.handle.watches.before_compaction(Arc::new(self.store.root()));
            }
            let applied = self.store.apply(entry.index, entry.term, &request);
            let answer = match applied.reply {
                Ok(reply) => {
                    leases.note(&request, &reply);
                    Ok(Outcome { reply, revision: applied.revision })
                }
                Err(error) if error.is_deterministic() => Err(RequestError::Store(error)),
                Err(error) => return Err(format!("cannot apply entry {}: {error}", entry.index)),
            };
            answers.push((applied.request_id, answer));
            changes.extend(applied.changes);
        }
        let root = self.publish(index);
        self.handle.leases.note(leases, &root);
        self.handle.writes.answer(answers.into_iter());
        self.handle.reads.advance(index);
        self.handle.watches.wake();
        self.hand_over(changes, root.revision());
        self.handle.inbox.push(Input::Applied { index });
        Ok(())
    }

    fn publish(&self, index: u64) -> Arc<Root> {
        let root = Arc::new(self.store.root());
        self.handle.root.store(Arc::clone(&root));
        self.handle.progress.applied.store(index, Ordering::Release);
        root
    }

    /// Gives the changes to the backend; waits if it is far behind.
    fn hand_over(&self, changes: Vec<Change>, revision: i64) {
        let bytes = changes.iter().map(change_bytes).sum();
        let delta = Delta {
            changes,
            position: self.store.position(),
            revision,
            swept: self.store.swept(),
            bytes,
        };
        self.backend.push_when_room(delta, bytes, BACKEND_QUEUE_BYTES);
    }

    /// One step of physical compaction; says when to go on, or that there is nothing left.
    fn sweep(&mut self) -> Option<Instant> {
        let root = self.handle.root();
        if self.store.swept() >= root.compacted_revision() {
            return None;
        }
        let (index, revision) = (root.index(), root.revision());
        // Held on, it would hold the sweep up.
        drop(root);
        let (changes, more) = self.store.sweep(SWEEP_BUDGET);
        let swept_something = !changes.is_empty();
        if swept_something {
            self.publish(index);
            self.hand_over(changes, revision);
        }
        let delay = if more || swept_something { Duration::ZERO } else { SWEEP_RETRY };
        Some(Instant::now() + delay)
    }
}

/// The request in an entry; none in those that raft makes itself.
fn decode(entry: &Entry) -> Result<Option<InternalRaftRequest>, String> {
    if entry.get_entry_type() != EntryType::EntryNormal {
        return Err(format!(
            "entry {} changes the members, which this version cannot: upgrade this member",
            entry.index
        ));
    }
    if entry.data.is_empty() {
        return Ok(None);
    }
    InternalRaftRequest::decode(entry.data.clone())
        .map(Some)
        .map_err(|error| format!("entry {} of the log cannot be read: {error}", entry.index))
}
