//! Configuration files as keys: what is nested becomes the segments of a key, and values are text.
//!
//! ```text
//! db:
//!   host: localhost        db/host = localhost
//!   ports: [5432, 5433]    db/ports = [5432,5433]
//! ```
//!
//! A list is one value, as JSON: its items have no names, and keys by number would be in another
//! order than theirs. The same is true of an object with nothing in it. Nothing is a value that
//! says so, `null`; it is refused, for a key that is there has a value.

mod json;
mod lines;
mod node;
mod yaml;

use std::collections::BTreeMap;

use thiserror::Error;

use node::Node;

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigFormat {
    Json,
    Yaml,
    Toml,
    /// `NAME=VALUE`, a line each.
    Lines,
}

/// Why a file does not make keys.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FlattenError {
    #[error("it is no UTF-8")]
    NotText,
    #[error("{0}")]
    Syntax(String),
    #[error("line {line}: {problem}")]
    Line { line: usize, problem: String },
    #[error("{0} is null: give it a value, or leave it out")]
    Null(String),
    #[error("{0} is made by two places")]
    Twice(String),
    #[error("a name below {0:?} is empty")]
    NoName(String),
    #[error("it is no object at its top: nothing in it has a name")]
    NoNames,
    #[error("it is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// Deeper is no configuration, and every level takes stack.
const MAX_DEPTH: usize = 100;

impl ConfigFormat {
    /// By the end of a file's name.
    pub fn of_name(name: &str) -> Option<Self> {
        let end = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        match end.as_str() {
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            "env" | "properties" => Some(Self::Lines),
            _ => None,
        }
    }
}

/// The keys of a file, without what comes before them, and their values.
pub fn flatten(
    content: &[u8],
    format: ConfigFormat,
    separator: u8,
) -> Result<BTreeMap<String, String>, FlattenError> {
    let text = str::from_utf8(content).map_err(|_| FlattenError::NotText)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let top = match format {
        ConfigFormat::Json => json::parse(text)?,
        ConfigFormat::Toml => {
            let table: Result<toml::Table, _> = toml::from_str(text);
            let table =
                table.map_err(|error| FlattenError::Syntax(error.to_string().trim().to_owned()))?;
            toml::Value::Table(table).into()
        }
        ConfigFormat::Yaml => yaml::parse(text)?,
        ConfigFormat::Lines => lines::parse(text)?,
    };
    let Node::Map(fields) = top else { return Err(FlattenError::NoNames) };
    let mut keys = Keys { separator: char::from(separator), found: BTreeMap::new() };
    keys.take(fields, "", 0)?;
    Ok(keys.found)
}

struct Keys {
    separator: char,
    found: BTreeMap<String, String>,
}

