//! `del`: one key at once, a range only when it is certain that a range is meant.

use std::time::Duration;

use kvorum_client::{Delete, Get};

use super::{CommandError, Confirm, Session};
use crate::args::{DelArgs, UsageError};
use crate::output::{Answer, go};

/// etcdctl's time for second thoughts.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);

pub(super) async fn execute(args: &DelArgs, session: &mut Session) -> Result<(), CommandError> {
    let delete = args.request()?;
    if !delete.range.is_single() {
        confirm(args, &delete, session).await?;
    }
    let answer = session.connection.delete(delete).await?;
    session.print(Answer::Delete(&answer))
}

async fn confirm(
    args: &DelArgs,
    delete: &Delete,
    session: &mut Session,
) -> Result<(), CommandError> {
    match session.confirm {
        Confirm::Etcdctl => {
            second_thoughts(args, delete, session).await;
            Ok(())
        }
        _ if args.yes => Ok(()),
        Confirm::Require => Err(UsageError::arguments(
            "a range is not deleted unasked: repeat the command with --yes",
        )
        .into()),
        Confirm::Ask => {
            let range = delete.range.clone();
            let count = Get { range, count_only: true, serializable: true, ..Get::default() };
            let count = session.connection.get(count).await?.count;
            let keys = if count == 1 { "1 key".to_owned() } else { format!("{count} keys") };
            session.remark(&format!("delete {keys}: {}? [y/N]", describe(args, delete)));
            let answer = session.input.line().await?.unwrap_or_default();
            if answer.trim_ascii().eq_ignore_ascii_case(b"y")
                || answer.trim_ascii().eq_ignore_ascii_case(b"yes")
            {
                return Ok(());
            }
            session.remark("nothing was deleted");
            Err(CommandError::Silent { code: crate::exit::ERROR })
        }
    }
}

/// etcdctl warns and waits when two keys are given without `--range`.
async fn second_thoughts(args: &DelArgs, delete: &Delete, session: &mut Session) {
    if args.keys.len() == 2 && !args.range {
        session.remark(&second_thoughts_warning(delete));
        tokio::time::sleep(SECOND_THOUGHTS).await;
    }
}

fn second_thoughts_warning(delete: &Delete) -> String {
    let (key, end) = (go::quote(&delete.range.key), go::quote(&delete.range.end));
    format!(
        "Warning: Keys between {key} and {end} will be deleted. Please interrupt the command \
         within next 2 seconds to cancel. You can provide `--range` flag to avoid the delay."
    )
}

fn describe(args: &DelArgs, delete: &Delete) -> String {
    let key = go::quote(&delete.range.key);
    if args.prefix {
        format!("those that begin with {key}")
    } else if args.from_key {
        format!("those from {key} on")
    } else {
        format!("those from {key} up to {}", go::quote(&delete.range.end))
    }
}
