//! Bringing keys into the cluster: a plan that is shown first, then guarded transactions.
//!
//! Both come from reading what arrives and what is there side by side, twice and at the same
//! revisions: the number of keys is not limited by memory.

use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use kvorum_client::change::Change;
use kvorum_client::explore::{KeyValue, shared};
use kvorum_client::transfer::{Aim, Arrival, LeaseBook, LeaseRule, decide};
use kvorum_client::travel::{Difference, DifferenceError, Pair, Source};
use kvorum_client::{Connection, Get};

use crate::command::own::change::{
    Done, PLAN_HEADER, PlanRow, Question, Summary, Work, Written, carry_out, settle,
};
use crate::command::own::progress::Progress;
use crate::command::own::shown;
use crate::command::{CommandError, Session};
use crate::output::{Rows, print_one};

/// What is to happen, in words and otherwise.
pub(super) struct Carry<'a> {
    /// The verb, as the journal of writes names it.
    pub(super) verb: &'static str,
    /// What was done to keys: `imported`.
    pub(super) done: &'static str,
    /// What is about to happen: `import 3.ndjson to /a/`.
    pub(super) what: &'a str,
    /// The command that goes on where this one stopped.
    pub(super) go_on: &'a str,
    pub(super) aim: Aim,
    /// One key was named, and not a prefix.
    pub(super) one_key: bool,
    pub(super) leases: LeaseRule,
    /// What arrives had revisions, which mean something to somebody.
    pub(super) had_revisions: bool,
}

/// Where keys come from.
pub(super) trait Origin {
    /// The cluster that leases are of.
    fn cluster_id(&self) -> u64;

    /// The keys in their order, the same whenever they are asked for.
    fn open(&mut self) -> Result<Source, CommandError>;

    /// What leases were granted for, in seconds, as far as it is known.
    async fn granted_ttls_s(&mut self, leases: &[i64]) -> Result<Vec<Option<i64>>, CommandError>;

    /// Why the keys could not be read to the end.
    fn explained(&self, error: DifferenceError) -> CommandError {
        error.into()
    }
}

pub(super) async fn carry(
    carry: &Carry<'_>,
    origin: &mut impl Origin,
    session: &mut Session,
) -> Result<(), CommandError> {
    let place = Place::of(carry, &session.connection).await?;
    let mut book = LeaseBook::new(carry.leases, origin.cluster_id() == place.cluster_id);
    let summary = plan(carry, &place, origin, (&mut book, session)).await?;
    let one_key = carry.one_key && summary.overwritten == 0;
    let question = Question { what: carry.what, one_key, is_recalled: false };
    let mut done = Done::default();
    if settle(&summary, &question, session).await? {
        grant(&mut book, origin, session).await?;
        let total = summary.changes();
        let Carry { verb, go_on, .. } = carry;
        let work = Work { verb, total, undoes: None, moves: carry.aim.takes, go_on };
        let difference = place.beside(origin.open()?).await?;
        let steps = steps(difference, &carry.aim, &mut book);
        done = carry_out(&work, steps, session).await?;
        if carry.aim.takes {
            // Of a key that is moved, what was written and what was deleted are one.
            done.keys = summary.deleted;
        }
    } else if session.manner.dry_run {
        return Ok(());
    }
    let written = Written { verb: carry.done, done, left_alone: summary.spared };
    Ok(print_one(&written, &Written::HEADER, &session.style, &mut session.out)?)
}

/// What is there, at one revision.
struct Place<'a> {
    connection: Connection,
    to: &'a [u8],
    one_key: bool,
    cluster_id: u64,
    revision: i64,
}

impl<'a> Place<'a> {
    async fn of(carry: &'a Carry<'_>, connection: &Connection) -> Result<Self, CommandError> {
        let (to, one_key) = (carry.aim.to.as_slice(), carry.one_key);
        let key = if to.is_empty() { &b"\0"[..] } else { to };
        let answer = connection.get(Get { count_only: true, ..Get::key(key) }).await?;
        let head = answer.header.unwrap_or_default();
        let connection = connection.clone();
        Ok(Self { connection, to, one_key, cluster_id: head.cluster_id, revision: head.revision })
    }

    async fn beside(&self, arriving: Source) -> Result<Difference, CommandError> {
        let Self { connection, to, revision, .. } = self;
        let there = if self.one_key {
            let get = Get { revision: *revision, ..Get::key(*to) };
            let kv = connection.get(get).await?.kvs.pop();
            one(kv.map(shared), to.len())
        } else {
            Source::cluster(connection, to, *revision, true)
        };
        Ok(Difference::of(arriving, there))
    }
}

/// One key, or none.
pub(super) fn one(kv: Option<KeyValue>, prefix_len: usize) -> Source {
    Source::other(Box::new(kv.map(Ok).into_iter()), prefix_len)
}

