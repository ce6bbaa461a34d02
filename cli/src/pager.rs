//! Long output on a terminal goes through a pager, short output does not: it is held back until it
//! is longer than the screen, or until it has ended, or until it takes too long.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;

/// Output that comes slowly is shown as it comes, without a pager; longer, and a person would wonder.
const HELD_BACK: Duration = Duration::from_millis(150);

/// A screen of the longest lines there are; more held back would only be memory.
const MAX_HELD_BYTES: usize = 1024 * 1024;

/// Shows what does not fit, and leaves at once if all of it fits after all; colours pass.
const LESS: &str = "less";
const LESS_OPTIONS: &str = "FRX";

/// Standard output of a person at a terminal.
pub(crate) struct Pager {
    state: State,
    program: String,
    rows: usize,
    remarks: Remarks,
}

/// Standard error beside a pager: what is said while output is held back or paged comes after it,
/// so that it stands below what it is about and does not write over it.
#[derive(Clone, Default)]
pub(crate) struct Remarks(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// Something was printed, and is not all shown.
    busy: bool,
    bytes: Vec<u8>,
}

impl Remarks {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything is shown: what was said comes now, and from here on at once.
    fn release(&self) {
        let mut waiting = self.waiting();
        waiting.busy = false;
        let bytes = std::mem::take(&mut waiting.bytes);
        // Nobody listening is no reason to stop.
        let _ = io::stderr().write_all(&bytes);
    }
}

impl Write for Remarks {
    fn write(&mut self, new: &[u8]) -> io::Result<usize> {
        let mut waiting = self.waiting();
        if waiting.busy && waiting.bytes.len() < MAX_HELD_BYTES {
            waiting.bytes.extend_from_slice(new);
            return Ok(new.len());
        }
        io::stderr().write(new)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

enum State {
    Holding { bytes: Vec<u8>, lines: usize, since: Option<Instant> },
    Paging(Child),
    Passing,
}

impl Pager {
    /// `KVORUM_PAGER`, else `PAGER`, else `less`; an empty one is none.
    pub(crate) fn of(variable: &dyn Fn(&str) -> Option<String>) -> Option<(Self, Remarks)> {
        let program = ["KVORUM_PAGER", "PAGER"].iter().find_map(|name| variable(name));
        let program = program.unwrap_or_else(|| LESS.to_owned());
        let rows = tcgetwinsize(io::stdout()).map_or(24, |size| usize::from(size.ws_row));
        let holding = State::Holding { bytes: Vec::new(), lines: 0, since: None };
        if program.trim().is_empty() || program == "cat" {
            return None;
        }
        let remarks = Remarks::default();
        let pager = Self { state: holding, program, rows: rows.max(2), remarks: remarks.clone() };
        Some((pager, remarks))
    }

    fn start(&self) -> io::Result<Child> {
        let mut command = Command::new("sh");
        command.args(["-c", &self.program]).stdin(Stdio::piped());
        if std::env::var_os("LESS").is_none() {
            command.env("LESS", LESS_OPTIONS);
        }
        command.spawn()
    }

    /// What was held back goes where it belongs.
    fn release(&mut self, page: bool) -> io::Result<()> {
        let State::Holding { bytes, .. } = &mut self.state else { return Ok(()) };
        let bytes = std::mem::take(bytes);
        // Without a pager on this machine, output is simply shown.
        let child = if page { self.start().ok() } else { None };
        self.state = child.map_or(State::Passing, State::Paging);
        self.pass(&bytes)
    }

    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.state {
            State::Paging(Child { stdin: Some(stdin), .. }) => stdin.write_all(bytes),
            _ => io::stdout().write_all(bytes),
        }
    }
}

impl Write for Pager {
    fn write(&mut self, new: &[u8]) -> io::Result<usize> {
        self.remarks.waiting().busy = true;
        let State::Holding { bytes, lines, since } = &mut self.state else {
            self.pass(new)?;
            return Ok(new.len());
        };
        bytes.extend_from_slice(new);
        *lines += new.split(|byte| *byte == b'\n').count() - 1;
        let since = *since.get_or_insert_with(Instant::now);
        // The prompt takes a line of the screen, too.
        if *lines >= self.rows || bytes.len() > MAX_HELD_BYTES {
            self.release(true)?;
        } else if since.elapsed() > HELD_BACK {
            self.release(false)?;
        }
        Ok(new.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Holding { .. } => Ok(()),
            State::Paging(child) => child.stdin.as_mut().map_or(Ok(()), Write::flush),
            State::Passing => io::stdout().flush(),
        }
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        // Whoever has left the pager does not want to know.
        let _ = self.release(false).and_then(|()| io::stdout().flush());
        if let State::Paging(child) = &mut self.state {
            drop(child.stdin.take());
            let _ = child.wait();
        }
        self.remarks.release();
    }
}
