//! `downgrade validate|enable|cancel`

use kvorum_client::Downgrade;

use super::{CommandError, Session};
use crate::args::DowngradeArgs;
use crate::output::Answer;

pub(super) async fn execute(
    args: &DowngradeArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let action = args.action()?;
    let answer = session.connection.downgrade(&action).await?;
    let verb = match action {
        Downgrade::Validate(_) => "validate",
        Downgrade::Enable(_) => "enable",
        Downgrade::Cancel => "cancel",
    };
    session.print(Answer::Downgrade(verb, &answer))
}
