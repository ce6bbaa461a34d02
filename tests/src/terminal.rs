//! A real terminal for a program: a pty at whose other end a test types keys and reads the screen.

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Pty, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};

use crate::wait::until;

/// How long a program may take to show something. Two busy cores are slow.
const SHOWS_WITHIN: Duration = Duration::from_secs(30);

/// How long a program may take to end after it was asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// What is kept to be looked at byte by byte; a test that asks for it is about less.
const MOST_KEPT_BYTES: usize = 1024 * 1024;

/// A program on a terminal of its own. Dropping it kills the program.
pub struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    screen: Arc<Mutex<vt100::Parser>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts `command` on a terminal of this size.
    pub fn start(mut command: Command, columns: u16, rows: u16) -> Terminal {
        let (pty, pts) = open().expect("a pty can be opened");
        pty.resize(Size::new(rows, columns)).expect("a pty has a size");
        command.env("TERM", "xterm-256color");
        let command = pty_process::blocking::Command::from(command);
        let child = command.spawn(pts).expect("the program can be run");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(rows), cells(columns), 0)));
        let pty = Arc::new(pty);
        let written = Arc::new(Mutex::new(Vec::new()));
        let (source, shown) = (Arc::clone(&pty), Arc::clone(&screen));
        let kept = Arc::clone(&written);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The other end is closed when the program is gone, and that is an error on Linux.
            while let Ok(count @ 1..) = (&*source).read(&mut bytes) {
                lock(&shown).process(&bytes[..count]);
                let mut kept = lock(&kept);
                if kept.len() < MOST_KEPT_BYTES {
                    kept.extend_from_slice(&bytes[..count]);
                }
            }
        });
        Terminal { pty, child, screen, written }
    }

    /// Types this. `\r` is Enter, `\t` Tab, `\x03` Ctrl-C, `\x04` Ctrl-D.
    pub fn keys(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Pastes this, as a terminal does that tells pasted text from typed.
    pub fn paste(&self, text: &str) {
        self.keys(&format!("\x1b[200~{text}\x1b[201~"));
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        // The program must not draw on a screen of the size before.
        let mut screen = lock(&self.screen);
        screen.screen_mut().set_size(cells(rows), cells(columns));
        self.pty.resize(Size::new(rows, columns)).expect("a pty can be resized");
    }

    /// What the screen shows, without the spaces at the ends of lines.
    pub fn screen(&self) -> String {
        let contents = lock(&self.screen).screen().contents();
        contents.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    /// Whether anything on the screen has a colour.
    pub fn is_coloured(&self) -> bool {
        let screen = lock(&self.screen);
        let (rows, columns) = screen.screen().size();
        let mut cells =
            (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
        cells.any(|(row, column)| {
            let cell = screen.screen().cell(row, column);
            cell.is_some_and(|cell| {
                [cell.fgcolor(), cell.bgcolor()].iter().any(|of| *of != vt100::Color::Default)
            })
        })
    }

    /// Every byte that came so far, with what a screen does not show; of a very long output its
    /// beginning.
    pub fn written(&self) -> Vec<u8> {
        lock(&self.written).clone()
    }

    /// Waits until the screen shows this text, and says how long that took.
    pub fn shows(&self, text: &str) -> Duration {
        self.shows_all(&[text])
    }

    /// Waits until the screen shows all of this at once, and says how long that took.
    pub fn shows_all(&self, texts: &[&str]) -> Duration {
        self.becomes(&format!("{texts:?}"), |screen| texts.iter().all(|text| screen.contains(text)))
    }

    /// Waits until the screen is as described, and says how long that took.
    pub fn becomes(&self, what: &str, is: impl Fn(&str) -> bool) -> Duration {
        let asked = Instant::now();
        let found = until(SHOWS_WITHIN, || is(&self.screen()).then_some(()));
        assert!(found.is_some(), "the screen does not show {what}, but:\n{}", self.screen());
        asked.elapsed()
    }

    /// Whether what is typed is shown.
    pub fn shows_keys(&self) -> bool {
        let modes = tcgetattr(&*self.pty).expect("a terminal has modes").local_modes;
        modes.contains(LocalModes::ECHO)
    }

    /// Whether the program has given the terminal back: ordinary screen, cursor, modes and keys.
    pub fn is_restored(&self) -> bool {
        let modes = tcgetattr(&*self.pty).expect("a pty has modes").local_modes;
        let screen = lock(&self.screen);
        let screen = screen.screen();
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
            && !screen.alternate_screen()
            && !screen.hide_cursor()
            && !screen.bracketed_paste()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child can be signalled");
    }

    /// Waits until the program is gone and all that it wrote is on the screen.
    pub fn ended(&mut self) -> ExitStatus {
        let status = until(ENDS_WITHIN, || self.child.try_wait().expect("a child can be asked"));
        let status = status.unwrap_or_else(|| panic!("it does not end:\n{}", self.screen()));
        // The thread that reads lets go of the pty when there is nothing more to read.
        let read = until(ENDS_WITHIN, || (Arc::strong_count(&self.pty) == 1).then_some(()));
        assert!(read.is_some(), "somebody still holds the terminal:\n{}", self.screen());
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.child.kill();
        self.child.wait().expect("a killed child ends");
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a screen has room")
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
