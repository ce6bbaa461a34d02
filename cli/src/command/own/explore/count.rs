//! `count`

use kvorum_client::Get;

use super::progress::Progress;
use super::read::{nothing, say_serializable};
use super::{begin, shown};
use crate::args::own::CountArgs;
use crate::command::{CommandError, Session};
use crate::output::{Row, Style, Value, print_one};

pub(super) async fn execute(args: &CountArgs, session: &mut Session) -> Result<(), CommandError> {
    let mut progress = Progress::new(&session.manner);
    let ranges = begin::ranges(&args.at, session, &mut progress).await?;
    let Session { connection, manner, style, out, err, .. } = session;
    let (mut count, mut revision) = (0, args.at.rev);
    for range in ranges {
        let get = Get { range, revision, count_only: true, serializable: true, ..Get::default() };
        let answer = progress.until(connection.get(get)).await?;
        count += answer.count.max(0) as u64;
        // The ranges of one answer are counted at one moment.
        if revision == 0 {
            revision = answer.header.as_ref().map_or(0, |header| header.revision);
        }
    }
    drop(progress);
    let counted = Counted { prefix: args.at.prefix(), count, revision };
    print_one(&counted, &["prefix", "keys", "revision"], style, out)?;
    if count == 0 {
        return nothing(&args.at, manner, err);
    }
    say_serializable(revision, connection, manner, err);
    Ok(())
}

struct Counted {
    prefix: Vec<u8>,
    count: u64,
    revision: i64,
}

impl Row for Counted {
    fn simple(&self, _: &Style) -> String {
        self.count.to_string()
    }

    fn value(&self) -> Value {
        Value::map([
            ("prefix", Value::bytes(&self.prefix)),
            ("count", Value::Uint(self.count)),
            ("revision", Value::Int(self.revision)),
        ])
    }

    fn cells(&self) -> Vec<String> {
        vec![shown::line(&self.prefix), self.count.to_string(), self.revision.to_string()]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.prefix)
    }
}
