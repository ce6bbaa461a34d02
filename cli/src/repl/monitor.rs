//! Says when the connection is lost and when it is back, one line each.

use std::time::Duration;

use kvorum_client::{Connection, Failure};

use super::screen::Screen;

/// How often the cluster is asked whether it is there: soon enough for a person, nothing for it.
const INTERVAL: Duration = Duration::from_secs(2);

/// Watches the connection until the shell ends.
pub(super) async fn run(connection: Connection, screen: Screen) {
    let mut lost = false;
    loop {
        tokio::time::sleep(INTERVAL).await;
        match connection.status_of_any().await {
            Ok(_) if lost => {
                lost = false;
                screen.print(format!("connected again, to {}\n", connection.current_endpoint())).await;
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
    format!("connection lost: {failure}; it is opened again as soon as somebody answers\n")
}
