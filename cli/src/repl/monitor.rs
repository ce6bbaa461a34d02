//! Says when the connection is lost and when it is back, one line each, whatever ran over it.

use std::sync::Arc;
use std::time::Duration;

use kvorum_client::{Connection, Failure};
use tokio::sync::Notify;

use super::screen::Screen;

/// How often the cluster is asked whether it is there: soon enough for a person, nothing for it.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often while nobody answers: somebody waits.
const LOST_INTERVAL: Duration = Duration::from_millis(500);

/// Watches the connection until the shell ends. `alarm` is raised by whoever lost his stream.
pub(super) async fn run(connection: Connection, screen: Screen, alarm: Arc<Notify>) {
    let mut lost = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(if lost { LOST_INTERVAL } else { INTERVAL }) => {}
            () = alarm.notified(), if !lost => {}
        }
        match connection.status_of_any().await {
            Ok(_) if lost => {
                lost = false;
                screen
                    .print(format!("connected again, to {}\n", connection.current_endpoint()))
                    .await;
            }
            Err(failure) if failure.is_connection() && !lost => {
                lost = true;
                screen.print(line(&failure)).await;
            }
            _ => {}
        }
    }
}

fn line(failure: &Failure) -> String {
    format!("connection lost: {failure}; trying again\n")
}
