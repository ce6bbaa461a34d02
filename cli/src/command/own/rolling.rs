//! `defrag --rolling`: one member after the other, the leader last, and none while another is not
//! well: a member that is defragmented answers nobody, and two of three would be the quorum.

use std::io;
use std::time::Duration;

use kvorum_client::{Config, Connection, Crew, Failure, Hand, Trouble};
use tokio::time::{Instant, sleep};

use super::progress::Progress;
use super::shown;
use crate::command::child::code_of;
use crate::command::{CommandError, Session};
use crate::exit;
use crate::output::{Row, Rows, Style, Tone, Value, go};
use crate::signals::Relayed;

/// A member that is well says at once how it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a member may take to be well again, or to lead: elections take a second or two.
const WELL_WITHIN: Duration = Duration::from_secs(30);

const ASKED_EVERY: Duration = Duration::from_millis(100);

/// The least time that a member has for its database: some gigabytes are written anew.
const DEFRAGMENTS_WITHIN: Duration = Duration::from_secs(600);

/// Leadership that comes back so often was not given up for good.
const MAX_MOVES: u32 = 3;

pub(in crate::command) async fn execute(session: &mut Session) -> Result<(), CommandError> {
    let mut signals = Relayed::new()?;
    let mut round = Round::default();
    let style = session.style.clone();
    // One document of however many members.
    let mut out = std::mem::replace(&mut session.out, Box::new(io::sink()));
    let mut rows = Rows::new(&style, &HEADER, &mut out);
    let outcome = tokio::select! {
        outcome = round.run(&mut rows, session) => outcome,
        signal = signals.next() => Err(Stop {
            code: code_of(signal.as_raw()),
            why: "interrupted".to_owned(),
        }),
    };
    let printed = rows.end();
    session.out = out;
    outcome.map_err(|stop| round.stopped(&stop))?;
    Ok(printed?)
}

const HEADER: [&str; 5] = ["member", "endpoint", "before", "after", "took"];

/// How far it is.
#[derive(Default)]
struct Round {
    /// All members, by name.
    members: Vec<String>,
    done: Vec<(u64, String)>,
    /// The member that was asked and has not answered. It is not told to stop.
    asked: Option<String>,
    moves: u32,
    spoke_of_alarms: bool,
}

/// Why it does not go on.
struct Stop {
    code: u8,
    why: String,
}

impl<E: Into<CommandError>> From<E> for Stop {
    fn from(error: E) -> Self {
        let error = error.into();
        Self { code: error.code(), why: error.to_string() }
    }
}

fn stop(why: String) -> Stop {
    Stop { code: exit::ERROR, why }
}

impl Round {
    async fn run(&mut self, rows: &mut Rows<'_>, session: &mut Session) -> Result<(), Stop> {
        loop {
            let crew = self.well(session).await?;
            let left: Vec<_> = crew.hands.iter().filter(|hand| !self.is_done(hand)).collect();
            let next = left.iter().find(|hand| !hand.leads()).or(left.first());
            let Some(hand) = next else { return Ok(()) };
            if hand.leads() && self.hand_over(hand, &crew, session).await? {
                continue;
            }
            let done = self.defragment(hand, session).await?;
            rows.row(&done).map_err(CommandError::from)?;
            rows.flush().map_err(CommandError::from)?;
        }
    }

    fn is_done(&self, hand: &Hand) -> bool {
        self.done.iter().any(|(id, _)| *id == hand.id)
    }

    /// The members, if all of them are well.
    async fn well(&mut self, session: &mut Session) -> Result<Crew, Stop> {
        let crew = session.connection.crew(PATIENCE).await?;
        let here = crew.hands.iter().map(|hand| &hand.name);
        self.members = here.chain(&crew.absent).cloned().collect();
        self.members.sort();
        if !crew.absent.is_empty() {
            return Err(stop(format!("{} does not answer", crew.absent.join(", "))));
        }
        for hand in &crew.hands {
            let full = ill(hand, &session.connection).await.map_err(|why| {
                stop(format!("{} at {} is not well: {why}", hand.name, hand.endpoint))
            })?;
            if full && !std::mem::replace(&mut self.spoke_of_alarms, true) {
                session.remark(
                    "the alarm NOSPACE is raised: kvorum alarm disarm lowers it when there is room",
                );
            }
        }
        Ok(crew)
    }

    /// Gives the leadership to a member that is done; false if there is none to give it to.
    async fn hand_over(
        &mut self,
        leader: &Hand,
        crew: &Crew,
        session: &mut Session,
    ) -> Result<bool, Stop> {
        let heir = crew.hands.iter().find(|hand| self.is_done(hand) && !hand.is_learner);
        let Some(heir) = heir else {
            session.remark(&format!(
                "warning: {} is the only member with a vote: nobody is answered meanwhile",
                leader.name
            ));
            return Ok(false);
        };
        self.moves += 1;
        if self.moves > MAX_MOVES {
            return Err(stop(format!("the leadership comes back to {}", leader.name)));
        }
        session.connection.move_leader(&leader.endpoint, heir.id).await?;
        let since = Instant::now();
        while since.elapsed() < WELL_WITHIN {
            let status = session.connection.status(&heir.endpoint).await;
            if status.is_ok_and(|status| status.leader == heir.id) {
                session.remark(&format!("{} leads, in the place of {}", heir.name, leader.name));
                return Ok(true);
            }
            sleep(ASKED_EVERY).await;
        }
        Err(stop(format!("{} does not lead within {WELL_WITHIN:?}", heir.name)))
    }

