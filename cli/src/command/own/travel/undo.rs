//! `undo`

use std::collections::{BTreeSet, HashMap};

use futures::stream;
use kvorum_client::KeyRange;
use kvorum_client::change::{Entry, Journal};
use kvorum_client::travel::{DifferenceError, Undoing, undoing};

use super::command;
use crate::args::own::UndoArgs;
use crate::command::own::change::{
    Done, PlanRow, Question, Summary, Work, Written, agree, carry_out,
};
use crate::command::own::progress::Progress;
use crate::command::own::shown;
use crate::command::remember::settled;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{Row, Rows, Style, Value, print_one};

pub(super) async fn execute(args: &UndoArgs, session: &mut Session) -> Result<(), CommandError> {
    let (writes, undone) = writes(session).await?;
    if args.list {
        let Session { style, out, .. } = session;
        let mut rows = Rows::new(style, &["number", "when", "verb", "keys", "revision"], out);
        for (at, write) in writes.iter().enumerate() {
            rows.row(&Listed { number: at + 1, write })?;
        }
        return Ok(rows.end()?);
    }
    let chosen = match args.rev {
        None => writes.get(args.number as usize - 1),
        Some(revision) => {
            writes.iter().find(|write| write.parts.iter().any(|part| part.revision == revision))
        }
    };
    let Some(write) = chosen else {
        return Err(nothing(args, writes.len()));
    };
    if write.parts.first().is_some_and(|first| first.part > 1) {
        return Err(forgotten(write));
    }
    let connection = session.connection.clone();
    let transactions: Vec<(i64, Vec<KeyRange>)> =
        write.parts.iter().map(|part| (part.revision, part.touched())).collect();
    let mut progress = Progress::new(&session.manner);
    let found = progress.until(undoing(&connection, &transactions, &undone)).await;
    drop(progress);
    let found = found.map_err(|error| match error {
        DifferenceError::Failure(failure) if failure.is_compacted() => {
            let message = format!("what was before revision {} was compacted", write.revision());
            CommandError::Other { code: exit::ERROR, message }
        }
        other => other.into(),
    })?;
    if !args.rest
        && let Some(conflict) = changed_since(&found)
    {
        return Err(conflict);
    }
    take_back(args, write, found, session).await
}

async fn take_back(
    args: &UndoArgs,
    write: &Write,
    found: Undoing,
    session: &mut Session,
) -> Result<(), CommandError> {
    let mut summary = Summary::beside(found.settled);
    summary.spared = found.changed_since.len() as u64;
    found.changes.iter().filter_map(PlanRow::of).for_each(|row| summary.add(&row));
    if found.kept_leases > 0 {
        let kept = shown::keys(found.kept_leases);
        summary.notes.push(format!("{kept} under the lease that was had then"));
    }
    if found.lost_leases > 0 {
        let lost = shown::keys(found.lost_leases);
        summary.notes.push(format!("{lost} without the lease that was had then: it is gone"));
    }
    if summary.created > 0 {
        summary.notes.push("creation revisions do not come back".to_owned());
    }
    if summary.spared > 0 {
        let left = shown::keys(summary.spared);
        summary.notes.push(format!("{left} changed by somebody since: left alone"));
    }
    let what = format!("undo {}", write.name());
    let question = Question { what: &what, one_key: summary.changes() == 1, is_recalled: true };
    let rows = found.changes.iter().filter_map(PlanRow::of);
    let mut done = Done::default();
    if agree(&summary, rows, &question, session).await? {
        let rest = if args.rest { " --rest" } else { "" };
        let go_on = command(&format!("undo{rest} --rev {}", write.revision()), session);
        let total = summary.changes();
        let work =
            Work { verb: "undo", total, undoes: Some(write.number), moves: false, go_on: &go_on };
        let steps = stream::iter(found.changes.into_iter().map(|change| Ok(vec![change])));
        done = carry_out(&work, steps, session).await?;
    }
    if session.manner.dry_run {
        return Ok(());
    }
    settled(write.number, write.cluster_id, session);
    let written = Written { verb: "as before again", done, left_alone: summary.spared };
    Ok(print_one(&written, &Written::HEADER, &session.style, &mut session.out)?)
}

/// A write that can be taken back.
struct Write {
    number: u64,
    cluster_id: u64,
    /// Its transactions, the oldest first. Never none.
    parts: Vec<Entry>,
}

