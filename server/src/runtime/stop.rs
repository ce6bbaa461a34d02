//! Why a member stops, and who hears of it.

use std::sync::Arc;

use tokio::sync::watch;

/// Whoever finds a reason to stop says it here; the first reason counts. Everything of the member
/// that waits for something waits for this too.
#[derive(Clone)]
pub(crate) struct Stop(Arc<watch::Sender<Option<Reason>>>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody asked for it.
    Asked,
    /// The member cannot go on without risk to its data; why, and what to do.
    Fault(String),
}

impl Stop {
    pub(crate) fn new() -> Stop {
        Stop(Arc::new(watch::Sender::new(None)))
    }

    pub(crate) fn ask(&self) {
        self.set(Reason::Asked);
    }

    /// Stops the member for a reason that only a person can remove.
    pub(crate) fn fault(&self, message: impl Into<String>) {
        let message = message.into();
        tracing::error!(target: crate::logging::FATAL, reason = message, "the member stops");
        self.set(Reason::Fault(message));
    }

    pub(crate) fn reason(&self) -> Option<Reason> {
        self.0.borrow().clone()
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.borrow().is_some()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Reason>> {
        self.0.subscribe()
    }

    /// Waits until the member stops.
    pub(crate) async fn wait(&self) -> Reason {
        let mut news = self.subscribe();
        match news.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(Reason::Asked),
            Err(_) => Reason::Asked,
        }
    }

    fn set(&self, reason: Reason) {
        self.0.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(reason);
            }
            first
        });
    }
}
