//! `user add|delete|get|list|passwd|grant-role|revoke-role`

use super::{CommandError, Confirm, Input, Session};
use crate::args::user::{deleted, granted, revoked};
use crate::args::{
    NewPassword, NewUser, UsageError, UserAddArgs, UserArgs, UserCommand, UserGetArgs,
    UserPasswdArgs,
};
use crate::output::Answer;
use crate::terminal;

pub(super) async fn execute(args: &UserArgs, session: &mut Session) -> Result<(), CommandError> {
    match &args.command {
        UserCommand::Add(args) => add(args, session).await,
        UserCommand::Delete { operands } => {
            let [user] = deleted(operands)?;
            let answer = session.connection.user_delete(user).await?;
            let text = format!("User {user} deleted");
            session.print(Answer::Done(&text, answer.header.as_ref()))
        }
        UserCommand::Get(args) => get(args, session).await,
        UserCommand::GrantRole { operands } => {
            let [user, role] = granted(operands)?;
            let answer = session.connection.user_grant_role(user, role).await?;
            let text = format!("Role {role} is granted to user {user}");
            session.print(Answer::Done(&text, answer.header.as_ref()))
        }
        UserCommand::List { .. } => {
            let users = session.connection.users().await?;
            session.print(Answer::Users(&users))
        }
        UserCommand::Passwd(args) => passwd(args, session).await,
        UserCommand::RevokeRole { operands } => {
            let [user, role] = revoked(operands)?;
            let answer = session.connection.user_revoke_role(user, role).await?;
            let text = format!("Role {role} is revoked from user {user}");
            session.print(Answer::Done(&text, answer.header.as_ref()))
        }
    }
}

async fn add(args: &UserAddArgs, session: &mut Session) -> Result<(), CommandError> {
    let NewUser { name, password } = args.user()?;
    let password = take(&name, password, session).await?;
    let answer = session.connection.user_add(&name, password.as_deref()).await?;
    let text = format!("User {name} created");
    session.print(Answer::Done(&text, answer.header.as_ref()))
}

async fn get(args: &UserGetArgs, session: &mut Session) -> Result<(), CommandError> {
    let name = args.name()?;
    let user = session.connection.user_get(name).await?;
    if !args.detail {
        return session.print(Answer::User(name, &user));
    }
    // These two lines are text in every format, as in etcdctl.
    session.say(&session.style.shown(&format!("User: {name}")))?;
    for role in &user.roles {
        session.say("")?;
        let answer = session.connection.role_get(role).await?;
        session.print(Answer::Role(role, &answer))?;
    }
    Ok(())
}

async fn passwd(args: &UserPasswdArgs, session: &mut Session) -> Result<(), CommandError> {
    let name = args.name()?;
    let password = take(name, args.password(), session).await?.unwrap_or_default();
    let answer = session.connection.user_change_password(name, &password).await?;
    session.print(Answer::Done("Password updated", answer.header.as_ref()))
}

/// The password, from wherever it is; `None` is none.
///
/// Waiting for standard input blocks the thread: nothing else goes on before the answer.
async fn take(
    user: &str,
    password: NewPassword,
    session: &mut Session,
) -> Result<Option<String>, CommandError> {
    match (password, &session.input) {
        (NewPassword::None, _) => Ok(None),
        (NewPassword::Given(password), _) => Ok(Some(password)),
        (NewPassword::Ask, Input::Standard(_)) => ask_twice(user, session).map(Some),
        (NewPassword::Word, Input::Standard(_)) => Ok(Some(terminal::stdin_word()?)),
        _ if session.confirm == Confirm::Ask => Err(UsageError::arguments(format!(
            "the shell would show the password of {user}: run kvorum user outside of it"
        ))
        .into()),
        // A script has it in its next line.
        _ => {
            let line = session.input.line().await?.unwrap_or_default();
            Ok(Some(String::from_utf8_lossy(&line).into_owned()))
        }
    }
}

fn ask_twice(user: &str, session: &Session) -> Result<String, CommandError> {
    let ask = |question: String| {
        terminal::ask_password(&question, session.mode)
            .map_err(|error| UsageError::arguments(format!("failed to ask password: {error}")))
    };
    let password = ask(format!("Password of {user}: "))?;
    if password.is_empty() {
        return Err(UsageError::arguments("empty password").into());
    }
    if password != ask(format!("Type password of {user} again for confirmation: "))? {
        return Err(UsageError::arguments("given passwords are different").into());
    }
    Ok(password)
}
