//! Bytes from outside, made safe to put on a screen.
//!
//! Everything a cluster sends is data: it must neither move the cursor, nor colour the frame, nor
//! pretend to be another key. So every byte that does not print as itself becomes a visible escape
//! here, before any view sees it: control characters (C0, DEL, C1), text-direction and other
//! invisible characters, and bytes that are no UTF-8. What comes out holds only graphemes whose
//! width this crate and a terminal agree on.

use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A cell of a terminal holds one grapheme; more marks than any script stacks on a letter are an
/// attack on it.
const MARKS_PER_GRAPHEME: usize = 4;

/// Columns between two tab stops, in values.
const TAB_STOP: usize = 4;

/// A key or another name on one line: unambiguous, so that [`parse`] gives the same bytes back.
pub fn visible(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\') {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut shown = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        for grapheme in chunk.valid().graphemes(true) {
            push_grapheme(&mut shown, grapheme, true);
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// One line of a text value, or a sentence from a server: tabs are expanded and a backslash stands
/// for itself.
pub fn visible_line(line: &str) -> String {
    if line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return line.to_owned();
    }
    let mut shown = String::with_capacity(line.len() + 8);
    let mut column = 0;
    for grapheme in line.graphemes(true) {
        if grapheme == "\t" {
            let blanks = TAB_STOP - column % TAB_STOP;
            shown.extend(std::iter::repeat_n(' ', blanks));
            column += blanks;
            continue;
        }
        let from = shown.len();
        push_grapheme(&mut shown, grapheme, false);
        column += shown[from..].width();
    }
    shown
}

/// The bytes that a typed key stands for: `\n \t \r \e \0 \\ \xNN` and `\u{…}` are escapes,
/// everything else is itself.
pub fn parse(typed: &str) -> Result<Vec<u8>, BadEscape> {
    let mut bytes = Vec::with_capacity(typed.len());
    let mut rest = typed.chars();
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            bytes.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match rest.next() {
            Some('n') => bytes.push(b'\n'),
            Some('t') => bytes.push(b'\t'),
            Some('r') => bytes.push(b'\r'),
            Some('e') => bytes.push(0x1b),
            Some('0') => bytes.push(0),
            Some('\\') => bytes.push(b'\\'),
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                let byte =
                    (digits.len() == 2).then(|| u8::from_str_radix(&digits, 16).ok()).flatten();
                bytes.push(byte.ok_or(BadEscape)?);
            }
            Some('u') => {
                let letter = unicode_escape(&mut rest).ok_or(BadEscape)?;
                bytes.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return Err(BadEscape),
        }
    }
    Ok(bytes)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(r"a backslash starts an escape: \n \t \r \e \0 \xNN \u{{…}}, or \\ for itself")]
