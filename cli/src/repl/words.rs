//! A line of the shell as words: `'…'` is literal, `"…"` and bare words know backslash escapes.
//!
//! Within double quotes the escapes are those etcdctl prints (`\n`, `\t`, `\x41`, …), so that any
//! bytes can be typed; everywhere else a backslash makes the next character literal.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

/// One word, with the place in the line where it was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Byte offset of its first character, the opening quote included.
    pub start: usize,
    pub bytes: Vec<u8>,
}

/// A line cut into words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub list: Vec<Word>,
    /// The quote that was opened and not closed, so that the line goes on.
    pub open_quote: Option<char>,
    /// The line ends within the last word and not after a space.
    pub in_word: bool,
}

impl Words {
    pub(super) fn split(line: &str) -> Self {
        let mut words = Self::default();
        let mut chars = line.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' | '"' => {
                    let word = words.current(at);
                    if !quoted(&mut chars, c, word) {
                        words.open_quote = Some(c);
                    }
                }
                c if c.is_whitespace() => words.in_word = false,
                '\\' => {
                    let next = chars.next().map_or('\\', |(_, next)| next);
                    push(words.current(at), next);
                }
                c => push(words.current(at), c),
            }
        }
        words
    }

    fn current(&mut self, at: usize) -> &mut Vec<u8> {
        if !self.in_word {
            self.list.push(Word { start: at, bytes: Vec::new() });
            self.in_word = true;
        }
        let last = self.list.len() - 1;
        &mut self.list[last].bytes
    }

    /// The words as arguments.
    pub(super) fn into_arguments(self) -> Vec<OsString> {
        self.list.into_iter().map(|word| OsString::from_vec(word.bytes)).collect()
    }
}

/// The lines of a text: a newline within quotes or after a backslash belongs to its line.
pub(super) fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => _ = chars.next(),
            (None, '\'' | '"') => quote = Some(c),
            (None, '\n') => {
                lines.push(&text[start..at]);
                start = at + 1;
            }
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    lines.push(&text[start..]);
    lines
}

/// Reads up to the closing quote; false if there is none.
fn quoted(
    chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    quote: char,
    word: &mut Vec<u8>,
) -> bool {
    while let Some((_, c)) = chars.next() {
        match c {
            c if c == quote => return true,
            '\\' if quote == '"' => match chars.next() {
                Some((_, 'n')) => word.push(b'\n'),
                Some((_, 't')) => word.push(b'\t'),
                Some((_, 'r')) => word.push(b'\r'),
                Some((_, '0')) => word.push(0),
                Some((_, 'x')) => match hex_byte(chars) {
                    Some(byte) => word.push(byte),
                    None => word.extend_from_slice(b"\\x"),
                },
                Some((_, other)) => push(word, other),
                None => return false,
            },
            c => push(word, c),
        }
    }
    false
}

/// Two hexadecimal digits, consumed only if both are there.
fn hex_byte(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> Option<u8> {
    let mut ahead = chars.clone();
    let high = ahead.next()?.1.to_digit(16)?;
    let low = ahead.next()?.1.to_digit(16)?;
    *chars = ahead;
    u8::try_from(high * 16 + low).ok()
}

fn push(word: &mut Vec<u8>, c: char) {
    word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A word that [`Words::split`] reads back as `bytes`: bare if it can be, else in double quotes.
pub(super) fn quote(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let bare = |c: char| !c.is_whitespace() && !c.is_control() && !"'\"\\".contains(c);
    if !text.is_empty() && text.chars().all(bare) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                c if c.is_control() => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        escape(&mut out, byte);
                    }
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            escape(&mut out, *byte);
        }
    }
    out.push('"');
    out
}

fn escape(out: &mut String, byte: u8) {
    use std::fmt::Write as _;
    write!(out, "\\x{byte:02x}").expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::{Words, lines, quote};

    fn texts(line: &str) -> Vec<String> {
        let words = Words::split(line).list;
        words.into_iter().map(|word| String::from_utf8_lossy(&word.bytes).into_owned()).collect()
    }

    #[test]
    fn words_are_separated_by_spaces_and_held_together_by_quotes() {
        assert_eq!(texts("put  foo 'a b'\"c d\"e"), ["put", "foo", "a bc de"]);
        assert_eq!(texts(r"put a\ b '\n'"), ["put", "a b", r"\n"]);
        assert_eq!(texts(r#"put k """#), ["put", "k", ""]);
    }

    #[test]
    fn an_open_quote_makes_the_line_go_on() {
        assert_eq!(Words::split("put k 'a").open_quote, Some('\''));
        assert_eq!(Words::split("put k \"a\\").open_quote, Some('"'));
        assert_eq!(Words::split("put k 'a'").open_quote, None);
    }

    #[test]
    fn a_text_is_cut_into_lines_but_not_within_quotes() {
        assert_eq!(lines("put a 1\n\nget a\n"), ["put a 1", "", "get a", ""]);
        assert_eq!(lines("put a 'x\ny'\nget a"), ["put a 'x\ny'", "get a"]);
        assert_eq!(lines(r#"put a "\""#), [r#"put a "\""#]);
    }

    #[test]
    fn the_last_word_is_known_to_be_finished_or_not() {
        assert!(Words::split("get /a").in_word);
        assert!(!Words::split("get /a ").in_word);
        assert_eq!(Words::split("get /a").list[1].start, 4);
    }

    #[test]
    fn any_bytes_can_be_written_as_a_word() {
        for bytes in [&b"plain"[..], b"", b"a b", b"\"'\\", b"\xff\x00\n", "ключ\u{85}".as_bytes()]
        {
            let line = quote(bytes);
            assert_eq!(Words::split(&line).list[0].bytes, bytes, "{line}");
        }
    }
}
