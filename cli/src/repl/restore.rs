//! Gives the terminal back as it was found, if the shell ends while the prompt stands: the line
//! editor's thread, which would do it, is still waiting for a key.

use std::io::{self, Write as _};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Dropping it restores the terminal.
pub(super) struct Restore {
    found: Option<Termios>,
}

impl Restore {
    pub(super) fn new() -> Self {
        Self { found: tcgetattr(io::stdin()).ok() }
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        let Some(found) = &self.found else { return };
        let changed = tcgetattr(io::stdin()).is_ok_and(|now| now.local_modes != found.local_modes);
        if changed {
            // Nothing better can be done about a terminal that is gone.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, found);
            // Pasted text is not bracketed any more.
            let _ = io::stdout().write_all(b"\x1b[?2004l\r\n");
        }
    }
}
