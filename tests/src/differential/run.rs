//! One seed: both servers from their first request to their last.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::answer::by_later_gateway;
use super::differences::{Differences, Unlike, unlike};
use super::generate::{Generator, Plan};
use super::side::{self, Side, Start};
use super::step::Step;
use super::tally::Tally;
use super::watching::{forget, settle};
use crate::program::Program;

/// How long what one side has told its watches may be ahead of the other. etcd looks every
/// 100 ms after watches that are behind; a machine that does much else may take far longer.
const SETTLES_WITHIN: Duration = Duration::from_secs(20);

/// How a request ends that the server did not answer, or did not survive.
const NO_ANSWER: [&str; 3] = ["differential: ", "transport error", "tcp connect error"];

/// The two servers to compare.
#[derive(Clone)]
pub struct Programs {
    pub theirs: Program,
    pub ours: Program,
}

/// A difference that no row allows.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    /// The how-manieth step it was.
    pub number: u64,
    pub step: String,
    pub subject: String,
    pub unlike: Vec<Unlike>,
    pub theirs: Value,
    pub ours: Value,
}

/// What a seed has shown: all is well, or it stopped at its failures.
#[derive(Debug, Default)]
pub struct Outcome {
    pub tally: Tally,
    pub failures: Vec<Failure>,
}

/// When a seed ends before its last request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    AtFirstFailure,
    /// To see what else there is; what comes after the first may be its consequence.
    Never,
}

/// Runs a seed on two fresh servers.
pub fn run(
    programs: &Programs,
    plan: &Plan,
    table: &Differences,
    stop: Stop,
) -> Result<Outcome, String> {
    let how = Start { jwt: plan.jwt, hosts: plan.hosts };
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| side::start(&programs.theirs, how));
        let ours = side::start(&programs.ours, how);
        (theirs.join(), ours)
    });
    let theirs = theirs.map_err(|_| "etcd does not start".to_owned())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let theirs = Side::connect(theirs).await?;
        let ours = Side::connect(ours).await?;
        let outcome = Outcome::default();
        let mut pair = Pair { theirs, ours, table, outcome, seed: plan.seed, number: 0 };
        let mut generator = Generator::new(plan);
        while let Some(step) = generator.next() {
            let answer = pair.perform(&step).await;
            generator.learn(&step, &answer);
            if stop == Stop::AtFirstFailure && !pair.outcome.failures.is_empty() {
                return Ok(pair.outcome);
            }
        }
        pair.perform(&Step::Settle).await;
        pair.outcome.tally.seeds = 1;
        Ok(pair.outcome)
    })
}

struct Pair<'a> {
    theirs: Side,
    ours: Side,
    table: &'a Differences,
    outcome: Outcome,
    seed: u64,
    number: u64,
}

impl Pair<'_> {
    /// Performs a step at both and compares; gives etcd's answer.
    async fn perform(&mut self, step: &Step) -> Value {
        self.number += 1;
        if matches!(step, Step::Settle | Step::CloseWatch(_)) {
            self.settle(step).await;
        }
        let (mut theirs, ours) = tokio::join!(self.theirs.perform(step), self.ours.perform(step));
        by_later_gateway(&mut theirs);
        self.outcome.tally.count(step, &theirs);
        self.compare(step, step.subject(), &theirs, &ours);
        theirs
    }

    async fn settle(&mut self, step: &Step) {
        if self.theirs.watches.is_quiet() {
            return;
        }
        let left = settle(&mut self.theirs.watches, &self.ours.watches, SETTLES_WITHIN).await;
        for told in self.theirs.watches.take_settled() {
            self.outcome.tally.watched(&told);
        }
        if left.is_empty() {
            return;
        }
        for unequal in left {
            let or_nothing = |told: Option<Value>| told.unwrap_or_else(|| "nothing".into());
            let (theirs, ours) = (or_nothing(unequal.theirs), or_nothing(unequal.ours));
            self.compare(step, format!("Watch/Watch of {}", unequal.watch), &theirs, &ours);
        }
        forget(&self.theirs.watches);
        forget(&self.ours.watches);
    }

    fn compare(&mut self, step: &Step, subject: String, theirs: &Value, ours: &Value) {
        let mut left = Vec::new();
        for (side, answer) in [("etcd", theirs), ("ours", ours)] {
            let text = answer.to_string();
            if NO_ANSWER.iter().any(|sign| text.contains(sign)) {
                let field = format!("{side} did not answer");
                left.push(Unlike { field, theirs: None, ours: None });
            }
        }
        for unlike in unlike(&subject, theirs, ours) {
            match self.table.row(&subject, &unlike) {
                Some(row) => self.outcome.tally.allowed(&row.name),
                None => left.push(unlike),
            }
        }
        if !left.is_empty() {
            self.outcome.failures.push(Failure {
                seed: self.seed,
                number: self.number,
                step: step.to_string(),
                subject,
                unlike: left,
                theirs: theirs.clone(),
                ours: ours.clone(),
            });
        }
    }
}

impl Failure {
    /// What makes two failures look like one: the method, the field and the values without their
    /// numbers.
    pub fn kind(&self) -> String {
        let unlike = self.unlike.iter().map(|unlike| {
            let form = |value: &Option<Value>| {
                let text = value.as_ref().map_or("absent".to_owned(), Value::to_string);
                let text: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
                text.chars().take(120).collect::<String>()
            };
            format!("{}: {} / {}", unlike.field, form(&unlike.theirs), form(&unlike.ours))
        });
        let subject = self.subject.split(" of ").next().unwrap_or_default();
        format!("{subject} {}", unlike.collect::<Vec<_>>().join("; "))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "seed {}, step {}: {}", self.seed, self.number, shortened(&self.step))?;
        for unlike in self.unlike.iter().take(SHOWN) {
            let form = |value: &Option<Value>| {
                value.as_ref().map_or("absent".to_owned(), |value| shortened(&value.to_string()))
            };
            writeln!(out, "  {} of {}", unlike.field, self.subject)?;
            writeln!(out, "    etcd: {}", form(&unlike.theirs))?;
            writeln!(out, "    ours: {}", form(&unlike.ours))?;
        }
        writeln!(out, "  etcd's whole answer: {}", shortened(&self.theirs.to_string()))?;
        writeln!(out, "  ours: {}", shortened(&self.ours.to_string()))
    }
}

/// Of the fields that differ in one answer.
const SHOWN: usize = 4;

/// Requests may be megabytes long.
fn shortened(text: &str) -> String {
    const LENGTH: usize = 900;
    match text.char_indices().nth(LENGTH) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text.to_owned(),
    }
}
