//! Text that appears on its own: events of a watch, lost and found connections.
//!
//! It is written above the prompt, which stays as it is. Writing to the line editor can wait for
//! it, so a thread does it, behind a bounded queue: a watch that brings more than the terminal can
//! take is slowed down, not collected in memory.

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
    pub(super) fn start(mut above: Above) -> std::io::Result<Self> {
        let (texts, mut queue) = mpsc::channel::<String>(QUEUE_MAX);
        std::thread::Builder::new().name("screen".to_owned()).spawn(move || {
            while let Some(text) = queue.blocking_recv() {
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
