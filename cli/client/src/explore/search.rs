//! What is searched for in keys and values, which are bytes and need not be text.

use regex::bytes::{Regex, RegexBuilder};
use thiserror::Error;

/// How a pattern is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PatternOptions {
    /// The pattern is the text itself, not a regular expression.
    pub fixed: bool,
    pub ignore_case: bool,
}

/// A pattern, ready to be looked for.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{pattern:?} is no regular expression: {cause}")]
pub struct BadPattern {
    pattern: String,
    cause: String,
}

/// A pattern that would take more, compiled, is refused.
const MOST_PATTERN_BYTES: usize = 4 << 20;

impl Pattern {
    pub fn new(pattern: &str, options: PatternOptions) -> Result<Self, BadPattern> {
        let source = if options.fixed { regex::escape(pattern) } else { pattern.to_owned() };
        let regex = RegexBuilder::new(&source)
            .case_insensitive(options.ignore_case)
            // A value is looked through whole before its lines are.
            .multi_line(true)
            .size_limit(MOST_PATTERN_BYTES)
            .dfa_size_limit(MOST_PATTERN_BYTES)
            .build();
        regex.map(|regex| Self { regex }).map_err(|error| BadPattern {
            pattern: pattern.to_owned(),
            // The last line says what is wrong; those before draw where.
            cause: error.to_string().lines().last().unwrap_or_default().replace("error: ", ""),
        })
    }

    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.regex.is_match(bytes)
    }

    /// The lines of a value that it is in, without their ends.
    pub fn lines<'a>(&'a self, value: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        // Most values have none, and are looked through once.
        let lines = self.is_in(value).then(|| value.split(|byte| *byte == b'\n'));
        lines.into_iter().flatten().filter(|line| self.is_in(line))
    }

    /// Where in a line it is, one place after the other.
    pub fn places<'a>(
        &'a self,
        line: &'a [u8],
    ) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
        self.regex.find_iter(line).map(|found| found.range())
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, PatternOptions};

    fn pattern(text: &str, fixed: bool, ignore_case: bool) -> Pattern {
        Pattern::new(text, PatternOptions { fixed, ignore_case }).unwrap()
    }

    #[test]
    fn bytes_that_are_no_text_are_searched_as_well() {
        assert!(pattern("b.d$", false, false).is_in(b"\xff\xfe bad"));
        assert!(pattern(r"(?-u)\xff", false, false).is_in(b"a\xffb"));
        assert!(pattern("ä", false, true).is_in("Ä".as_bytes()));
        assert!(!pattern("a.c", true, false).is_in(b"abc"));
        assert!(pattern("A.C", true, true).is_in(b"xa.cx"));
    }

    #[test]
    fn of_a_value_the_matching_lines_are_told() {
        let value = b"one: 1\ntwo: 2\n\xff one\n";
        let pattern = pattern("one", false, false);
        let lines: Vec<_> = pattern.lines(value).collect();
        assert_eq!(lines, [&b"one: 1"[..], b"\xff one"]);
        assert_eq!(pattern.places(lines[1]).next(), Some(2..5));
        assert_eq!(pattern.places(b"one, one").collect::<Vec<_>>(), [0..3, 5..8]);
        assert_eq!(pattern.lines(b"none here").count(), 1);
        assert_eq!(pattern.lines(b"nothing").count(), 0);
        assert_eq!(self::pattern("^two.*2$", false, false).lines(value).count(), 1);
    }

    #[test]
    fn what_is_no_pattern_is_told_in_one_line() {
        let error = Pattern::new("a(b", PatternOptions::default()).unwrap_err().to_string();
        assert_eq!(error, "\"a(b\" is no regular expression: unclosed group");
    }
}
