//! The table of differences between etcdctl 3.4 and 3.6, and its transcripts.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use kvorum_tests::workspace;

use crate::side::Outcome;

/// The rows of `tests/differences.md` by name, with what the cases have shown of each so far.
pub(crate) struct Differences {
    rows: BTreeMap<String, Shown>,
}

/// What etcdctl 3.4 and we have printed in the cases of one row.
#[derive(Default)]
struct Shown {
    theirs: String,
    ours: String,
}

impl Differences {
    pub(crate) fn read() -> Self {
        let path = workspace::root().join("tests/differences.md");
        let text = fs::read_to_string(&path).expect("the table of differences can be read");
        let rows = text.lines().filter_map(|line| {
            let name = line.strip_prefix("| `")?.split('`').next()?;
            let cells = line.trim_matches('|').split(" | ").filter(|cell| !cell.trim().is_empty());
            assert_eq!(cells.count(), 5, "a row has five columns: {line}");
            Some((name.to_owned(), Shown::default()))
        });
        Self { rows: rows.collect() }
    }

    /// Notes what a case of this row has shown.
    pub(crate) fn show(
        &mut self,
        row: &str,
        title: &str,
        theirs: &Outcome,
        ours: &Outcome,
    ) -> Option<String> {
        let Some(shown) = self.rows.get_mut(row) else {
            return Some(format!("the row {row} is not in tests/differences.md"));
        };
        let _ = writeln!(shown.theirs, "$ {title}\n{theirs}");
        let _ = writeln!(shown.ours, "$ {title}\n{ours}");
        None
    }

    /// Holds what was shown against the transcripts, and complains about rows without a case.
    pub(crate) fn check(&self) -> String {
        let update = std::env::var_os("KVORUM_UPDATE").is_some();
        let mut complaints = String::new();
        for (row, shown) in &self.rows {
            if shown.ours.is_empty() {
                let _ = writeln!(complaints, "no case shows the row {row}");
            }
            for (version, now) in [("3.4", &shown.theirs), ("3.6", &shown.ours)] {
                let name = format!("tests/transcripts/{row}.{version}.txt");
                let path = workspace::root().join(&name);
                if update {
                    fs::write(&path, now).expect("a transcript can be written");
                    continue;
                }
                let pinned = fs::read_to_string(&path).unwrap_or_default();
                if pinned != *now {
                    let _ = writeln!(complaints, "{name} says\n{pinned}and now it is\n{now}");
                }
            }
        }
        complaints
    }
}
