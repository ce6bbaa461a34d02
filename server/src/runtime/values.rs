//! Values of old versions, read back from the backend.

use std::sync::Arc;

use bytes::Bytes;
use kvorum_core::store::Revision;

use super::RequestError;
use crate::storage::backend;

/// The backend's readers' side.
pub(crate) struct Values(Arc<dyn backend::Values>);

impl Values {
    pub(super) fn new(values: Arc<dyn backend::Values>) -> Values {
        Values(values)
    }

    /// The value at a revision; none if compaction removed it. Blocks on the disk.
    pub(crate) fn get(&self, at: Revision) -> Result<Option<Bytes>, RequestError> {
        self.0.value(at).map_err(|error| {
            tracing::error!(error = %error, "cannot read a value back");
            RequestError::Storage(error.to_string())
        })
    }

    /// What the backend takes on disk.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.0.size_bytes().unwrap_or(0)
    }

    /// What of it the records take.
    pub(crate) fn in_use_bytes(&self) -> u64 {
        self.0.in_use_bytes()
    }
}
