//! Replacing a file as a whole: a reader sees the old one or the new one, and a full disk or a crash
//! leaves the old one.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file could not be replaced; it is as it was.
#[derive(Debug, Error)]
pub enum ReplaceError {
    /// A device or a pipe, which is no place for a file, or another name of an open file: whoever
    /// holds that open would not see the new one.
    #[error("{} is no regular file: it is not replaced", .0.display())]
    NotRegular(PathBuf),
    #[error("{} cannot be written: {cause}", .path.display())]
    Failed { path: PathBuf, cause: io::Error },
}

/// What is to be replaced, behind all links.
struct Place {
    path: PathBuf,
    /// `None`: there is nothing yet.
    there: Option<Metadata>,
}

/// More links than Linux follows are a circle.
const MOST_LINKS: usize = 40;

impl Place {
    fn of(to: &Path) -> Result<Self, ReplaceError> {
        let failed = |cause| ReplaceError::Failed { path: to.to_owned(), cause };
        let mut path = to.to_owned();
        for links in 0..=MOST_LINKS {
            let there = match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                there => Some(there.map_err(failed)?),
            };
            let is_regular = |there: &Metadata| there.is_file() || there.is_symlink();
            if there.as_ref().is_some_and(|there| !is_regular(there)) {
                return Err(ReplaceError::NotRegular(to.to_owned()));
            }
            // A folder that is reached through a link stays the one it is now.
            let parent = fs::canonicalize(folder(&path)).map_err(failed)?;
            let Some(name) = path.file_name() else {
                return Err(failed(io::Error::other("it is no name of a file")));
            };
            // `/dev/stdout` is a link to a link that is made up for an open file.
            if parent.starts_with("/proc") {
                return Err(ReplaceError::NotRegular(to.to_owned()));
            }
            if there.is_none() && links > 0 {
                return Err(failed(io::Error::other("it is a link that leads nowhere")));
            }
            if there.as_ref().is_none_or(Metadata::is_file) {
                return Ok(Self { path: parent.join(name), there });
            }
            path = parent.join(fs::read_link(&path).map_err(failed)?);
        }
        Err(failed(io::Error::other("its links lead in a circle")))
    }
}

/// Whether something could be put in the place of this: a file, a link to one, or nothing yet.
pub fn is_replaceable(to: &Path) -> bool {
    !matches!(Place::of(to), Err(ReplaceError::NotRegular(_)))
}

/// Whether a file is there with just this content.
///
/// # Errors
/// If what is there cannot be replaced. That a file may not be read is no error.
pub fn has_content(file: &Path, content: &[u8]) -> Result<bool, ReplaceError> {
    let place = Place::of(file)?;
    let length = content.len() as u64;
    if place.there.is_none_or(|there| there.len() != length) {
        return Ok(false);
    }
    let read = File::open(&place.path).and_then(|file| {
        let mut read = Vec::with_capacity(content.len());
        file.take(length + 1).read_to_end(&mut read)?;
        Ok(read)
    });
    Ok(read.is_ok_and(|read| read == content))
}

/// The new file, complete and durable, beside the one that it is to replace. Dropped before it has
/// replaced it, it is removed.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    to: PathBuf,
    done: bool,
}

/// Who may read a file that was not there, before what the umask takes away.
const NEW_FILE: u32 = 0o666;

impl Draft {
    /// Writes a draft in the folder of `to`, with the owner and the permissions that `to` has.
    pub fn write(to: &Path, content: &[u8]) -> Result<Self, ReplaceError> {
        let failed = |cause| ReplaceError::Failed { path: to.to_owned(), cause };
        // What a link leads to is replaced, not the link.
        let Place { path: to, there } = Place::of(to)?;
        let path = beside(&to).map_err(failed)?;
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(if there.is_some() { 0o600 } else { NEW_FILE })
            .open(&path)
            .map_err(failed)?;
        let draft = Self { path, to, done: false };
        let written = file.write_all(content).and_then(|()| {
            if let Some(there) = &there {
                resemble(&file, there)?;
            }
            file.sync_all()
        });
        written.map_err(failed)?;
        Ok(draft)
    }

