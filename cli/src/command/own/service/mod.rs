//! Service discovery: one file a verb.

mod list;
mod register;
mod shown;
mod watch;

use crate::args::own::{ServiceArgs, ServiceCommand};
use crate::command::{CommandError, Effect, Session};

pub(super) async fn execute(args: &ServiceArgs, session: &mut Session) -> Result<(), CommandError> {
    match &args.command {
        ServiceCommand::Register(args) => register::execute(args, session).await,
        ServiceCommand::List(args) => list::execute(args, session).await,
        ServiceCommand::Resolve(args) => list::resolve(&args.name()?, session).await,
        ServiceCommand::Watch(args) => watch::execute(&args.name()?, session).await,
    }
}

/// What a verb does to the cluster.
pub(super) fn effect(args: &ServiceArgs) -> Effect {
    match args.command {
        ServiceCommand::Register(_) => Effect::Writes,
        ServiceCommand::List(_) | ServiceCommand::Resolve(_) | ServiceCommand::Watch(_) => {
            Effect::Reads
        }
    }
}
