//! The formats of `-o`: for programs that want text as text, and for people.

mod answers;
mod cluster;
mod columns;
mod path;
mod tree;

use std::fmt::Write as _;
use std::io::{self, Write};

pub(crate) use answers::Answers;
pub use path::Path;
pub(crate) use tree::kv;

use super::escape::is_dangerous;
use super::value::Value;
use super::{PrintError, Style, escape_control, go, one_line};
use crate::args::UsageError;

/// A format that only `-o` has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rich {
    /// One document: indented on a terminal, one line in a pipe.
    Json,
    /// One line for each key, event, member or row.
    Ndjson,
    Yaml,
    /// Values, byte by byte, with nothing added.
    Raw,
    /// One key a line.
    Keys,
    /// As etcdctl's where it has a table, and for every other answer, too.
    Table,
    /// What a path finds, one a line.
    Path(Path),
}

impl Rich {
    /// `None` if it is not one of these.
    pub fn parse(name: &str) -> Result<Option<Self>, UsageError> {
        Ok(Some(match name.split_once('=') {
            Some(("jsonpath", path)) => Self::Path(Path::parse(path)?),
            _ => match name {
                "json" => Self::Json,
                "ndjson" => Self::Ndjson,
                "yaml" => Self::Yaml,
                "raw" => Self::Raw,
                "keys" => Self::Keys,
                "table" => Self::Table,
                _ => return Ok(None),
            },
        }))
    }
}

/// One line of JSON, without its end.
pub(crate) fn json_line(
    value: &Value,
    style: &Style,
    out: &mut dyn Write,
) -> Result<(), PrintError> {
    let text = serde_json::to_string(value).map_err(io::Error::from)?;
    Ok(out.write_all(shown_json(text, style).as_bytes())?)
}

/// One document of JSON.
pub(crate) fn json(value: &Value, style: &Style, out: &mut dyn Write) -> Result<(), PrintError> {
    if style.escaped {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        out.write_all(shown_json(text, style).as_bytes())?;
    } else {
        json_line(value, style, out)?;
    }
    Ok(writeln!(out)?)
}

/// What a terminal must not be sent can only stand in a string of JSON, where there is a way to
/// write it as an escape.
fn shown_json(text: String, style: &Style) -> String {
    if !style.escaped || !text.chars().any(is_dangerous) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_dangerous(letter) {
            let _ = write!(shown, "\\u{:04x}", letter as u32);
        } else {
            shown.push(letter);
        }
    }
    shown
}

pub(crate) fn yaml(value: &Value, style: &Style, out: &mut dyn Write) -> Result<(), PrintError> {
    let text = serde_saphyr::to_string(value).map_err(io::Error::other)?;
    text.lines().try_for_each(|line| self::line(line.as_bytes(), style, out))
}

/// Bytes and the end of a line; on a terminal, control characters are shown.
pub(crate) fn line(bytes: &[u8], style: &Style, out: &mut dyn Write) -> Result<(), PrintError> {
    if style.escaped {
        out.write_all(&escape_control(bytes))?;
    } else {
        out.write_all(bytes)?;
    }
    Ok(out.write_all(b"\n")?)
}

/// A key; on a terminal it takes one line.
pub(crate) fn key_line(key: &[u8], style: &Style, out: &mut dyn Write) -> Result<(), PrintError> {
    if style.escaped {
        return Ok(writeln!(out, "{}", one_line(key))?);
    }
    line(key, style, out)
}

/// `"Name" : value`, a line for each field; the fields of fields have dotted names.
pub(crate) fn fields(value: &Value, out: &mut dyn Write) -> Result<(), PrintError> {
    flat("", value, out)?;
    Ok(())
}

fn flat(name: &str, value: &Value, out: &mut dyn Write) -> io::Result<()> {
    let below =
        |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    match value {
        Value::Map(fields) => {
            fields.iter().try_for_each(|(part, value)| flat(&below(part), value, out))
        }
        Value::List(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, item)| flat(&below(&at.to_string()), item, out)),
        Value::Text(text) => writeln!(out, "\"{name}\" : {}", go::quote(text.as_bytes())),
        Value::Null => writeln!(out, "\"{name}\" :"),
        Value::Bool(value) => writeln!(out, "\"{name}\" : {value}"),
        Value::Int(value) => writeln!(out, "\"{name}\" : {value}"),
        Value::Uint(value) => writeln!(out, "\"{name}\" : {value}"),
        Value::Float(value) => writeln!(out, "\"{name}\" : {value}"),
    }
}

#[cfg(test)]
mod tests;
