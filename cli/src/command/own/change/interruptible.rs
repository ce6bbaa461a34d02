//! Ctrl-C before anything is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::command::CommandError;
use crate::exit;
use crate::signals::Interrupted;

/// Carries out a verb that makes a plan. Ctrl-C while it is made, or asked about, ends it and says
/// that nothing happened; a plan that is being carried out is unfinished, and sees to that itself.
pub(crate) async fn interruptible(
    unfinished: Arc<AtomicBool>,
    verb: impl Future<Output = Result<(), CommandError>>,
) -> Result<(), CommandError> {
    let mut interrupted = Interrupted::new()?;
    let mut verb = std::pin::pin!(verb);
    loop {
        tokio::select! {
            biased;
            outcome = &mut verb => return outcome,
            () = interrupted.wait() => {
                if !unfinished.load(Ordering::Relaxed) {
                    let message = "interrupted: nothing was written".to_owned();
                    return Err(CommandError::Other { code: exit::SIGINT, message });
                }
            }
        }
    }
}
