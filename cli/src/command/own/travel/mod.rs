//! Time travel: one file a verb.

mod diff;
mod history;
mod restore;
mod rollback;
mod undo;

use kvorum_client::Failure;
use kvorum_client::travel::DifferenceError;

use crate::args::own::Travel;
use crate::command::own::change::interruptible;
use crate::command::{CommandError, Effect, Session};
use crate::exit;
use crate::output::{shell_operand, shell_word};

pub(super) async fn execute(travel: &Travel, session: &mut Session) -> Result<(), CommandError> {
    let unfinished = session.unfinished.clone();
    match travel {
        Travel::History(args) => history::execute(args, session).await,
        Travel::Diff(args) => diff::execute(args, session).await,
        Travel::Restore(args) => interruptible(unfinished, restore::execute(args, session)).await,
        Travel::Rollback(args) => interruptible(unfinished, rollback::execute(args, session)).await,
        Travel::Undo(args) => interruptible(unfinished, undo::execute(args, session)).await,
    }
}

/// What a verb does to the cluster.
pub(super) fn effect(travel: &Travel) -> Effect {
    match travel {
        Travel::History(_) | Travel::Diff(_) => Effect::Reads,
        Travel::Undo(args) if args.list => Effect::Reads,
        Travel::Restore(_) | Travel::Rollback(_) | Travel::Undo(_) => Effect::Writes,
    }
}

/// A command to paste that goes to the same cluster.
pub(super) fn command(words: &str, session: &Session) -> String {
    let flags = session.manner.connection.iter();
    let flags: Vec<String> = flags.map(|flag| shell_word(flag.as_bytes())).collect();
    if flags.is_empty() {
        format!("kvorum {words}")
    } else {
        format!("kvorum {} {words}", flags.join(" "))
    }
}

/// What can no longer be read; `history` are the words behind that verb that show what can.
pub(super) fn compacted(revision: i64, history: &str) -> CommandError {
    CommandError::Hinted {
        code: exit::ERROR,
        message: format!("the history at revision {revision} was compacted"),
        hint: format!("kvorum history {history} shows what is kept"),
    }
}

/// Why the keys of a prefix cannot be read at a revision.
pub(super) fn unreadable(failure: Failure, prefix: &[u8], revision: i64) -> CommandError {
    if failure.is_compacted() {
        compacted(revision, &format!("--prefix {}", shell_operand(prefix)))
    } else {
        failure.into()
    }
}

impl From<DifferenceError> for CommandError {
    fn from(error: DifferenceError) -> Self {
        match error {
            DifferenceError::Failure(failure) => failure.into(),
            DifferenceError::Compacted(_) => Self::Hinted {
                code: exit::ERROR,
                message: error.to_string(),
                hint: "begin again; a compaction that comes often leaves little time to read a \
                       revision"
                    .to_owned(),
            },
            DifferenceError::Unreadable(message) => Self::Other { code: exit::ERROR, message },
        }
    }
}
