//! The backend thread: gathers what was applied and commits it, a few times a second.

use std::sync::Arc;
use std::time::Instant;

use kvorum_core::store::{Change, Position};

use super::Handle;
use super::apply_thread::ApplyWork;
use super::queue::{Drained, Queue};
use crate::limits::{BACKEND_COMMIT_BYTES, BACKEND_COMMIT_INTERVAL};
use crate::storage::backend::Backend;

/// What one batch of entries, or one step of a sweep, changes.
pub(super) struct Delta {
    pub(super) changes: Vec<Change>,
    pub(super) position: Position,
    /// The store's revision at that position.
    pub(super) revision: i64,
    /// The newest compaction whose history this and the deltas before remove.
    pub(super) swept: i64,
    pub(super) bytes: usize,
}

/// About what a change takes on its way to the backend.
pub(super) fn change_bytes(change: &Change) -> usize {
    /// Revisions, table, and the room its record takes in a page.
    const FRAME: usize = 128;
    FRAME
        + match change {
            Change::Version(version) => version.key.len() + version.value_len as usize,
            Change::Put { key, value, .. } => key.len() + value.len(),
            Change::Remove { key, .. } => key.len(),
            Change::RemoveVersion(_) => 0,
        }
}

/// Deltas that are not committed yet, as one.
struct Gathered {
    delta: Delta,
    since: Instant,
}

/// Runs until the queue is closed, and commits what is left then.
pub(super) fn run(
    handle: &Handle,
    mut backend: impl Backend,
    queue: &Queue<Delta>,
    apply: &Arc<Queue<ApplyWork>>,
) {
    // Whoever waits for room must not wait for a thread that is gone.
    let _closed_at_the_end = queue.close_on_drop();
    let mut deltas = Vec::new();
    let mut gathered: Option<Gathered> = None;
    loop {
        let until = gathered.as_ref().map(|gathered| gathered.since + BACKEND_COMMIT_INTERVAL);
        let drained = queue.drain(&mut deltas, until);
        for delta in deltas.drain(..) {
            gather(&mut gathered, delta);
        }
        let due = |gathered: &Gathered| {
            drained == Drained::Closed
                || gathered.delta.bytes >= BACKEND_COMMIT_BYTES
                || gathered.since.elapsed() >= BACKEND_COMMIT_INTERVAL
        };
        if let Some(Gathered { delta, .. }) = gathered.take_if(|gathered| due(gathered)) {
            if let Err(error) = backend.commit(&delta.changes, &delta.position) {
                return handle.stop.fault(format!("cannot write the store: {error}"));
            }
            apply.push(ApplyWork::Durable { revision: delta.revision });
            handle.swept.send_replace(delta.swept);
        }
        if drained == Drained::Closed {
            return;
        }
    }
}

fn gather(gathered: &mut Option<Gathered>, delta: Delta) {
    match gathered {
        None => *gathered = Some(Gathered { delta, since: Instant::now() }),
        Some(Gathered { delta: first, .. }) => {
            first.changes.extend(delta.changes);
            first.position = delta.position;
            first.revision = delta.revision;
            first.swept = delta.swept;
            first.bytes += delta.bytes;
        }
    }
}
