//! How far a verb is that reads much: one line on standard error, on a terminal, while it takes
//! long.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kvorum_client::explore::Page;

use super::line;
use crate::manner::Manner;

/// A line that tells how far a verb is, from its first request on. Dropping it takes the line away.
pub(super) struct Progress {
    /// `None`: nobody is to see it.
    bar: Option<ProgressBar>,
    began: Instant,
    drawn: bool,
    keys: u64,
    bytes: u64,
    counts_bytes: bool,
    is_timed: bool,
}

/// A person wonders after about this long. A pager no longer holds rows back then, which are to be
/// above the line.
const UNTIL_DRAWN: Duration = Duration::from_millis(100);

const REDRAWN_EVERY: Duration = Duration::from_millis(1000 / line::REDRAWN_HZ as u64);

const WAITING: &str = "waiting for an answer";
const WITH_TOTAL: &str = "{msg} of {human_len} keys, {per_sec:0}, {eta} left";
const TIMED: &str = "{msg}, {elapsed}";
const IN_BYTES: &str = "{msg}, {binary_bytes_per_sec}, {eta} left";
const WITHOUT_TOTAL: &str = "{msg} keys, {per_sec:0}, {elapsed}";

impl Progress {
    pub(super) fn new(manner: &Manner) -> Self {
        // On a terminal that cannot go back, every line would stay.
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_wanted = !manner.quiet && !manner.plain && !is_dumb;
        let seen = is_wanted && std::io::stderr().is_terminal();
        // Hidden until it takes long.
        let hidden = || ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let bar = seen.then(hidden);
        Self {
            bar,
            began: Instant::now(),
            drawn: false,
            keys: 0,
            bytes: 0,
            counts_bytes: false,
            is_timed: false,
        }
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

    /// As [`Self::until`], of something that does not say how far it is.
    pub(super) async fn while_that<T>(
        &mut self,
        what: String,
        something: impl Future<Output = T>,
    ) -> T {
        if let Some(bar) = &self.bar {
            bar.set_message(what);
        }
        self.is_timed = true;
        self.until(something).await
    }

    /// Does something with a page that may print, with the line out of its way.
    pub(super) fn around<T>(&mut self, page: &Page, print: impl FnOnce() -> T) -> T {
        self.keys += page.kvs.len() as u64;
        self.bytes += page.bytes as u64;
        let Some(bar) = &self.bar else { return print() };
        if let Some(remaining) = page.remaining {
            bar.set_length(self.keys + remaining);
        }
        let (keys, bytes) = (super::shown::number(self.keys), super::shown::bytes(self.bytes));
        bar.set_message(format!("read {bytes}, {keys}"));
        bar.set_position(self.keys);
        self.choose_style(bar);
        let done = self.aside(print);
        self.draw();
        done
    }

    /// So many keys are compared, of nobody knows how many.
    pub(super) fn compared(&mut self, keys: u64) {
        self.keys = keys;
        let Some(bar) = &self.bar else { return };
        bar.set_message(format!("compared {}", super::shown::number(keys)));
        bar.set_position(keys);
        self.choose_style(bar);
    }

    /// So many keys are written of all that are to be.
    pub(super) fn wrote(&mut self, keys: u64, total: u64) {
        self.keys = keys;
        let Some(bar) = &self.bar else { return };
        bar.set_length(total.max(keys));
        bar.set_message(format!("wrote {}", super::shown::number(keys)));
        bar.set_position(keys);
        self.draw();
    }

    /// So many bytes have come of all that will.
    pub(super) fn received(&mut self, bytes: u64, total: u64) {
        (self.keys, self.bytes) = (1, bytes);
        let Some(bar) = &self.bar else { return };
        bar.set_length(total);
        let (come, all) = (super::shown::bytes(bytes), super::shown::bytes(total));
        bar.set_message(format!("received {come} of {all}"));
        bar.set_position(bytes);
        self.counts_bytes = true;
        self.draw();
    }

    /// Says something with the line out of its way.
    pub(super) fn aside<T>(&self, say: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) if self.drawn => bar.suspend(say),
            _ => say(),
        }
    }

    /// Takes the line away until there is something to wait for again.
    pub(super) fn hide(&mut self) {
        if let Some(bar) = &self.bar
            && std::mem::take(&mut self.drawn)
        {
            bar.finish_and_clear();
            bar.set_draw_target(ProgressDrawTarget::hidden());
            bar.reset();
        }
    }

    fn choose_style(&self, bar: &ProgressBar) {
        let template = match bar.length() {
            _ if self.is_timed => TIMED,
            _ if self.keys == 0 => WAITING,
            _ if self.counts_bytes => IN_BYTES,
            Some(_) => WITH_TOTAL,
            None => WITHOUT_TOTAL,
        };
        // A template of ours is one; if not, the plain style does.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
    }

    fn draw(&mut self) {
        let Some(bar) = &self.bar else { return };
        if !self.drawn && self.began.elapsed() < UNTIL_DRAWN {
            return;
        }
        self.choose_style(bar);
        if !self.drawn {
            self.drawn = true;
            bar.set_draw_target(line::on_stderr());
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
