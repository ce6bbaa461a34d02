//! A plan, as a person sees it and says yes to.

use std::fmt::Write as _;

use kvorum_client::change::{Change, Target};

use crate::command::own::shown;
use crate::command::{CommandError, Confirm, Session, guard};
use crate::output::{Row, Rows, Style, Tone, Value};

/// Keys that are named before they are written; more would push the question away.
const NAMED: usize = 12;

/// One change of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanRow {
    pub(crate) key: Vec<u8>,
    /// The revision of the key's last modification; 0: there is no such key.
    pub(crate) now: i64,
    pub(crate) becomes: Becomes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Becomes {
    Deleted,
    /// A value of so many bytes, from elsewhere.
    Bytes(usize),
    /// The value it had at a revision.
    Was(i64),
}

impl PlanRow {
    pub(crate) fn of(change: &Change) -> Option<Self> {
        let becomes = match &change.to {
            Target::Deleted => Becomes::Deleted,
            Target::Value { value, .. } => Becomes::Bytes(value.len()),
            Target::At { revision, .. } => Becomes::Was(*revision),
            Target::Unchanged => return None,
        };
        Some(Self { key: change.key.clone(), now: change.expected, becomes })
    }

    fn action(&self) -> &'static str {
        match (self.becomes, self.now) {
            (Becomes::Deleted, _) => "delete",
            (_, 0) => "create",
            _ => "overwrite",
        }
    }

    fn source(&self) -> String {
        match self.becomes {
            Becomes::Deleted => String::new(),
            Becomes::Bytes(bytes) => shown::bytes(bytes as u64),
            Becomes::Was(revision) => format!("as of revision {revision}"),
        }
    }
}

/// The columns of a plan.
pub(crate) const PLAN_HEADER: [&str; 4] = ["action", "key", "now at", "becomes"];

impl Row for PlanRow {
    fn simple(&self, style: &Style) -> String {
        let (sign, tone) = match self.action() {
            "create" => ("+", Tone::Fine),
            "delete" => ("-", Tone::Fault),
            _ => ("~", Tone::Warning),
        };
        let key = shown::line(&self.key);
        let mut line =
            format!("{} {}", style.paint.of(tone, sign), style.paint.of(Tone::Key, &key));
        if self.now != 0 {
            let _ = write!(
                line,
                "  {}",
                style.paint.of(Tone::Note, &format!("changed at {}", self.now))
            );
        }
        if self.becomes != Becomes::Deleted {
            let _ = write!(line, "  → {}", self.source());
        }
        line
    }

    fn value(&self) -> Value {
        let value = Value::map([
            ("action", Value::text(self.action())),
            ("key", Value::bytes(&self.key)),
            ("mod_revision", Value::Int(self.now)),
        ]);
        match self.becomes {
            Becomes::Deleted => value,
            Becomes::Bytes(bytes) => value.with("value_bytes", Value::Uint(bytes as u64)),
            Becomes::Was(revision) => value.with("from_revision", Value::Int(revision)),
        }
    }

    fn cells(&self) -> Vec<String> {
        let now = if self.now == 0 { String::new() } else { self.now.to_string() };
        vec![self.action().to_owned(), shown::line(&self.key), now, self.source()]
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.key)
    }
}

/// How much a plan changes, with its first rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    pub(crate) created: u64,
    pub(crate) overwritten: u64,
    pub(crate) deleted: u64,
    /// Keys that are already as they are to be.
    pub(crate) unchanged: u64,
    /// Keys that are not as they are to be, and are left alone.
    pub(crate) spared: u64,
    first: Vec<PlanRow>,
    /// What else a person has to know: about leases, about what does not come back.
    pub(crate) notes: Vec<String>,
}

impl Summary {
    /// Of a plan that leaves so many keys as they are.
    pub(crate) fn beside(unchanged: u64) -> Self {
        Self { unchanged, ..Self::default() }
    }

    pub(crate) fn add(&mut self, row: &PlanRow) {
        match row.action() {
            "create" => self.created += 1,
            "delete" => self.deleted += 1,
            _ => self.overwritten += 1,
        }
        if self.first.len() < NAMED {
            self.first.push(row.clone());
        }
    }

    /// Keys that are written or deleted.
    pub(crate) fn changes(&self) -> u64 {
        self.created + self.overwritten + self.deleted
    }

