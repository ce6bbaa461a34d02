//! `snapshot save|status|restore`

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{CommandError, Session, files};
use crate::args::{SnapshotArgs, SnapshotCommand};
use crate::exit;
use crate::mode::Mode;
use crate::output::go;

pub(super) async fn execute(
    args: &SnapshotArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    match &args.command {
        SnapshotCommand::Save(args) => save(args.file()?, session).await,
        SnapshotCommand::Status(args) => files::status(args, &mut session.printout()),
        SnapshotCommand::Restore(args) => files::restore(args, &mut session.printout()),
    }
}

async fn save(file: &Path, session: &mut Session) -> Result<(), CommandError> {
    let endpoints = session.connection.endpoints();
    let [endpoint] = endpoints else {
        let all: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
        return Err(interrupted(format!(
            "snapshot must be requested to one selected node, not multiple [{}]",
            all.join(" ")
        )));
    };
    let endpoint = endpoint.clone();
    let refused =
        |failure| CommandError::Failure { failure, code: exit::INTERRUPTED, context: None };
    let mut part = Part::begin(file)?;
    let mut stream = session.connection.snapshot(&endpoint).await.map_err(refused)?;
    let mut version = String::new();
    while let Some(message) = stream.next().await.map_err(refused)? {
        part.put(&message.blob)?;
        version = message.version;
    }
    let bytes = part.finish()?;
    if session.mode == Mode::Kvorum {
        session.remark(&format!("{} from {endpoint}, its hash is right", go::size(bytes)));
    }
    let saved = format!("Snapshot saved at {}", file.display());
    session.say(&session.style.shown(&saved))?;
    if version.is_empty() { Ok(()) } else { session.say(&format!("Server version {version}")) }
}

fn interrupted(message: String) -> CommandError {
    CommandError::Other { code: exit::INTERRUPTED, message }
}

/// A file being received beside the place that it is for. It gets its name when all of it is there
/// and durable; dropped before, it is removed.
pub(super) struct Part<'a> {
    to: &'a Path,
    path: PathBuf,
    file: File,
    bytes: u64,
    hasher: Sha256,
    /// The last bytes, which may be the hash and not a part of what is hashed.
    tail: Vec<u8>,
    done: bool,
}

const HASH_BYTES: usize = 32;
/// Files of bbolt are multiples of it.
const SECTOR: u64 = 512;

impl Part<'_> {
    pub(super) fn begin(to: &Path) -> Result<Part<'_>, CommandError> {
        // It would be replaced, and a device that is gone breaks more than this command.
        if fs::metadata(to).is_ok_and(|there| !there.is_file()) {
            let text = format!("{} is no regular file: it is not replaced", to.display());
            return Err(interrupted(text));
        }
        let mut name = OsString::from(to);
        name.push(".part");
        let path = PathBuf::from(name);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let could_not_open =
            |error| interrupted(format!("could not open {} ({error})", path.display()));
        let file = file.map_err(could_not_open)?;
        // Two that write into one file would make a snapshot of neither. Whoever was done between
        // the opening and the lock has given the file its name, and it is no part any more.
        let is_own = || {
            let (opened, named) = (file.metadata().ok()?, fs::metadata(&path).ok()?);
            Some(opened.dev() == named.dev() && opened.ino() == named.ino())
        };
        let is_locked = !matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        if !(is_locked && is_own() == Some(true)) {
            let text = format!("another snapshot is being saved to {}", to.display());
            return Err(interrupted(text));
        }
        file.set_len(0).map_err(could_not_open)?;
        let (hasher, tail) = (Sha256::new(), Vec::new());
        Ok(Part { to, path, file, bytes: 0, hasher, tail, done: false })
    }

    pub(super) fn put(&mut self, blob: &[u8]) -> Result<(), CommandError> {
        let written = self.file.write_all(blob);
        written.map_err(|error| interrupted(format!("could not write snapshot: {error}")))?;
        self.bytes += blob.len() as u64;
        self.tail.extend_from_slice(blob);
        let content = self.tail.len().saturating_sub(HASH_BYTES);
        self.hasher.update(&self.tail[..content]);
        self.tail.drain(..content);
        Ok(())
    }

    /// How much has come.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it is until it has its name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Answers the bytes of the file.
    fn finish(mut self) -> Result<u64, CommandError> {
        let bytes = self.complete()?;
        let to = self.to;
        self.keep_as(to)?;
        Ok(bytes)
    }

    /// Makes sure that all of it has come, and as it was sent.
    pub(super) fn complete(&mut self) -> Result<u64, CommandError> {
        if self.bytes % SECTOR != HASH_BYTES as u64 {
            return Err(interrupted(format!("sha256 checksum not found [bytes: {}]", self.bytes)));
        }
        if self.hasher.finalize_reset()[..] != self.tail[..] {
            return Err(interrupted(
                "what came is not what was sent: the sha256 does not fit".to_owned(),
            ));
        }
        Ok(self.bytes)
    }

    /// Makes it durable and gives it its name, in the folder that it is in.
    pub(super) fn keep_as(mut self, to: &Path) -> Result<(), CommandError> {
        self.keep(to).map_err(|error| {
            let (path, to) = (self.path.display(), to.display());
            interrupted(format!("could not rename {path} to {to} ({error})"))
        })
    }

    fn keep(&mut self, to: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, to)?;
        self.done = true;
        let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty());
        File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.path);
        }
    }
}
