//! Text that appears on its own: events of a watch, lost and found connections.
//!
//! It is written above the prompt, which stays as it is. While a command runs, or the dashboard is
//! open, there is no prompt, and the text waits: else it would land in the middle of an answer.
//! Waiting and writing block, so a thread does it, behind a bounded queue: a watch that brings more
//! than the terminal can take is slowed down, not collected in memory.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::editor::Above;

/// Texts on their way to the terminal; each is at most one answer of the server.
const QUEUE_MAX: usize = 64;

/// Prints above the prompt. Cheap to clone.
#[derive(Clone)]
pub(super) struct Screen {
    texts: mpsc::Sender<String>,
}

impl Screen {
    pub(super) fn start(mut above: Above, prompt: Prompt) -> std::io::Result<Self> {
        let (texts, mut queue) = mpsc::channel::<String>(QUEUE_MAX);
        std::thread::Builder::new().name("screen".to_owned()).spawn(move || {
            while let Some(text) = queue.blocking_recv() {
                prompt.wait();
                if above.print(text).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { texts })
    }

    /// Prints whole lines; waits while the terminal is behind.
    pub(super) async fn print(&self, text: String) {
        // The terminal is gone when nobody takes the text: then there is nobody to tell.
        let _ = self.texts.send(text).await;
    }
}

/// Whether the prompt stands, so that there is an above. Cheap to clone; clones are one.
#[derive(Clone, Default)]
pub(super) struct Prompt(Arc<(Mutex<bool>, Condvar)>);

impl Prompt {
    pub(super) fn set(&self, stands: bool) {
        let (state, changed) = &*self.0;
        *state.lock().unwrap_or_else(PoisonError::into_inner) = stands;
        changed.notify_all();
    }

    fn wait(&self) {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_while(state, |stands| !*stands));
    }
}
