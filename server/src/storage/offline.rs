//! A data directory whose member does not run, made smaller.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::StorageError;
use super::backend::RedbBackend;
use super::defragment::Defragmentation;
use super::dir::{DataDir, DirError, holds_member};
use super::disk::{Disk, FileDisk, Kind};

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defragmented {
    pub bytes_before: u64,
    pub bytes_after: u64,
}

/// Why the directory is as it was.
#[derive(Debug, Error)]
pub enum OfflineError {
    #[error(
        "{} is a data directory of etcd itself, and is left as it is; etcd's own etcdutl defragments \
         it",
        .0.display()
    )]
    Etcd(PathBuf),
    #[error("{} holds no member", .0.display())]
    NoMember(PathBuf),
    #[error(
        "{} is in use by a member that runs{note}; `defrag` with its --endpoints defragments it",
        path.display()
    )]
    Running { path: PathBuf, note: String },
    #[error("cannot read {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What is copied at once: enough to be worth a commit, and little to hold.
const STEP_BYTES: usize = 4 << 20;

/// Makes the store of the member in a data directory as small as what is in it. A crash leaves the
/// old store or the new one.
pub fn defragment(path: &Path) -> Result<Defragmented, OfflineError> {
    let disk: Arc<dyn Disk> = Arc::new(FileDisk);
    let unreadable = |source| OfflineError::Io { path: path.to_owned(), source };
    // Opening it would make what is missing.
    if disk.kind(path).map_err(unreadable)? != Some(Kind::Dir) {
        return Err(OfflineError::NoMember(path.to_owned()));
    }
    DataDir::refuse_etcds(&*disk, path).map_err(|error| refusal(path, error))?;
    if !holds_member(&*disk, path).map_err(unreadable)? {
        return Err(OfflineError::NoMember(path.to_owned()));
    }
    let dir = DataDir::open(disk, path).map_err(|error| refusal(path, error))?;
    let store = dir.store();
    let size = || -> Result<u64, OfflineError> {
        let unreadable = |source| OfflineError::Io { path: store.clone(), source };
        std::fs::metadata(&store).map(|metadata| metadata.len()).map_err(unreadable)
    };
    let bytes_before = size()?;
    let backend = RedbBackend::open(&**dir.disk(), &store).map_err(StorageError::from)?;
    let mut copy = Defragmentation::begin(dir.member(), &backend)?;
    loop {
        match copy.step(&backend, STEP_BYTES) {
            Ok(false) => {}
            Ok(true) => break,
            Err(error) => {
                copy.abandon();
                return Err(error.into());
            }
        }
    }
    copy.finish()?;
    Ok(Defragmented { bytes_before, bytes_after: size()? })
}

fn refusal(path: &Path, error: DirError) -> OfflineError {
    match error {
        DirError::Etcd { path } => OfflineError::Etcd(path),
        DirError::InUse { note, .. } => {
            let pid = note.trim();
            let is_known = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
            let note = if is_known { format!(" (pid {pid})") } else { String::new() };
            OfflineError::Running { path: path.to_owned(), note }
        }
        error => OfflineError::Storage(error.into()),
    }
}
