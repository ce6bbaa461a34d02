//! `alarm list|disarm`

use super::{CommandError, Session};
use crate::args::{AlarmArgs, AlarmCommand};
use crate::output::Answer;

pub(super) async fn execute(args: &AlarmArgs, session: &mut Session) -> Result<(), CommandError> {
    let alarms = match &args.command {
        AlarmCommand::Disarm { .. } => session.connection.disarm_alarms().await?,
        AlarmCommand::List { .. } => session.connection.alarms().await?,
    };
    session.print(Answer::Alarms(&alarms))
}
