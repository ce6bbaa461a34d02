//! `auth enable|disable|status`

use super::{CommandError, Session};
use crate::args::{AuthArgs, AuthCommand};
use crate::output::Answer;

/// The name of both the user and the role that authentication cannot do without.
const ROOT: &str = "root";

pub(super) async fn execute(args: &AuthArgs, session: &mut Session) -> Result<(), CommandError> {
    match &args.command {
        AuthCommand::Enable { .. } => enable(session).await,
        AuthCommand::Disable { .. } => {
            session.connection.auth_disable().await?;
            // The same in every format, as in etcdctl.
            session.say("Authentication Disabled")
        }
        AuthCommand::Status { .. } => {
            let status = session.connection.auth_status().await?;
            session.print(Answer::AuthStatus(&status))
        }
    }
}

/// Gives `root` its role if that is all that is missing.
async fn enable(session: &mut Session) -> Result<(), CommandError> {
    match session.connection.auth_enable().await {
        Err(failure) if failure.lacks_root_role() => {
            session.connection.role_add(ROOT).await?;
            session.connection.user_grant_role(ROOT, ROOT).await?;
            session.connection.auth_enable().await?;
        }
        outcome => _ = outcome?,
    }
    session.say("Authentication Enabled")
}
