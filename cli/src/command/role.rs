//! `role add|delete|get|list|grant-permission|revoke-permission`

use super::{CommandError, Session};
use crate::args::role::{added, deleted, shown};
use crate::args::{Revocation, RoleArgs, RoleCommand};
use crate::output::Answer;

pub(super) async fn execute(args: &RoleArgs, session: &mut Session) -> Result<(), CommandError> {
    match &args.command {
        RoleCommand::Add { operands } => {
            let [role] = added(operands)?;
            let answer = session.connection.role_add(role).await?;
            let text = format!("Role {role} created");
            session.print(Answer::Done(&text, answer.header.as_ref()))
        }
        RoleCommand::Delete { operands } => {
            let [role] = deleted(operands)?;
            let answer = session.connection.role_delete(role).await?;
            let text = format!("Role {role} deleted");
            session.print(Answer::Done(&text, answer.header.as_ref()))
        }
        RoleCommand::Get { operands } => {
            let [role] = shown(operands)?;
            let answer = session.connection.role_get(role).await?;
            session.print(Answer::Role(role, &answer))
        }
        RoleCommand::GrantPermission(args) => {
            let grant = args.grant()?;
            let answer = session
                .connection
                .role_grant_permission(&grant.role, grant.access, &grant.range)
                .await?;
            let text = format!("Role {} updated", grant.role);
            session.print(Answer::Done(&text, answer.header.as_ref()))
        }
        RoleCommand::List { .. } => {
            let roles = session.connection.roles().await?;
            session.print(Answer::Roles(&roles))
        }
        RoleCommand::RevokePermission(args) => {
            let revocation = args.revocation()?;
            let answer = session
                .connection
                .role_revoke_permission(&revocation.role, &revocation.range)
                .await?;
            session.print(Answer::Done(&revoked(&revocation), answer.header.as_ref()))
        }
    }
}

fn revoked(Revocation { role, range, key }: &Revocation) -> String {
    let (key, end) = (String::from_utf8_lossy(key), String::from_utf8_lossy(&range.end));
    match &*end {
        "" => format!("Permission of key {key} is revoked from role {role}"),
        "\0" => format!("Permission of range [{key}, <open ended> is revoked from role {role}"),
        end => format!("Permission of range [{key}, {end}) is revoked from role {role}"),
    }
}
