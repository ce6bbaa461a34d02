//! Carrying a plan out, and saying how far it came.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use futures::{Stream, StreamExt as _};
use kvorum_client::Failure;
use kvorum_client::change::{Applied, Change, Conflict, Stopped, Writer};

use crate::command::own::progress::Progress;
use crate::command::own::shown;
use crate::command::remember::{Memory, Written};
use crate::command::{CommandError, Session, Unfinished};
use crate::exit;
use crate::run::below_ctrl_c;
use crate::signals::Interrupted;

/// What is carried out.
pub(crate) struct Work<'a> {
    /// The verb, as the journal of writes names it.
    pub(crate) verb: &'static str,
    /// Keys that are to be written, for the line of progress.
    pub(crate) total: u64,
    /// The write that this one takes back.
    pub(crate) undoes: Option<u64>,
    /// Keys are moved, each written in one place and deleted in another: two of the total.
    pub(crate) moves: bool,
    /// The command that goes on where this one stopped.
    pub(crate) go_on: &'a str,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) keys: u64,
    pub(crate) transactions: u64,
    pub(crate) first_revision: i64,
    pub(crate) last_revision: i64,
}

impl Done {
    fn add(&mut self, applied: &Applied) {
        self.keys += applied.keys.len() as u64;
        self.transactions += 1;
        if self.first_revision == 0 {
            self.first_revision = applied.revision;
        }
        self.last_revision = applied.revision;
    }

    /// `at revision 12`, or `at revisions 12 to 20`
    pub(crate) fn place(&self) -> String {
        if self.first_revision == self.last_revision {
            format!("at revision {}", self.last_revision)
        } else {
            format!("at revisions {} to {}", self.first_revision, self.last_revision)
        }
    }
}