    /// `+ 3 to create  ~ 2 to overwrite  - 1 to delete  = 9 unchanged  ! 1 left alone`
    pub(crate) fn sentence(&self) -> String {
        let parts = [
            ("+", self.created, "to create"),
            ("~", self.overwritten, "to overwrite"),
            ("-", self.deleted, "to delete"),
            ("=", self.unchanged, "unchanged"),
            ("!", self.spared, "left alone"),
        ];
        let parts = parts.iter().filter(|(_, count, _)| *count > 0);
        let parts: Vec<_> = parts
            .map(|(sign, count, what)| format!("{sign} {} {what}", shown::number(*count)))
            .collect();
        if parts.is_empty() { "nothing to change".to_owned() } else { parts.join("  ") }
    }
}

/// What is asked before a plan is carried out.
pub(crate) struct Question<'a> {
    /// What is about to happen: `roll back /config/ to revision 12`.
    pub(crate) what: &'a str,
    /// One key that was named is changed without asking where nobody can be asked, as by a put.
    pub(crate) one_key: bool,
    /// What it is about is looked up, and known by heart to nobody: it is said though nobody is asked.
    pub(crate) is_recalled: bool,
}

/// Shows a plan and asks; an error is a no. Answers whether there is something to carry out: with
/// `--dry-run`, and where nothing is to change, there is not.
pub(crate) async fn agree(
    summary: &Summary,
    rows: impl IntoIterator<Item = PlanRow>,
    question: &Question<'_>,
    session: &mut Session,
) -> Result<bool, CommandError> {
    if session.manner.dry_run {
        let Session { style, out, .. } = session;
        let mut printed = Rows::new(style, &PLAN_HEADER, out);
        rows.into_iter().try_for_each(|row| printed.row(&row))?;
        printed.end()?;
    }
    settle(summary, question, session).await
}

/// As [`agree`], when the rows of a plan too large to be kept were listed where they are wanted.
pub(crate) async fn settle(
    summary: &Summary,
    question: &Question<'_>,
    session: &mut Session,
) -> Result<bool, CommandError> {
    let asks = !session.manner.yes && (session.confirm == Confirm::Ask || !question.one_key);
    if !session.manner.quiet {
        if asks || session.manner.dry_run {
            show(summary, question, session);
        } else if summary.changes() + summary.spared > 0 {
            if question.is_recalled {
                session.remark(&format!("{}: {}", question.what, summary.sentence()));
            }
            summary.notes.iter().for_each(|note| session.remark(note));
        }
    }
    if session.manner.dry_run || summary.changes() == 0 {
        return Ok(false);
    }
    if !asks {
        return Ok(true);
    }
    let planned = guard::Planned { what: question.what, count: summary.changes() };
    guard::confirm_plan(&planned, session).await.map(|()| true)
}

fn show(summary: &Summary, question: &Question<'_>, session: &mut Session) {
    let paint = session.manner.color.paint(crate::terminal::stderr_is_terminal());
    let style = Style { paint, ..Style::default() };
    let verb = if session.manner.dry_run { "would " } else { "plan: " };
    session.remark(&format!("{verb}{}", question.what));
    if !session.manner.dry_run {
        for row in &summary.first {
            session.remark(&format!("  {}", row.simple(&style)));
        }
        let more = summary.changes() - summary.first.len() as u64;
        if more > 0 {
            let more = shown::number(more);
            session.remark(&format!("  … and {more} more; --dry-run lists them all"));
        }
    }
    session.remark(&format!("  {}", summary.sentence()));
    for note in &summary.notes {
        session.remark(&format!("  {note}"));
    }
}

#[cfg(test)]
mod tests {
    use super::{Becomes, PlanRow, Summary};

    #[test]
    fn a_summary_counts_what_changes_and_leaves_out_what_there_is_none_of() {
        let row = |now, becomes| PlanRow { key: b"k".to_vec(), now, becomes };
        let mut summary = Summary { unchanged: 9120, ..Summary::default() };
        summary.add(&row(0, Becomes::Was(3)));
        summary.add(&row(7, Becomes::Bytes(4)));
        assert_eq!(summary.sentence(), "+ 1 to create  ~ 1 to overwrite  = 9,120 unchanged");
        assert_eq!(Summary::default().sentence(), "nothing to change");
        assert_eq!(summary.changes(), 2);
    }
}
