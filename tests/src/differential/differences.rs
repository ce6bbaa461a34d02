//! The table of differences: what 3.4 answers and what 3.6, and so ours, does.

use std::fs;

use serde_json::Value;

use super::mask::is_time_left;
use crate::workspace;

/// One field of one method that may differ, in one way.
#[derive(Debug)]
pub struct Row {
    pub name: String,
    subject: String,
    field: String,
    theirs: String,
    ours: String,
}

/// The rows of `tests/api-differences.md`.
#[derive(Debug)]
pub struct Differences(pub Vec<Row>);

/// A field in which two answers differ. Places in lists are left out of its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Unlike {
    pub field: String,
    pub theirs: Option<Value>,
    pub ours: Option<Value>,
}

impl Differences {
    pub fn read() -> Differences {
        let path = workspace::root().join("tests/api-differences.md");
        Differences::of(&fs::read_to_string(path).expect("the table of differences can be read"))
    }

    /// Rows are lines of a Markdown table that begin with a name in backticks.
    pub fn of(text: &str) -> Differences {
        let rows = text.lines().filter(|line| line.starts_with("| `")).map(|line| {
            let cells: Vec<&str> = line
                .trim_matches('|')
                .split(" | ")
                .map(|cell| cell.trim().trim_matches('`'))
                .collect();
            let [name, subject, field, theirs, ours, why, source] = cells[..] else {
                panic!("a row has seven columns: {line}");
            };
            assert!(!why.is_empty() && !source.is_empty(), "a row has a reason: {line}");
            Row {
                name: name.to_owned(),
                subject: subject.to_owned(),
                field: field.to_owned(),
                theirs: theirs.to_owned(),
                ours: ours.to_owned(),
            }
        });
        Differences(rows.collect())
    }

    /// The row that allows this difference in an answer to a request to `subject`.
    pub fn row(&self, subject: &str, unlike: &Unlike) -> Option<&Row> {
        self.0.iter().find(|row| {
            matches(&row.subject, subject)
                && row.field == unlike.field
                && is_form(&row.theirs, unlike.theirs.as_ref())
                && is_form(&row.ours, unlike.ours.as_ref())
        })
    }
}

/// Where the answers to a request to `subject` differ. Of answers that end in another way, only
/// that is told.
pub fn unlike(subject: &str, theirs: &Value, ours: &Value) -> Vec<Unlike> {
    for end in ["status", "http"] {
        if theirs[end] != ours[end] {
            let of = |answer: &Value| answer.get(end).cloned();
            let (theirs, ours) = (of(theirs), of(ours));
            return vec![Unlike { field: end.to_owned(), theirs, ours }];
        }
    }
    let mut found = Vec::new();
    compare(subject, String::new(), Some(theirs), Some(ours), &mut found);
    found
}

fn compare(
    subject: &str,
    field: String,
    theirs: Option<&Value>,
    ours: Option<&Value>,
    found: &mut Vec<Unlike>,
) {
    match (theirs, ours) {
        (theirs, ours) if theirs == ours => {}
        (Some(Value::Object(theirs)), Some(Value::Object(ours))) => {
            let mut names: Vec<&String> = theirs.keys().chain(ours.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let dot = if field.is_empty() { "" } else { "." };
                let inner = format!("{field}{dot}{name}");
                compare(subject, inner, theirs.get(name), ours.get(name), found);
            }
        }
        (Some(Value::Array(theirs)), Some(Value::Array(ours))) if theirs.len() == ours.len() => {
            for (theirs, ours) in theirs.iter().zip(ours) {
                compare(subject, format!("{field}[]"), Some(theirs), Some(ours), found);
            }
        }
        (theirs, ours) => {
            let seconds = |value: Option<&Value>| value?.as_str()?.parse::<i64>().ok();
            if is_time_left(subject, &field)
                && let (Some(theirs), Some(ours)) = (seconds(theirs), seconds(ours))
                && (theirs - ours).abs() <= 1
            {
                return;
            }
            let unlike = Unlike { field, theirs: theirs.cloned(), ours: ours.cloned() };
            if !found.contains(&unlike) {
                found.push(unlike);
            }
        }
    }
}

/// `absent`, or the value's text, in which a star stands for anything; a star alone for no field
/// too, as a number is left out when it is zero.
pub fn is_form(form: &str, value: Option<&Value>) -> bool {
    match value {
        None => form == "absent" || form == "*",
        Some(Value::String(text)) => matches(form, text),
        Some(other) => matches(form, &other.to_string()),
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|left| {
            (0..=left.len())
                .filter(|at| left.is_char_boundary(*at))
                .any(|at| matches(rest, &left[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TABLE: &str = "
| name | method | field | 3.4 | 3.6 | why | source |
|---|---|---|---|---|---|---|
| `version` | `M/Status` | `body.version` | `3.4.*` | `3.6.0` | the release | version.go |
| `storage` | `M/Status` | `body.storageVersion` | absent | `3.6.0` | later | rpc.proto |
";

    #[test]
    fn a_row_allows_one_field_of_one_method_in_its_two_forms() {
        let table = Differences::of(TABLE);
        let theirs = json!({"status": "OK", "body": {"version": "3.4.23", "x": ["1"]}});
        let ours = json!({"status": "OK", "body": {"version": "3.6.0", "storageVersion": "3.6.0", "x": ["2"]}});
        let found = unlike("M/Status", &theirs, &ours);
        let rows: Vec<_> = found
            .iter()
            .map(|unlike| {
                let row = table.row("M/Status", unlike).map(|row| row.name.as_str());
                (unlike.field.as_str(), row)
            })
            .collect();
        assert_eq!(
            rows,
            [
                ("body.storageVersion", Some("storage")),
                ("body.version", Some("version")),
                ("body.x[]", None)
            ]
        );
        assert!(found.iter().all(|unlike| table.row("M/Other", unlike).is_none()));
        let wrong = Unlike { ours: Some("3.5.0".into()), ..found[1].clone() };
        assert!(table.row("M/Status", &wrong).is_none());
    }

    #[test]
    fn how_a_request_ends_is_compared_first() {
        let theirs = json!({"status": "OK", "body": {"a": 1}});
        let ours = json!({"status": "NotFound: no"});
        let found = unlike("KV/Put", &theirs, &ours);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].field, "status");
    }

    #[test]
    fn time_left_may_differ_by_a_second() {
        let of = |ttl: &str| json!({"status": "OK", "body": {"TTL": ttl}});
        let subject = "Lease/LeaseTimeToLive";
        assert!(unlike(subject, &of("10"), &of("9")).is_empty());
        assert_eq!(unlike(subject, &of("10"), &of("8")).len(), 1);
        assert_eq!(unlike("Lease/LeaseGrant", &of("10"), &of("9")).len(), 1);
    }
}
