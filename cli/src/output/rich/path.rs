//! `-o jsonpath=…`: RFC 9535 paths (`$.kvs[*].key`), and kubectl's way to write them
//! (`{.kvs[*].key}`).

use std::io::{self, Write};

use serde_json_path::JsonPath;

use super::line;
use crate::args::UsageError;
use crate::output::value::Value;
use crate::output::{PrintError, Style};

#[derive(Debug, Clone)]
pub struct Path {
    text: String,
    path: JsonPath,
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Path {}

impl Path {
    pub fn parse(text: &str) -> Result<Self, UsageError> {
        let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let inner = inner.unwrap_or(text).trim();
        if inner.starts_with("range ") || inner.contains("}{") {
            return Err(UsageError::arguments(format!(
                "{text:?} is a template, and only one path is read: it finds every item of a list, \
                 one a line, as -o 'jsonpath={{.kvs[*].key}}' does, and several fields as \
                 -o \"jsonpath={{.kvs[*]['key','value']}}\" does"
            )));
        }
        let rooted = match inner.chars().next() {
            Some('$') => inner.to_owned(),
            Some('.' | '[') => format!("${inner}"),
            _ => format!("$.{inner}"),
        };
        let path = JsonPath::parse(&rooted).map_err(|error| {
            UsageError::arguments(format!(
                "{text:?} is not a path: {error}; write for example jsonpath={{.kvs[*].key}}"
            ))
        })?;
        Ok(Self { text: rooted, path })
    }

    /// Prints what the path finds: texts bare, all else as JSON, one a line.
    pub fn print(
        &self,
        value: &Value,
        style: &Style,
        out: &mut dyn Write,
    ) -> Result<(), PrintError> {
        let tree = serde_json::to_value(value).map_err(io::Error::from)?;
        for node in self.path.query(&tree) {
            match node.as_str() {
                Some(text) => line(text.as_bytes(), style, out)?,
                None => line(node.to_string().as_bytes(), style, out)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, Style, Value};

    fn found(path: &str) -> String {
        let kv = |key: &str| Value::map([("key", Value::text(key)), ("version", Value::Int(3))]);
        let value = Value::map([("kvs", Value::list([kv("a"), kv("b")]))]);
        let mut out = Vec::new();
        Path::parse(path).unwrap().print(&value, &Style::default(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_path_is_written_as_the_rfc_or_as_kubectl_has_it() {
        for path in ["$.kvs[*].key", "{.kvs[*].key}", ".kvs[*].key", "kvs[*].key"] {
            assert_eq!(found(path), "a\nb\n", "{path}");
        }
        assert_eq!(found("{.kvs[0]}"), "{\"key\":\"a\",\"version\":3}\n");
        assert_eq!(found("$..version"), "3\n3\n");
        assert_eq!(found("$.nothing"), "");
    }

    #[test]
    fn a_template_is_refused_with_what_to_write_and_that_works() {
        for template in ["{range .kvs[*]}{.key}{\"\\n\"}{end}", "{.kvs[0].key}{.kvs[0].version}"] {
            let message = Path::parse(template).unwrap_err().message;
            assert!(message.contains("-o 'jsonpath={.kvs[*].key}' does"), "{message}");
            assert!(message.contains("jsonpath={.kvs[*]['key','value']}\" does"), "{message}");
        }
        assert_eq!(found("{.kvs[*]['key','version']}"), "a\n3\nb\n3\n");
    }

    #[test]
    fn a_path_that_cannot_be_read_says_how_to_write_one() {
        let error = Path::parse("{.kvs[}").unwrap_err();
        assert_eq!(error.code, 128);
        assert!(error.message.contains("write for example"), "{}", error.message);
    }
}
