//! What a terminal must not be sent raw: control characters could move its cursor, change its
//! title or hide text.

use std::borrow::Cow;
use std::fmt::Write;

/// Shows C0, C1 and DEL, bytes that are no UTF-8, and the characters that reverse the direction of
/// text, as `\x1b` or `\u{202e}`.
pub fn escape_control(bytes: &[u8]) -> Cow<'_, [u8]> {
    let harmless = str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(is_dangerous));
    if harmless {
        return Cow::Borrowed(bytes);
    }
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                c if is_dangerous(c) && (c as u32) < 0x80 => _ = write!(out, "\\x{:02x}", c as u32),
                c if is_dangerous(c) => _ = write!(out, "\\u{{{:x}}}", c as u32),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            _ = write!(out, "\\x{byte:02x}");
        }
    }
    Cow::Owned(out.into_bytes())
}

/// As [`escape_control`], for a message: its lines stay lines.
pub fn escape_message(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let lines = text.split('\n').map(|line| escape_control(line.as_bytes()));
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect();
    Cow::Owned(lines.join("\n"))
}

/// A key or a line of a value on one line: nothing in it moves a cursor, on a terminal or in a file
/// that is looked at later.
pub fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&escape_control(bytes)).into_owned();
    if text.contains(['\n', '\t']) {
        return text.replace('\n', "\\n").replace('\t', "\\t");
    }
    text
}

pub(super) fn is_dangerous(c: char) -> bool {
    let allowed = matches!(c, '\n' | '\t');
    let reverses = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}');
    (c.is_control() && !allowed) || reverses || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::{escape_control, escape_message};

    #[test]
    fn control_characters_are_shown_and_text_stays() {
        assert_eq!(&*escape_control("é 日\tb\nc".as_bytes()), "é 日\tb\nc".as_bytes());
        assert_eq!(&*escape_control(b"\x1b[31m\x7f\r\n\xff"), br"\x1b[31m\x7f\r\n\xff");
        assert_eq!(&*escape_control("a\u{9b}b\u{202e}".as_bytes()), br"a\u{9b}b\u{202e}");
    }

    #[test]
    fn a_message_keeps_its_lines_and_loses_what_a_terminal_would_obey() {
        assert_eq!(escape_message("one\ntwo\tthree"), "one\ntwo\tthree");
        assert_eq!(escape_message("\u{1b}[31mred\nblue"), "\\x1b[31mred\nblue");
    }
}
