//! How far a check is: a line on standard error, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::manner::Manner;
use crate::terminal;

/// Dropping it takes the line away.
pub(super) struct Progress(ProgressBar);

const TEMPLATE: &str = "{human_pos} of {human_len} writes, {per_sec:0}, {eta} left";

/// As often as an eye follows.
const REDRAWN_EVERY: Duration = Duration::from_millis(200);

impl Progress {
    pub(super) fn new(total: u64, manner: &Manner) -> Self {
        let is_shown = terminal::stderr_is_terminal() && !manner.quiet && !manner.plain;
        let target =
            if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        if is_shown {
            bar.enable_steady_tick(REDRAWN_EVERY);
        }
        Self(bar)
    }

    pub(super) fn show(&self, done: u64) {
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
