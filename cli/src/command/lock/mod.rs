//! `lock`: hold a lock while a command runs, or until a signal comes.

mod strict;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::pin::pin;
use std::time::Duration;

use kvorum_client::{Ahead, Get, HeldLock, LeaseSession, LockError, Tried};
use tokio::time::sleep;

use super::holding::{self, Holding};
use super::{CommandError, Session};
use crate::args::{LockArgs, LockPlan};
use crate::exit;
use crate::mode::Mode;
use crate::output::{Answer, go};
use crate::signals::Relayed;
use crate::terminal;

pub(super) use strict::{cancelled, lost};

pub(super) async fn execute(args: &LockArgs, session: &mut Session) -> Result<(), CommandError> {
    let plan = args.plan(session.mode)?;
    if session.mode == Mode::Etcdctl {
        return strict::execute(&plan, session).await;
    }
    let mut signals = Relayed::new()?;
    let lease = session.connection.session(plan.ttl_s).await?;
    let outcome = hold(args, &plan, &lease, &mut signals, session).await;
    // Whatever came of it, nobody is to wait for this one's lease to expire.
    let released = lease.close().await;
    if !plan.command.is_empty() {
        return holding::settled(outcome, released, ("the lock", plan.ttl_s), session);
    }
    outcome?;
    Ok(released?)
}

const LOCK: &str = "lock";

async fn hold(
    args: &LockArgs,
    plan: &LockPlan,
    lease: &LeaseSession,
    signals: &mut Relayed,
    session: &mut Session,
) -> Result<(), CommandError> {
    let held = {
        let mut obtaining = pin!(obtain(args, plan, lease));
        let is_watched = terminal::stderr_is_terminal() && !session.manner.quiet;
        let mut is_told = !is_watched || args.at_once;
        loop {
            tokio::select! {
                biased;
                held = &mut obtaining => break held?,
                signal = signals.next() => return Err(holding::interrupted(LOCK, signal)),
                ahead = ahead(plan, lease), if !is_told => {
                    is_told = true;
                    if let Some(ahead) = ahead {
                        session.remark(&ahead);
                    }
                }
            }
        }
    };
    if !plan.command.is_empty() {
        let holding = Holding {
            what: LOCK,
            command: &plan.command,
            variables: variables(&held),
            on_lost: args.on_lost,
        };
        return holding.run(lease, signals, session).await;
    }
    let found = session.connection.get(Get::key(held.key)).await?;
    if found.kvs.is_empty() {
        return Err(holding::lost(LOCK));
    }
    session.print(Answer::Get(&found))?;
    tokio::select! {
        () = lease.ended() => Err(holding::lost(LOCK)),
        _ = signals.next() => Ok(()),
    }
}

/// A person who looks on is told after this what is waited for; most locks are had sooner.
const TOLD_AFTER: Duration = Duration::from_millis(500);

/// Whom one waits for. That it cannot be found out is no reason to wait less.
async fn ahead(plan: &LockPlan, lease: &LeaseSession) -> Option<String> {
    sleep(TOLD_AFTER).await;
    let Ahead { token, lease, waiting } = lease.ahead(&plan.name).await.ok()??;
    let before = match waiting {
        0 => String::new(),
        1 => ", 1 waits before this".to_owned(),
        many => format!(", {many} wait before this"),
    };
    let name = go::quote(&plan.name);
    Some(format!("waiting for the lock {name}: held by lease {lease:016x}, token {token}{before}"))
}

/// Waits for the lock as long as it is wanted.
async fn obtain(
    args: &LockArgs,
    plan: &LockPlan,
    lease: &LeaseSession,
) -> Result<HeldLock, CommandError> {
    if args.at_once {
        return match lease.try_lock(&plan.name).await? {
            Tried::Held(held) => Ok(held),
            taken @ Tried::Taken { .. } => Err(self::taken(&plan.name, &taken)),
        };
    }
    let Some(timeout) = args.timeout else { return Ok(lease.lock(&plan.name).await?) };
    tokio::select! {
        held = lease.lock(&plan.name) => Ok(held?),
        () = sleep(timeout) => Err(CommandError::Hinted {
            code: exit::TIMED_OUT,
            message: format!("the lock {} was not free within {timeout:?}", go::quote(&plan.name)),
            hint: "kvorum locks shows who has it, and who waits".to_owned(),
        }),
    }
}

fn taken(name: &[u8], taken: &Tried) -> CommandError {
    let by = match taken {
        Tried::Taken { token, lease, waiting } => {
            let queue = if *waiting == 0 { String::new() } else { format!(", {waiting} waiting") };
            format!(" by lease {lease:016x}, token {token}{queue}")
        }
        Tried::Held(_) => String::new(),
    };
    CommandError::Other {
        code: exit::TAKEN,
        message: format!("the lock {} is held{by}", go::quote(name)),
    }
}

fn variables(held: &HeldLock) -> Vec<(OsString, OsString)> {
    let mut variables = strict::variables(held);
    variables.push(("KVORUM_LOCK_TOKEN".into(), held.token.to_string().into()));
    variables
}

/// The key of a lock, as a variable holds it.
fn key_of(held: &HeldLock) -> OsString {
    OsString::from_vec(held.key.clone())
}

impl From<LockError> for CommandError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Failure(failure) => failure.into(),
            LockError::Expired => lost(&error.to_string()),
        }
    }
}
