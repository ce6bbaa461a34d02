//! The backend thread: writes down what was applied, a few times a second.

use std::time::Instant;

use kvorum_core::node::Input;

use super::Handle;
use super::apply_thread::ApplyWork;
use super::defragment::Defragment;
use super::queue::{Drained, Queue};
use crate::limits::{BACKEND_COMMIT_BYTES, BACKEND_COMMIT_INTERVAL};
use crate::stage::{Copying, Delta, StoreStage};
use crate::storage::backend::RedbBackend;

/// What the apply thread has for the backend.
pub(super) enum StoreWork {
    Delta(Delta),
    /// Everything before is void: the state is another one, and this holds it.
    Replace {
        backend: Box<RedbBackend>,
        swept: i64,
    },
    Defragment(Defragment),
}

/// Runs until the queue is closed, and commits what is left then.
pub(super) fn run(
    handle: &Handle,
    mut store: StoreStage,
    queue: &Queue<StoreWork>,
    apply: &Queue<ApplyWork>,
) {
    // Whoever waits for room must not wait for a thread that is gone.
    let _closed_at_the_end = queue.close_on_drop();
    let mut work = Vec::new();
    let mut since: Option<Instant> = None;
    let mut defragment: Option<Defragment> = None;
    loop {
        let until = if store.is_copying() {
            Some(Instant::now())
        } else {
            since.map(|since| since + BACKEND_COMMIT_INTERVAL)
        };
        let drained = queue.drain(&mut work, until);
        for work in work.drain(..) {
            match work {
                StoreWork::Delta(delta) => {
                    store.gather(delta);
                    since.get_or_insert_with(Instant::now);
                }
                StoreWork::Replace { backend, swept } => {
                    store.replace(*backend);
                    handle.swept.send_replace(swept);
                }
                StoreWork::Defragment(asked) => defragment = asked.begin(handle, &mut store),
            }
        }
        let full = store.gathered_bytes().is_some_and(|bytes| bytes >= BACKEND_COMMIT_BYTES);
        let due = since.is_some_and(|since| since.elapsed() >= BACKEND_COMMIT_INTERVAL);
        if full || due || drained == Drained::Closed {
            since = None;
            let begun = Instant::now();
            match store.commit() {
                Ok(Some(stored)) => {
                    handle.metrics.store_committed.observe(begun.elapsed());
                    apply.push(ApplyWork::Durable { revision: stored.revision });
                    handle.inbox.push(Input::Stored { index: stored.index });
                    handle.swept.send_replace(stored.swept);
                }
                Ok(None) => {}
                Err(error) => return handle.stop.fault(format!("cannot write the store: {error}")),
            }
        }
        if drained == Drained::Closed {
            return store.give_up_copying();
        }
        match store.copy() {
            Ok(Copying::Idle | Copying::Goes) => {}
            Ok(Copying::Done(values)) => {
                handle.values.move_to(values);
                defragment = defragment.and_then(|done| done.end(handle, Ok(())));
            }
            Ok(Copying::Failed(error)) => {
                defragment = defragment.and_then(|failed| failed.end(handle, Err(error)));
            }
            Err(error) => return handle.stop.fault(format!("cannot write the store: {error}")),
        }
    }
}
