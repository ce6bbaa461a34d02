//! What an edit begins with: the value as it is, or a text that an earlier edit could not write, and
//! then the value that this text was made from. The next comparison is with that one, so that what
//! was written since is merged or refused, and never lost.

use std::fmt::Write as _;
use std::path::Path;

use kvorum_client::edit::{read, read_at};
use kvorum_client::pb;

use super::draft::read_file;
use crate::args::own::{EditArgs, ViewAs};
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{go, shell_operand, shell_word};

/// Where an edit begins.
pub(super) struct Start {
    /// What must still be there when the text is written; `None`: nothing.
    pub(super) base: Option<pb::KeyValue>,
    /// The value whose form the text has.
    pub(super) model: Option<pb::KeyValue>,
    /// The revision of what the text was made from; 0 of nothing.
    pub(super) made_from: i64,
    /// There is no such key.
    pub(super) missing: bool,
    /// The model is not what the text was made from, which has been compacted.
    pub(super) base_is_lost: bool,
    /// What to give to the editor, if it is not the model.
    pub(super) text: Option<Vec<u8>>,
}

impl Start {
    /// What to say of a key that is not there.
    pub(super) fn absence(&self, name: &str) -> Option<String> {
        if !self.missing {
            return None;
        }
        let when = if self.made_from == 0 { "yet" } else { "any more" };
        // A lease that took the key with it is gone, and one that did not has let it go.
        let lease = match &self.model {
            Some(kv) if kv.lease != 0 => format!(", without the lease {:016x} it had", kv.lease),
            _ => String::new(),
        };
        Some(format!("{name} is not there {when}: what is saved creates it{lease}"))
    }

    pub(super) async fn of(
        args: &EditArgs,
        key: &[u8],
        session: &Session,
    ) -> Result<Self, CommandError> {
        let current = read(&session.connection, key).await?;
        let missing = current.is_none();
        let (Some(file), Some(revision)) = (&args.resume, args.base) else {
            let made_from = current.as_ref().map_or(0, |kv| kv.mod_revision);
            return Ok(Self {
                base: current.clone(),
                model: current,
                made_from,
                missing,
                base_is_lost: false,
                text: None,
            });
        };
        let text = read_file(file).map_err(|error| CommandError::Other {
            code: exit::ERROR,
            message: format!("{} cannot be read: {error}", file.display()),
        })?;
        let made_from = match &current {
            Some(kv) if kv.mod_revision == revision => current.clone(),
            _ if revision == 0 => None,
            _ => match read_at(&session.connection, key, revision).await {
                Err(failure) if failure.is_compacted() => {
                    let Some(current) = current else {
                        return Err(deleted_without_base(key, file, revision, args, session));
                    };
                    return Ok(Self::without_base(revision, current, text));
                }
                found => found?,
            },
        };
        Ok(Self {
            // What was deleted meanwhile comes back only if nobody else made it again.
            base: current.and(made_from.clone()),
            made_from: made_from.as_ref().map_or(0, |kv| kv.mod_revision),
            model: made_from,
            missing,
            base_is_lost: false,
            text: Some(text),
        })
    }

    /// Nobody knows what the text was made from: if there is another value, all of it contradicts.
    fn without_base(revision: i64, current: pb::KeyValue, text: Vec<u8>) -> Self {
        let base = pb::KeyValue { mod_revision: revision, ..pb::KeyValue::default() };
        Self {
            base: Some(base),
            model: Some(current),
            made_from: revision,
            missing: false,
            base_is_lost: true,
            text: Some(text),
        }
    }
}

fn deleted_without_base(
    key: &[u8],
    file: &Path,
    revision: i64,
    args: &EditArgs,
    session: &Session,
) -> CommandError {
    let anew = Continuation::of(key, args, session).command(file, 0);
    CommandError::Hinted {
        code: exit::ERROR,
        message: format!(
            "{} is deleted, and revision {revision}, which the text was made from, has been \
             compacted",
            go::quote(key)
        ),
        hint: format!("this goes on with the text as that of a new key: {anew}"),
    }
}

/// What an edit was asked for, beside the text and what that was made from.
pub(super) struct Continuation<'a> {
    key: &'a [u8],
    view: Option<ViewAs>,
    /// Nothing is masked.
    reveal: bool,
    /// The flags that name the cluster.
    connection: &'a [String],
}

impl<'a> Continuation<'a> {
    pub(super) fn of(key: &'a [u8], args: &EditArgs, session: &'a Session) -> Self {
        // Beside --reveal only a context can unmask everything, and with that --reveal does no harm.
        let reveal = session.style.masked.is_empty();
        Self { key, view: args.view, reveal, connection: &session.manner.connection }
    }

    /// The command that goes on with a text that was kept, to be pasted into a shell.
    pub(super) fn command(&self, kept: &Path, made_from: i64) -> String {
        let file = shell_word(kept.as_os_str().as_encoded_bytes());
        let mut command = format!("kvorum edit --resume {file} --base {made_from}");
        if let Some(view) = self.view {
            let _ = write!(command, " --as {view}");
        }
        if self.reveal {
            command.push_str(" --reveal");
        }
        for flag in self.connection {
            let _ = write!(command, " {}", shell_word(flag.as_bytes()));
        }
        let _ = write!(command, " {}", shell_operand(self.key));
        command
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kvorum_client::decode::View;

    use super::Continuation;
    use crate::args::own::ViewAs;

    #[test]
    fn the_command_goes_to_the_same_cluster_in_the_same_form() {
        let connection = ["--endpoints=10.0.0.1:2379".to_owned()];
        let view = Some(ViewAs::View(View::Hex));
        let asked = Continuation { key: b"/a b", view, reveal: false, connection: &connection };
        assert_eq!(
            asked.command(Path::new("/x/value.txt"), 12),
            "kvorum edit --resume /x/value.txt --base 12 --as hex --endpoints=10.0.0.1:2379 '/a b'"
        );
    }

    #[test]
    fn the_command_reveals_again_and_takes_no_key_for_an_option() {
        let asked = Continuation { key: b"-k", view: None, reveal: true, connection: &[] };
        assert_eq!(
            asked.command(Path::new("/x/value.txt"), 0),
            "kvorum edit --resume /x/value.txt --base 0 --reveal -- -k"
        );
    }
}
