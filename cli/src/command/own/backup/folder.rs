//! A folder of backups, by their names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// One backup; those of a cluster are in the order of their time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Backup {
    cluster_id: u64,
    /// In UTC, as `20261201T140310Z`.
    time: String,
    revision: i64,
}

pub(super) struct Folder(PathBuf);

const PREFIX: &str = "kvorum-";
const SUFFIX: &str = ".db";
const TIME: &str = "%Y%m%dT%H%M%SZ";

impl Backup {
    pub(super) fn now(cluster_id: u64, revision: i64) -> Self {
        let time = jiff::Timestamp::now().strftime(TIME).to_string();
        Self { cluster_id, time, revision }
    }

    /// `None` for a name that no backup was given by us, however like one it looks.
    pub(super) fn named(name: &str) -> Option<Self> {
        let middle = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let (cluster_id, middle) = middle.split_once('-')?;
        let cluster_id = u64::from_str_radix(cluster_id, 16).ok()?;
        let (time, revision) = middle.split_once("-r")?;
        let shape = |byte: u8| if byte.is_ascii_digit() { b'0' } else { byte };
        let is_time = time.bytes().map(shape).eq(*b"00000000T000000Z");
        let revision = revision.parse().ok()?;
        let backup = Self { cluster_id, time: time.to_owned(), revision };
        (is_time && backup.to_string() == name).then_some(backup)
    }
}

impl fmt::Display for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster_id, time, revision } = self;
        write!(f, "{PREFIX}{cluster_id:x}-{time}-r{revision}{SUFFIX}")
    }
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// What is received before it has a name; whoever saves into the folder at the same time finds
    /// it taken.
    pub(super) fn unnamed(&self) -> PathBuf {
        self.0.join("kvorum-backup")
    }

    pub(super) fn path_of(&self, backup: &Backup) -> PathBuf {
        self.0.join(backup.to_string())
    }

    /// All backups of the cluster of `new`, which is the newest, whatever the clock was before.
    pub(super) fn newest_first(&self, new: &Backup) -> io::Result<Vec<Backup>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let backup = name.to_str().and_then(Backup::named);
            let is_older = |it: &Backup| it != new && it.cluster_id == new.cluster_id;
            found.extend(backup.filter(is_older));
        }
        found.push(new.clone());
        found.sort_by_key(|backup| std::cmp::Reverse((backup == new, backup.clone())));
        Ok(found)
    }
}

/// Whether the name is that of a file, and not of something that leads to one or holds some.
pub(super) fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Backup, Folder};

    #[test]
    fn only_names_of_its_own_are_backups() {
        let name = "kvorum-cdf818194e3a8c32-20261201T140310Z-r1234.db";
        assert_eq!(Backup::named(name).unwrap().to_string(), name);
        assert!(Backup::named(&Backup::now(1, 7).to_string()).is_some());
        for other in [
            "kvorum-a-20261201T140310Z-r1234.db.part",
            "kvorum-a-20261201T140310Z-r01234.db",
            "kvorum-a-20261201T140310Z-r+1.db",
            "kvorum-a-20261201T140310-r1.db",
            "kvorum-a-2026120xT140310Z-r1.db",
            "kvorum-A-20261201T140310Z-r1.db",
            "kvorum-20261201T140310Z-r1.db",
            "kvorum-backup.part",
            "backup.db",
        ] {
            assert_eq!(Backup::named(other), None, "{other}");
        }
    }

    #[test]
    fn of_one_cluster_the_new_one_is_the_newest_even_if_the_clock_went_back() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["kvorum-a-20300101T000000Z-r1.db", "kvorum-a-20260101T000000Z-r2.db"];
        let others = ["kvorum-b-20260101T000000Z-r2.db", "other.db"];
        for name in names.iter().chain(&others) {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let new = Backup::named("kvorum-a-20270101T000000Z-r9.db").unwrap();
        let found = Folder::new(dir.path()).newest_first(&new).unwrap();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, [&new.to_string(), names[0], names[1]]);
    }
}
