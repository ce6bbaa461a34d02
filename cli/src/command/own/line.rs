//! Where a line of progress is drawn: below the rows, but not over a pager that shows them.

use std::io;

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

use crate::pager;

/// As often as an eye follows.
pub(super) const REDRAWN_HZ: u8 = 20;

#[derive(Debug)]
struct Line(Term);

pub(super) fn on_stderr() -> ProgressDrawTarget {
    let line = Line(Term::buffered_stderr());
    ProgressDrawTarget::term_like_with_hz(Box::new(line), REDRAWN_HZ)
}

impl Line {
    fn unless_paged(&self, draw: impl FnOnce(&Term) -> io::Result<()>) -> io::Result<()> {
        if pager::has_screen() { Ok(()) } else { draw(&self.0) }
    }
}

impl TermLike for Line {
    fn width(&self) -> u16 {
        self.0.size().1
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, rows: usize) -> io::Result<()> {
        self.unless_paged(|term| term.move_cursor_up(rows))
    }

    fn move_cursor_down(&self, rows: usize) -> io::Result<()> {
        self.unless_paged(|term| term.move_cursor_down(rows))
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.unless_paged(|term| term.move_cursor_right(columns))
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.unless_paged(|term| term.move_cursor_left(columns))
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.unless_paged(|term| term.write_line(text))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.unless_paged(|term| term.write_str(text))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.unless_paged(Term::clear_line)
    }

    fn flush(&self) -> io::Result<()> {
        self.unless_paged(Term::flush)
    }
}