    /// Where it is until it has replaced the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn replace(mut self) -> Result<(), ReplaceError> {
        let folder = folder(&self.to).to_owned();
        fs::rename(&self.path, &self.to)
            .map_err(|cause| ReplaceError::Failed { path: self.to.clone(), cause })?;
        self.done = true;
        // It is replaced for every reader. A folder that may not be read cannot be made durable, and
        // after a crash has the one file or the other.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Gives a file the owner, the group and the permissions of the one that it is to replace: who reads
/// that must be able to read this.
fn resemble(file: &File, there: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    let other = |theirs, own| (theirs != own).then_some(theirs);
    let (uid, gid) = (other(there.uid(), own.uid()), other(there.gid(), own.gid()));
    if (uid, gid) != (None, None) {
        let kept = |error: io::Error| {
            let text = format!("its owner {}:{} cannot be kept: {error}", there.uid(), there.gid());
            io::Error::new(error.kind(), text)
        };
        fchown(file, uid, gid).map_err(kept)?;
    }
    // After the owner, whose change takes bits away.
    file.set_permissions(Permissions::from_mode(there.permissions().mode() & 0o7777))
}

/// A name in the same folder that no other process takes. What one that was killed has left there
/// is taken over.
fn beside(to: &Path) -> io::Result<PathBuf> {
    let name = to.file_name().ok_or_else(|| io::Error::other("it is no name of a file"))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.new", std::process::id()));
    let path = folder(to).join(hidden);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(path),
    }
}

fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    use super::{Draft, has_content, is_replaceable};

    #[test]
    fn a_file_is_replaced_with_its_permissions_and_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("app.conf"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        let draft = Draft::write(&link, b"new").unwrap();
        assert_eq!(fs::read(draft.path()).unwrap(), b"new");
        assert_eq!(fs::read(&file).unwrap(), b"old");
        draft.replace().unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        // Where a folder is another one meanwhile, the file is made where it was begun.
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let current = folder.path().join("current");
        for made in [&one, &two] {
            fs::create_dir(made).unwrap();
        }
        symlink(&one, &current).unwrap();
        let draft = Draft::write(&current.join("new"), b"new").unwrap();
        fs::remove_file(&current).unwrap();
        symlink(&two, &current).unwrap();
        draft.replace().unwrap();
        assert!(one.join("new").exists() && fs::read_dir(&two).unwrap().next().is_none());
        fs::remove_file(&file).unwrap();
        let error = Draft::write(&link, b"new").unwrap_err().to_string();
        assert!(error.ends_with("it is a link that leads nowhere"), "{error}");
    }

    #[test]
    fn a_file_keeps_its_owner_where_that_may_be_given() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.conf");
        fs::write(&file, "old").unwrap();
        // Nobody but root may give a file away.
        let is_given = chown(&file, Some(1), Some(1)).is_ok();
        let owner = |there: &fs::Metadata| (there.uid(), there.gid());
        let before = owner(&fs::metadata(&file).unwrap());
        assert!(!is_given || before == (1, 1));
        Draft::write(&file, b"new").unwrap().replace().unwrap();
        assert_eq!(owner(&fs::metadata(&file).unwrap()), before);
    }

    #[test]
    fn what_is_no_file_is_neither_read_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, circle) = (folder.path().join("out"), folder.path().join("circle"));
        fs::write(&file, "mine").unwrap();
        symlink(&circle, &circle).unwrap();
        // Another name of a file that is open here.
        let open = fs::File::open(&file).unwrap();
        let name = format!("/dev/fd/{}", open.as_raw_fd());
        for path in ["/dev/zero", "/dev/full", &name] {
            let refused = format!("{path} is no regular file: it is not replaced");
            assert_eq!(Draft::write(path.as_ref(), b"x").unwrap_err().to_string(), refused);
            assert_eq!(has_content(path.as_ref(), b"x").unwrap_err().to_string(), refused);
            assert!(!is_replaceable(path.as_ref()));
        }
        assert_eq!(fs::read(&file).unwrap(), b"mine");
        assert!(has_content(&circle, b"x").unwrap_err().to_string().ends_with("in a circle"));
        let contents = [&b"mine"[..], b"min", b"mine!", b"mint"];
        let found = contents.map(|content| has_content(&file, content).unwrap());
        assert_eq!(found, [true, false, false, false]);
        assert!(!has_content(&folder.path().join("new"), b"").unwrap());
    }

    #[test]
    fn a_draft_that_is_not_wanted_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(Draft::write(&folder.path().join("new"), b"x").unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let error = Draft::write(folder.path(), b"x").unwrap_err().to_string();
        assert!(error.ends_with("is no regular file: it is not replaced"), "{error}");
        assert!(Draft::write(&folder.path().join("no/folder"), b"x").is_err());
    }
}
