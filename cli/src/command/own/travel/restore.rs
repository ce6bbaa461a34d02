//! `restore KEY@REV`

use futures::stream;
use kvorum_client::change::{Change, Target, settle_leases};
use kvorum_client::{Failure, Get, pb};

use super::{command, compacted};
use crate::args::own::RestoreArgs;
use crate::command::own::change::{
    Done, PlanRow, Question, Summary, Work, Written, agree, carry_out,
};
use crate::command::own::shown;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{print_one, shell_operand, shell_word};

pub(super) async fn execute(args: &RestoreArgs, session: &mut Session) -> Result<(), CommandError> {
    let (key, revision) = args.place()?;
    let connection = session.connection.clone();
    let then = connection.get(Get { revision, ..Get::key(key.clone()) }).await;
    let then = then.map_err(|failure| gone(failure, &key, revision))?.kvs.pop();
    let Some(then) = then else { return Err(absent(&key, revision, session)) };
    let now = connection.get(Get::key(key.clone())).await?.kvs.pop();
    let leases = settle_leases(&connection, [then.lease]).await?;
    let lease = leases.alive_or_none(then.lease);
    let mut summary = Summary::default();
    let to = Target::At { key: key.clone(), revision, lease };
    let expected = now.as_ref().map_or(0, |kv| kv.mod_revision);
    let change = Change { key: key.clone(), expected, to };
    let row = PlanRow::of(&change);
    if now.as_ref().is_some_and(|now| now.value == then.value && now.lease == lease) {
        summary.unchanged = 1;
    } else if let Some(row) = &row {
        summary.add(row);
    }
    summary.notes = notes(&then, now.as_ref(), lease);
    let name = shown::line(&key);
    let what = format!("restore {name} as of revision {revision}");
    let rows = row.filter(|_| summary.unchanged == 0);
    let question = Question { what: &what, one_key: true, is_recalled: false };
    let mut done = Done::default();
    if agree(&summary, rows, &question, session).await? {
        let place = [&key[..], format!("@{revision}").as_bytes()].concat();
        let go_on = format!("{} {}", command("restore", session), shell_operand(&place));
        let work = Work { verb: "restore", total: 1, undoes: None, moves: false, go_on: &go_on };
        done = carry_out(&work, stream::iter([Ok(vec![change])]), session).await?;
    } else if session.manner.dry_run {
        return Ok(());
    }
    let written = Written { verb: "restored", done, left_alone: 0 };
    Ok(print_one(&written, &Written::HEADER, &session.style, &mut session.out)?)
}

fn notes(then: &pb::KeyValue, now: Option<&pb::KeyValue>, lease: i64) -> Vec<String> {
    let mut notes = Vec::new();
    match (then.lease, lease) {
        (0, _) => {}
        (had, 0) => notes.push(format!("lease {had:016x} is gone: the key comes without one")),
        (had, _) => notes.push(format!("the key comes back under lease {had:016x}")),
    }
    if then.lease == 0
        && let Some(now) = now.filter(|now| now.lease != 0)
    {
        notes.push(format!("the key leaves lease {:016x}, which it did not have", now.lease));
    }
    if now.is_none() {
        notes.push("its creation revision does not come back".to_owned());
    }
    notes
}

/// What can no longer be read, with what to do.
fn gone(failure: Failure, key: &[u8], revision: i64) -> CommandError {
    if !failure.is_compacted() {
        return failure.into();
    }
    compacted(revision, &format!("--all {}", shell_operand(key)))
}

fn absent(key: &[u8], revision: i64, session: &Session) -> CommandError {
    let code = if session.manner.exit_status { exit::finer::NOT_FOUND } else { exit::ERROR };
    let word = shell_word(key);
    CommandError::Hinted {
        code,
        message: format!("there was no key {} at revision {revision}", shown::line(key)),
        hint: format!(
            "kvorum history {word} --all shows its revisions; a key that was deleted at a revision \
             is restored from the one before"
        ),
    }
}
