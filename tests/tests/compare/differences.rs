//! The table of differences between etcdctl 3.4 and 3.6, and its transcripts.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use kvorum_tests::workspace;

use crate::side::Outcome;

/// The rows of `tests/differences.md` by name, and whether a case has shown each.
pub(crate) struct Differences {
    rows: BTreeMap<String, bool>,
    update: bool,
}

impl Differences {
    pub(crate) fn read() -> Self {
        let path = workspace::root().join("tests/differences.md");
        let text = fs::read_to_string(&path).expect("the table of differences can be read");
        let rows = text.lines().filter_map(|line| {
            let name = line.strip_prefix("| `")?.split('`').next()?;
            let columns = line.trim_matches('|').split(" | ").filter(|cell| !cell.trim().is_empty());
            assert_eq!(columns.count(), 5, "a row has five columns: {line}");
            Some((name.to_owned(), false))
        });
        Self { rows: rows.collect(), update: std::env::var_os("KVORUM_UPDATE").is_some() }
    }

    /// Holds both forms against the row's transcripts.
    pub(crate) fn check(
        &mut self,
        row: &str,
        theirs: &Outcome,
        ours: &Outcome,
    ) -> Option<String> {
        let Some(shown) = self.rows.get_mut(row) else {
            return Some(format!("the row {row} is not in tests/differences.md"));
        };
        *shown = true;
        let mut complaints = String::new();
        for (version, outcome) in [("3.4", theirs), ("3.6", ours)] {
            let path = transcript(row, version);
            let actual = outcome.to_string();
            if self.update {
                fs::write(&path, &actual).expect("a transcript can be written");
                continue;
            }
            let pinned = fs::read_to_string(&path).unwrap_or_default();
            if pinned != actual {
                complaints.push_str(&format!("{}\npinned:\n{pinned}now:\n{actual}", path.display()));
            }
        }
        (!complaints.is_empty()).then_some(complaints)
    }

    /// Complains about rows that no case has shown.
    pub(crate) fn unused(&self) -> String {
        let unused = self.rows.iter().filter(|(_, shown)| !**shown);
        unused.map(|(row, _)| format!("no case shows the row {row}\n")).collect()
    }
}

fn transcript(row: &str, version: &str) -> PathBuf {
    workspace::root().join(format!("tests/transcripts/{row}.{version}.txt"))
}
