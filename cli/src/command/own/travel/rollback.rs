//! `rollback PREFIX --to REV`

use futures::stream;
use kvorum_client::travel::{DifferenceError, Rollback, RollbackRequest, rollback};

use super::{command, compacted};
use crate::args::own::RollbackArgs;
use crate::command::own::change::{
    Done, PlanRow, Question, Summary, Work, Written, agree, carry_out,
};
use crate::command::own::progress::Progress;
use crate::command::own::shown;
use crate::command::{CommandError, Session};
use crate::output::{print_one, shell_operand};

pub(super) async fn execute(
    args: &RollbackArgs,
    session: &mut Session,
) -> Result<(), CommandError> {
    let request =
        RollbackRequest { prefix: args.prefix(), to: args.to, planned_at: args.planned_at };
    let mut progress = Progress::new(&session.manner);
    let connection = session.connection.clone();
    let planned = progress.until(rollback(&connection, &request)).await;
    drop(progress);
    let planned = planned.map_err(|error| match error {
        DifferenceError::Failure(failure) if failure.is_compacted() => {
            compacted(request.to, &format!("--prefix {}", shell_operand(&request.prefix)))
        }
        other => other.into(),
    })?;
    let operand = shell_operand(&request.prefix);
    let name =
        if request.prefix.is_empty() { "every key".into() } else { shown::line(&request.prefix) };
    let what = format!("roll {name} back to revision {}", request.to);
    let mut summary = summary(&planned);
    summary.notes.extend(foreign(&planned, &request));
    let question = Question { what: &what, one_key: false, is_recalled: false };
    let rows = planned.changes.iter().filter_map(PlanRow::of);
    let mut done = Done::default();
    if agree(&summary, rows, &question, session).await? {
        let planned_at = request.planned_at.unwrap_or(planned.planned_at);
        let to = request.to;
        let go_on = command(&format!("rollback --to {to} --planned-at {planned_at}"), session);
        let go_on = format!("{go_on} {operand}");
        let total = summary.changes();
        let work = Work { verb: "rollback", total, undoes: None, moves: false, go_on: &go_on };
        let steps = stream::iter(planned.changes.into_iter().map(|change| Ok(vec![change])));
        done = carry_out(&work, steps, session).await?;
    } else if session.manner.dry_run {
        return Ok(());
    }
    let written = Written { verb: "rolled back", done, left_alone: summary.spared };
    Ok(print_one(&written, &Written::HEADER, &session.style, &mut session.out)?)
}

fn summary(planned: &Rollback) -> Summary {
    let mut summary = Summary::beside(planned.unchanged);
    summary.spared = planned.foreign.len() as u64;
    planned.changes.iter().filter_map(PlanRow::of).for_each(|row| summary.add(&row));
    let keys = shown::keys;
    if planned.kept_leases > 0 {
        let kept = keys(planned.kept_leases);
        summary.notes.push(format!("{kept} under the lease that was had then"));
    }
    if planned.lost_leases > 0 {
        let lost = keys(planned.lost_leases);
        summary.notes.push(format!("{lost} without the lease that was had then: it is gone"));
    }
    if summary.created > 0 {
        summary
            .notes
            .push("creation revisions, and so the order of locks, do not come back".to_owned());
    }
    summary
}

/// Somebody has changed keys since the plan was made that is gone on with: they are left alone.
fn foreign(planned: &Rollback, request: &RollbackRequest) -> Option<String> {
    let (key, revision) = planned.foreign.first()?;
    let what = match revision {
        0 => "deleted".to_owned(),
        revision => format!("changed at revision {revision}"),
    };
    let more = match planned.foreign.len() - 1 {
        0 => String::new(),
        more => format!(", and {} more", shown::keys(more as u64)),
    };
    Some(format!(
        "left alone: {} was {what}, after the plan of revision {}{more}; without --planned-at these \
         are rolled back, too",
        shown::line(key),
        request.planned_at.unwrap_or_default()
    ))
}
