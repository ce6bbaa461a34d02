//! A file that gets its name when all of it is there.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use kvorum_client::deliver::is_replaceable;
use thiserror::Error;

/// A file being written beside the place that it is for. It replaces what is there when it is whole
/// and durable; dropped before, it is removed. Nobody but its owner may read it.
pub(super) struct Part<'a> {
    to: &'a Path,
    path: PathBuf,
    file: File,
    done: bool,
}

#[derive(Debug, Error)]
pub(super) enum PartError {
    /// It would be replaced, and a device that is gone breaks more than this command.
    #[error("{} is no regular file: it is not replaced", .0.display())]
    NotRegular(PathBuf),
    #[error("could not open {} ({error})", path.display())]
    Open { path: PathBuf, error: io::Error },
    /// Two that write into one file would make a mixture of both.
    #[error("somebody else is writing {}", .0.display())]
    Busy(PathBuf),
    #[error("could not rename {} to {} ({error})", path.display(), to.display())]
    Rename { path: PathBuf, to: PathBuf, error: io::Error },
}

impl Part<'_> {
    pub(super) fn begin(to: &Path) -> Result<Part<'_>, PartError> {
        if !is_replaceable(to) {
            return Err(PartError::NotRegular(to.to_owned()));
        }
        let mut name = OsString::from(to);
        name.push(".part");
        let path = PathBuf::from(name);
        let mut options = OpenOptions::new();
        // Where a link leads is nobody's part.
        let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
        let file = options.open(&path);
        let could_not_open = |error| PartError::Open { path: path.clone(), error };
        let file = file.map_err(could_not_open)?;
        // Whoever was done between the opening and the lock has given the file its name, and it is
        // no part any more.
        let is_own = || {
            let (opened, named) = (file.metadata().ok()?, fs::symlink_metadata(&path).ok()?);
            Some(opened.dev() == named.dev() && opened.ino() == named.ino())
        };
        let is_locked = !matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        if !(is_locked && is_own() == Some(true)) {
            return Err(PartError::Busy(to.to_owned()));
        }
        // One that was left there may have been for others to read.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(could_not_open)?;
        file.set_len(0).map_err(could_not_open)?;
        Ok(Part { to, path, file, done: false })
    }

    /// Where it is until it is kept.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name.
    pub(super) fn keep(self) -> Result<(), PartError> {
        let to = self.to;
        self.keep_as(to)
    }

    /// Gives the file a name that it was not begun for, in the same folder.
    pub(super) fn keep_as(mut self, to: &Path) -> Result<(), PartError> {
        self.renamed(to).map_err(|error| {
            let (path, to) = (self.path.clone(), to.to_owned());
            PartError::Rename { path, to, error }
        })
    }

    fn renamed(&mut self, to: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, to)?;
        self.done = true;
        let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty());
        File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Write for Part<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.path);
        }
    }
}