impl Write {
    /// At which it began.
    fn revision(&self) -> i64 {
        self.parts.first().map_or(0, |part| part.revision)
    }

    fn keys(&self) -> usize {
        self.parts.iter().map(|part| part.keys.len()).sum()
    }

    /// `put of /a at revision 12`
    fn name(&self) -> String {
        let Some(first) = self.parts.first() else { return String::new() };
        format!("{} of {} at revision {}", first.verb, self.what(), first.revision)
    }

    /// What was written, as far as names tell.
    fn what(&self) -> String {
        let ranges: usize = self.parts.iter().map(|part| part.ranges.len()).sum();
        let only = |part: &Entry| part.touched().first().map(shown::range);
        match (self.keys(), ranges) {
            (1, 0) | (0, 1) => self.parts.first().and_then(only).unwrap_or_default(),
            (keys, 0) => shown::keys(keys as u64),
            (0, ranges) => format!("{ranges} ranges"),
            (keys, 1) => format!("{}, 1 range", shown::keys(keys as u64)),
            (keys, ranges) => format!("{}, {ranges} ranges", shown::keys(keys as u64)),
        }
    }
}

/// What a person wrote to this cluster and has not taken back, the newest first; and the revisions
/// at which something was taken back.
async fn writes(session: &mut Session) -> Result<(Vec<Write>, BTreeSet<i64>), CommandError> {
    let Some(places) = session.places.clone() else {
        let message = "without a home nothing is remembered that could be taken back".to_owned();
        return Err(CommandError::Other { code: exit::ERROR, message });
    };
    let journal = Journal::at(&places);
    let entries = journal.entries().map_err(|error| CommandError::Other {
        code: exit::ERROR,
        message: format!("{}: {error}", journal.path().display()),
    })?;
    let header = session.connection.status_of_any().await?.header.unwrap_or_default();
    let here = entries.into_iter().filter(|entry| entry.cluster_id == header.cluster_id);
    let here = of_this_life(here, header.revision);
    let undone = here.iter().filter(|entry| entry.undoes.is_some()).map(|entry| entry.revision);
    let undone = undone.collect();
    Ok((undoable(here.into_iter()), undone))
}

/// Two processes may write to the journal in another order than to the cluster, but not for long.
const OUT_OF_ORDER_MS: u64 = 10_000;

/// A cluster that was made anew with the same addresses has the same id and begins its revisions
/// again: what was written to the one before is not there any more.
fn of_this_life(entries: impl Iterator<Item = Entry>, newest: i64) -> Vec<Entry> {
    let mut kept: Vec<Entry> = Vec::new();
    let (mut highest, mut at_ms) = (0, 0);
    for entry in entries {
        if entry.revision == 0 {
            kept.push(entry);
            continue;
        }
        if entry.revision <= highest && entry.at_ms > at_ms + OUT_OF_ORDER_MS {
            kept.clear();
            highest = 0;
        }
        highest = highest.max(entry.revision);
        at_ms = at_ms.max(entry.at_ms);
        kept.push(entry);
    }
    // A member that is behind by a moment is told from a cluster that began again by what it lacks.
    if highest > newest + MOST_BEHIND { Vec::new() } else { kept }
}

/// Revisions that a member which answers may not have heard of yet.
const MOST_BEHIND: i64 = 1000;

fn undoable(entries: impl Iterator<Item = Entry>) -> Vec<Write> {
    let mut writes: Vec<Write> = Vec::new();
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut settled = BTreeSet::new();
    for entry in entries {
        if let Some(undone) = entry.undoes {
            // An undo that was stopped has not said that it is done.
            if entry.touched().is_empty() {
                settled.insert(undone);
            }
            continue;
        }
        let place = *places.entry(entry.write).or_insert(writes.len());
        match writes.get_mut(place) {
            Some(write) => write.parts.push(entry),
            None => writes.push(Write {
                number: entry.write,
                cluster_id: entry.cluster_id,
                parts: vec![entry],
            }),
        }
    }
    writes.retain(|write| !settled.contains(&write.number));
    writes.reverse();
    writes
}

fn nothing(args: &UndoArgs, there_are: usize) -> CommandError {
    let which = match args.rev {
        Some(revision) => format!("write of revision {revision}"),
        None => format!("write {}", args.number),
    };
    let message = match there_are {
        0 => "nothing that was written from here can be taken back".to_owned(),
        _ => format!("there is no {which} that could be taken back: undo --list shows {there_are}"),
    };
    let hint = "kvorum history KEY shows what a key was, kvorum restore KEY@REV brings it back";
    CommandError::Hinted { code: exit::ERROR, message, hint: hint.to_owned() }
}

