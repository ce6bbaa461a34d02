//! A watch in the background: its events are printed above the prompt, each answer in one piece.
//!
//! A lost stream goes on by itself without a gap, so nothing is said of it here: that the
//! connection is gone is one line of the monitor's, however many watches ran over it.

use std::sync::Arc;

use kvorum_client::{Failure, WatchItem, WatchStream, pb};

use tokio::sync::Notify;

use super::screen::Screen;
use crate::output::{Answer, Style};

/// Where a watch says what it has to say.
pub(super) struct Report {
    /// The job's.
    pub number: usize,
    pub style: Style,
    pub screen: Screen,
    /// Raised when the stream is lost.
    pub alarm: Arc<Notify>,
}

/// Prints what a watch brings until it ends.
pub(super) async fn run(mut stream: WatchStream, report: Report) {
    let Report { number, style, screen, alarm } = report;
    while let Some(item) = stream.next().await {
        let text = match item {
            WatchItem::Watching { .. } => continue,
            WatchItem::Events(response) | WatchItem::Progress(response) => {
                printed(&response, &style)
            }
            WatchItem::Lost(_) => {
                alarm.notify_one();
                continue;
            }
            WatchItem::Ended(response) => ended(number, &response),
            WatchItem::Failed(failure) => failed(number, &failure),
        };
        screen.print(text).await;
    }
}

/// An answer as `watch` prints it on the command line.
fn printed(response: &pb::WatchResponse, style: &Style) -> String {
    let mut bytes = Vec::new();
    match style.printer().print(Answer::Watch(response), &mut bytes) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("{error}\n"),
    }
}

fn ended(number: usize, response: &pb::WatchResponse) -> String {
    match (response.compact_revision, response.cancel_reason.as_str()) {
        (0, reason) => format!("[{number}] watch ended by the server: {reason}\n"),
        (revision, _) => format!(
            "[{number}] watch ended: revisions before {revision} have been compacted; get the \
             keys and watch from {revision} on\n"
        ),
    }
}

fn failed(number: usize, failure: &Failure) -> String {
    format!("[{number}] watch ended: {failure}\n")
}
