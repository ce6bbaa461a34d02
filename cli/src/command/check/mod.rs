//! `check perf|datascale`: etcdctl's workloads, and its judgement of how they went.

mod datascale;
mod perf;
mod progress;

use std::time::Duration;

use kvorum_client::{Config, Connection, Delete, Failure, Get, KeyRange, LoadReport, LoadRun, pb};
use tokio::time::timeout;

use super::{CommandError, Session};
use crate::args::{CheckArgs, CheckCommand, CheckLoadArgs};
use crate::exit;
use crate::output::go;
use crate::signals::Interrupted;

pub(super) async fn execute(args: &CheckArgs, session: &mut Session) -> Result<(), CommandError> {
    match &args.command {
        CheckCommand::Perf(args) => perf::execute(args, session).await,
        CheckCommand::Datascale(args) => datascale::execute(args, session).await,
    }
}

/// A write that is not answered for so long counts as an error; etcdctl waits for ever.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// For deleting, compacting and defragmenting afterwards; etcdctl's.
const TIDY_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections of their own for so many clients.
fn clients(session: &Session, count: usize) -> Result<Vec<Connection>, CommandError> {
    let config = Config { command_timeout: WRITE_TIMEOUT, ..session.connection.config().clone() };
    let made: Result<_, Failure> = (0..count).map(|_| Connection::new(config.clone())).collect();
    made.map_err(|failure| CommandError::Failure {
        failure,
        code: exit::BAD_ARGUMENTS,
        context: None,
    })
}

/// Nothing that is there may be written over, and then deleted.
async fn refuse_keys(client: &Connection, prefix: &[u8], delete: &str) -> Result<(), CommandError> {
    let found = client.get(Get { limit: 1, ..Get::prefix(prefix) }).await?;
    if found.kvs.is_empty() {
        return Ok(());
    }
    let (quoted, prefix) = (go::quote(prefix), String::from_utf8_lossy(prefix));
    Err(CommandError::Other {
        code: exit::INVALID_INPUT,
        message: format!(
            "prefix {quoted} has keys. Delete with {} first",
            delete.replace("{}", &prefix)
        ),
    })
}

/// Waits until everything is written. Interrupted once, it begins no more writes and waits for those
/// under way; again, it gives up.
async fn finish(
    run: &mut LoadRun,
    interrupted: &mut Interrupted,
    shown: &progress::Progress,
) -> Result<Finished, CommandError> {
    let mut finished = Finished::Whole;
    loop {
        tokio::select! {
            more = run.step() => {
                if !more {
                    return Ok(finished);
                }
                shown.show(run.answered());
            }
            () = interrupted.wait() => {
                if finished == Finished::Interrupted {
                    return Err(CommandError::Silent { code: exit::SIGINT });
                }
                run.stop();
                finished = Finished::Interrupted;
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finished {
    Whole,
    Interrupted,
}

async fn delete(client: &Connection, prefix: &[u8]) -> Result<pb::DeleteRangeResponse, String> {
    let range = KeyRange::prefix(prefix);
    in_time(client.delete(Delete { range, prev_kv: false })).await
}

/// Compacts and defragments, if that is asked for.
async fn tidy(
    client: &Connection,
    args: &CheckLoadArgs,
    deleted: Option<&pb::DeleteRangeResponse>,
    session: &mut Session,
) -> Result<(), CommandError> {
    let failed = |message| CommandError::Other { code: exit::ERROR, message };
    if let Some(deleted) = deleted.filter(|_| args.auto_compact) {
        let revision = deleted.header.as_ref().map_or(0, |header| header.revision);
        session.say(&format!("Compacting with revision {revision}"))?;
        in_time(client.compact(revision, true)).await.map_err(failed)?;
        session.say(&format!("Compacted with revision {revision}"))?;
    }
    if args.auto_defrag {
        for endpoint in client.endpoints() {
            let quoted = go::quote(endpoint.as_str().as_bytes());
            session.say(&format!("Defragmenting {quoted}"))?;
            in_time(client.defragment(endpoint)).await.map_err(failed)?;
            session.say(&format!("Defragmented {quoted}"))?;
        }
    }
    Ok(())
}

/// The outcome, an error as etcdctl's text.
async fn in_time<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, String> {
    match timeout(TIDY_TIMEOUT, work).await {
        Ok(done) => done.map_err(|failure| failure.etcdctl_text()),
        Err(_) => Err("context deadline exceeded".to_owned()),
    }
}

/// Says which errors there were; whether there were any.
fn say_errors(report: &LoadReport, session: &mut Session) -> Result<bool, CommandError> {
    if report.errors.is_empty() {
        return Ok(false);
    }
    session.say("FAIL: too many errors")?;
    for (error, count) in &report.errors {
        session.say(&format!("FAIL: ERROR({error}) -> {count}"))?;
    }
    Ok(true)
}