impl Keys {
    fn take(
        &mut self,
        fields: Vec<(String, Node)>,
        before: &str,
        depth: usize,
    ) -> Result<(), FlattenError> {
        if depth > MAX_DEPTH {
            return Err(FlattenError::TooDeep);
        }
        for (name, node) in fields {
            if name.is_empty() {
                return Err(FlattenError::NoName(before.to_owned()));
            }
            let path = format!("{before}{name}");
            let value = match node {
                Node::Map(fields) if !fields.is_empty() => {
                    self.take(fields, &format!("{path}{}", self.separator), depth + 1)?;
                    continue;
                }
                Node::Null => return Err(FlattenError::Null(path)),
                Node::Text(text) | Node::Bare(text) => text,
                other => other.json().to_string(),
            };
            if self.found.insert(path.clone(), value).is_some() {
                return Err(FlattenError::Twice(path));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ConfigFormat, FlattenError, flatten};

    fn keys(text: &str, format: ConfigFormat) -> Result<Vec<(String, String)>, FlattenError> {
        Ok(flatten(text.as_bytes(), format, b'/')?.into_iter().collect())
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what may fail")]
    fn pairs(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, FlattenError> {
        Ok(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn every_format_makes_the_same_keys() {
        let expected = pairs(&[
            ("db/empty", "{}"),
            ("db/host", "localhost"),
            ("db/ports", "[5432,5433]"),
            ("debug", "true"),
            ("name", "a: b"),
        ]);
        let json = r#"{"debug": true, "name": "a: b",
            "db": {"host": "localhost", "ports": [5432, 5433], "empty": {}}}"#;
        assert_eq!(keys(json, ConfigFormat::Json), expected);
        let yaml = "debug: true # said twice\nname: 'a: b'\ndb:\n  host: localhost\n  ports:\n  - \
                    5432\n  - 5433\n  empty: {}\n";
        assert_eq!(keys(yaml, ConfigFormat::Yaml), expected);
        let toml = "debug = true\nname = \"a: b\"\n[db]\nhost = \"localhost\"\nports = [5432, \
                    5433]\n[db.empty]\n";
        assert_eq!(keys(toml, ConfigFormat::Toml), expected);
    }

    #[test]
    fn scalars_of_yaml_stay_as_they_are_written() {
        let yaml = "version: 1.10\noctal: 010\nno: no\nquoted: \"1.10\"\nlong: |\n  one\n  two\n\
                    list: [1.10, no, true, null, \"x\", ~, {a: 1}]\n";
        let expected = pairs(&[
            ("list", r#"[1.10,"no",true,null,"x",null,{"a":1}]"#),
            ("long", "one\ntwo\n"),
            ("no", "no"),
            ("octal", "010"),
            ("quoted", "1.10"),
            ("version", "1.10"),
        ]);
        assert_eq!(keys(yaml, ConfigFormat::Yaml), expected);
    }

    #[test]
    fn numbers_of_json_stay_as_they_are_written() {
        let json = r#"{"id": 12345678901234567890123, "version": 1.10, "e": 1e3, "t": "\u00e4\n",
            "list": [1.10, -0, {"b": 1.0, "a": null}, "x"]}"#;
        let expected = pairs(&[
            ("e", "1e3"),
            ("id", "12345678901234567890123"),
            ("list", r#"[1.10,-0,{"b":1.0,"a":null},"x"]"#),
            ("t", "\u{e4}\n"),
            ("version", "1.10"),
        ]);
        assert_eq!(keys(json, ConfigFormat::Json), expected);
    }

    #[test]
    fn lines_are_names_and_values() {
        let env = "# a comment\n\nexport A=1\nB = two words \nC='it is # no comment'\t# but this\nD=\"a\\n\\\"b\\\"\"\
                   \nE=\nF=a=b\r\n";
        let expected = pairs(&[
            ("A", "1"),
            ("B", "two words"),
            ("C", "it is # no comment"),
            ("D", "a\n\"b\""),
            ("E", ""),
            ("F", "a=b"),
        ]);
        assert_eq!(keys(env, ConfigFormat::Lines), expected);
    }

    #[test]
    fn what_makes_no_keys_is_refused_with_its_place() {
        let told = |text: &str, format| keys(text, format).unwrap_err().to_string();
        assert!(told("{\"a\": 1", ConfigFormat::Json).contains("line 1"));
        assert!(told("a: [1", ConfigFormat::Yaml).contains("line "));
        assert!(told("a = ", ConfigFormat::Toml).contains("line 1"));
        assert_eq!(told("A=1\nB", ConfigFormat::Lines), "line 2: there is no = in it");
        let open = "line 1: its quotation does not end, or more follows it than a comment";
        for text in ["A=\"x", "A='x", "A=\"x\"y", "A='x'y", "A='x'#y"] {
            assert_eq!(told(text, ConfigFormat::Lines), open, "{text}");
        }
        assert!(told("{\"a\": {\"b\": null}}", ConfigFormat::Json).starts_with("a/b is null"));
        assert!(told("a:\n", ConfigFormat::Yaml).starts_with("a is null"));
        let twice = "a/b: 1\na:\n  b: 2\n";
        assert_eq!(told(twice, ConfigFormat::Yaml), "a/b is made by two places");
        assert_eq!(told("A=1\nA=2", ConfigFormat::Lines), "A is made by two places");
        assert!(told("a: 1\na: 2\n", ConfigFormat::Yaml).contains("a is made by two places"));
        let twice = r#"{"a": 1, "b": 2, "a": 1}"#;
        assert_eq!(told(twice, ConfigFormat::Json), "a is made by two places");
        assert!(told("{\"\": 1}", ConfigFormat::Json).contains("is empty"));
        for top in ["[1]", "7"] {
            assert_eq!(keys(top, ConfigFormat::Json), Err(FlattenError::NoNames));
            assert_eq!(keys(top, ConfigFormat::Yaml), Err(FlattenError::NoNames));
        }
        let aliases = "a: &x 1\nb: *x\n";
        assert!(told(aliases, ConfigFormat::Yaml).starts_with("line 2: "));
        assert!(told("a: 1\n---\nb: 2\n", ConfigFormat::Yaml).starts_with("line 2: "));
        let deep = format!("{}1{}", "{\"a\":".repeat(110), "}".repeat(110));
        assert_eq!(keys(&deep, ConfigFormat::Json), Err(FlattenError::TooDeep));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(keys(&deep, ConfigFormat::Json), Err(FlattenError::TooDeep));
        let deep = format!("a: {}1{}", "{a: ".repeat(200), "}".repeat(200));
        assert_eq!(keys(&deep, ConfigFormat::Yaml), Err(FlattenError::TooDeep));
        assert_eq!(flatten(b"\xff", ConfigFormat::Yaml, b'/'), Err(FlattenError::NotText));
    }

    #[test]
    fn a_file_without_anything_in_it_has_no_keys() {
        for (text, format) in [
            ("{}", ConfigFormat::Json),
            ("", ConfigFormat::Yaml),
            ("# nothing\n", ConfigFormat::Yaml),
            ("", ConfigFormat::Toml),
            ("\n", ConfigFormat::Lines),
        ] {
            assert_eq!(keys(text, format), Ok(Vec::new()), "{text:?}");
        }
    }

    #[test]
    fn a_format_is_known_by_the_end_of_a_name() {
        let of = ConfigFormat::of_name;
        assert_eq!(of("a.YML"), Some(ConfigFormat::Yaml));
        assert_eq!(of(".env"), Some(ConfigFormat::Lines));
        assert_eq!(of("prod.env"), Some(ConfigFormat::Lines));
        assert_eq!(of("config"), None);
    }
}
