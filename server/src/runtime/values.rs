//! Values of old versions, read back from the backend.

use std::sync::Arc;

use bytes::Bytes;
use kvorum_core::store::{Pin, Revision};
use parking_lot::RwLock;

use super::RequestError;
use crate::storage::backend;

/// The backend's readers' side. When the state is replaced as a whole, so is the backend; what
/// reads an older state then finds its values in the one before, until the last such reader is
/// gone.
pub(crate) struct Values(RwLock<Backends>);

struct Backends {
    newest: Arc<dyn backend::Values>,
    /// The one before, and what its readers hold. One is enough: a second replacement while
    /// somebody reads the state before the first is unheard of, and fails the reader alone.
    before: Option<(Arc<dyn backend::Values>, Pin)>,
}

impl Values {
    pub(super) fn new(newest: Arc<dyn backend::Values>) -> Values {
        Values(RwLock::new(Backends { newest, before: None }))
    }

    /// From now on states are in another backend; `pin` is that of the last state in this one.
    pub(super) fn replace(&self, newest: Arc<dyn backend::Values>, pin: Pin) {
        let mut backends = self.0.write();
        let before = std::mem::replace(&mut backends.newest, newest);
        backends.before = Some((before, pin));
    }

    /// The value at a revision; none if compaction removed it. Blocks on the disk.
    pub(crate) fn get(&self, at: Revision) -> Result<Option<Bytes>, RequestError> {
        let (newest, before) = {
            let backends = self.0.read();
            let before = backends.before.as_ref().map(|(before, _)| Arc::clone(before));
            (Arc::clone(&backends.newest), before)
        };
        let read = newest.value(at).and_then(|value| match (value, before) {
            (None, Some(before)) => before.value(at),
            (value, _) => Ok(value),
        });
        read.map_err(|error| {
            tracing::error!(error = %error, "cannot read a value back");
            RequestError::Storage(error.to_string())
        })
    }

    /// Lets go of a backend that nobody can need any more.
    pub(super) fn release(&self) {
        let idle = |(_, pin): &mut (_, Pin)| pin.is_last();
        if self.0.read().before.is_some() {
            self.0.write().before.take_if(idle);
        }
    }

    /// What the backend takes on disk.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.0.read().newest.size_bytes().unwrap_or(0)
    }

    /// What of it the records take.
    pub(crate) fn in_use_bytes(&self) -> u64 {
        self.0.read().newest.in_use_bytes()
    }
}
