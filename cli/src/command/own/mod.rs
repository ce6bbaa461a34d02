//! Carrying out the verbs that only `kvorum` has, one file each.

mod backup;
mod change;
mod config;
mod ctx;
mod doctor;
mod edit;
mod elsewhere;
mod explain;
mod explore;
mod line;
mod man;
mod progress;
pub(super) mod rolling;
mod seq;
mod service;
mod show;
mod shown;
mod top;
mod transfer;
mod travel;

use super::{CommandError, Effect, Printout, Session, files};
use crate::args::{Alone, Global, Own, Preferences};
use crate::mode::Mode;
use crate::output::Style;
use crate::run::{self, Invocation, Streams};
use crate::settings::Settings;

/// Carries out a verb that asks a cluster.
pub async fn execute(own: &Own, session: &mut Session) -> Result<(), CommandError> {
    match own {
        Own::Explore(explore) => explore::execute(explore, session).await,
        Own::Show(args) => show::execute(args, session).await,
        Own::Edit(args) => edit::execute(args, session).await,
        Own::Travel(travel) => travel::execute(travel, session).await,
        Own::Backup(args) => backup::execute(args, session).await,
        Own::Service(args) => service::execute(args, session).await,
        Own::Seq(args) => seq::execute(args, session).await,
        Own::Transfer(transfer) => transfer::execute(transfer, session).await,
        Own::Doctor(args) => doctor::execute(args, session).await,
        Own::Top(args) => top::execute(args, session).await,
        Own::Config(args) => config::execute(args, session).await,
    }
}

/// Carries out a verb that asks none.
pub fn alone(
    alone: &Alone,
    invocation: &Invocation<'_>,
    streams: &mut Streams,
) -> Result<(), CommandError> {
    let outcome = match alone {
        Alone::Ctx(args) => ctx::execute(args, invocation, streams),
        Alone::Man(args) => man::execute(args, streams),
        Alone::Explain(args) => explain::execute(args, invocation, streams),
        Alone::Hashkv(args) => {
            let style = style_alone(invocation)?;
            let Streams { out, err } = streams;
            files::hashkv(args, &mut Printout { mode: invocation.mode, style, out, err })
        }
    };
    outcome.and(streams.out.flush().map_err(CommandError::from))
}

/// What a verb does to the cluster.
pub fn effect(own: &Own) -> Effect {
    match own {
        Own::Explore(_) | Own::Show(_) | Own::Doctor(_) | Own::Backup(_) | Own::Top(_) => {
            Effect::Reads
        }
        Own::Edit(_) => Effect::Writes,
        Own::Travel(travel) => travel::effect(travel),
        Own::Service(args) => service::effect(args),
        Own::Seq(args) => seq::effect(args),
        Own::Transfer(transfer) => transfer::effect(transfer),
        Own::Config(args) => config::effect(args),
    }
}

/// The style alone: a context that is broken must not keep one from what needs no cluster.
fn style_alone(invocation: &Invocation<'_>) -> Result<Style, CommandError> {
    let global = Global { write_out: invocation.global.write_out.clone(), ..Global::default() };
    let preferences = Preferences { context: None, ..invocation.preferences.clone() };
    let settings = Settings::resolve(&global, &preferences, Mode::Kvorum, &|name| {
        matches!(name, "NO_COLOR" | "TERM" | "ETCDCTL_WRITE_OUT")
            .then(|| std::env::var_os(name))
            .flatten()
    })?;
    Ok(run::fit(settings.style, settings.manner.color, Mode::Kvorum))
}
