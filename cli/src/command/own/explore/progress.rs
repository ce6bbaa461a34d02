//! How far a scan is: one line on standard error, on a terminal, while it takes long.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kvorum_client::explore::Page;

use crate::manner::Manner;

/// A line that tells how far a scan is. Dropping it takes the line away.
pub(super) struct Progress {
    /// `None`: nobody is to see it.
    bar: Option<ProgressBar>,
    began: Instant,
    drawn: bool,
    /// There will be rows to look at meanwhile.
    prints: bool,
    keys: u64,
    bytes: u64,
}

/// With nothing to look at yet, a person wonders after about this long.
const UNTIL_DRAWN: Duration = Duration::from_millis(100);

/// With rows to look at, what takes longer than this is long.
const UNTIL_DRAWN_BESIDE_ROWS: Duration = Duration::from_secs(1);

/// As often as an eye follows.
const REDRAWN_EVERY: Duration = Duration::from_millis(50);

const WITH_TOTAL: &str = "{msg} of {human_len} keys, {per_sec}, {eta} left";
const WITHOUT_TOTAL: &str = "{msg} keys, {per_sec}, {elapsed}";

impl Progress {
    pub(super) fn new(manner: &Manner, prints: bool) -> Self {
        let seen = std::io::stderr().is_terminal() && !manner.quiet && !manner.plain;
        let bar = seen.then(|| {
            // Hidden until it takes long.
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
            bar.set_message("read 0");
            bar
        });
        Self { bar, began: Instant::now(), drawn: false, prints, keys: 0, bytes: 0 }
    }

    /// Waits for something, and tells meanwhile how far it is.
    pub(super) async fn until<T>(&mut self, something: impl Future<Output = T>) -> T {
        let mut something = std::pin::pin!(something);
        loop {
            tokio::select! {
                biased;
                done = &mut something => return done,
                () = tokio::time::sleep(REDRAWN_EVERY), if self.bar.is_some() => self.draw(),
            }
        }
    }

    /// Does something with a page that may print, with the line out of its way.
    pub(super) fn around<T>(&mut self, page: &Page, print: impl FnOnce() -> T) -> T {
        self.keys += page.kvs.len() as u64;
        self.bytes += page.bytes as u64;
        let Some(bar) = &self.bar else { return print() };
        let done = if self.drawn { bar.suspend(print) } else { print() };
        bar.set_position(self.keys);
        if let Some(remaining) = page.remaining {
            bar.set_length(self.keys + remaining);
        }
        let (keys, bytes) = (super::shown::number(self.keys), super::shown::bytes(self.bytes));
        bar.set_message(format!("read {bytes}, {keys}"));
        self.draw();
        done
    }

    fn draw(&mut self) {
        let Some(bar) = &self.bar else { return };
        let beside_rows = self.prints && self.keys > 0;
        let due = if beside_rows { UNTIL_DRAWN_BESIDE_ROWS } else { UNTIL_DRAWN };
        if !self.drawn && self.began.elapsed() < due {
            return;
        }
        let template = if bar.length().is_some() { WITH_TOTAL } else { WITHOUT_TOTAL };
        // A template of ours is one; if not, the plain style does.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !self.drawn {
            self.drawn = true;
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
