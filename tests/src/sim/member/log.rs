//! The log thread: writes what the node wants durable, with one sync for all that waits.

use kvorum_core::node::{Group, Input};
use kvorum_server::stage::{LogStage, LogWork};

use super::{Place, Thread};
use crate::sim::time::{MS, Time, US};
use crate::sim::world::World;

/// As in the runtime: a log that was idle for so long says that all in it is durable.
const IDLE: Time = 50 * MS;

pub(in crate::sim) struct LogThread {
    pub(super) stage: LogStage,
    work: Vec<LogWork>,
    /// What is under way and was not yet performed.
    taken: Vec<LogWork>,
    /// What was performed and is not yet heard of.
    answers: Vec<Input>,
    /// It holds all again that it acknowledged.
    completed: bool,
    mark_at: Option<Time>,
}

impl LogThread {
    pub(super) fn new(stage: LogStage) -> LogThread {
        let (work, taken, answers) = Default::default();
        LogThread { stage, work, taken, answers, completed: false, mark_at: None }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.work.is_empty()
    }

    fn perform(&mut self) -> Result<(), String> {
        let answers = &mut self.answers;
        self.completed |= self.taken.iter().any(|work| matches!(work, LogWork::Complete));
        let performed = self.stage.perform(self.taken.drain(..), |input| answers.push(input));
        performed.map_err(|error| format!("cannot use the log: {error}"))
    }
}

impl World {
    pub(super) fn append(&mut self, place: Place, group: Group) {
        let now = self.agenda.now();
        let last = group.entries.last().map_or(0, |entry| entry.index);
        let numbers = [place.member as u64, group.number, group.entries.len() as u64, last];
        self.trace.note(now, "append", &numbers, || {
            let hard_state = &group.hard_state;
            let entries = group.entries.len();
            let number = group.number;
            let member = place.member;
            format!("m{member}: group {number}, {entries} entries up to {last}, {hard_state:?}")
        });
        if let Some(life) = self.life(place) {
            life.log.work.push(LogWork::Append(group));
        }
        self.call(place.member, Thread::Log);
    }

    pub(super) fn fetch(&mut self, place: Place, (low, high): (u64, u64), max_bytes: u64) {
        self.figures.note("fetches");
        if let Some(life) = self.life(place) {
            life.log.work.push(LogWork::Fetch { low, high, max_bytes });
        }
        self.call(place.member, Thread::Log);
    }

    pub(super) fn release(&mut self, place: Place, upto: u64) {
        let now = self.agenda.now();
        let numbers = [place.member as u64, upto];
        self.trace.note(now, "cut log", &numbers, || format!("m{}: up to {upto}", place.member));
        self.figures.note("logs cut");
        if let Some(life) = self.life(place) {
            life.log.work.push(LogWork::Release { upto });
        }
        self.call(place.member, Thread::Log);
    }

    pub(super) fn log_complete(&mut self, place: Place) {
        self.figures.note("logs complete again");
        if let Some(life) = self.life(place) {
            life.log.work.push(LogWork::Complete);
        }
        self.call(place.member, Thread::Log);
    }

    /// Some work reaches the disk when it begins and some when it ends, so that a crash in
    /// between finds either.
    pub(super) fn log_begins(&mut self, place: Place) -> Result<Option<Time>, String> {
        let now = self.agenda.now();
        let early = self.random.chance(50);
        let busy = self.random.skewed(self.plan.sync);
        let Some(life) = self.life(place) else { return Ok(None) };
        let log = &mut life.log;
        if log.work.is_empty() {
            if log.mark_at.is_some_and(|at| at <= now) && log.stage.is_unmarked() {
                log.mark_at = None;
                log.stage.mark().map_err(|error| format!("cannot write the log: {error}"))?;
                return Ok(Some(50 * US));
            }
            return Ok(None);
        }
        log.taken = std::mem::take(&mut log.work);
        log.mark_at = None;
        if early {
            log.perform()?;
        }
        Ok(Some(busy))
    }

    pub(super) fn log_ends(&mut self, place: Place) -> Result<Option<Time>, String> {
        let now = self.agenda.now();
        let Some(life) = self.life(place) else { return Ok(None) };
        let log = &mut life.log;
        if !log.taken.is_empty() {
            log.perform()?;
        }
        let answers = std::mem::take(&mut log.answers);
        let completed = std::mem::take(&mut log.completed);
        if log.stage.is_unmarked() {
            log.mark_at = Some(now + IDLE);
            self.call_at(place, Thread::Log, now + IDLE);
        }
        if completed {
            self.members[place.member].incomplete = false;
        }
        for answer in answers {
            if let Input::Persisted { number } = answer {
                let numbers = [place.member as u64, number];
                self.trace.note(now, "persisted", &numbers, || {
                    format!("m{}: group {number}", place.member)
                });
            }
            self.input(place.member, answer);
        }
        Ok(None)
    }
}
