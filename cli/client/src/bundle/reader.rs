//! Reading a bundle, record by record.

use std::fmt::Write as _;
use std::io::{BufRead, Read as _};

use sha2::{Digest as _, Sha256};

use super::line::{HeaderLine, Line, Meaning, VersionLine};
use super::{BundleError, Header, MAX_LINE_BYTES, Record, VERSION};

/// A bundle that is being read. That it is whole is known at its end, and not before: whoever must
/// not act on half of one reads it twice.
#[derive(Debug)]
pub struct Reader<R> {
    lines: Lines<R>,
    header: Header,
    last_key: Vec<u8>,
    keys: u64,
    /// There is nothing more to come, or nothing that could be made sense of.
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    pub fn begin(input: R) -> Result<Self, BundleError> {
        let mut lines = Lines { input, number: 0, text: Vec::new(), hasher: Sha256::new() };
        if !lines.advance()? {
            return Err(BundleError::Cut(0));
        }
        let header = header(&lines)?;
        lines.hash();
        Ok(Self { lines, header, last_key: Vec::new(), keys: 0, ended: false })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self) -> Result<Option<Record>, BundleError> {
        if !self.lines.advance()? {
            return Err(BundleError::Cut(self.keys));
        }
        let line: Line<'_> = match serde_json::from_slice(self.lines.trimmed()) {
            Ok(line) => line,
            Err(_) if self.lines.is_cut() => return Err(BundleError::Cut(self.keys)),
            Err(_) if self.lines.trimmed().is_empty() => return Err(self.bad("it is empty")),
            Err(error) => return Err(self.bad(&problem(&error))),
        };
        match line.meaning().map_err(|problem| self.bad(&problem))? {
            Meaning::Record(record) => {
                self.check(&record.key).map_err(|problem| self.bad(problem))?;
                self.lines.hash();
                self.keys += 1;
                self.last_key.clone_from(&record.key);
                Ok(Some(record))
            }
            Meaning::End { keys, sha256 } => self.end(keys, sha256.as_deref()).map(|()| None),
        }
    }

    fn check(&self, key: &[u8]) -> Result<(), &'static str> {
        if !key.starts_with(&self.header.prefix) {
            return Err("the key does not begin with the prefix of the first line");
        }
        match self.last_key.as_slice().cmp(key) {
            std::cmp::Ordering::Less => Ok(()),
            std::cmp::Ordering::Equal => Err("the key is there twice"),
            std::cmp::Ordering::Greater => {
                Err("the keys are not in their order, which is that of their bytes")
            }
        }
    }

    fn end(&mut self, keys: u64, sum: Option<&str>) -> Result<(), BundleError> {
        if keys != self.keys {
            return Err(BundleError::Count { found: self.keys, said: keys });
        }
        let mut found = String::new();
        for byte in self.lines.hasher.finalize_reset() {
            let _ = write!(found, "{byte:02x}");
        }
        if sum.is_some_and(|sum| sum != found) {
            return Err(BundleError::Checksum);
        }
        if self.lines.advance()? {
            return Err(self.bad("nothing follows the last line"));
        }
        Ok(())
    }

    fn bad(&self, problem: &str) -> BundleError {
        BundleError::Line { line: self.lines.number, problem: problem.to_owned() }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, BundleError>;

    /// `None` after a last line that says that this was all.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

fn header<R>(lines: &Lines<R>) -> Result<Header, BundleError> {
    let text = lines.trimmed();
    let foreign = |problem: String| {
        if lines.is_cut() && text.starts_with(b"{") {
            BundleError::Cut(0)
        } else {
            BundleError::Foreign(problem)
        }
    };
    let version: Result<VersionLine, _> = serde_json::from_slice(text);
    let version = version.map_err(|error| foreign(problem(&error)))?;
    if version.kvorum_bundle != VERSION {
        return Err(BundleError::Version(version.kvorum_bundle));
    }
    let line: Result<HeaderLine<'_>, _> = serde_json::from_slice(text);
    let header = line.map_err(|error| problem(&error)).and_then(HeaderLine::header);
    header.map_err(|problem| BundleError::Line { line: lines.number, problem })
}

/// Without the line, which is always 1 within a line.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) => format!("{what}, at character {}", error.column()),
        None => text,
    }
}

/// The lines of a file.
#[derive(Debug)]
struct Lines<R> {
    input: R,
    /// Of the line that was read last, from 1 on.
    number: u64,
    text: Vec<u8>,
    hasher: Sha256,
}

impl<R: BufRead> Lines<R> {
    /// Reads the next line; `false` at the end.
    fn advance(&mut self) -> Result<bool, BundleError> {
        self.text.clear();
        self.number += 1;
        let mut limited = self.input.by_ref().take(MAX_LINE_BYTES as u64);
        limited.read_until(b'\n', &mut self.text)?;
        if self.text.len() == MAX_LINE_BYTES && self.is_cut() {
            let problem = format!("it has more than {MAX_LINE_BYTES} bytes");
            return Err(BundleError::Line { line: self.number, problem });
        }
        Ok(!self.text.is_empty())
    }
}

impl<R> Lines<R> {
    fn trimmed(&self) -> &[u8] {
        self.text.trim_ascii_end()
    }

    /// The file ends before the line does.
    fn is_cut(&self) -> bool {
        !self.text.ends_with(b"\n")
    }

    /// Takes the line into the sum, however its end is written.
    fn hash(&mut self) {
        self.hasher.update(self.text.trim_ascii_end());
        self.hasher.update(b"\n");
    }
}
