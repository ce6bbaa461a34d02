//! What was typed, kept per cluster, so that a command is not repeated in the wrong place.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Lines kept: enough for months of work, small enough to load at once.
pub(super) const LINES_MAX: usize = 10_000;

/// Where the history of a cluster is kept: one file per cluster id, in the user's state folder.
/// `None` if the user has no such folder.
pub(super) fn file(cluster_id: u64) -> Option<PathBuf> {
    let state = dirs::state_dir().or_else(dirs::data_local_dir)?;
    Some(state.join("kvorum").join(format!("history-{cluster_id:016x}")))
}

/// Makes the file if it is missing, readable by its owner only.
pub(super) fn prepare(path: &Path) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    if file.metadata()?.len() == 0 {
        // rustyline's mark of a file whose lines are escaped.
        file.write_all(b"#V2\n")?;
    }
    Ok(())
}

/// Whether a line may be remembered: not if it could hold a password, nor if it begins with a
/// space, as in other shells.
pub(super) fn may_be_kept(line: &str) -> bool {
    let secret = line.split_whitespace().any(|word| {
        let word = word.trim_start_matches(['\'', '"', '-']);
        ["user", "password", "new-user-password", "auth-jwt-token"]
            .iter()
            .any(|name| word == *name || word.starts_with(&format!("{name}=")))
            || word == "passwd"
    });
    !secret && !line.starts_with(' ') && !line.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::{may_be_kept, prepare};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_line_that_could_hold_a_password_is_never_kept() {
        for line in [
            "get k --user root:secret",
            "get k --user=root:secret",
            "get k --password secret",
            "user add alice:secret",
            "user passwd alice",
            " put quietly",
            "",
        ] {
            assert!(!may_be_kept(line), "{line}");
        }
        assert!(may_be_kept("put /users/alice 1"));
        assert!(may_be_kept("get --prefix /password/"));
    }

    #[test]
    fn the_file_is_its_owners_alone_and_is_read_back() {
        use rustyline::history::{FileHistory, History as _};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep").join("history");
        prepare(&path).unwrap();
        let mut written = FileHistory::new();
        written.add("put k 'a\\b'").unwrap();
        written.add("get k").unwrap();
        written.append(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let mut history = FileHistory::new();
        history.load(&path).unwrap();
        assert_eq!(history.iter().collect::<Vec<_>>(), ["put k 'a\\b'", "get k"]);
    }
}
