//! YAML, of which a configuration needs the plain part: one document, no anchors, no tags.

use granit_parser::{Event, Parser, ScalarStyle};

use super::node::Node;
use super::{FlattenError, MAX_DEPTH};

/// What has begun and not ended yet.
enum Open {
    List(Vec<Node>),
    /// The name of the next value, if that is known already.
    Map(Vec<(String, Node)>, Option<String>),
}

pub(super) fn parse(text: &str) -> Result<Node, FlattenError> {
    let mut open: Vec<Open> = Vec::new();
    let mut top = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| FlattenError::Line {
            line: error.marker().line(),
            problem: error.info().clone(),
        })?;
        let line = span.start.line();
        let bad = |problem: &str| FlattenError::Line { line, problem: problem.to_owned() };
        let node = match event {
            Event::DocumentStart(..) if top.is_some() => {
                return Err(bad("there is a second document"));
            }
            Event::Alias(_) => {
                return Err(bad("an alias is not followed: write what it stands for"));
            }
            Event::Scalar(.., Some(_))
            | Event::SequenceStart(.., Some(_))
            | Event::MappingStart(.., Some(_)) => {
                return Err(bad("a tag is not understood: leave it out"));
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None));
                None
            }
            Event::Scalar(text, style, ..) => Some(scalar(&text, style)),
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|open| match open {
                Open::List(items) => Node::List(items),
                Open::Map(fields, _) => Node::Map(fields),
            }),
            _ => None,
        };
        if open.len() > MAX_DEPTH {
            return Err(FlattenError::TooDeep);
        }
        let Some(node) = node else { continue };
        match open.last_mut() {
            None => top = Some(node),
            Some(Open::List(items)) => items.push(node),
            Some(Open::Map(fields, name)) => match name.take() {
                Some(name) => fields.push((name, node)),
                None => match node {
                    Node::Text(text) | Node::Bare(text) => *name = Some(text),
                    _ => return Err(bad("a name is text")),
                },
            },
        }
    }
    match top {
        None => Ok(Node::Map(Vec::new())),
        Some(Node::Null) if !text.contains("null") && !text.contains('~') => {
            Ok(Node::Map(Vec::new()))
        }
        Some(top) => Ok(top),
    }
}

/// What is not quoted may be no text. As in YAML 1.2, `no` is.
fn scalar(text: &str, style: ScalarStyle) -> Node {
    match text {
        _ if style != ScalarStyle::Plain => Node::Text(text.to_owned()),
        "" | "~" | "null" | "Null" | "NULL" => Node::Null,
        "true" | "false" => Node::Bare(text.to_owned()),
        _ if is_number(text) => Node::Bare(text.to_owned()),
        _ => Node::Text(text.to_owned()),
    }
}

/// Whether JSON has it as a number.
fn is_number(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    begins && serde_json::from_str::<serde_json::Number>(text).is_ok()
}
