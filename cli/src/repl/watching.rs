//! A watch in the background: its events are printed above the prompt, each answer in one piece.
//!
//! A lost stream goes on by itself without a gap, so nothing is said of it here: that the
//! connection is gone is one line of the monitor's, however many watches ran over it.

use std::sync::Arc;

use kvorum_client::follow::{FollowItem, Following};
use kvorum_client::{Failure, pb};
use tokio::sync::Notify;

use super::screen::Screen;
use crate::command::gap_text;
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
pub(super) async fn run(mut following: Following, report: Report) {
    let Report { number, style, screen, alarm } = report;
    while let Some(item) = following.next().await {
        let text = match item {
            FollowItem::Watching { .. } | FollowItem::State { .. } => continue,
            FollowItem::Changes(response) | FollowItem::Progress(response) => {
                printed(Answer::Watch(&response), &style)
            }
            FollowItem::Gap(gap) => {
                let text = gap_text(&gap);
                format!("[{number}] {text}\n{}", printed(Answer::Gap(&gap), &style))
            }
            FollowItem::Difference(response) => printed(Answer::Difference(&response), &style),
            FollowItem::Lost(_) => {
                alarm.notify_one();
                continue;
            }
            FollowItem::Ended(response) => ended(number, &response),
            FollowItem::Failed(failure) => failed(number, &failure),
        };
        screen.print(text).await;
    }
}

/// An answer as `watch` prints it on the command line.
fn printed(answer: Answer<'_>, style: &Style) -> String {
    let mut bytes = Vec::new();
    match style.printer().print(answer, &mut bytes) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("{error}\n"),
    }
}

fn ended(number: usize, response: &pb::WatchResponse) -> String {
    format!("[{number}] watch ended by the server: {}\n", response.cancel_reason)
}

fn failed(number: usize, failure: &Failure) -> String {
    format!("[{number}] watch ended: {failure}\n")
}
