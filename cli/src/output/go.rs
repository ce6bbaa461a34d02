//! How Go writes things down: quoted strings, JSON strings, durations, sizes. Scripts read
//! etcdctl's output, so ours has to be the same to the byte.

use std::fmt::Write;
use std::time::Duration;

/// `%q`: a string in double quotes. Bytes that are no UTF-8 become `\x…`.
pub fn quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            quote_char(c, &mut out);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

fn quote_char(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if is_printable(c) => out.push(c),
        c if (c as u32) < 0x80 => _ = write!(out, "\\x{:02x}", c as u32),
        c if (c as u32) < 0x1_0000 => _ = write!(out, "\\u{:04x}", c as u32),
        c => _ = write!(out, "\\U{:08x}", c as u32),
    }
}

/// Letters, marks, numbers, punctuation, symbols and the space, as `unicode.IsPrint`.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    // A mark is escaped by Rust only at the start of a string.
    let mut buffer = String::from("a");
    buffer.push(c);
    buffer.escape_debug().nth(1) == Some(c)
}

/// Reads a Go string in double quotes or backquotes from the start of `text`: what it stands for,
/// and what follows it.
pub fn unquote_prefix(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (first, mut rest) = text.split_first()?;
    if *first == b'`' {
        let end = rest.iter().position(|byte| *byte == b'`')?;
        return Some((rest[..end].to_vec(), &rest[end + 1..]));
    }
    if *first != b'"' {
        return None;
    }
    let mut out = Vec::new();
    loop {
        let (byte, after) = rest.split_first()?;
        rest = match byte {
            b'"' => return Some((out, after)),
            b'\n' => return None,
            b'\\' => unescape(after, &mut out)?,
            byte => {
                out.push(*byte);
                after
            }
        };
    }
}

fn unescape<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (kind, rest) = text.split_first()?;
    let plain = match kind {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' | b'"' => *kind,
        b'x' => {
            out.push(u8::try_from(digits(rest, 2, 16)?).ok()?);
            return Some(&rest[2..]);
        }
        b'0'..=b'7' => {
            out.push(u8::try_from(digits(text, 3, 8)?).ok()?);
            return Some(&text[3..]);
        }
        b'u' | b'U' => {
            let length = if *kind == b'u' { 4 } else { 8 };
            let c = char::from_u32(digits(rest, length, 16)?)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(&rest[length..]);
        }
        _ => return None,
    };
    out.push(plain);
    Some(rest)
}

fn digits(text: &[u8], length: usize, radix: u32) -> Option<u32> {
    let digits = str::from_utf8(text.get(..length)?).ok()?;
    u32::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))
}

/// A string of JSON as `encoding/json` writes one: `<`, `>` and `&` are escaped, too.
pub fn json_string(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\x08' => out.push_str("\\b"),
                '\x0c' => out.push_str("\\f"),
                '\0'..=' ' if c != ' ' => _ = write!(out, "\\u{:04x}", c as u32),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    _ = write!(out, "\\u{:04x}", c as u32);
                }
                c => out.push(c),
            }
        }
        // encoding/json replaces every byte that is no UTF-8.
        for _ in chunk.invalid() {
            out.push_str("\\ufffd");
        }
    }
    out.push('"');
    out
}

/// `time.Duration.String`.
pub fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let scaled = |unit: u128, digits: usize, suffix: &str| {
        let fraction = format!("{:0digits$}", nanos % unit);
        let fraction = fraction.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        format!("{}{dot}{fraction}{suffix}", nanos / unit)
    };
    match nanos {
        0..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => scaled(1_000, 3, "µs"),
        1_000_000..1_000_000_000 => scaled(1_000_000, 6, "ms"),
        _ => {
            let (hours, minutes) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60);
            let seconds = Duration::new(duration.as_secs() % 60, duration.subsec_nanos());
            let fraction = format!("{:09}", seconds.subsec_nanos());
            let fraction = fraction.trim_end_matches('0');
            let dot = if fraction.is_empty() { "" } else { "." };
            let seconds = format!("{}{dot}{fraction}s", seconds.as_secs());
            match (hours, minutes) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// A size in bytes as `humanize.Bytes` puts it: `25 kB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut scale = 1_u64;
    while unit + 1 < UNITS.len() && bytes / scale >= 1000 {
        scale *= 1000;
        unit += 1;
    }
    let value = (bytes as f64 / scale as f64 * 10.0 + 0.5).floor() / 10.0;
    if value < 10.0 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{duration, json_string, quote, size, unquote_prefix};

    #[test]
    fn strings_are_quoted_as_go_quotes_them() {
        for (bytes, quoted) in [
            (&b"a \"b\" \\ \n\t\x07\x00\x7f"[..], r#""a \"b\" \\ \n\t\a\x00\x7f""#),
            ("é日\u{301}😀".as_bytes(), "\"é日\u{301}😀\""),
            ("\u{ad}\u{200b}\u{a0}\u{85}".as_bytes(), r#""\u00ad\u200b\u00a0\u0085""#),
            ("\u{fffd}".as_bytes(), "\"\u{fffd}\""),
            (b"\xff\xc3", r#""\xff\xc3""#),
        ] {
            assert_eq!(quote(bytes), quoted);
            assert_eq!(unquote_prefix(quoted.as_bytes()), Some((bytes.to_vec(), &b""[..])));
        }
    }

    #[test]
    fn a_quoted_string_ends_where_it_ends() {
        assert_eq!(unquote_prefix(br#""a") > "b""#), Some((b"a".to_vec(), &br#") > "b""#[..])));
        assert_eq!(unquote_prefix(b"`a\\n`x"), Some((b"a\\n".to_vec(), &b"x"[..])));
        for bad in ["a", "\"a", r#""\q""#, r#""\x1""#, r#""\400""#, "\"a\nb\""] {
            assert_eq!(unquote_prefix(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn json_strings_are_escaped_as_go_escapes_them() {
        assert_eq!(
            json_string("<a&b>\"\u{1}\u{2028}".as_bytes()),
            r#""\u003ca\u0026b\u003e\"\u0001\u2028""#
        );
        assert_eq!(json_string(b"\xffa"), "\"\\ufffda\"");
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (nanos, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5µs"),
            (1_187_727, "1.187727ms"),
            (2_000_000_000, "2s"),
            (61_500_000_000, "1m1.5s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn sizes_are_decimal_and_rounded_to_two_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (9, "9 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (24_576, "25 kB"),
            (2_147_483_648, "2.1 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
