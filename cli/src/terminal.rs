//! The terminal, as far as one command needs it.

use std::io::{self, BufRead as _, IsTerminal, Read as _, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcgetwinsize, tcsetattr,
};

use crate::mode::Mode;
use crate::output::escape_message;

/// A line longer than this is no password: a terminal passes on no longer ones either.
const MAX_LINE_BYTES: u64 = 4096;

const CTRL_C: u8 = 0x03;

/// Asks for a password without showing it. From a pipe, it is the next line.
///
/// As etcdctl, the question goes to standard output and white space around the answer does not
/// count.
pub fn ask_password(question: &str, mode: Mode) -> io::Result<String> {
    let terminal = stdin_is_terminal();
    let mut to: Box<dyn Write> = match mode {
        Mode::Etcdctl => Box::new(io::stdout()),
        Mode::Kvorum => Box::new(io::stderr()),
    };
    if !terminal && mode == Mode::Kvorum {
        return piped_password();
    }
    let question = match mode {
        Mode::Etcdctl => question.into(),
        Mode::Kvorum => escape_message(question),
    };
    write!(to, "{question}")?;
    to.flush()?;
    let line = if terminal { hidden_line() } else { stdin_line() };
    if terminal || mode == Mode::Etcdctl {
        writeln!(to)?;
        to.flush()?;
    }
    let line = line?;
    Ok(match mode {
        Mode::Etcdctl => line.trim().to_owned(),
        Mode::Kvorum => line.trim_end_matches(['\r', '\n']).to_owned(),
    })
}

/// Nobody reads a question there.
fn piped_password() -> io::Result<String> {
    let line = stdin_line()?;
    if line.is_empty() {
        return Err(io::Error::other("a password is needed, and none came on standard input"));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The first word of the next line of standard input; empty if there is none.
pub fn stdin_word() -> io::Result<String> {
    let line = stdin_line()?;
    Ok(line.split_whitespace().next().unwrap_or_default().to_owned())
}

pub fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// How wide the terminal of standard output is, else that of standard error. One that does not
/// know says 0.
pub fn columns() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).or_else(|_| tcgetwinsize(io::stderr())).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// How many lines the terminal of standard output has.
pub fn rows() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_row)).filter(|rows| *rows > 0)
}

fn stdin_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().take(MAX_LINE_BYTES).read_line(&mut line)?;
    Ok(line)
}

/// Ctrl-C ends the line in place of the program, so that the terminal is put right first.
fn hidden_line() -> io::Result<String> {
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    hidden.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    // One read of a terminal gives one line, whichever of the two ended it.
    let read = stdin.lock().fill_buf().map(<[u8]>::to_vec);
    tcsetattr(&stdin, OptionalActions::Flush, &shown)?;
    let line = read?;
    stdin.lock().consume(line.len());
    if line.contains(&CTRL_C) {
        return Err(io::Error::other("interrupted"));
    }
    String::from_utf8(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
