//! `move-leader`

use super::{CommandError, Session};
use crate::args::MoveLeaderArgs;
use crate::exit;
use crate::output::{Answer, LeaderMove};

pub(super) async fn execute(
    args: &MoveLeaderArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let to = args.target()?;
    let endpoints = session.connection.endpoints().to_vec();
    for endpoint in &endpoints {
        let status = session.connection.status(endpoint).await?;
        let from = status.leader;
        if status.header.is_some_and(|header| header.member_id == from) {
            let answer = session.connection.move_leader(endpoint, to).await?;
            return session.print(Answer::LeaderMove(LeaderMove { from, to }, &answer));
        }
    }
    let endpoints: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
    let message = format!("no leader endpoint given at [{}]", endpoints.join(" "));
    let hint = "only the leader hands its leadership over, so it has to be among --endpoints: \
                kvorum endpoint status --cluster shows whether there is one";
    Err(CommandError::Hinted { code: exit::BAD_ARGUMENTS, message, hint: hint.to_owned() })
}
