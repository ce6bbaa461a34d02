//! JSON that is text: looked at and laid out, its bytes never rewritten.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Budget, Undecodable};

/// Deeper JSON is shown as the text it is: laid out, its indentation would grow with the square of
/// its size.
const MAX_DEPTH: usize = 100;

/// Whether this is one JSON object or array. A bare number or string is rather text.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
        && depth(text) <= MAX_DEPTH
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A JSON object or array, indented. Numbers and the order of fields stay as they were written.
/// `None` if it is none, or nested too deeply.
pub fn pretty_json(value: &[u8]) -> Option<String> {
    let text = str::from_utf8(value).ok()?;
    is_json(text).then(|| lay_out(text.trim()))
}

/// JSON as a tree, which takes many times the memory of its text: so it is weighed before.
pub(super) fn tree(json: &[u8], budget: &mut Budget) -> Result<Value, Undecodable> {
    let pieces = json.iter().filter(|byte| matches!(byte, b',' | b':')).count();
    budget.spend_many(pieces)?;
    serde_json::from_slice(json).map_err(|_| Undecodable::NotJson)
}

fn lay_out(text: &str) -> String {
    let mut pretty = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut letters = text.chars().peekable();
    let new_line = |pretty: &mut String, depth: usize| {
        pretty.push('\n');
        pretty.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                pretty.push('"');
                while let Some(inner) = letters.next() {
                    pretty.push(inner);
                    match inner {
                        '\\' => pretty.extend(letters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '{' | '[' => {
                pretty.push(letter);
                while letters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(close) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    pretty.push(close);
                } else {
                    depth += 1;
                    new_line(&mut pretty, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut pretty, depth);
                pretty.push(letter);
            }
            ',' => {
                pretty.push(',');
                new_line(&mut pretty, depth);
            }
            ':' => pretty.push_str(": "),
            letter if letter.is_ascii_whitespace() => {}
            letter => pretty.push(letter),
        }
    }
    pretty
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::pretty_json;

    #[test]
    fn json_is_indented_and_otherwise_as_it_was_written() {
        let value = r#"{"b":1e400,"a":[1, 2,{}],"s":"a{\",:]","id":9007199254740993}"#;
        let pretty = "{\n  \"b\": 1e400,\n  \"a\": [\n    1,\n    2,\n    {}\n  ],\n  \"s\": \
                      \"a{\\\",:]\",\n  \"id\": 9007199254740993\n}";
        assert_eq!(pretty_json(value.as_bytes()).as_deref(), Some(pretty));
        for no_json in ["", "1", "\"text\"", "{", "{a:1}", "[1,]"] {
            assert_eq!(pretty_json(no_json.as_bytes()), None, "{no_json}");
        }
    }

    #[test]
    fn what_is_nested_too_deeply_is_left_alone() {
        let nested = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(pretty_json(&nested(100)).is_some());
        assert!(pretty_json(&nested(101)).is_none());
        assert!(pretty_json(&nested(500_000)).is_none());
        assert!(pretty_json(format!("[\"{}\"]", "[".repeat(500)).as_bytes()).is_some());
    }
}