/// Writes the steps, each a set of changes that happen together. Ctrl-C stops between transactions,
/// and at once when it comes again; what was written is remembered for `undo` in any case.
pub(crate) async fn carry_out<S>(
    work: &Work<'_>,
    steps: S,
    session: &mut Session,
) -> Result<Done, CommandError>
where
    S: Stream<Item = Result<Vec<Change>, CommandError>>,
{
    let mut interrupted = Interrupted::new()?;
    let unfinished = Unfinished::begin(session);
    let stop = Arc::new(AtomicBool::new(false));
    let state = Arc::new(Mutex::new(Under {
        done: Done::default(),
        memory: Memory::begin(work.verb, work.undoes, session),
        progress: Progress::new(&session.manner),
        total: work.total,
    }));
    let (told, asked) = (state.clone(), stop.clone());
    let writer = Writer::new(&session.connection, move |applied: &Applied| {
        locked(&told).applied(applied);
        if asked.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let outcome = {
        let mut work = Box::pin(write(writer, steps));
        let once = tokio::select! {
            outcome = &mut work => Some(outcome),
            () = interrupted.wait() => None,
        };
        if let Some(outcome) = once {
            outcome
        } else {
            stop.store(true, Ordering::Relaxed);
            locked(&state).progress.hide();
            let text = "stopping after this transaction; Ctrl-C again stops at once";
            session.remark(&below_ctrl_c(text));
            tokio::select! {
                outcome = &mut work => outcome,
                () = interrupted.wait() => Err(End::Cut),
            }
        }
    };
    drop(unfinished);
    let Under { done, memory, .. } = {
        let mut state = locked(&state);
        state.progress.hide();
        Under {
            progress: Progress::new(&session.manner),
            total: 0,
            done: state.done,
            memory: state.memory.take(),
        }
    };
    memory.conclude(session);
    match outcome {
        Ok(()) => Ok(done),
        Err(end) => Err(explained(&end, &done, work)),
    }
}

/// What is known of a plan while it is carried out.
struct Under {
    done: Done,
    memory: Memory,
    progress: Progress,
    total: u64,
}

impl Under {
    fn applied(&mut self, applied: &Applied) {
        self.done.add(applied);
        self.memory.add(&Written {
            cluster_id: applied.cluster_id,
            revision: applied.revision,
            keys: &applied.keys,
            ranges: &[],
        });
        self.progress.wrote(self.done.keys, self.total);
    }
}

fn locked(state: &Mutex<Under>) -> std::sync::MutexGuard<'_, Under> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why it was not carried out to the end.
enum End {
    Stopped(Stopped),
    /// What was to be written could not be found out.
    Source(CommandError),
    /// In the middle of a transaction.
    Cut,
}

impl From<Stopped> for End {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

async fn write<F, S>(mut writer: Writer<F>, steps: S) -> Result<(), End>
where
    F: FnMut(&Applied) -> ControlFlow<()>,
    S: Stream<Item = Result<Vec<Change>, CommandError>>,
{
    let mut steps = std::pin::pin!(steps);
    while let Some(step) = steps.next().await {
        writer.push(step.map_err(End::Source)?).await?;
    }
    Ok(writer.finish().await?)
}

fn explained(end: &End, done: &Done, work: &Work<'_>) -> CommandError {
    let so_far = match done.transactions {
        0 => "nothing was written".to_owned(),
        _ => {
            format!("{} of {} are written, {}", shown::number(done.keys), total(work), done.place())
        }
    };
    let unknown = "whether the last transaction happened is unknown";
    let (code, why) = match end {
        End::Stopped(Stopped::Interrupted) => (exit::SIGINT, "interrupted".to_owned()),
        End::Stopped(Stopped::Conflict(conflicts)) => (exit::ERROR, conflict(conflicts)),
        End::Stopped(Stopped::Unknown { cause, keys }) => {
            let from = keys.first().map(|key| shown::line(key)).unwrap_or_default();
            let keys = shown::keys(keys.len() as u64);
            (exit::ERROR, format!("{}: {keys} from {from} on", with_unknown(cause)))
        }
        End::Stopped(Stopped::Gone { key, revision }) => {
            (exit::ERROR, format!("{} was not there at revision {revision}", shown::line(key)))
        }
        End::Stopped(stopped) => (exit::ERROR, stopped.to_string()),
        End::Source(error) => (error.code(), error.to_string()),
        End::Cut => (exit::SIGINT, format!("interrupted in the middle: {unknown}")),
    };
    CommandError::Hinted { code, message: format!("{why}; {so_far}"), hint: hint(end, done, work) }
}

fn total(work: &Work<'_>) -> String {
    if work.moves {
        format!("{} puts and deletes", shown::number(work.total))
    } else {
        shown::keys(work.total)
    }
}

/// The words for a write of which nobody knows whether it happened; most say so themselves.
fn with_unknown(cause: &Failure) -> String {
    let text = cause.to_string();
    if text.contains("is unknown") {
        text
    } else {
        format!("{text}; whether it happened is unknown")
    }
}

fn hint(end: &End, done: &Done, work: &Work<'_>) -> String {
    let again = match end {
        End::Stopped(Stopped::Compacted(_) | Stopped::Gone { .. }) => None,
        End::Stopped(Stopped::Failed(failure)) => match failure.hint() {
            Some(hint) if !failure.is_connection() => return hint,
            _ => Some(work.go_on),
        },
        _ => Some(work.go_on),
    };
    let again =
        again.map(|again| format!("what is done is left as it is by the same again: {again}"));
    let back = (done.transactions > 0 && work.undoes.is_none())
        .then(|| "kvorum undo takes back what is known to be written".to_owned());
    let hints: Vec<String> = again.into_iter().chain(back).collect();
    if hints.is_empty() { "kvorum history shows what is kept".to_owned() } else { hints.join("; ") }
}

/// Names the first keys that somebody else has changed.
fn conflict(conflicts: &[Conflict]) -> String {
    const NAMED: usize = 3;
    let one = |conflict: &Conflict| {
        let key = shown::line(&conflict.key);
        match (conflict.expected, conflict.found) {
            (0, found) => format!("{key} was created at revision {found}"),
            (_, 0) => format!("{key} was deleted"),
            (_, found) => format!("{key} was changed at revision {found}"),
        }
    };
    let mut named: Vec<_> = conflicts.iter().take(NAMED).map(one).collect();
    if conflicts.len() > NAMED {
        named.push(format!("{} more", conflicts.len() - NAMED));
    }
    format!("{} since the plan was made", named.join(", "))
}
