//! `lock`: hold a lock while a command runs, or until a signal comes.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use kvorum_client::{Get, HeldLock, LeaseSession, LockError};

use super::child::{self, NotStarted, Order};
use super::{CommandError, Session};
use crate::args::{LockArgs, LockPlan, bytes_of};
use crate::exit;
use crate::mode::Mode;
use crate::output::{Answer, go};
use crate::signals::{Interrupted, Relayed};

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

/// Runs the command to its end. As etcdctl, signals to this process do not hasten it: the lock is
/// for the command.
async fn run(
    plan: &LockPlan,
    held: &HeldLock,
    lease: &LeaseSession,
    session: &mut Session,
) -> Result<(), CommandError> {
    let is_etcdctl = session.mode == Mode::Etcdctl;
    let order = Order {
        words: &plan.command,
        variables: variables(held),
        reads_input: !is_etcdctl && Order::may_read(&session.input),
    };
    let mut child = match order.start() {
        Err(not_started) if is_etcdctl => return Err(etcdctl_text(&not_started)),
        started => started?,
    };
    let mut signals = Relayed::new()?;
    let mut is_lost = false;
    let status = loop {
        tokio::select! {
            status = child.ended() => break status?,
            signal = signals.next(), if !is_etcdctl => child.pass_on(signal),
            () = lease.ended(), if !is_lost => {
                is_lost = true;
                if !is_etcdctl {
                    session.remark(
                        "warning: the lock is lost: its lease expired while the command runs",
                    );
                }
            }
        }
    };
    if is_etcdctl { etcdctl_outcome(status) } else { child::outcome(status) }
}

fn variables(held: &HeldLock) -> Vec<(OsString, OsString)> {
    vec![
        ("ETCD_LOCK_KEY".into(), OsString::from_vec(held.key.clone())),
        ("ETCD_LOCK_REV".into(), held.revision.to_string().into()),
    ]
}

fn etcdctl_text(not_started: &NotStarted) -> CommandError {
    let reason = match not_started.error.kind() {
        io::ErrorKind::NotFound => "executable file not found in $PATH".to_owned(),
        _ => not_started.error.to_string(),
    };
    lost(&format!("exec: {}: {reason}", go::quote(&bytes_of(&not_started.program))))
}

/// The child's own exit code, as etcdctl since 3.5.
fn etcdctl_outcome(status: ExitStatus) -> Result<(), CommandError> {
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
