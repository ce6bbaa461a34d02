//! `completion`

use super::printout::Printout;
use super::{CommandError, Session};
use crate::args::CompletionArgs;
use crate::completion;

pub(super) fn execute(args: &CompletionArgs, session: &mut Session) -> Result<(), CommandError> {
    let script = completion::script(args.shell("etcdctl")?, session.mode);
    session.out.write_all(&script)?;
    Ok(session.out.flush()?)
}

pub(super) fn for_files(args: &CompletionArgs, to: &mut Printout<'_>) -> Result<(), CommandError> {
    to.out.write_all(&completion::script_for_files(args.shell("etcdutl")?))?;
    Ok(to.out.flush()?)
}
