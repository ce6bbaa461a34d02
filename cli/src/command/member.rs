//! `member list`

use super::{CommandError, Session};
use crate::args::{MemberArgs, MemberCommand};
use crate::output::Answer;

pub(super) async fn execute(args: &MemberArgs, session: &mut Session) -> Result<(), CommandError> {
    match &args.command {
        MemberCommand::List(list) => {
            let members = if list.serializable()? {
                session.connection.members().await?
            } else {
                session.connection.members_linearizable().await?
            };
            session.print(Answer::Members(&members))
        }
    }
}
