//! A command that runs while a lease holds something for it, a lock or a leadership, and what
//! becomes of it when that is lost.

use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;

use kvorum_client::{Failure, LeaseSession};

use super::child::{self, Child, GRACE, Order};
use super::{CommandError, Session, Unfinished};
use crate::args::OnLost;
use crate::exit;
use crate::signals::Relayed;

/// What runs, and for what.
pub(super) struct Holding<'a> {
    /// `lock`, `leadership`.
    pub what: &'static str,
    pub command: &'a [OsString],
    pub variables: Vec<(OsString, OsString)>,
    pub on_lost: OnLost,
}

impl Holding<'_> {
    /// Runs the command to its end. Signals to this process are for the command.
    pub(super) async fn run(
        &self,
        lease: &LeaseSession,
        signals: &mut Relayed,
        session: &mut Session,
    ) -> Result<(), CommandError> {
        let order = Order {
            words: self.command,
            variables: self.variables.clone(),
            reads_input: Order::may_read(&session.input),
        };
        let mut child = order.start()?;
        let _unfinished = Unfinished::begin(session);
        let mut is_lost = false;
        let status = loop {
            tokio::select! {
                // Whoever ends before it could be told has done its work while it was held.
                biased;
                status = child.ended() => break status?,
                signal = signals.next() => child.pass_on(signal),
                () = lease.ended(), if !is_lost => {
                    is_lost = true;
                    session.remark(&self.lost());
                    if let Some(status) = self.end(&mut child).await? {
                        return Err(self.ended(status));
                    }
                }
            }
        };
        child::outcome(status)
    }

    async fn end(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        match self.on_lost {
            OnLost::Warn => Ok(None),
            OnLost::Term => child.stop(GRACE).await.map(Some),
            OnLost::Kill => child.kill().await.map(Some),
        }
    }

    fn lost(&self) -> String {
        let what = self.what;
        let then = match self.on_lost {
            OnLost::Warn => "the command goes on without it, as --on-lost warn says",
            OnLost::Term => "the command is asked to end",
            OnLost::Kill => "the command is killed",
        };
        format!("warning: the {what} is lost, its lease is gone: {then}")
    }

    fn ended(&self, status: ExitStatus) -> CommandError {
        let what = self.what;
        CommandError::Hinted {
            code: exit::LOST,
            message: format!(
                "the {what} was lost while the command ran, which was ended: {status}"
            ),
            hint:
                "others may have had it meanwhile: see what the command has done; a longer --ttl \
                   outlives longer pauses"
                    .to_owned(),
        }
    }
}

/// The end of a command, once what was held for it was to be given up. That nobody could be told is
/// no failure of the command's: then it is free when the lease has run out.
pub(super) fn settled(
    outcome: Result<(), CommandError>,
    released: Result<(), Failure>,
    (what, ttl_s): (&str, i64),
    session: &mut Session,
) -> Result<(), CommandError> {
    match (outcome, released) {
        (Ok(()), Err(failure)) => {
            session.remark(&format!(
                "warning: {what} is not given up ({failure}): its lease runs out within {ttl_s} s"
            ));
            Ok(())
        }
        (outcome, _) => outcome,
    }
}

/// Why nothing more is held, where no command runs.
pub(super) fn lost(what: &str) -> CommandError {
    CommandError::Other {
        code: exit::LOST,
        message: format!("the {what} is lost: its lease is gone"),
    }
}

/// Somebody has ended the waiting.
pub(super) fn interrupted(what: &str, signal: rustix::process::Signal) -> CommandError {
    CommandError::Other {
        code: child::code_of(signal.as_raw()),
        message: format!("interrupted before the {what} was got; it is not waited for any more"),
    }
}
