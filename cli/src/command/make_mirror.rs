//! `make-mirror`: copy keys to another cluster, and go on with every change.

use std::time::Duration;

use kvorum_client::{Connection, Credentials, Mirror};
use tokio::time::{MissedTickBehavior, interval};

use super::{CommandError, Session};
use crate::args::{DestUser, MakeMirrorArgs};
use crate::exit;
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
            failure = &mut work => return Err(failure.into()),
            _ = ticks.tick() => session.say(&mirror.mirrored().to_string())?,
        }
    }
}
