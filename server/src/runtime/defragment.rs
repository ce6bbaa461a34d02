//! Defragmentation of a running member, at a client's wish.
//!
//! The place for received states is held from before the backend thread hears of it until the end:
//! then no received state takes the store's name under it, and one that did so before has reached
//! the backend thread first.

use std::time::Instant;

use tokio::sync::oneshot;

use super::backend_thread::StoreWork;
use super::snapshots::Reserved;
use super::{Handle, RequestError};
use crate::stage::StoreStage;
use crate::storage::StorageError;

/// A client's wish, on the backend thread.
pub(super) struct Defragment {
    since: Instant,
    size_before: u64,
    done: oneshot::Sender<Result<(), StorageError>>,
    _place: Reserved,
}

impl Handle {
    /// Makes the backend's file about as small as what is in it; answers when that is done. It goes
    /// on if nobody waits for it.
    pub(crate) async fn defragment(&self) -> Result<(), RequestError> {
        let place = self.incoming.reserve().ok_or(RequestError::StoreBusy)?;
        let (done, answer) = oneshot::channel();
        let asked = Defragment {
            since: Instant::now(),
            size_before: self.space().size,
            done,
            _place: place,
        };
        self.storing.push(StoreWork::Defragment(asked));
        let done = answer.await.map_err(|_| RequestError::Stopped)?;
        done.map_err(|error| RequestError::Storage(format!("cannot defragment: {error}")))
    }
}

impl Defragment {
    /// Begins; answers what is to be ended.
    pub(super) fn begin(self, handle: &Handle, store: &mut StoreStage) -> Option<Defragment> {
        tracing::info!(size_bytes = self.size_before, "defragmenting the store");
        handle.metrics.defragmentations.up();
        match store.defragment(handle.incoming.dir().clone()) {
            Ok(()) => Some(self),
            Err(error) => self.end(handle, Err(error)),
        }
    }

    /// Tells how it ended. There is nothing left of it.
    pub(super) fn end(
        self,
        handle: &Handle,
        outcome: Result<(), StorageError>,
    ) -> Option<Defragment> {
        handle.metrics.defragmentations.down(1);
        match &outcome {
            Ok(()) => tracing::info!(
                took_ms = self.since.elapsed().as_millis() as u64,
                size_before_bytes = self.size_before,
                size_bytes = handle.space().size,
                "finished defragmenting the store"
            ),
            Err(error) => tracing::warn!(
                error = %error,
                "could not defragment the store, which is as it was"
            ),
        }
        let Defragment { done, _place: place, .. } = self;
        // Before the answer, so that who has it may ask again.
        drop(place);
        // The client may be gone.
        let _ = done.send(outcome);
        None
    }
}
