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

/// An edited text larger than this is not read: no server takes it.
const MAX_EDITED_BYTES: u64 = 64 * 1024 * 1024;

/// Why there is no edited text.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    #[error("the text to edit cannot be kept in a file: {0}")]
    File(#[from] io::Error),
    #[error("the editor {} cannot be run: {cause}", .editor.display())]
    NotRun { editor: OsString, cause: io::Error },
    #[error("the editor {} failed ({status})", .editor.display())]
    Failed { editor: OsString, status: ExitStatus },
    #[error("the edited text is larger than {} MiB", MAX_EDITED_BYTES >> 20)]
    TooLarge,
}

impl Draft {
    pub(super) fn new(text: &[u8], extension: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("kvorum-edit-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        let path = folder.path().join(format!("value.{extension}"));
        let draft = Self { folder, path };
        draft.write(text)?;
        Ok(draft)
    }

    /// Puts another text into the file.
    pub(super) fn write(&self, text: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        file.write_all(text)
    }

    /// Runs the editor on the file and reads what it left.
    pub(super) async fn edit(&self, editor: &OsString) -> Result<Vec<u8>, EditError> {
        // Ctrl-C at the editor is the editor's; from here on it does not end this program.
        let _interrupts = signal(SignalKind::interrupt())?;
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
        read_file(&self.path)
    }

    /// Leaves the file where it is, for whoever would not like to lose it.
    pub(super) fn keep(self) -> PathBuf {
        let _ = self.folder.keep();
        self.path
    }
}

/// A text that was edited.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, EditError> {
    if fs::metadata(path)?.len() > MAX_EDITED_BYTES {
        return Err(EditError::TooLarge);
    }
    Ok(fs::read(path)?)
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

    use super::{Draft, EditError, chosen_editor};

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
    fn a_kept_draft_stays() {
        let path = Draft::new(b"text", "txt").unwrap().keep();
        assert_eq!(fs::read(&path).unwrap(), b"text");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
