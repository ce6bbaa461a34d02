//! The log's part: what the node wants durable, with one sync for all that is waiting.

use std::time::{Duration, Instant};

use kvorum_core::node::{Group, Input};
use kvorum_core::planted::{self, Bug};

use crate::storage::wal::{Log, LogError};

/// What the node asks of the log.
#[derive(Debug)]
pub enum LogWork {
    Append(Group),
    Fetch {
        low: u64,
        high: u64,
        max_bytes: u64,
    },
    /// Entries up to here are no longer needed.
    Release {
        upto: u64,
    },
    /// What the log had lost to damage is in it again.
    Complete,
}

/// The log, and whether it has yet to note that everything in it is durable.
///
/// An error is final: what could not be made durable must never be acknowledged, and after a
/// failed sync nobody knows what is on the disk.
#[derive(Debug)]
pub struct LogStage {
    log: Log,
    unmarked: bool,
    sync_time: Option<Duration>,
}

impl LogStage {
    pub fn new(log: Log) -> LogStage {
        LogStage { log, unmarked: false, sync_time: None }
    }

    /// Writes the groups among the work and syncs once; `answer` gets what the node is to hear.
    pub fn perform(
        &mut self,
        work: impl Iterator<Item = LogWork>,
        mut answer: impl FnMut(Input),
    ) -> Result<(), LogError> {
        let mut appended = false;
        for work in work {
            match work {
                LogWork::Append(group) => {
                    self.log.append(&group)?;
                    appended = true;
                    if planted::is(Bug::PersistedBeforeSync) {
                        answer(Input::Persisted { number: group.number });
                        appended = group.number.is_multiple_of(4);
                    }
                }
                LogWork::Fetch { low, high, max_bytes } => {
                    let entries = match self.log.read(low, high, max_bytes) {
                        // Replaced meanwhile: the node no longer wants them.
                        Err(LogError::OutOfRange { .. }) => Vec::new(),
                        entries => entries?,
                    };
                    answer(Input::Fetched { low, entries });
                }
                LogWork::Release { upto } => {
                    self.log.release(upto)?;
                }
                LogWork::Complete => self.log.complete()?,
            }
        }
        if appended {
            self.unmarked = true;
            let begun = Instant::now();
            let number = self.log.sync()?.number();
            self.sync_time = Some(begun.elapsed());
            answer(Input::Persisted { number });
        }
        Ok(())
    }

    /// How long the last sync took, once.
    pub fn take_sync_time(&mut self) -> Option<Duration> {
        self.sync_time.take()
    }

    /// Whether [`LogStage::mark`] has something to note; worth it when there is nothing else to
    /// do.
    pub fn is_unmarked(&self) -> bool {
        self.unmarked
    }

    /// Notes in the log that everything in it is durable.
    pub fn mark(&mut self) -> Result<(), LogError> {
        self.unmarked = false;
        self.log.mark()
    }
}
