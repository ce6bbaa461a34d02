//! `grep`

use std::io::{IsTerminal as _, Write};

use kvorum_client::explore::{KeyValue, Page, Pattern};

use super::progress::Progress;
use super::read::Reading;
use super::{begin, shown};
use crate::args::own::GrepArgs;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::manner::Manner;
use crate::output::{Paint, Row, Rows, Style, Tone, Value, print_one};

pub(super) async fn execute(args: &GrepArgs, session: &mut Session) -> Result<(), CommandError> {
    let pattern = args.pattern()?;
    let mut progress = Progress::new(&session.manner);
    let ranges = begin::ranges(&args.at, session, &mut progress).await?;
    begin::consent(&ranges, args.values, session, &mut progress).await?;
    let Session { connection, manner, style, out, err, .. } = session;
    let mut rows = Rows::new(style, &["key", "line"], out);
    let mut search = Search { args, pattern: &pattern, style, found: 0, masked: 0 };
    let (at, values) = (&args.at, args.values);
    let reading = Reading { connection, progress, ranges, at, values };
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
    if found > 0 {
        return Ok(());
    }
    // As every grep, a script is told by the exit code alone.
    if read.keys > 0 && style.escaped && std::io::stderr().is_terminal() {
        say_nothing_matches(read.keys, args.values, manner, err);
    }
    Err(CommandError::Silent { code: exit::ERROR })
}

fn say_nothing_matches(keys: u64, values: bool, manner: &Manner, err: &mut dyn Write) {
    if manner.quiet {
        return;
    }
    let keys = shown::keys(keys);
    let text = if values {
        format!("nothing matches in the values of {keys}")
    } else {
        format!("nothing matches among {keys}; --values searches their values")
    };
    // Nobody listening is no reason to fail.
    let _ = writeln!(err, "{text}");
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
        let (pattern, short, in_key) = (self.pattern, self.style.escaped, !self.args.values);
        Ok(rows.row(&Match { key: &kv.key, line, pattern, short, in_key })?)
    }
}

struct Match<'a> {
    key: &'a [u8],
    line: Option<&'a [u8]>,
    pattern: &'a Pattern,
    /// A long line is shown around the match only.
    short: bool,
    /// The key was searched, not its value.
    in_key: bool,
}

/// What is shown of a long line before the match, and in all: some lines of a terminal.
const BEFORE: usize = 40;
const SHOWN: usize = 240;

impl Match<'_> {
    fn line(&self, line: &[u8], paint: Paint) -> String {
        if !self.short || line.len() <= SHOWN {
            return self.painted(line, paint);
        }
        let first = self.pattern.places(line).next();
        let start = first.map_or(0, |found| found.start.saturating_sub(BEFORE));
        let start = (start..line.len()).find(|at| starts_character(line, *at)).unwrap_or(start);
        let end = (start + SHOWN).min(line.len());
        let end = (end..line.len()).find(|at| starts_character(line, *at)).unwrap_or(line.len());
        let (before, after) =
            (if start > 0 { "…" } else { "" }, if end < line.len() { "…" } else { "" });
        format!("{before}{}{after}", self.painted(&line[start..end], paint))
    }

    /// With every match in its colour.
    fn painted(&self, bytes: &[u8], paint: Paint) -> String {
        if !paint.is_on() {
            return shown::line(bytes);
        }
        let (mut text, mut told) = (String::new(), 0);
        for place in self.pattern.places(bytes) {
            text.push_str(&shown::line(&bytes[told..place.start]));
            text.push_str(&paint.of(Tone::Match, &shown::line(&bytes[place.clone()])));
            told = place.end;
        }
        text + &shown::line(&bytes[told..])
    }
}

/// Text must not be cut within a character, and bytes can be cut anywhere.
fn starts_character(line: &[u8], at: usize) -> bool {
    !(0x80..0xc0).contains(&line[at])
}

impl Row for Match<'_> {
    fn simple(&self, style: &Style) -> String {
        let paint = style.paint;
        let key = || paint.of(Tone::Key, &shown::line(self.key));
        match self.line {
            None if self.in_key => self.painted(self.key, paint),
            None => key(),
            Some(line) => format!("{}: {}", key(), self.line(line, paint)),
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
        vec![
            shown::line(self.key),
            self.line.map(|line| self.line(line, Paint::default())).unwrap_or_default(),
        ]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(self.key)
    }
}

struct Found(u64);

impl Row for Found {
    fn simple(&self, _: &Style) -> String {
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
    use crate::output::{Paint, Row as _, Style};

    #[test]
    fn a_long_line_is_shown_around_the_match_on_a_terminal_only() {
        let pattern = Pattern::new("needle", PatternOptions::default()).unwrap();
        let line = format!("{}needle{}", "ä".repeat(5000), "b".repeat(5000));
        let row = |short| {
            let row = Match {
                key: b"k",
                line: Some(line.as_bytes()),
                pattern: &pattern,
                short,
                in_key: false,
            };
            row.simple(&Style::default())
        };
        let short = row(true);
        assert!(short.starts_with("k: …ä") && short.ends_with("b…"), "{short}");
        assert!(short.contains("äneedleb") && short.len() < SHOWN + 20, "{short}");
        assert_eq!(row(false), format!("k: {line}"));
    }

    #[test]
    fn every_match_is_painted_and_the_key_where_its_value_was_searched() {
        let pattern = Pattern::new("b+", PatternOptions::default()).unwrap();
        let style = Style { paint: Paint::new(true), ..Style::default() };
        let row =
            |line, in_key| Match { key: b"abbab", line, pattern: &pattern, short: true, in_key };
        let (found, key, end) = ("\x1b[1;31m", "\x1b[35m", "\x1b[0m");
        assert_eq!(row(None, true).simple(&style), format!("a{found}bb{end}a{found}b{end}"));
        let line = row(Some(b"cb\x1b"), false).simple(&style);
        assert_eq!(line, format!("{key}abbab{end}: c{found}b{end}\\x1b"));
        assert_eq!(row(None, false).simple(&style), format!("{key}abbab{end}"));
    }
}
