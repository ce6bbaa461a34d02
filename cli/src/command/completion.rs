//! `completion`

use super::printout::Printout;
use super::{CommandError, Session};
use crate::args::{CompletionArgs, Shell, UsageError};
use crate::completion;
use crate::mode::Mode;
use crate::output::go;

pub(super) fn execute(args: &CompletionArgs, session: &mut Session) -> Result<(), CommandError> {
    let script = completion::script(shell(args, session.mode)?, session.mode);
    session.out.write_all(&script)?;
    Ok(session.out.flush()?)
}

/// The shell that is asked for, or what is said to whoever asks for another.
pub(crate) fn shell(args: &CompletionArgs, mode: Mode) -> Result<Shell, CommandError> {
    let refused = |error: UsageError| match (mode, args.operands.as_slice()) {
        (Mode::Etcdctl, _) => error.into(),
        (Mode::Kvorum, operands) => CommandError::Hinted {
            code: error.code,
            message: match operands {
                [] => "completions are for one shell, and none is named".to_owned(),
                [other] => format!("there are no completions for {}", go::quote(other.as_bytes())),
                _ => "completions are for one shell at a time".to_owned(),
            },
            hint: "kvorum completion bash, zsh, fish or powershell".to_owned(),
        },
    };
    args.shell("etcdctl").map_err(refused)
}

pub(super) fn for_files(args: &CompletionArgs, to: &mut Printout<'_>) -> Result<(), CommandError> {
    to.out.write_all(&completion::script_for_files(args.shell("etcdutl")?))?;
    Ok(to.out.flush()?)
}
