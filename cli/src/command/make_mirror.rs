//! `make-mirror`: copy keys to another cluster, and go on with every change.

use std::time::Duration;

use kvorum_client::{Connection, Credentials, Failure, Mirror};
use tokio::time::{MissedTickBehavior, interval};

use super::{CommandError, Session};
use crate::args::{DestUser, MakeMirrorArgs};
use crate::exit;
use crate::mode::Mode;
use crate::terminal;

/// How often the number of keys copied is printed; etcdctl's.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

pub(super) async fn execute(
    args: &MakeMirrorArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let plan = args.plan(session.mode)?;
    let mut config = args.connection(session.connection.config())?;
    config.credentials = match args.user() {
        DestUser::Nobody => None,
        DestUser::Known(credentials) => Some(credentials),
        DestUser::Ask(user) => {
            let password = terminal::ask_password("Destination Password: ", session.mode)?;
            Some(Credentials { user, password })
        }
    };
    let unusable =
        |failure| CommandError::Failure { failure, code: exit::BAD_ARGUMENTS, context: None };
    let destination = Connection::new(config).map_err(unusable)?;
    let mirror = Mirror::new(session.connection.clone(), destination, plan).map_err(unusable)?;
    let mut work = Box::pin(mirror.run());
    let mut ticks = interval(REPORT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // The first tick comes at once.
    ticks.tick().await;
    loop {
        tokio::select! {
            failure = &mut work => return Err(ended(failure, args, session)),
            _ = ticks.tick() => session.say(&mirror.mirrored().to_string())?,
        }
    }
}

/// Which of the two clusters is gone is said by the address, and what to do does not depend on it.
fn ended(failure: Failure, args: &MakeMirrorArgs, session: &Session) -> CommandError {
    if session.mode == Mode::Etcdctl || !failure.nothing_listens() {
        return failure.into();
    }
    let source = session.connection.endpoints().iter().map(ToString::to_string);
    let all: Vec<_> = source.chain(args.operands.iter().cloned()).collect();
    let hint =
        format!("both clusters are needed: kvorum endpoint health --endpoints {}", all.join(","));
    CommandError::Hinted { code: exit::ERROR, message: failure.to_string(), hint }
}