pub struct BadEscape;

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` in at most `columns`, cut at a grapheme and marked when something is missing.
pub fn fit(text: &str, columns: usize) -> String {
    if text.len() <= columns || text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let wide = grapheme.width();
        if used + wide + 1 > columns {
            break;
        }
        kept.push_str(grapheme);
        used += wide;
    }
    if columns > 0 {
        kept.push('~');
    }
    kept
}

/// The end of `text` in at most `columns`: what a person recognises of a long path.
pub fn fit_end(text: &str, columns: usize) -> String {
    if text.len() <= columns || text.width() <= columns {
        return text.to_owned();
    }
    let mut from = text.len();
    let mut used = 1;
    for (at, grapheme) in text.grapheme_indices(true).rev() {
        used += grapheme.width();
        if used > columns {
            break;
        }
        from = at;
    }
    if columns == 0 { String::new() } else { format!("~{}", &text[from..]) }
}

/// Cuts one line into pieces of at most `columns`; an empty line is one empty piece.
pub fn wrap(line: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2); // room for one wide character, else nothing ever fits
    if line.len() <= columns {
        return vec![line.to_owned()];
    }
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut used = 0;
    for grapheme in line.graphemes(true) {
        let wide = grapheme.width();
        if used + wide > columns {
            pieces.push(std::mem::take(&mut piece));
            used = 0;
        }
        piece.push_str(grapheme);
        used += wide;
    }
    pieces.push(piece);
    pieces
}

/// Cuts a sentence into lines of at most `columns`, between words where there are any.
pub fn wrap_words(sentence: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.extend(wrap(word, columns)),
        }
    }
    lines
}

fn push_grapheme(shown: &mut String, grapheme: &str, escape_backslash: bool) {
    // Columns and marks of the letter that marks can sit on.
    let mut letter: Option<(usize, usize)> = None;
    let mut apart = true;
    for part in grapheme.chars() {
        let wide = part.width().unwrap_or(0);
        match &mut letter {
            // No cell is wider than two columns, and what only some terminals join is shown apart.
            Some((columns, marks))
                if *marks < MARKS_PER_GRAPHEME
                    && *columns + wide <= 2
                    && !hidden(part)
                    && !joins(part) =>
            {
                *columns += wide;
                *marks += 1;
                shown.push(part);
            }
            _ if apart && wide > 0 && !hidden(part) => {
                letter = Some((wide, 0));
                apart = false;
                push_letter(shown, part, escape_backslash);
            }
            _ => {
                letter = None;
                apart = true;
                push_escape(shown, part);
            }
        }
    }
}

fn push_letter(shown: &mut String, letter: char, escape_backslash: bool) {
    if letter == '\\' && escape_backslash {
        shown.push_str("\\\\");
    } else {
        shown.push(letter);
    }
}

fn push_escape(shown: &mut String, letter: char) {
    match letter {
        '\n' => shown.push_str("\\n"),
        '\t' => shown.push_str("\\t"),
        '\r' => shown.push_str("\\r"),
        '\u{1b}' => shown.push_str("\\e"),
        letter if (letter as u32) < 0x80 => {
            let _ = write!(shown, "\\x{:02x}", letter as u32);
        }
        letter => {
            let _ = write!(shown, "\\u{{{:x}}}", letter as u32);
        }
    }
}

/// Characters that print as nothing, or change how their neighbours print.
fn hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
                | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
        )
}

/// Skin tones and the second half of a flag: terminals disagree on the width of the pair.
fn joins(letter: char) -> bool {
    matches!(letter, '\u{1f3fb}'..='\u{1f3ff}' | '\u{1f1e6}'..='\u{1f1ff}')
}

fn unicode_escape(rest: &mut std::str::Chars<'_>) -> Option<char> {
    if rest.next() != Some('{') {
        return None;
    }
    let digits: String = rest.by_ref().take_while(|letter| *letter != '}').take(6).collect();
    u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::{fit, fit_end, parse, visible, visible_line, width, wrap, wrap_words};

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        assert_eq!(visible(b"/app/name"), "/app/name");
        assert_eq!(visible(b"\x1b[31mred\x07\x7f"), r"\e[31mred\x07\x7f");
        assert_eq!(visible(b"\xff\x00a\n\t\r"), r"\xff\x00a\n\t\r");
        assert_eq!(visible("a\u{202e}b\u{200b}c\u{9b}".as_bytes()), r"a\u{202e}b\u{200b}c\u{9b}");
        assert_eq!(visible(r"a\b".as_bytes()), r"a\\b");
        assert_eq!(visible("żółć/日本/é".as_bytes()), "żółć/日本/é");
    }

    #[test]
    fn a_mark_without_a_letter_and_a_pile_of_marks_are_escaped() {
        assert_eq!(visible("\u{301}a".as_bytes()), r"\u{301}a");
        assert_eq!(visible("👩\u{200d}👧👍🏽".as_bytes()), r"👩\u{200d}👧👍\u{1f3fd}");
        let pile = format!("a{}", "\u{301}".repeat(6));
        assert_eq!(
            visible(pile.as_bytes()),
            format!("a{}{}", "\u{301}".repeat(4), r"\u{301}".repeat(2))
        );
    }

    #[test]
    fn a_key_typed_as_it_is_shown_is_the_same_key() {
        for bytes in [&b"/a\\b\x00\xff\xfe\n"[..], "日\u{202e}本\u{1b}".as_bytes(), b"", b"plain"]
        {
            assert_eq!(parse(&visible(bytes)).expect("what is shown parses"), bytes);
        }
        assert!(parse(r"\q").is_err());
        assert!(parse(r"\x1").is_err());
        assert!(parse("\\").is_err());
        assert!(parse(r"\u{110000}").is_err());
    }

    #[test]
    fn tabs_in_values_are_blanks_up_to_the_next_stop() {
        assert_eq!(visible_line("a\tb\t\tc"), "a   b       c");
        assert_eq!(visible_line("日\tb"), "日  b");
    }

    #[test]
    fn text_is_cut_at_graphemes_and_by_columns() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdefg", 6), "abcde~");
        assert_eq!(fit("日本語", 5), "日本~");
        assert_eq!(fit("日本語", 4), "日~");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(fit_end("/registry/pods/nginx", 8), "~s/nginx");
        assert!(width(&fit_end("日本語日本語", 6)) <= 6);
    }

    #[test]
    fn wrapped_pieces_fit_and_lose_nothing() {
        let line = "ab日本語cdefg";
        for columns in 1..12 {
            let pieces = wrap(line, columns);
            assert_eq!(pieces.concat(), line);
            assert!(pieces.iter().all(|piece| width(piece) <= columns.max(2)));
        }
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap_words("a sentence of words", 10), ["a sentence", "of words"]);
        assert_eq!(wrap_words("averylongword at", 8), ["averylon", "gword at"]);
    }
}
