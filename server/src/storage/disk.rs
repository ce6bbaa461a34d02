//! Files and directories, as little of them as the storage needs.
//!
//! The rules that make bytes durable are the caller's: data by [`DiskFile::sync`], a name that
//! was created, renamed or removed by [`Disk::sync_dir`] on its directory.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// A file system. Directories are made for the owner alone (0700), and so are files (0600).
pub trait Disk: Debug + Send + Sync {
    /// What is at `path`, or `None`.
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>>;
    /// Whether nobody but the owner may use what is at `path`.
    fn is_private(&self, path: &Path) -> io::Result<bool>;
    /// Makes the directory and those above it that are missing.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Opens a file that exists, for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes an empty file; fails if there is one.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Replaces `to` if it is a file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the lock that the file `path` stands for, without waiting, and writes `note` into
    /// the file for whoever comes second.
    fn lock(&self, path: &Path, note: &str) -> io::Result<Lock>;
}

/// An open file. Offsets are explicit, so that one handle serves several threads.
pub trait DiskFile: Debug + Send + Sync {
    fn size(&self) -> io::Result<u64>;
    /// Fills `buffer` as far as the file goes; says how far.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts the file, or lengthens it by zeros.
    fn set_size(&self, size: u64) -> io::Result<()>;
    /// Lengthens the file to `size` by zeros and reserves their space, where the file system can.
    fn preallocate(&self, size: u64) -> io::Result<()>;
    /// Makes the bytes, and the size, durable. After it has failed, the kernel calls the bytes
    /// clean: they can be read, and another sync says yes and does nothing.
    fn sync(&self) -> io::Result<()>;
    /// Lets what is read from here on come from the medium, where nothing waits to be written to
    /// it. For whoever starts after a process whose sync may have failed.
    fn forget_cache(&self) -> io::Result<()>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Dir,
}

/// The outcome of [`Disk::lock`].
#[derive(Debug)]
pub enum Lock {
    /// Ours until the guard is dropped.
    Held(Guard),
    /// Somebody else's, with the note they left.
    Busy { note: String },
}

/// Keeps a lock; dropping it, or the death of the process, releases it.
#[derive(Debug)]
pub struct Guard {
    _holder: Box<dyn Debug + Send + Sync>,
}

impl Guard {
    pub fn new(holder: impl Debug + Send + Sync + 'static) -> Guard {
        Guard { _holder: Box::new(holder) }
    }
}

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileDisk;

impl Disk for FileDisk {
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(if metadata.is_dir() { Kind::Dir } else { Kind::File })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_private(&self, path: &Path) -> io::Result<bool> {
        const OTHERS: u32 = 0o077;
        Ok(fs::metadata(path)?.mode() & OTHERS == 0)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        Ok(Arc::new(options.read(true).write(true).create_new(true).mode(0o600).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Lock> {
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                file.write_all(note.as_bytes())?;
                Ok(Lock::Held(Guard::new(file)))
            }
            Err(TryLockError::WouldBlock) => {
                let mut note = String::new();
                // The holder may be just about to write it; without it the message is shorter.
                let _ = file.take(64).read_to_string(&mut note);
                Ok(Lock::Busy { note })
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match FileExt::read_at(self, &mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn preallocate(&self, size: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{FallocateFlags, fallocate};
            use rustix::io::Errno;
            match fallocate(self, FallocateFlags::empty(), 0, size) {
                Ok(()) => return Ok(()),
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn forget_cache(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Advice, fadvise};
            // Drops clean pages, those of a failed sync among them. A file system that takes no
            // advice leaves nothing more to do.
            let _ = fadvise(self, 0, None, Advice::DontNeed);
        }
        Ok(())
    }
}
