//! `roles-for`

use kvorum_client::explore::{Access, access};
use tonic::Code;

use super::{begin, shown};
use crate::args::own::RolesForArgs;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{Row, Rows, Style, Value};

pub(super) async fn execute(
    args: &RolesForArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let key = args.key();
    let report = match access(&session.connection, &key).await {
        Err(failure) if failure.code() == Some(Code::PermissionDenied) => {
            return Err(CommandError::Hinted {
                code: if session.manner.exit_status { exit::finer::DENIED } else { exit::ERROR },
                message: "only root may see who has which role".to_owned(),
                hint: "give --user root".to_owned(),
            });
        }
        report => report?,
    };
    let mut rows =
        Rows::new(&session.style, &["role", "may", "through", "users"], &mut session.out);
    for role in &report.roles {
        rows.row(role)?;
    }
    rows.end()?;
    if report.enabled == Some(false) {
        let line = "authentication is off: everybody may read and write every key";
        begin::remark(session, line);
    }
    if let Some(user) = &report.only_of {
        begin::remark(session, &format!("only roles of {user} are looked at: root sees all"));
    }
    if report.roles.is_empty() && report.enabled != Some(false) {
        begin::remark(session, &format!("no role reads or writes {}", shown::line(&key)));
    }
    Ok(())
}

fn may(access: &Access) -> &'static str {
    match (access.reads, access.writes) {
        (true, true) => "read and write",
        (true, false) => "read",
        _ => "write",
    }
}

fn through(access: &Access) -> String {
    access.through.iter().map(shown::range).collect::<Vec<_>>().join(", ")
}

impl Row for Access {
    fn simple(&self, _: &Style) -> String {
        let role = shown::line(self.role.as_bytes());
        let users: Vec<_> = self.users.iter().map(|user| shown::line(user.as_bytes())).collect();
        let users = if users.is_empty() { "nobody".to_owned() } else { users.join(", ") };
        format!("{role}  may {} ({}): {users}", may(self), through(self))
    }

    fn value(&self) -> Value {
        let range = |range: &kvorum_client::KeyRange| {
            Value::map([("key", Value::bytes(&range.key)), ("range_end", Value::bytes(&range.end))])
        };
        Value::map([
            ("role", Value::text(&self.role)),
            ("reads", Value::Bool(self.reads)),
            ("writes", Value::Bool(self.writes)),
            ("through", Value::list(self.through.iter().map(range))),
            ("users", Value::list(self.users.iter().map(Value::text))),
        ])
    }

    fn cells(&self) -> Vec<String> {
        let users = self.users.join(", ");
        let line = |text: &str| shown::line(text.as_bytes());
        vec![line(&self.role), may(self).to_owned(), through(self), line(&users)]
    }
}