fn forgotten(write: &Write) -> CommandError {
    let revision = write.revision();
    CommandError::Hinted {
        code: exit::ERROR,
        message: "the write was so large that its beginning is no longer remembered".to_owned(),
        hint: format!(
            "kvorum rollback PREFIX --to REV goes back by revision; what is remembered begins at \
             {revision}"
        ),
    }
}

fn changed_since(found: &Undoing) -> Option<CommandError> {
    let (key, revision) = found.changed_since.first()?;
    let what = match revision {
        0 => "was deleted since".to_owned(),
        revision => format!("was changed since, at revision {revision}"),
    };
    let more = match found.changed_since.len() - 1 {
        0 => String::new(),
        more => format!(", and {} more", shown::keys(more as u64)),
    };
    Some(CommandError::Hinted {
        code: exit::ERROR,
        message: format!("nothing was written: {} {what}{more}", shown::line(key)),
        hint: "kvorum undo --rest takes back what nobody has changed since".to_owned(),
    })
}

/// A write in the list.
struct Listed<'a> {
    number: usize,
    write: &'a Write,
}

impl Listed<'_> {
    fn verb(&self) -> &str {
        self.write.parts.first().map_or("", |part| part.verb.as_str())
    }

    fn when(&self) -> String {
        shown::moment(self.write.parts.first().map_or(0, |part| part.at_ms))
    }
}

impl Row for Listed<'_> {
    fn simple(&self, _: &Style) -> String {
        let (revision, what) = (self.write.revision(), self.write.what());
        format!("{:>3}  {}  revision {revision}  {} {what}", self.number, self.when(), self.verb())
    }

    fn value(&self) -> Value {
        let keys = self.write.parts.iter().flat_map(|part| &part.keys);
        let keys = keys.map(|key| Value::bytes(&key.0));
        Value::map([
            ("number", Value::Uint(self.number as u64)),
            ("when", Value::text(self.when())),
            ("verb", Value::text(self.verb())),
            ("keys", Value::list(keys)),
            ("revision", Value::Int(self.write.revision())),
        ])
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.number.to_string(),
            self.when(),
            self.verb().to_owned(),
            self.write.what(),
            self.write.revision().to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use kvorum_client::change::Entry;

    use super::{of_this_life, undoable};

    fn entry(write: u64, part: u32, undoes: Option<u64>, keys: &[&str]) -> Entry {
        Entry {
            at_ms: 0,
            cluster_id: 1,
            verb: "put".to_owned(),
            write,
            part,
            revision: 10 + i64::from(part),
            keys: keys.iter().map(|key| key.as_bytes().into()).collect(),
            ranges: Vec::new(),
            undoes,
        }
    }

    fn numbers(entries: Vec<Entry>) -> Vec<u64> {
        undoable(entries.into_iter()).iter().map(|write| write.number).collect()
    }

    #[test]
    fn what_was_written_to_a_cluster_that_began_again_is_forgotten() {
        let at = |at_ms, revision| Entry { at_ms, revision, ..entry(1, 1, None, &["a"]) };
        let revisions = |entries: Vec<Entry>, newest| {
            let kept = of_this_life(entries.into_iter(), newest);
            kept.iter().map(|entry| entry.revision).collect::<Vec<_>>()
        };
        assert_eq!(revisions(vec![at(0, 5), at(90_000, 9)], 9), [5, 9]);
        assert_eq!(revisions(vec![at(0, 9), at(2, 8)], 9), [9, 8]);
        assert_eq!(revisions(vec![at(0, 5), at(90_000, 3)], 9), [3]);
        assert_eq!(revisions(vec![at(0, 5000)], 9), [0; 0]);
    }

    #[test]
    fn the_newest_write_comes_first_and_what_was_taken_back_is_gone() {
        let put = |write| entry(write, 1, None, &["a"]);
        assert_eq!(numbers(vec![put(1), put(2), entry(2, 2, None, &["b"])]), [2, 1]);
        let half_undone = vec![put(1), put(2), entry(3, 1, Some(2), &["a"])];
        assert_eq!(numbers(half_undone.clone()), [2, 1]);
        let undone = [half_undone, vec![entry(4, 1, Some(2), &[])]].concat();
        assert_eq!(numbers(undone), [1]);
    }
}
