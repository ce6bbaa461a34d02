//! A configuration that lies in the cluster, given to programs.

mod render;
mod run;
mod settled;

use super::transfer::push;
use crate::args::own::{ConfigArgs, ConfigCommand};
use crate::command::own::change::interruptible;
use crate::command::{CommandError, Effect, Session};

pub(super) async fn execute(args: &ConfigArgs, session: &mut Session) -> Result<(), CommandError> {
    match &args.command {
        ConfigCommand::Run(args) => run::execute(args, session).await,
        ConfigCommand::Render(args) => render::execute(args, session).await,
        ConfigCommand::Push(args) => {
            let unfinished = session.unfinished.clone();
            interruptible(unfinished, push::execute(args, session)).await
        }
    }
}

/// What a verb does to the cluster.
pub(super) fn effect(args: &ConfigArgs) -> Effect {
    match &args.command {
        ConfigCommand::Run(_) | ConfigCommand::Render(_) => Effect::Reads,
        ConfigCommand::Push(_) => Effect::Writes,
    }
}
