//! Writing a bundle, record by record.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::line::{HeaderLine, Line};
use super::{Header, MAX_LINE_BYTES, Record};

/// Why a bundle cannot be written.
#[derive(Debug, Error)]
pub enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No reader would take the line.
    #[error("the value has {0} bytes: in text, that is more than a line of a bundle may have")]
    TooLong(usize),
}

/// A bundle that is being written. Without [`Writer::finish`] it is a cut one.
pub struct Writer<W> {
    out: W,
    hasher: Sha256,
    keys: u64,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub fn begin(out: W, header: &Header) -> Result<Self, WriteError> {
        let mut writer = Self { out, hasher: Sha256::new(), keys: 0, line: Vec::new() };
        writer.line(&HeaderLine::of(header), header.prefix.len())?;
        Ok(writer)
    }

    /// Records must come in the order of their keys, each once, beginning with the prefix of the
    /// header.
    pub fn record(&mut self, record: &Record) -> Result<(), WriteError> {
        self.line(&Line::of(record), record.value.len())?;
        self.keys += 1;
        Ok(())
    }

    /// Writes the last line, and gives back what was written to.
    pub fn finish(mut self) -> Result<W, WriteError> {
        let mut sum = String::new();
        for byte in self.hasher.finalize_reset() {
            let _ = write!(sum, "{byte:02x}");
        }
        self.line(&Line::end(self.keys, sum), 0)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn line(&mut self, line: &impl Serialize, bytes: usize) -> Result<(), WriteError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line).map_err(io::Error::from)?;
        self.line.push(b'\n');
        if self.line.len() > MAX_LINE_BYTES {
            return Err(WriteError::TooLong(bytes));
        }
        self.hasher.update(&self.line);
        Ok(self.out.write_all(&self.line)?)
    }
}
