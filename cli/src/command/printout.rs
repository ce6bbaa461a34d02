//! Where a command prints, and how.

use std::io::Write;

use super::CommandError;
use crate::mode::Mode;
use crate::output::{Answer, Style};

/// All that a command needs which asks no cluster.
pub(crate) struct Printout<'a> {
    pub(crate) mode: Mode,
    pub(crate) style: Style,
    pub(crate) out: &'a mut (dyn Write + Send),
    pub(crate) err: &'a mut (dyn Write + Send),
}

impl Printout<'_> {
    pub(super) fn print(&mut self, answer: Answer<'_>) -> Result<(), CommandError> {
        self.style.printer().print(answer, &mut self.out)?;
        self.out.flush()?;
        Ok(())
    }

    pub(super) fn say(&mut self, line: &str) -> Result<(), CommandError> {
        writeln!(self.out, "{line}")?;
        self.out.flush()?;
        Ok(())
    }

    /// Says something on the side. Nobody listening is no reason to stop.
    pub(super) fn remark(&mut self, line: &str) {
        let _ = writeln!(self.err, "{line}");
        let _ = self.err.flush();
    }
}
