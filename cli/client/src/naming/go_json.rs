//! JSON as Go's `encoding/json` writes it, which escapes what a browser could take for markup.

use std::fmt::Write as _;

/// A string, quoted.
pub(super) fn string(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => push(c, &mut out),
        }
    }
    out.push('"');
    out
}

/// What is JSON already, without the spaces between its parts: numbers and escapes stay as they are
/// written, as in Go's `json.RawMessage`.
pub(super) fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut is_escaped) = (false, false);
    for c in json.chars() {
        if !in_string && matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        push(c, &mut out);
        if is_escaped {
            is_escaped = false;
        } else if c == '"' {
            in_string = !in_string;
        } else {
            is_escaped = in_string && c == '\\';
        }
    }
    out
}

fn push(c: char, out: &mut String) {
    match c {
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..' ' => {
            // Writing into a string does not fail.
            let _ = write!(out, "\\u{:04x}", c as u32);
        }
        c => out.push(c),
    }
}
