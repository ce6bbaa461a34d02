//! Small private files that are replaced as a whole.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ContextError;

/// Larger than any list of clusters a person keeps; more is not this file.
const MAX_BYTES: u64 = 1024 * 1024;

pub(super) fn read<T: DeserializeOwned + Default>(path: &Path) -> Result<T, ContextError> {
    let failed = |cause| ContextError::Io { path: path.to_owned(), cause };
    let malformed = |cause| ContextError::Malformed { path: path.to_owned(), cause };
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(T::default()),
        file => file.map_err(failed)?,
    };
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(malformed("it is larger than 1 MiB".to_owned()));
    }
    toml::from_str(&text).map_err(|error| malformed(error.to_string().trim_end().to_owned()))
}

/// A full disk or a crash leaves the old file.
pub(super) fn write(path: &Path, content: &impl Serialize) -> Result<(), ContextError> {
    let failed = |cause| ContextError::Io { path: path.to_owned(), cause };
    let text = toml::to_string_pretty(content).map_err(|error| ContextError::Malformed {
        path: path.to_owned(),
        cause: error.to_string(),
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let beside = PathBuf::from(format!("{}.{}", path.display(), std::process::id()));
    let replaced = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    if replaced.is_err() {
        // It may not even have been made.
        let _ = fs::remove_file(&beside);
    }
    replaced.map_err(failed)
}
