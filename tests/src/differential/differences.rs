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
    /// The forms that a value may have.
    theirs: Vec<String>,
    ours: Vec<String>,
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
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [name, subject, field, theirs, ours, why, source] = cells[..] else {
                panic!("a row has seven columns: {line}");
            };
            assert!(!why.is_empty() && !source.is_empty(), "a row has a reason: {line}");
            let bare = |cell: &str| cell.trim_matches('`').to_owned();
            Row {
                name: bare(name),
                subject: bare(subject),
                field: bare(field),
                theirs: forms(theirs),
                ours: forms(ours),
            }
        });
        Differences(rows.collect())
    }

    /// The row that allows this difference in an answer to a request to `subject`. A method is the
    /// same by gRPC and by the gateway.
    pub fn row(&self, subject: &str, unlike: &Unlike) -> Option<&Row> {
        let method = subject.strip_prefix("gateway ").unwrap_or(subject);
        let has = |forms: &[String], value: &Option<Value>| {
            forms.iter().any(|form| is_form(form, value.as_ref()))
        };
        self.0.iter().find(|row| {
            row.subject == method
                && row.field == unlike.field
                && has(&row.theirs, &unlike.theirs)
                && has(&row.ours, &unlike.ours)
        })
    }
}

/// The forms of a cell, which are joined by `or`. `\n` is the end of a line, and `""` is no text.
fn forms(cell: &str) -> Vec<String> {
    let forms = cell.split(" or ").map(|form| form.trim_matches('`'));
    forms
        .map(|form| if form == "\"\"" { String::new() } else { form.replace("\\n", "\n") })
        .collect()
}

/// Where the answers to a request to `subject` differ.
pub fn unlike(subject: &str, theirs: &Value, ours: &Value) -> Vec<Unlike> {
    let mut found = Vec::new();
    compare(subject, String::new(), Some(theirs), Some(ours), &mut found);
    found
}

/// A lease's time runs on between the two answers, the more the busier the machine is.
const TIME_LEFT_WITHIN_S: i64 = 3;

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
                && (theirs - ours).abs() <= TIME_LEFT_WITHIN_S
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
        assert!(table.row("gateway M/Status", &found[0]).is_some());
        let wrong = Unlike { ours: Some("3.5.0".into()), ..found[1].clone() };
        assert!(table.row("M/Status", &wrong).is_none());
    }

    #[test]
    fn answers_that_end_in_another_way_are_compared_all_the_same() {
        let theirs = json!({"http": 405, "type": "text/plain", "body": "no"});
        let ours = json!({"http": 501, "type": "text/plain", "body": {"code": 12}});
        let found = unlike("http /v3/kv/range", &theirs, &ours);
        let fields: Vec<&str> = found.iter().map(|unlike| unlike.field.as_str()).collect();
        assert_eq!(fields, ["body", "http"]);
    }

    #[test]
    fn a_cell_may_have_several_forms() {
        assert_eq!(forms("`a\\n` or `b*`"), ["a\n", "b*"]);
        assert_eq!(forms("`\"\"` or absent"), ["", "absent"]);
    }

    #[test]
    fn time_left_may_differ_by_what_a_busy_machine_takes() {
        let of = |ttl: &str| json!({"status": "OK", "body": {"TTL": ttl}});
        let subject = "Lease/LeaseTimeToLive";
        assert!(unlike(subject, &of("10"), &of("7")).is_empty());
        assert_eq!(unlike(subject, &of("10"), &of("6")).len(), 1);
        assert_eq!(unlike("Lease/LeaseGrant", &of("10"), &of("9")).len(), 1);
    }
}
