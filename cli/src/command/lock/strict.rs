//! `lock` as etcdctl has it: its texts, its exit codes, and a command that nothing hastens.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use kvorum_client::{Get, HeldLock, LeaseSession};

use super::key_of;
use crate::args::{LockPlan, bytes_of};
use crate::command::child::{NotStarted, Order};
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{Answer, go};
use crate::signals::Interrupted;

pub(super) async fn execute(plan: &LockPlan, session: &mut Session) -> Result<(), CommandError> {
    let mut interrupted = Interrupted::new()?;
    let lease = session.connection.session(plan.ttl_s).await?;
    let outcome = hold(plan, &lease, &mut interrupted, session).await;
    let released = lease.close().await;
    outcome?;
    Ok(released?)
}

async fn hold(
    plan: &LockPlan,
    lease: &LeaseSession,
    interrupted: &mut Interrupted,
    session: &mut Session,
) -> Result<(), CommandError> {
    let held = tokio::select! {
        held = lease.lock(&plan.name) => held?,
        () = interrupted.wait() => return Err(cancelled()),
    };
    if !plan.command.is_empty() {
        return run(plan, &held).await;
    }
    let found = session.connection.get(Get::key(held.key)).await?;
    if found.kvs.is_empty() {
        return Err(lost("lock lost on init"));
    }
    session.print(Answer::Get(&found))?;
    tokio::select! {
        () = lease.ended() => Err(lost("session expired")),
        () = interrupted.wait() => Ok(()),
    }
}

/// Runs the command to its end, which neither signals to this process nor the end of the lease
/// hasten: the lock is for it.
async fn run(plan: &LockPlan, held: &HeldLock) -> Result<(), CommandError> {
    let order = Order { words: &plan.command, variables: variables(held), reads_input: false };
    let mut child = order.start().map_err(|error| not_started(&error))?;
    outcome(child.ended().await?)
}

pub(super) fn variables(held: &HeldLock) -> Vec<(OsString, OsString)> {
    vec![
        ("ETCD_LOCK_KEY".into(), key_of(held)),
        ("ETCD_LOCK_REV".into(), held.revision.to_string().into()),
    ]
}

fn not_started(error: &NotStarted) -> CommandError {
    let reason = match error.error.kind() {
        io::ErrorKind::NotFound => "executable file not found in $PATH".to_owned(),
        _ => error.error.to_string(),
    };
    lost(&format!("exec: {}: {reason}", go::quote(&bytes_of(&error.program))))
}

/// The child's own exit code, as etcdctl since 3.5.
fn outcome(status: ExitStatus) -> Result<(), CommandError> {
    // What a shell makes of Go's -1.
    const KILLED: u8 = 255;
    let (code, message) = match (status.code(), status.signal()) {
        (Some(0), _) => return Ok(()),
        (Some(code), _) => (code.to_le_bytes()[0], format!("exit status {code}")),
        (None, Some(signal)) => (KILLED, format!("signal: {signal}")),
        (None, None) => (KILLED, status.to_string()),
    };
    Err(CommandError::Other { code, message })
}

pub(in crate::command) fn cancelled() -> CommandError {
    lost("context canceled")
}

pub(in crate::command) fn lost(message: &str) -> CommandError {
    CommandError::Other { code: exit::ERROR, message: message.to_owned() }
}
