//! `del`: one key at once, a range only when it is certain that a range is meant.

use std::time::Duration;

use kvorum_client::{Delete, Get, KeyRange};

use super::guard::{self, Doomed};
use super::remember::remember;
use super::{CommandError, Confirm, Session};
use crate::args::DelArgs;
use crate::exit::finer;
use crate::output::{Answer, escape_control, go};

/// etcdctl's time for second thoughts.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);

pub(super) async fn execute(args: &DelArgs, session: &mut Session) -> Result<(), CommandError> {
    let delete = args.request()?;
    if session.confirm == Confirm::Etcdctl {
        second_thoughts(args, &delete, session).await;
    } else if session.manner.dry_run || (!delete.range.is_single() && !session.manner.yes) {
        let doomed = look(args, &delete, session).await?;
        if session.manner.dry_run {
            return session.say(&format!(
                "would delete {}: {}",
                guard::keys(doomed.count),
                doomed.description
            ));
        }
        if doomed.count > 0 {
            guard::confirm(&doomed, session).await?;
        }
    }
    let touched = [delete.range.clone()];
    let answer = session.connection.delete(delete).await?;
    if answer.deleted > 0 {
        remember("del", answer.header.as_ref(), &touched, session);
    }
    session.print(Answer::Delete(&answer))?;
    if answer.deleted == 0 && session.style.escaped && !session.manner.quiet {
        session.remark("nothing is there to delete: kvorum ls shows what is");
    }
    let code = if args.keys.len() == 1 && !args.prefix { finer::NOT_FOUND } else { finer::EMPTY };
    session.finer(answer.deleted > 0, code)
}

/// Keys whose values are read to say how large what is deleted is.
const WEIGHED_KEYS: i64 = 1000;

/// Keys that are named.
const SAMPLE_KEYS: usize = 5;

/// Counts and weighs what would be deleted, and shows some of it.
async fn look(
    args: &DelArgs,
    delete: &Delete,
    session: &mut Session,
) -> Result<Doomed, CommandError> {
    let range = delete.range.clone();
    let first = Get { range, limit: WEIGHED_KEYS, serializable: true, ..Get::default() };
    let first = session.connection.get(first).await?;
    let bytes: usize = first.kvs.iter().map(|kv| kv.key.len() + kv.value.len()).sum();
    let size = match first.kvs.len() as i64 {
        0 => String::new(),
        read if first.more => {
            let all = bytes as f64 / read as f64 * first.count as f64;
            format!(", about {}", go::size(all as u64))
        }
        _ => format!(", {}", go::size(bytes as u64)),
    };
    for kv in first.kvs.iter().take(SAMPLE_KEYS) {
        let key = String::from_utf8_lossy(&escape_control(&kv.key)).into_owned();
        session.remark(&format!("  {key}  ({})", go::size(kv.value.len() as u64)));
    }
    if first.count > SAMPLE_KEYS as i64 {
        session.remark(&format!("  … and {} more", first.count - SAMPLE_KEYS as i64));
    }
    let description = format!("{}{size}", describe(args, delete));
    Ok(Doomed { count: first.count, description, typed: guard::typed(&delete.range) })
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
    if delete.range == KeyRange::prefix("") {
        "EVERY key".to_owned()
    } else if args.prefix {
        format!("those that begin with {key}")
    } else if args.from_key {
        format!("those from {key} on")
    } else if delete.range.is_single() {
        key
    } else {
        format!("those from {key} up to {}", go::quote(&delete.range.end))
    }
}
