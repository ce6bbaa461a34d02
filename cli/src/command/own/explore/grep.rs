//! `grep`

use kvorum_client::explore::{KeyValue, Page, Pattern};

use super::read::Reading;
use super::{begin, shown};
use crate::args::own::GrepArgs;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{Row, Rows, Style, Value, print_one};

pub(super) async fn execute(args: &GrepArgs, session: &mut Session) -> Result<(), CommandError> {
    let pattern = args.pattern()?;
    let ranges = begin::ranges(&args.at, session).await?;
    begin::consent(&ranges, args.values, session).await?;
    let Session { connection, manner, style, out, err, .. } = session;
    let mut rows = Rows::new(style, &["key", "line"], out);
    let mut search = Search { args, pattern: &pattern, style, found: 0, masked: 0 };
    let (at, values) = (&args.at, args.values);
    // Nothing may match.
    let reading = Reading { connection, manner, ranges, at, values, prints: false };
    let read = reading.pages(|page| search.page(page, &mut rows)).await?;
    let Search { found, masked, .. } = search;
    if args.count {
        print_one(&Found(found), &["keys"], style, out)?;
    } else {
        rows.end()?;
    }
    if masked > 0 && !manner.quiet {
        let keys = shown::keys(masked);
        let _ = writeln!(err, "masked values were not searched ({keys}): --reveal searches them");
    }
    read.conclude(&args.at, connection, manner, err)?;
    if found == 0 { Err(CommandError::Silent { code: exit::ERROR }) } else { Ok(()) }
}

struct Search<'a> {
    args: &'a GrepArgs,
    pattern: &'a Pattern,
    style: &'a Style,
    /// Keys that match.
    found: u64,
    /// Keys whose values are not to be shown, nor guessed by searching.
    masked: u64,
}

impl Search<'_> {
    fn page(&mut self, page: &Page, rows: &mut Rows<'_>) -> Result<(), CommandError> {
        for kv in &page.kvs {
            if self.args.values {
                self.value(kv, rows)?;
            } else if self.pattern.is_in(&kv.key) {
                self.found += 1;
                self.tell(kv, None, rows)?;
            }
        }
        Ok(rows.flush()?)
    }

    fn value(&mut self, kv: &KeyValue, rows: &mut Rows<'_>) -> Result<(), CommandError> {
        if self.style.masked.iter().any(|prefix| kv.key.starts_with(prefix)) {
            self.masked += 1;
            return Ok(());
        }
        let pattern = self.pattern;
        let mut lines = pattern.lines(&kv.value).peekable();
        if lines.peek().is_none() {
            return Ok(());
        }
        self.found += 1;
        if self.args.keys_with_matches || self.args.count {
            return self.tell(kv, None, rows);
        }
        lines.try_for_each(|line| self.tell(kv, Some(line), rows))
    }

    fn tell(
        &self,
        kv: &KeyValue,
        line: Option<&[u8]>,
        rows: &mut Rows<'_>,
    ) -> Result<(), CommandError> {
        if self.args.count {
            return Ok(());
        }
        let (pattern, short) = (self.pattern, self.style.escaped);
        Ok(rows.row(&Match { key: &kv.key, line, pattern, short })?)
    }
}

struct Match<'a> {
    key: &'a [u8],
    line: Option<&'a [u8]>,
    pattern: &'a Pattern,
    /// A long line is shown around the match only.
    short: bool,
}

/// What is shown of a long line before the match, and in all: some lines of a terminal.
const BEFORE: usize = 40;
const SHOWN: usize = 240;

impl Match<'_> {
    fn line(&self, line: &[u8]) -> String {
        if !self.short || line.len() <= SHOWN {
            return shown::line(line);
        }
        let start = self.pattern.find(line).map_or(0, |found| found.start.saturating_sub(BEFORE));
        let start = (start..line.len()).find(|at| starts_character(line, *at)).unwrap_or(start);
        let end = (start + SHOWN).min(line.len());
        let end = (end..line.len()).find(|at| starts_character(line, *at)).unwrap_or(line.len());
        let (before, after) =
            (if start > 0 { "…" } else { "" }, if end < line.len() { "…" } else { "" });
        format!("{before}{}{after}", shown::line(&line[start..end]))
    }
}

/// Text must not be cut within a character, and bytes can be cut anywhere.
fn starts_character(line: &[u8], at: usize) -> bool {
    !(0x80..0xc0).contains(&line[at])
}

impl Row for Match<'_> {
    fn simple(&self) -> String {
        match self.line {
            None => shown::line(self.key),
            Some(line) => format!("{}: {}", shown::line(self.key), self.line(line)),
        }
    }

    fn value(&self) -> Value {
        let row = Value::map([("key", Value::bytes(self.key))]);
        match self.line {
            None => row,
            Some(line) => row.with("line", Value::bytes(line)),
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![shown::line(self.key), self.line.map(|line| self.line(line)).unwrap_or_default()]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(self.key)
    }
}

struct Found(u64);

impl Row for Found {
    fn simple(&self) -> String {
        self.0.to_string()
    }

    fn value(&self) -> Value {
        Value::map([("keys", Value::Uint(self.0))])
    }

    fn cells(&self) -> Vec<String> {
        vec![self.0.to_string()]
    }
}

#[cfg(test)]
mod tests {
    use kvorum_client::explore::{Pattern, PatternOptions};

    use super::{Match, SHOWN};
    use crate::output::Row as _;

    #[test]
    fn a_long_line_is_shown_around_the_match_on_a_terminal_only() {
        let pattern = Pattern::new("needle", PatternOptions::default()).unwrap();
        let line = format!("{}needle{}", "ä".repeat(5000), "b".repeat(5000));
        let row =
            |short| Match { key: b"k", line: Some(line.as_bytes()), pattern: &pattern, short };
        let short = row(true).simple();
        assert!(short.starts_with("k: …ä") && short.ends_with("b…"), "{short}");
        assert!(short.contains("äneedleb") && short.len() < SHOWN + 20, "{short}");
        assert_eq!(row(false).simple(), format!("k: {line}"));
    }
}
