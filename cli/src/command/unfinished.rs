//! What must not be cut off in its middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Session;

/// For as long as this is held, the shell and scripts leave Ctrl-C to the command that runs: it sees
/// to it that what it is in the middle of comes to an end.
pub(crate) struct Unfinished(Arc<AtomicBool>);

impl Unfinished {
    pub(crate) fn begin(session: &Session) -> Self {
        session.unfinished.store(true, Ordering::Relaxed);
        Self(session.unfinished.clone())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
