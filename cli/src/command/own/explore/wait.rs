//! `wait`

use std::time::Duration;

use kvorum_client::explore::{Happened, WaitFor, wait};
use tokio::time::timeout;

use super::shown;
use crate::args::own::WaitArgs;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{Row, Style, Value, print_one};

pub(super) async fn execute(args: &WaitArgs, session: &mut Session) -> Result<(), CommandError> {
    let (key, wanted) = (args.key(), args.wanted()?);
    let Session { connection, manner, style, out, err, .. } = session;
    let waiting = wait(connection, &key, &wanted, |failure| {
        if !manner.quiet {
            let _ = writeln!(err, "the watch was lost and is opened again: {failure}");
        }
    });
    let happened = match args.timeout {
        None => waiting.await?,
        Some(time) => timeout(time, waiting).await.map_err(|_| late(&key, &wanted, time))??,
    };
    let line = Line { key: &key, happened };
    Ok(print_one(&line, &["key", "state", "revision"], style, out)?)
}

fn late(key: &[u8], wanted: &WaitFor, time: Duration) -> CommandError {
    let wanted = match wanted {
        WaitFor::Exists => "was not there".to_owned(),
        WaitFor::Deleted => "was not deleted".to_owned(),
        WaitFor::Value(value) => format!("was not {}", shown::line(value)),
    };
    let message = format!("{} {wanted} within {time:?}", shown::line(key));
    CommandError::Other { code: exit::finer::TIMED_OUT, message }
}

struct Line<'a> {
    key: &'a [u8],
    happened: Happened,
}

impl Line<'_> {
    fn state(&self) -> &'static str {
        if self.happened.kv.is_some() { "exists" } else { "is not there" }
    }
}

impl Row for Line<'_> {
    fn simple(&self, _: &Style) -> String {
        let Happened { revision, at_once, .. } = self.happened;
        let since = if at_once { "already " } else { "" };
        format!("{} {} ({since}at revision {revision})", shown::line(self.key), self.state())
    }

    fn value(&self) -> Value {
        Value::map([
            ("key", Value::bytes(self.key)),
            ("exists", Value::Bool(self.happened.kv.is_some())),
            ("revision", Value::Int(self.happened.revision)),
            ("at_once", Value::Bool(self.happened.at_once)),
        ])
    }

    fn cells(&self) -> Vec<String> {
        vec![shown::line(self.key), self.state().to_owned(), self.happened.revision.to_string()]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(self.key)
    }
}