/// Keys between which it is told how many there were.
const TOLD_EVERY: u64 = 1024;

async fn plan(
    carry: &Carry<'_>,
    place: &Place<'_>,
    origin: &mut impl Origin,
    (book, session): (&mut LeaseBook, &mut Session),
) -> Result<Summary, CommandError> {
    let mut summary = Summary::default();
    let mut progress = Progress::new(&session.manner);
    let mut difference = place.beside(origin.open()?).await?;
    let Session { style, out, manner, .. } = session;
    let mut rows = manner.dry_run.then(|| Rows::new(style, &PLAN_HEADER, out));
    let mut compared = 0_u64;
    loop {
        let next = async {
            let pair = difference.next().await?;
            if let Some(Pair::First(arriving) | Pair::Both(arriving, _)) = &pair {
                book.learn(&place.connection, arriving.lease).await?;
            }
            Ok::<_, DifferenceError>(pair)
        };
        let pair = progress.until(next).await.map_err(|error| origin.explained(error))?;
        let Some(pair) = pair else { break };
        compared += 1;
        if compared.is_multiple_of(TOLD_EVERY) {
            progress.compared(compared);
        }
        match decide(pair, &carry.aim, book) {
            Arrival::Changes(changes) => {
                for row in changes.iter().filter_map(PlanRow::of) {
                    summary.add(&row);
                    if let Some(rows) = &mut rows {
                        progress.aside(|| rows.row(&row))?;
                    }
                }
            }
            Arrival::Unchanged => summary.unchanged += 1,
            Arrival::Spared => summary.spared += 1,
            Arrival::Beside => {}
        }
    }
    drop(progress);
    rows.map_or(Ok(()), Rows::end)?;
    summary.notes = notes(carry, &summary, book);
    Ok(summary)
}

fn notes(carry: &Carry<'_>, summary: &Summary, book: &LeaseBook) -> Vec<String> {
    let keys = shown::keys;
    let tally = book.tally();
    let mut notes = Vec::new();
    if tally.kept > 0 {
        notes.push(format!("{} under the lease that was had", keys(tally.kept)));
    }
    if tally.lost > 0 {
        let why = match (carry.leases, book.is_at_home()) {
            (LeaseRule::None, _) => "as was asked for",
            (LeaseRule::New, _) => "whose time to live is unknown",
            (LeaseRule::Keep, true) => "which is gone; --leases new grants new ones",
            (LeaseRule::Keep, false) => "which is of another cluster; --leases new grants new ones",
        };
        notes.push(format!("{} without the lease that was had, {why}", keys(tally.lost)));
    }
    if tally.new > 0 {
        let leases = match book.wanted().len() {
            1 => "1 new lease".to_owned(),
            many => format!("{} new leases", shown::number(many as u64)),
        };
        notes.push(format!("{} under {leases}", keys(tally.new)));
    }
    if tally.left > 0 {
        notes.push(format!("{} no longer under the lease that is there", keys(tally.left)));
    }
    if summary.created > 0 && carry.had_revisions {
        notes.push("creation revisions and versions begin anew".to_owned());
    }
    notes
}

/// As many as a member writes to its disk together.
const GRANTED_AT_ONCE: usize = 32;

/// Grants a lease in the place of each that is wanted.
async fn grant(
    book: &mut LeaseBook,
    origin: &mut impl Origin,
    session: &mut Session,
) -> Result<(), CommandError> {
    let wanted = book.wanted();
    let mut unknown = 0;
    let granted_ttls_s = origin.granted_ttls_s(&wanted).await?;
    let connection = &session.connection;
    let granting = wanted.into_iter().zip(granted_ttls_s).map(async |(lease, granted_ttl_s)| {
        let Some(ttl_s) = granted_ttl_s else { return Ok::<_, CommandError>((lease, None)) };
        Ok((lease, Some(connection.lease_grant(ttl_s).await?.id)))
    });
    // Leases run out from here on: the fewer seconds before their keys are put, the better.
    let mut granted = stream::iter(granting).buffered(GRANTED_AT_ONCE);
    while let Some((lease, new)) = granted.try_next().await? {
        unknown += u64::from(new.is_none());
        book.became(lease, new);
    }
    drop(granted);
    if unknown > 0 {
        let text = format!(
            "warning: of {unknown} leases it is not known what they were granted for: their keys \
             come without one"
        );
        session.remark(&text);
    }
    Ok(())
}

fn steps<'a>(
    difference: Difference,
    aim: &'a Aim,
    book: &'a mut LeaseBook,
) -> impl Stream<Item = Result<Vec<Change>, CommandError>> + 'a {
    stream::try_unfold((difference, book), move |(mut difference, book)| async move {
        while let Some(pair) = difference.next().await? {
            if let Arrival::Changes(changes) = decide(pair, aim, book) {
                return Ok(Some((changes, (difference, book))));
            }
        }
        Ok(None)
    })
}
