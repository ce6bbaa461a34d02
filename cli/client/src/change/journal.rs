//! Which keys a person wrote at which revision, so that it can be taken back: the values are in the
//! cluster, as far as it has not compacted them.
//!
//! One line of JSON for each transaction, in a file of the person's own. It holds no values. What is
//! oldest goes when it grows too large.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::contexts::Places;
use crate::exact::Exact;
use crate::range::KeyRange;

/// One transaction of a person's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    #[serde(with = "hexadecimal")]
    pub cluster_id: u64,
    /// The verb that wrote.
    pub verb: String,
    /// What belongs together has one number: the transactions of one plan.
    pub write: u64,
    /// Which transaction of the write it is, from 1 on.
    pub part: u32,
    pub revision: i64,
    /// What may have been changed at the revision: keys…
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Exact<'static>>,
    /// …and ranges, which were deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<(Exact<'static>, Exact<'static>)>,
    /// The write that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u64>,
}

/// The file of one person.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

/// Some hundred thousand keys. A plan that is larger can be rolled back by revision.
pub const MAX_JOURNAL_BYTES: u64 = 16 << 20;

/// A line of keys as long as a server takes them, which are not many.
const MAX_LINE_BYTES: usize = 4 << 20;

impl Entry {
    /// The keys and ranges that may have been changed.
    pub fn touched(&self) -> Vec<KeyRange> {
        let keys = self.keys.iter().map(|key| KeyRange::single(&*key.0));
        let ranges = self.ranges.iter().map(|(key, end)| KeyRange::between(&*key.0, &*end.0));
        keys.chain(ranges).collect()
    }
}

impl Journal {
    pub fn at(places: &Places) -> Self {
        Self { path: places.state.join("undo.ndjson") }
    }

    /// Whether there is somebody whose file it is: a home that is not there, as that of a service,
    /// is nobody's.
    pub fn has_owner(&self) -> bool {
        let there = self.path.ancestors().skip(1).find(|folder| folder.exists());
        there.is_some_and(|folder| folder.parent().is_some())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Remembers a transaction. It is not synced: what is lost with the machine can still be rolled
    /// back by revision.
    pub fn append(&self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if line.len() > MAX_LINE_BYTES {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "the keys are too long"));
        }
        let mut file = self.locked()?;
        let before = file.metadata()?.len();
        if before > 0 && !ends_line(&file, before)? {
            // What was cut there is lost, and takes nothing else with it.
            line.insert(0, b'\n');
        }
        if let Err(error) = file.write_all(&line) {
            // A disk without space: a part of a line would be in the way of the next.
            let _ = file.set_len(before);
            return Err(error);
        }
        if file.metadata()?.len() > MAX_JOURNAL_BYTES {
            // What was to be remembered is; without space for a shorter file, the next one tries.
            let _ = self.shorten();
        }
        Ok(())
    }

    /// What is remembered, the newest last. Lines that are not whole are passed over: another
    /// process may be writing.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            file => file?,
        };
        let lines = BufReader::new(file).split(b'\n');
        lines
            .map(|line| line.map(|line| serde_json::from_slice(&line).ok()))
            .filter_map(Result::transpose)
            .collect()
    }

    /// The file, which nobody else writes as long as it is open here.
    fn locked(&self) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        loop {
            let mut options = OpenOptions::new();
            options.read(true).append(true).create(true).mode(0o600);
            let file = options.open(&self.path)?;
            lock(&file)?;
            // It may have been replaced by a shorter one meanwhile.
            let (opened, named) = (file.metadata()?, fs::metadata(&self.path));
            if named.is_ok_and(|named| (named.dev(), named.ino()) == (opened.dev(), opened.ino())) {
                return Ok(file);
            }
        }
    }

    /// Keeps the newest half. Must be called with the file locked.
    fn shorten(&self) -> io::Result<()> {
        let content = fs::read(&self.path)?;
        let half = content.len() / 2;
        let from = content[half..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(content.len(), |at| half + at + 1);
        let beside = self.path.with_extension("ndjson.new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&content[from..])?;
        fs::rename(&beside, &self.path)
    }
}

/// Others hold the lock for a moment. Whoever holds it longer is stuck, and nobody is to wait for a
/// file that is only a convenience.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

fn lock(file: &File) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(
                    ErrorKind::WouldBlock,
                    "another process holds its lock",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn ends_line(file: &File, length: u64) -> io::Result<bool> {
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1)?;
    Ok(last == *b"\n")
}

mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{id:x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Entry, Journal, MAX_JOURNAL_BYTES};
    use crate::contexts::Places;

    fn journal() -> (tempfile::TempDir, Journal) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { config: folder.path().join("c"), state: folder.path().join("s/k") };
        let journal = Journal::at(&places);
        (folder, journal)
    }

    fn entry(write: u64, keys: &[&[u8]]) -> Entry {
        Entry {
            at_ms: 1,
            cluster_id: 0xabc,
            verb: "put".to_owned(),
            write,
            part: 1,
            revision: 7,
            keys: keys.iter().map(|key| (*key).into()).collect(),
            ranges: Vec::new(),
            undoes: None,
        }
    }

    #[test]
    fn what_is_remembered_comes_back_and_is_private() {
        let (_folder, journal) = journal();
        assert_eq!(journal.entries().unwrap(), []);
        let first = entry(1, &[b"/a", b"\xff\n"]);
        let second = Entry {
            ranges: vec![(b"/b"[..].into(), b"\0"[..].into())],
            undoes: Some(1),
            ..entry(2, &[])
        };
        journal.append(&first).unwrap();
        journal.append(&second).unwrap();
        assert_eq!(journal.entries().unwrap(), [first.clone(), second]);
        assert_eq!(first.touched()[1].key, b"\xff\n");
        let mode = std::fs::metadata(journal.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_home_that_is_not_there_is_nobodys() {
        let nobody = Places { config: "/nonexistent/c".into(), state: "/nonexistent/s/k".into() };
        assert!(!Journal::at(&nobody).has_owner());
        let (_folder, journal) = journal();
        assert!(journal.has_owner());
    }

    #[test]
    fn a_line_that_was_cut_hides_no_other() {
        let (_folder, journal) = journal();
        journal.append(&entry(1, &[b"/a"])).unwrap();
        let mut text = std::fs::read(journal.path()).unwrap();
        text.extend_from_slice(b"{\"at_ms\":3,");
        std::fs::write(journal.path(), text).unwrap();
        journal.append(&entry(2, &[b"/b"])).unwrap();
        let writes: Vec<_> = journal.entries().unwrap().iter().map(|entry| entry.write).collect();
        assert_eq!(writes, [1, 2]);
    }

    #[test]
    fn the_oldest_goes_when_there_is_too_much() {
        let (_folder, journal) = journal();
        let long = vec![b'k'; 1 << 20];
        for write in 0..20 {
            journal.append(&entry(write, &[&long])).unwrap();
        }
        let entries = journal.entries().unwrap();
        assert!(std::fs::metadata(journal.path()).unwrap().len() <= MAX_JOURNAL_BYTES);
        assert_eq!(entries.last().unwrap().write, 19);
        assert!(entries[0].write > 0);
    }
}
