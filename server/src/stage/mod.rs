//! The parts of a member that act, each without a thread: what one of them does with a piece of
//! work, called and done.
//!
//! [`LogStage`] makes durable what the node wants durable, [`ApplyStage`] turns committed entries
//! into the next state, [`StoreStage`] writes down what that changed,
//! and [`StoredValues`] reads it back. The runtime gives the stages a thread and a queue each; a
//! simulator calls them in any order that their queues allow, on a disk that forgets. None of them
//! reads a clock or waits.

mod apply;
mod log;
mod store;
mod values;

pub use apply::{ApplyError, ApplyStage, Batch, Outcome};
pub use log::{LogStage, LogWork};
pub use store::{Copying, Delta, StoreStage, Stored};
pub use values::{Found, StoredValues};
