//! The file that an editor works on.

use std::ffi::OsString;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// A text under edit, in a folder of its own that nobody else can look into: editors leave copies
/// beside a file, and put another file in its place.
pub(super) struct Draft {
    folder: TempDir,
    path: PathBuf,
}

/// What the names of the folders of drafts begin with.
const PREFIX: &str = "kvorum-edit-";

/// An edited text larger than this is not read: no server takes it.
const MAX_EDITED_BYTES: u64 = 64 * 1024 * 1024;

/// Why there is no edited text.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    #[error("the text to edit cannot be kept in a file: {0}")]
    File(io::Error),
    #[error("the edited text cannot be read: {0}")]
    Unread(io::Error),
    #[error("the editor {} cannot be run: {cause}", .editor.display())]
    NotRun { editor: OsString, cause: io::Error },
    #[error("the editor {} failed ({status})", .editor.display())]
    Failed { editor: OsString, status: ExitStatus },
}

impl EditError {
    /// Whether somebody has edited the text, and it is still in the file.
    pub(super) fn leaves_text(&self) -> bool {
        matches!(self, Self::Unread(cause) if cause.kind() != io::ErrorKind::NotFound)
    }
}

impl Draft {
    pub(super) fn new(text: &[u8], extension: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        let path = folder.path().join(format!("value.{extension}"));
        let draft = Self { folder, path };
        draft.write(text)?;
        Ok(draft)
    }

    /// Puts another text in the place of the one in the file, which may be the only copy of what
    /// somebody typed: it is there until the other one is.
    pub(super) fn write(&self, text: &[u8]) -> io::Result<()> {
        let next = self.folder.path().join("next");
        let written = write_file(&next, text).and_then(|()| fs::rename(&next, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&next);
        }
        written
    }

    /// Puts a text back, unless there is one.
    pub(super) fn restore(&self, text: &[u8]) -> io::Result<()> {
        if self.path.exists() { Ok(()) } else { self.write(text) }
    }

    /// Runs the editor on the file and reads what it left.
    pub(super) async fn edit(&self, editor: &OsString) -> Result<Vec<u8>, EditError> {
        // Ctrl-C at the editor is the editor's; from here on it does not end this program.
        let _interrupts = signal(SignalKind::interrupt()).map_err(EditError::File)?;
        let mut script = editor.clone();
        script.push(" \"$1\"");
        // The shell takes the editor's arguments apart, as for every other program that edits.
        let status = Command::new("sh")
            .arg("-c")
            .arg(script)
            .arg("sh")
            .arg(&self.path)
            .kill_on_drop(true)
            .status()
            .await
            .map_err(|cause| EditError::NotRun { editor: editor.clone(), cause })?;
        if !status.success() {
            return Err(EditError::Failed { editor: editor.clone(), status });
        }
        read_file(&self.path).map_err(EditError::Unread)
    }

    /// Whether the file holds another text than this.
    pub(super) fn differs(&self, given: &[u8]) -> bool {
        read_file(&self.path).is_ok_and(|text| text != given)
    }

    /// Leaves the file where it is, for whoever would not like to lose it.
    pub(super) fn keep(self) -> PathBuf {
        let _ = self.folder.keep();
        self.path
    }
}

/// Takes a file away that [`Draft::keep`] left, for its text has arrived. Any other stays.
pub(super) fn forget(path: &Path) {
    let folder = path.parent().filter(|folder| {
        let name = folder.file_name().unwrap_or_default().as_encoded_bytes();
        name.starts_with(PREFIX.as_bytes())
    });
    if let Some(folder) = folder {
        // What the editor left beside it keeps the folder.
        let _ = fs::remove_file(path).and_then(|()| fs::remove_dir(folder));
    }
}

/// A text that was edited.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MAX_EDITED_BYTES {
        let message = format!("it is larger than {} MiB", MAX_EDITED_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    fs::read(path)
}

fn write_file(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    // Some file systems say only here that there is no room.
    file.sync_all()
}

/// The editor a person chose: with arguments, as a shell would read it.
pub(super) fn chosen_editor(variable: impl Fn(&str) -> Option<OsString>) -> OsString {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{Draft, EditError, chosen_editor, forget};

    #[test]
    fn the_editor_is_visual_before_editor_before_vi() {
        let chosen = |set: &[(&str, &str)]| {
            let find = |name: &str| set.iter().find(|(key, _)| *key == name);
            chosen_editor(|name| find(name).map(|(_, value)| value.into()))
        };
        assert_eq!(chosen(&[("VISUAL", "a"), ("EDITOR", "b")]), "a");
        assert_eq!(chosen(&[("VISUAL", ""), ("EDITOR", "b -w")]), "b -w");
        assert_eq!(chosen(&[]), "vi");
    }

    #[tokio::test]
    async fn nobody_else_can_read_a_draft_and_it_is_gone_afterwards() {
        let draft = Draft::new(b"text", "txt").unwrap();
        let path = draft.path.clone();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(path.as_path()), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(draft.edit(&"printf more >>".into()).await.unwrap(), b"textmore");
        assert!(matches!(draft.edit(&"false".into()).await, Err(EditError::Failed { .. })));
        drop(draft);
        assert!(!path.exists() && !path.parent().unwrap().exists());
    }

    #[test]
    fn a_text_that_cannot_be_replaced_stays() {
        let draft = Draft::new(b"mine", "txt").unwrap();
        let next = draft.folder.path().join("next");
        fs::create_dir(&next).unwrap();
        draft.write(b"other").unwrap_err();
        assert_eq!(fs::read(&draft.path).unwrap(), b"mine");
        fs::remove_dir(&next).unwrap();
        draft.write(b"other").unwrap();
        assert_eq!(fs::read(&draft.path).unwrap(), b"other");
        assert!(!next.exists());
    }

    #[test]
    fn a_kept_draft_stays_until_it_is_forgotten() {
        let path = Draft::new(b"text", "txt").unwrap().keep();
        assert_eq!(fs::read(&path).unwrap(), b"text");
        forget(&path);
        assert!(!path.parent().unwrap().exists());
        let other = tempfile::NamedTempFile::new().unwrap();
        forget(other.path());
        assert!(other.path().exists());
    }
}
