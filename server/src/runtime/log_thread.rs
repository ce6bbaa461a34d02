//! The log thread: writes what the node wants durable, with one sync for all that is waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kvorum_core::node::{Group, Input};

use super::Handle;
use super::queue::{Drained, Queue};
use crate::storage::wal::{Log, LogError};

/// What the node asks of the log.
pub(super) enum LogWork {
    Append(Group),
    Fetch { low: u64, high: u64, max_bytes: u64 },
}

/// A log that has had nothing to do for so long notes that everything in it is durable.
const IDLE: Duration = Duration::from_millis(50);

/// Runs until the queue is closed. An error is final: what could not be made durable must never
/// be acknowledged, and after a failed sync nobody knows what is on the disk.
pub(super) fn run(handle: &Handle, mut log: Log, queue: &Arc<Queue<LogWork>>) {
    let mut work = Vec::new();
    let mut marked = true;
    loop {
        let until = (!marked).then(|| Instant::now() + IDLE);
        match queue.drain(&mut work, until) {
            Drained::Closed => {
                let _ = log.mark();
                return;
            }
            Drained::Nothing => {
                marked = true;
                if let Err(error) = log.mark() {
                    return handle.stop.fault(format!("cannot write the log: {error}"));
                }
            }
            Drained::Items => match perform(handle, &mut log, work.drain(..)) {
                Ok(synced) => marked &= !synced,
                Err(error) => return handle.stop.fault(format!("cannot use the log: {error}")),
            },
        }
    }
}

/// Writes the groups and syncs once; says whether it did.
fn perform(
    handle: &Handle,
    log: &mut Log,
    work: impl Iterator<Item = LogWork>,
) -> Result<bool, LogError> {
    let mut appended = false;
    for work in work {
        match work {
            LogWork::Append(group) => {
                log.append(&group)?;
                appended = true;
            }
            LogWork::Fetch { low, high, max_bytes } => {
                let entries = match log.read(low, high, max_bytes) {
                    // Replaced meanwhile: the node no longer wants them.
                    Err(LogError::OutOfRange { .. }) => Vec::new(),
                    entries => entries?,
                };
                handle.inbox.push(Input::Fetched { low, entries });
            }
        }
    }
    if appended {
        let number = log.sync()?.number();
        handle.inbox.push(Input::Persisted { number });
    }
    Ok(appended)
}
