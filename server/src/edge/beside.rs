//! Work that may take long, away from the thread that serves everybody.

use tokio::task::spawn_blocking;
use tonic::Status;

use super::status::of_request;
use crate::runtime::{Handle, RequestError};

/// Finds an answer: a quick one here; one that takes long, may be large or waits for the disk in
/// its turn and beside this thread.
pub(super) async fn find<T: Send + 'static>(
    handle: &Handle,
    quick: bool,
    find: impl FnOnce(&Handle) -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    if quick {
        return find(handle);
    }
    let turn = handle.reading.turn().await.map_err(of_request)?;
    let handle = handle.clone();
    // Who asked may be gone by now; what it asked for is counted as long as it is looked for.
    let found = spawn_blocking(move || {
        let found = find(&handle);
        drop(turn);
        found
    });
    found.await.map_err(|_| of_request(RequestError::Stopped))?
}
