//! `lock`: hold a lock while a command runs, or until a signal comes.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};

use kvorum_client::{Get, HeldLock, LeaseSession, LockError};
use tokio::process;

use super::{CommandError, Session};
use crate::args::{LockArgs, LockPlan, bytes_of};
use crate::exit;
use crate::mode::Mode;
use crate::output::{Answer, go};
use crate::signals::Interrupted;

pub(super) async fn execute(args: &LockArgs, session: &mut Session) -> Result<(), CommandError> {
    let plan = args.plan()?;
    let mut interrupted = Interrupted::new()?;
    let lease = session.connection.session(plan.ttl_s).await?;
    let outcome = hold(&plan, &lease, &mut interrupted, session).await;
    // Whatever came of it, nobody is to wait for this one's lease to expire.
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
        return run(plan, &held, lease, session).await;
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

/// Runs the command to its end, which signals to this process do not hasten: the lock is for it.
async fn run(
    plan: &LockPlan,
    held: &HeldLock,
    lease: &LeaseSession,
    session: &mut Session,
) -> Result<(), CommandError> {
    let Some((program, arguments)) = plan.command.split_first() else { return Ok(()) };
    let child = process::Command::new(program)
        .args(arguments)
        .env("ETCD_LOCK_KEY", OsStr::from_bytes(&held.key))
        .env("ETCD_LOCK_REV", held.revision.to_string())
        .stdin(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "executable file not found in $PATH".to_owned(),
            _ => error.to_string(),
        };
        lost(&format!("exec: {}: {reason}", go::quote(&bytes_of(program))))
    })?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = lease.ended() => {
            if session.mode == Mode::Kvorum {
                session.remark("warning: the lock is lost: its lease expired while the command runs");
            }
            child.wait().await?
        }
    };
    if status.success() { Ok(()) } else { Err(child_failed(status)) }
}

/// The child's own exit code, as etcdctl since 3.5.
fn child_failed(status: ExitStatus) -> CommandError {
    // What a shell makes of Go's -1.
    const KILLED: u8 = 255;
    let (code, message) = match (status.code(), status.signal()) {
        (Some(code), _) => (code.to_le_bytes()[0], format!("exit status {code}")),
        (None, Some(signal)) => (KILLED, format!("signal: {signal}")),
        (None, None) => (KILLED, status.to_string()),
    };
    CommandError::Other { code, message }
}

pub(super) fn cancelled() -> CommandError {
    lost("context canceled")
}

pub(super) fn lost(message: &str) -> CommandError {
    CommandError::Other { code: exit::ERROR, message: message.to_owned() }
}

impl From<LockError> for CommandError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Failure(failure) => failure.into(),
            LockError::Expired => lost(&error.to_string()),
        }
    }
}
