//! Bringing two changes of JSON together that are on one line, but in different places of it.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;

/// Comparing takes the square of what differs at worst; a value with more words than these is
/// merged by its lines.
const MAX_WORDS: usize = 10_000;

/// A text with both changes, letter by letter as they were made. `None` where they contradict each
/// other, where a text is no JSON, and where both together would be none, or have one name twice.
pub(super) fn merge(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    let texts = [base, ours, theirs].map(words);
    let [Some(base), Some(ours), Some(theirs)] = &texts else { return None };
    let mut numbered = Numbered::default();
    let (base, ours, theirs) = (numbered.lines(base), numbered.lines(ours), numbered.lines(theirs));
    let merged = diffy::merge(&base, &ours, &theirs).ok()?;
    let words = merged.lines().map(|line| numbered.words.get(line.parse::<usize>().ok()?).copied());
    let text = words.collect::<Option<Vec<&[u8]>>>()?.concat();
    self::words(&text).is_some().then_some(text)
}

/// Words by numbers. A line for each word makes a merge by lines one by words.
#[derive(Default)]
struct Numbered<'a> {
    numbers: HashMap<&'a [u8], usize>,
    words: Vec<&'a [u8]>,
}

impl<'a> Numbered<'a> {
    fn lines(&mut self, words: &[&'a [u8]]) -> String {
        let mut lines = String::new();
        for word in words {
            let number = *self.numbers.entry(word).or_insert_with(|| {
                self.words.push(word);
                self.words.len() - 1
            });
            let _ = writeln!(lines, "{number}");
        }
        lines
    }
}

/// The strings, numbers, signs and spaces of a JSON text in which every name is there once.
fn words(text: &[u8]) -> Option<Vec<&[u8]>> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, behind) = rest.split_at(length(rest));
        words.push(word);
        rest = behind;
        if words.len() > MAX_WORDS {
            return None;
        }
    }
    let names = words.iter().filter(|word| **word == b":").count();
    (names == members(&value)).then_some(words)
}

/// How long the first word of a JSON text is.
fn length(text: &[u8]) -> usize {
    let run = |belongs: fn(&u8) -> bool| text.iter().take_while(|byte| belongs(byte)).count();
    match text[0] {
        b'"' => {
            let mut escaped = false;
            let ends = |byte: &u8| {
                let end = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                end
            };
            text[1..].iter().position(ends).map_or(text.len(), |at| at + 2)
        }
        b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
        byte if byte.is_ascii_whitespace() => run(u8::is_ascii_whitespace),
        _ => run(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).max(1),
    }
}

/// How many names there are in all objects of a value.
fn members(value: &Value) -> usize {
    match value {
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        Value::Array(items) => items.iter().map(members).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::merge;

    fn merged(base: &str, ours: &str, theirs: &str) -> Option<String> {
        let text = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes())?;
        Some(String::from_utf8(text).unwrap())
    }

    #[test]
    fn different_fields_on_one_line_come_together_as_they_were_written() {
        let base = r#"{"burst": 50,"name" :"a \" b", "list": [1, 2, 3], "deep": {"x": true}}"#;
        for (ours, theirs) in [
            (("50", "75"), ("true", "false")),
            (("\"a \\\" b\"", "\"c\""), ("50", "-1.5e3")),
            (("[1", "[0, 1"), ("3]", "4]")),
            (("\"burst\": 50,", ""), ("{\"x\": true}", "{}")),
        ] {
            let (ours_text, theirs_text) =
                (base.replacen(ours.0, ours.1, 1), base.replacen(theirs.0, theirs.1, 1));
            let expected = ours_text.replacen(theirs.0, theirs.1, 1);
            assert_eq!(merged(base, &ours_text, &theirs_text), Some(expected));
        }
    }

    #[test]
    fn what_contradicts_or_would_be_no_json_is_not_merged() {
        let base = r#"{"a": 1, "b": 2}"#;
        for (ours, theirs) in [
            (r#"{"a": 2, "b": 2}"#, r#"{"a": 3, "b": 2}"#),
            (r#"{"b": 2}"#, r#"{"a": 3, "b": 2}"#),
            // Both add a field of the same name, in different places.
            (r#"{"c": 1, "a": 1, "b": 2}"#, r#"{"a": 1, "b": 2, "c": 2}"#),
            (r#"{"a": 1, "b": 2"#, r#"{"a": 3, "b": 2}"#),
        ] {
            assert_eq!(merged(base, ours, theirs), None, "{ours} {theirs}");
        }
        assert_eq!(merged("a b c", "x b c", "a b y"), None);
        let long = format!("[{}]", vec!["1"; super::MAX_WORDS].join(","));
        let change = |from: &str, to| long.replacen(from, to, 1);
        assert_eq!(merged(&long, &change("[1", "[2"), &change("1]", "2]")), None);
    }
}
