//! A watch in the background: its events are printed above the prompt, each answer in one piece.

use kvorum_client::{Failure, WatchItem, WatchStream, pb};

use super::screen::Screen;
use crate::output::{Answer, Style};

/// Prints what a watch brings until it ends. `number` is the job's.
pub(super) async fn run(number: usize, mut stream: WatchStream, style: Style, screen: Screen) {
    let mut lost = false;
    while let Some(item) = stream.next().await {
        let text = match item {
            WatchItem::Watching { .. } if std::mem::take(&mut lost) => {
                format!("[{number}] watching again, nothing was missed\n")
            }
            WatchItem::Watching { .. } => continue,
            WatchItem::Events(response) | WatchItem::Progress(response) => {
                printed(&response, style)
            }
            WatchItem::Lost(_) if lost => continue,
            WatchItem::Lost(failure) => {
                lost = true;
                format!("[{number}] {failure}; watching again as soon as possible\n")
            }
            WatchItem::Ended(response) => ended(number, &response),
            WatchItem::Failed(failure) => failed(number, &failure),
        };
        screen.print(text).await;
    }
}

/// An answer as `watch` prints it on the command line.
fn printed(response: &pb::WatchResponse, style: Style) -> String {
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
