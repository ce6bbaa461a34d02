//! What an edit begins with: the value as it is, or a text that an earlier edit could not write, and
//! then the value that this text was made from. The next comparison is with that one, so that what
//! was written since is merged or refused, and never lost.

use std::fmt::Write as _;
use std::path::Path;

use kvorum_client::edit::{read, read_at};
use kvorum_client::pb;

use super::draft::read_file;
use crate::args::own::EditArgs;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{go, shell_word};

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
        let when = if self.made_from == 0 { "yet" } else { "any more" };
        self.missing.then(|| format!("{name} is not there {when}: what is saved creates it"))
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
                    return Self::without_base(key, revision, current, text);
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
    fn without_base(
        key: &[u8],
        revision: i64,
        current: Option<pb::KeyValue>,
        text: Vec<u8>,
    ) -> Result<Self, CommandError> {
        if current.is_none() {
            return Err(CommandError::Hinted {
                code: exit::ERROR,
                message: format!(
                    "{} is deleted, and revision {revision}, which the text was made from, has \
                     been compacted",
                    go::quote(key)
                ),
                hint: format!("kvorum put {} < FILE writes the file as it is", shell_word(key)),
            });
        }
        let base = pb::KeyValue { mod_revision: revision, ..pb::KeyValue::default() };
        Ok(Self {
            base: Some(base),
            model: current,
            made_from: revision,
            missing: false,
            base_is_lost: true,
            text: Some(text),
        })
    }
}

/// The command that goes on with a text that was kept, to be pasted into a shell.
pub(super) fn resuming(
    key: &[u8],
    args: &EditArgs,
    kept: &Path,
    made_from: i64,
    connection: &[String],
) -> String {
    let file = shell_word(kept.as_os_str().as_encoded_bytes());
    let mut command = format!("kvorum edit {} --resume {file} --base {made_from}", shell_word(key));
    if let Some(view) = args.view {
        let _ = write!(command, " --as {view}");
    }
    for flag in connection {
        let _ = write!(command, " {}", shell_word(flag.as_bytes()));
    }
    command
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::resuming;
    use crate::args::own::EditArgs;

    #[test]
    fn the_command_goes_to_the_same_cluster_in_the_same_form() {
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            edit: EditArgs,
        }
        let line = Line::parse_from(["edit", "/a b", "--as", "hex"]);
        let flags = ["--endpoints=10.0.0.1:2379".to_owned()];
        assert_eq!(
            resuming(b"/a b", &line.edit, Path::new("/x/value.txt"), 12, &flags),
            "kvorum edit '/a b' --resume /x/value.txt --base 12 --as hex \
             --endpoints=10.0.0.1:2379"
        );
    }
}
