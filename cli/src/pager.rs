//! Long output on a terminal goes through a pager, short output does not: it is held back until it
//! is longer than the screen, or until it has ended. What takes too long for that is shown as it
//! comes, and once more by the pager if it turns out to be long.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;

/// From the beginning of a command until its output is shown as it comes: not long enough for a
/// person to wonder, and before progress is told below it.
const HELD_BACK: Duration = Duration::from_millis(80);

/// What is printed later than that is still held back for as long as rows of one answer take.
const BURST: Duration = Duration::from_millis(20);

/// A screen of the longest lines there are; more held back would only be memory.
const MAX_HELD_BYTES: usize = 1024 * 1024;

/// Shows what does not fit, and leaves at once if all of it fits after all; colours pass.
const LESS: &str = "less";
const LESS_OPTIONS: &str = "FRX";

/// Whether there is a pager: a process has one terminal, and it is the pager's until it ends.
static HAS_SCREEN: AtomicBool = AtomicBool::new(false);

/// Whether a pager has the terminal, so that nobody else may draw there.
pub(crate) fn has_screen() -> bool {
    HAS_SCREEN.load(Ordering::Relaxed)
}

/// Standard output of a person at a terminal.
pub(crate) struct Pager {
    screen: Arc<Mutex<Screen>>,
    remarks: Remarks,
    /// Dropping it stops the clock that shows what was held back for too long.
    clock: Option<Sender<()>>,
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

struct Screen {
    state: State,
    program: String,
    rows: usize,
    /// When output is no longer held back.
    due: Instant,
    /// What kept the clock from showing it, for whoever prints next.
    fault: Option<io::Error>,
}

enum State {
    /// Too short for a pager so far; `shown` if that was not waited for.
    Holding {
        bytes: Vec<u8>,
        lines: usize,
        shown: bool,
    },
    Paging(Child),
    Passing,
}

impl Screen {
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
        let State::Holding { bytes, shown, .. } = &mut self.state else { return Ok(()) };
        let (bytes, shown) = (std::mem::take(bytes), *shown);
        if shown {
            io::stdout().flush()?;
        }
        let child = if page { self.start().ok() } else { None };
        let is_due = child.is_some() || !shown;
        HAS_SCREEN.store(child.is_some(), Ordering::Relaxed);
        self.state = child.map_or(State::Passing, State::Paging);
        if is_due { self.pass(&bytes) } else { Ok(()) }
    }

    /// What was held back is shown without waiting for more, and what comes next, too.
    fn show(&mut self) -> io::Result<()> {
        let State::Holding { bytes, shown: shown @ false, .. } = &mut self.state else {
            return Ok(());
        };
        *shown = true;
        let mut out = io::stdout();
        out.write_all(bytes).and_then(|()| out.flush())
    }

    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.state {
            State::Paging(Child { stdin: Some(stdin), .. }) => stdin.write_all(bytes),
            _ => io::stdout().write_all(bytes),
        }
    }
}

impl Write for Screen {
    fn write(&mut self, new: &[u8]) -> io::Result<usize> {
        self.fault.take().map_or(Ok(()), Err)?;
        let State::Holding { bytes, lines, shown } = &mut self.state else {
            self.pass(new)?;
            return Ok(new.len());
        };
        if *shown {
            io::stdout().write_all(new)?;
        }
        bytes.extend_from_slice(new);
        *lines += new.split(|byte| *byte == b'\n').count() - 1;
        // The prompt takes a line of the screen, too.
        if *lines >= self.rows || bytes.len() > MAX_HELD_BYTES {
            self.release(true)?;
        }
        Ok(new.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.fault.take().map_or(Ok(()), Err)?;
        match &mut self.state {
            State::Holding { shown: false, .. } if Instant::now() < self.due => Ok(()),
            State::Holding { shown: false, .. } => self.show(),
            // Whoever has left the pager waits for nothing more.
            State::Paging(child) => match child.try_wait() {
                Ok(Some(_)) => Err(io::ErrorKind::BrokenPipe.into()),
                _ => child.stdin.as_mut().map_or(Ok(()), Write::flush),
            },
            State::Holding { .. } | State::Passing => io::stdout().flush(),
        }
    }
}

/// Whether the shell would find this program. Without one, output is simply shown; the shell would
/// have taken it.
fn is_there(line: &str, variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    // What is no plain name is the shell's to understand.
    if word.contains(['/', '=', '$', '"', '\'', '(', '~', '\\']) {
        return true;
    }
    let path = variable("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(word).is_file())
}

impl Pager {
    /// `KVORUM_PAGER`, else `PAGER`, else `less`; an empty one is none, and so is one that is not
    /// installed.
    pub(crate) fn of(variable: &dyn Fn(&str) -> Option<String>) -> Option<(Self, Remarks)> {
        let program = ["KVORUM_PAGER", "PAGER"].iter().find_map(|name| variable(name));
        let program = program.unwrap_or_else(|| LESS.to_owned());
        if program.trim().is_empty() || program == "cat" || !is_there(&program, variable) {
            return None;
        }
        let rows = tcgetwinsize(io::stdout()).map_or(24, |size| usize::from(size.ws_row)).max(2);
        let state = State::Holding { bytes: Vec::new(), lines: 0, shown: false };
        let remarks = Remarks::default();
        let due = Instant::now() + HELD_BACK;
        let screen = Arc::new(Mutex::new(Screen { state, program, rows, due, fault: None }));
        Some((Self { screen, remarks: remarks.clone(), clock: None }, remarks))
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever prints next may take long: a thread looks at the clock meanwhile.
    fn start_clock(&self) -> io::Result<Sender<()>> {
        let (clock, stopped) = mpsc::channel();
        let screen = Arc::clone(&self.screen);
        let left = self.screen().due.saturating_duration_since(Instant::now()).max(BURST);
        thread::Builder::new().name("pager".to_owned()).spawn(move || {
            if stopped.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
                screen.fault = screen.show().err();
            }
        })?;
        Ok(clock)
    }
}

impl Write for Pager {
    fn write(&mut self, new: &[u8]) -> io::Result<usize> {
        self.remarks.waiting().busy = true;
        if self.clock.is_none() {
            self.clock = self.start_clock().ok();
        }
        self.screen().write(new)
    }

    /// What is there may be seen, unless it is early and more may come at once.
    fn flush(&mut self) -> io::Result<()> {
        self.screen().flush()
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        drop(self.clock.take());
        let mut screen = self.screen();
        // Whoever has left the pager does not want to know.
        let _ = screen.release(false).and_then(|()| io::stdout().flush());
        if let State::Paging(child) = &mut screen.state {
            drop(child.stdin.take());
            let _ = child.wait();
            HAS_SCREEN.store(false, Ordering::Relaxed);
        }
        drop(screen);
        self.remarks.release();
    }
}
