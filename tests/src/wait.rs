//! Waiting for something to become true: by asking again and again, with a deadline.

use std::time::{Duration, Instant};

/// How long to leave a machine in peace between two questions.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until there is an answer, or until the time is up.
pub fn until<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// As [`until`], for what is asked over a connection.
pub async fn until_async<T>(limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
