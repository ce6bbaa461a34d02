//! `NAME=VALUE`, a line each: what shells, service managers and Java read.

use super::FlattenError;
use super::node::Node;

pub(super) fn parse(text: &str) -> Result<Node, FlattenError> {
    let mut fields = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let bad = |problem: &str| FlattenError::Line { line: at + 1, problem: problem.to_owned() };
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or_else(|| bad("there is no = in it"))?;
        let value = unquoted(value.trim())
            .ok_or_else(|| bad("its quotation does not end, or more follows it than a comment"))?;
        fields.push((name.trim().to_owned(), Node::Text(value)));
    }
    Ok(Node::Map(fields))
}

/// `None`: it begins with a quote and does not end with it. A comment may follow.
fn unquoted(value: &str) -> Option<String> {
    if let Some(rest) = value.strip_prefix('\'') {
        let (text, behind) = rest.split_once('\'')?;
        return is_nothing(behind).then(|| text.to_owned());
    }
    let Some(rest) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let mut out = String::new();
    let mut letters = rest.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return is_nothing(letters.as_str()).then_some(out),
            '\\' => out.push(match letters.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            }),
            other => out.push(other),
        }
    }
    None
}

/// What may stand behind a quotation.
fn is_nothing(behind: &str) -> bool {
    let text = behind.trim_start();
    text.is_empty() || (text.len() < behind.len() && text.starts_with('#'))
}
