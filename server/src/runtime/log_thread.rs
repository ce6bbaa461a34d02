//! The log thread: writes what the node wants durable.

use std::time::{Duration, Instant};

use super::Handle;
use super::queue::{Drained, Queue};
use crate::stage::{LogStage, LogWork};

/// A log that has had nothing to do for so long notes that everything in it is durable.
const IDLE: Duration = Duration::from_millis(50);

/// Runs until the queue is closed, or the log fails.
pub(super) fn run(handle: &Handle, mut log: LogStage, queue: &Queue<LogWork>) {
    let mut work = Vec::new();
    loop {
        let until = log.is_unmarked().then(|| Instant::now() + IDLE);
        match queue.drain(&mut work, until) {
            Drained::Closed => {
                let _ = log.mark();
                return;
            }
            Drained::Nothing => {
                if let Err(error) = log.mark() {
                    return handle.stop.fault(format!("cannot write the log: {error}"));
                }
            }
            Drained::Items => {
                if let Err(error) = log.perform(work.drain(..), |input| handle.inbox.push(input)) {
                    return handle.stop.fault(format!("cannot use the log: {error}"));
                }
                if let Some(took) = log.take_sync_time() {
                    handle.metrics.log_synced.observe(took);
                }
            }
        }
    }
}
