//! Keys that leave a cluster, or come into one: one file a verb.

mod carry;
mod cas;
mod copy;
mod export;
mod import;
pub(super) mod push;

use crate::args::own::Transfer;
use crate::command::own::change::interruptible;
use crate::command::{CommandError, Effect, Session};

pub(super) async fn execute(
    transfer: &Transfer,
    session: &mut Session,
) -> Result<(), CommandError> {
    let unfinished = session.unfinished.clone();
    match transfer {
        Transfer::Export(args) => export::execute(args, session).await,
        Transfer::Import(args) => {
            interruptible(unfinished, import::execute(&import::IMPORT, &args.bundle, session)).await
        }
        Transfer::Apply(args) => {
            interruptible(unfinished, import::execute(&import::APPLY, &args.bundle, session)).await
        }
        Transfer::Cp(args) => interruptible(unfinished, copy::copy(args, session)).await,
        Transfer::Mv(args) => interruptible(unfinished, copy::rename(args, session)).await,
        Transfer::Cas(args) => cas::execute(args, session).await,
    }
}

/// What a verb does to the cluster.
pub(super) fn effect(transfer: &Transfer) -> Effect {
    match transfer {
        Transfer::Export(_) => Effect::Reads,
        Transfer::Import(_)
        | Transfer::Apply(_)
        | Transfer::Cp(_)
        | Transfer::Mv(_)
        | Transfer::Cas(_) => Effect::Writes,
    }
}