    async fn defragment<'a>(
        &mut self,
        hand: &'a Hand,
        session: &mut Session,
    ) -> Result<Done<'a>, Stop> {
        let (place, count) = (self.done.len() + 1, self.members.len());
        let before = size(&session.connection.status(&hand.endpoint).await?);
        let mut progress = Progress::new(&session.manner);
        let working =
            format!("defragmenting {}, {place} of {count}, {}", hand.name, shown::bytes(before));
        let patient = patient(&session.connection)?;
        let since = Instant::now();
        self.asked = Some(hand.name.clone());
        let answer = progress.while_that(working, patient.defragment(&hand.endpoint)).await;
        if answer.as_ref().map_or_else(|failure| failure.code().is_some(), |_| true) {
            self.asked = None;
        }
        answer?;
        self.done.push((hand.id, hand.name.clone()));
        let took = since.elapsed();
        let again = format!("waiting until {} is well again", hand.name);
        progress.while_that(again, well_again(hand, &session.connection)).await?;
        drop(progress);
        let after = size(&session.connection.status(&hand.endpoint).await?);
        Ok(Done { hand, before, after, took })
    }

    /// What is said at the end of a round that is not whole.
    fn stopped(&self, stop: &Stop) -> CommandError {
        let done: Vec<_> = self.done.iter().map(|(_, name)| name.as_str()).collect();
        let is_left = |name: &&str| !done.contains(name) && self.asked.as_deref() != Some(name);
        let left: Vec<_> = self.members.iter().map(String::as_str).filter(is_left).collect();
        let said = |names: &[&str]| {
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        let asked = self.asked.as_ref();
        let asked =
            asked.map_or_else(String::new, |name| format!("; asked, without an answer: {name}"));
        let (done, left) = (said(&done), said(&left));
        CommandError::Hinted {
            code: stop.code,
            message: format!("{}; defragmented: {done}{asked}; not defragmented: {left}", stop.why),
            hint:
                "kvorum doctor looks for the cause; the same command begins again with every member"
                    .to_owned(),
        }
    }
}

/// Whether the member is full, which this is good against; why it is not well, else.
async fn ill(hand: &Hand, connection: &Connection) -> Result<bool, String> {
    // A learner answers no reads that are linearizable; it has just answered for itself.
    if hand.is_learner {
        return Ok(false);
    }
    match connection.health(&hand.endpoint).await.trouble {
        None => Ok(false),
        Some(Trouble::Failed(failure)) => Err(failure.to_string()),
        Some(Trouble::Alarms(names)) if names.iter().all(|name| *name == "NOSPACE") => Ok(true),
        Some(Trouble::Alarms(names)) => Err(format!("alarm {}", names.join(", "))),
        Some(Trouble::AlarmsUnknown) => Err("its alarms cannot be read".to_owned()),
    }
}

async fn well_again(hand: &Hand, connection: &Connection) -> Result<(), Stop> {
    let since = Instant::now();
    loop {
        match ill(hand, connection).await {
            Ok(_) => return Ok(()),
            Err(why) if since.elapsed() > WELL_WITHIN => {
                return Err(stop(format!("{} is not well after it: {why}", hand.name)));
            }
            Err(_) => sleep(ASKED_EVERY).await,
        }
    }
}

fn patient(connection: &Connection) -> Result<Connection, Failure> {
    let config = connection.config().clone();
    let command_timeout = config.command_timeout.max(DEFRAGMENTS_WITHIN);
    let patient = Connection::new(Config { command_timeout, ..config })?;
    patient.set_read_only(connection.is_read_only());
    Ok(patient)
}

fn size(status: &kvorum_client::pb::StatusResponse) -> u64 {
    status.db_size.unsigned_abs()
}

struct Done<'a> {
    hand: &'a Hand,
    before: u64,
    after: u64,
    took: Duration,
}

impl Row for Done<'_> {
    fn simple(&self, style: &Style) -> String {
        let name = style.paint.of(Tone::Key, &style.shown(&self.hand.name));
        let (before, after) = (shown::bytes(self.before), shown::bytes(self.after));
        let (endpoint, took) = (&self.hand.endpoint, go::duration(self.took));
        format!("{name} at {endpoint}: {before} before, {after} after, took {took}")
    }

    fn value(&self) -> Value {
        Value::map([
            ("member", Value::text(&self.hand.name)),
            ("member_id", Value::id(self.hand.id)),
            ("endpoint", Value::text(self.hand.endpoint.to_string())),
            ("bytes_before", Value::Uint(self.before)),
            ("bytes_after", Value::Uint(self.after)),
            ("took_ms", Value::Uint(u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX))),
        ])
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.hand.name.clone(),
            self.hand.endpoint.to_string(),
            shown::bytes(self.before),
            shown::bytes(self.after),
            go::duration(self.took),
        ]
    }
}
