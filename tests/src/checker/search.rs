//! The search for an order of everything that explains every answer: Wing and Gong's, with Lowe's
//! memory of what was tried, steered by the revisions.
//!
//! A point of the search is a state and the set of operations that already took effect. From
//! there an operation may be next if no operation left over had returned before it was called.
//! Three rules cut what would be tried without a chance, and lose nothing:
//!
//! - What changes nothing and answers as it did is taken at once: everything else can still
//!   happen after it.
//! - The next revision is made only when nothing answered with this one is left. If a write was
//!   acknowledged with the next revision it is that one; else it is one of unknown outcome, or
//!   the end of a lease.
//! - An operation of unknown outcome that makes no revision is taken only when something that is
//!   due does not fit and both are about the same lease, or about compaction. It may always be
//!   put off until then, since until then nobody can tell.

use std::collections::HashSet;

use super::evidence::{Clash, Evidence};
use super::history::Response;
use super::perform::Action;
use super::state::{Mark, State, digest};
use super::step::{Effect, Expect, Step, Steps};
use crate::rules::Refusal;

pub(super) struct Search<'s> {
    pub(super) steps: &'s [Step<'s>],
    pub(super) stale: &'s [Step<'s>],
    pub(super) evidence: &'s Evidence<'s>,
    pub(super) state: State,
    pub(super) placed: Vec<bool>,
    /// What took effect, in order.
    pub(super) trail: Vec<usize>,
    /// By revision, from 2 on: what made it.
    pub(super) makers: Vec<usize>,
    /// By revision: what answered with it; in order of calls.
    pub(super) pinned: Vec<Vec<usize>>,
    /// By revision: how many of those are left.
    left: Vec<usize>,
    /// By revision: the acknowledged write that made it.
    pub(super) writers: Vec<Option<usize>>,
    /// By revision: serializable reads of it.
    past: Vec<Vec<usize>>,
    /// What did happen, but at no told revision; in order of calls.
    floating: Vec<usize>,
    /// All floating ones before this one took effect.
    next_float: usize,
    /// What may happen; the latest call first, which is the likelier to have been on its way.
    unknown: Vec<Unknown>,
    /// What did happen, in order of returns, and the first of it that is left.
    returns: Vec<usize>,
    next_return: usize,
    missing: usize,
    tried: HashSet<u64>,
}

struct Unknown {
    step: usize,
    /// Another one of unknown outcome may depend on it.
    serves: bool,
}

struct Frame {
    point: Point,
    choices: std::vec::IntoIter<usize>,
}

#[derive(Clone, Copy)]
struct Point {
    mark: Mark,
    trail: usize,
    next_return: usize,
    next_float: usize,
}

/// Why a step cannot be next.
pub(super) enum Misfit<'s> {
    Answer(Box<Result<Response, Refusal>>, i64),
    Evidence(Clash<'s>),
    /// The revision it would make is not what was read of it.
    Stale(&'s Step<'s>, Box<Result<Response, Refusal>>),
    /// It would do nothing.
    Idle,
    /// It would make a revision too early.
    Closed,
}

pub(super) enum End {
    Found,
    /// The farthest point's explanation, made by the caller's function.
    Lost(Option<super::Violation>),
    GaveUp(Option<super::Violation>),
}

impl<'s> Search<'s> {
    pub(super) fn new(steps: &'s Steps<'s>, evidence: &'s Evidence<'s>) -> Search<'s> {
        let all = &steps.ordered[..];
        let slots = evidence.last as usize + 2;
        let mut search = Search {
            steps: all,
            stale: &steps.stale,
            evidence,
            state: State::new(),
            placed: vec![false; all.len()],
            trail: Vec::new(),
            makers: Vec::new(),
            pinned: vec![Vec::new(); slots],
            left: vec![0; slots],
            writers: vec![None; slots],
            past: vec![Vec::new(); slots],
            floating: Vec::new(),
            next_float: 0,
            unknown: Vec::new(),
            returns: Vec::new(),
            next_return: 0,
            missing: 0,
            tried: HashSet::new(),
        };
        search.sort_out();
        search
    }

    fn sort_out(&mut self) {
        let mut calls: Vec<usize> = (0..self.steps.len()).collect();
        calls.sort_by_key(|index| self.steps[*index].call);
        for index in calls {
            let step = &self.steps[index];
            if step.is_unknown() {
                self.unknown.insert(0, Unknown { step: index, serves: self.serves(index) });
                continue;
            }
            self.returns.push(index);
            let Some(revision) = step.revision() else {
                self.floating.push(index);
                continue;
            };
            self.pinned[revision as usize].push(index);
            self.left[revision as usize] += 1;
            if step.effect == Effect::Write {
                self.writers[revision as usize] = Some(index);
            }
        }
        self.returns.sort_by_key(|index| self.steps[*index].end);
        self.missing = self.returns.len();
        for (index, step) in self.stale.iter().enumerate() {
            if let Some(revision) = step.revision() {
                self.past[revision as usize].push(index);
            }
        }
    }

    /// A put of unknown outcome may need a grant of unknown outcome, or, if a lease was granted
    /// twice, its end in between.
    fn serves(&self, index: usize) -> bool {
        let of = |index: usize| self.steps[index].leases.first().copied();
        let grant = |step: &Step| matches!(step.action, Action::Grant { .. });
        match self.steps[index].action {
            Action::Grant { .. } => true,
            Action::Revoke { .. } | Action::Expire { .. } => {
                let grants = self.steps.iter().filter(|step| grant(step));
                grants.filter(|step| step.leases.first().copied() == of(index)).count() > 1
            }
            _ => false,
        }
    }

    /// Looks for an order. `explain` says what is in the way where no step fits; it is asked
    /// where the search came farther than before.
    pub(super) fn run(
        &mut self,
        budget: usize,
        explain: impl Fn(&mut Self) -> super::Violation,
    ) -> End {
        let mut frames: Vec<Frame> = Vec::new();
        let (mut farthest, mut why) = (0, None);
        if self.past_fits().is_err() {
            return End::Lost(Some(explain(self)));
        }
        for _ in 0..budget {
            self.settle();
            if self.missing == 0 && self.state.revision >= self.evidence.last {
                return End::Found;
            }
            let mut fitting = self.fitting();
            if let [only] = fitting[..]
                && self.attempt(only).is_ok()
            {
                continue;
            }
            if fitting.len() < 2 {
                if why.is_none() || self.trail.len() > farthest {
                    farthest = self.trail.len();
                    why = Some(explain(self));
                }
            } else if self.tried.insert(self.digest()) {
                let point = self.point();
                let first = fitting.remove(0);
                frames.push(Frame { point, choices: fitting.into_iter() });
                let fits = self.attempt(first);
                debug_assert!(fits.is_ok(), "it fitted before");
                continue;
            }
            if !self.take_back(&mut frames) {
                return End::Lost(why);
            }
        }
        End::GaveUp(why)
    }

    /// Goes back to the last choice and takes the next one.
    fn take_back(&mut self, frames: &mut Vec<Frame>) -> bool {
        while let Some(frame) = frames.last_mut() {
            let point = frame.point;
            let choice = frame.choices.next();
            if frame.choices.as_slice().is_empty() {
                frames.pop();
            }
            self.return_to(&point);
            if choice.is_some_and(|choice| self.attempt(choice).is_ok()) {
                return true;
            }
        }
        false
    }

    /// Takes everything that changes nothing and answers as it did.
    fn settle(&mut self) {
        loop {
            let before = self.trail.len();
            let revision = self.state.revision as usize;
            for floats in [false, true] {
                let mut place = if floats { self.next_float } else { 0 };
                loop {
                    let pinned = self.pinned.get(revision).map_or(&[][..], |it| it);
                    let list = if floats { &self.floating } else { pinned };
                    let Some(&index) = list.get(place).filter(|index| self.may(**index)) else {
                        break;
                    };
                    place += 1;
                    if !self.placed[index] && self.steps[index].effect == Effect::None {
                        // What does not fit yet stays where it is.
                        let _ = self.attempt(index);
                    }
                }
            }
            if self.trail.len() == before {
                return;
            }
        }
    }

    /// The steps that may be next, the likeliest first; a single one may turn out not to fit.
    fn fitting(&mut self) -> Vec<usize> {
        let point = self.point();
        let revision = self.state.revision;
        let due = self.due();
        let mut fitting = Vec::new();
        let (makers, helpers) = self.unknown(&due);
        if due.len() == 1 && makers.is_empty() && helpers.is_empty() {
            return due;
        }
        let settled = |search: &Self| search.state.revision == revision;
        for index in due {
            if self.steps[index].effect != Effect::None && self.attempt(index).is_ok() {
                fitting.push(index);
            }
            self.return_to(&point);
        }
        for (list, settles) in [(makers, false), (helpers, true)] {
            for index in list {
                if self.attempt(index).is_ok() && settled(self) == settles {
                    fitting.push(index);
                }
                self.return_to(&point);
            }
        }
        fitting
    }

    /// Of what may happen: what may make the next revision, and what may help what is due.
    pub(super) fn unknown(&self, due: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let gap = self.is_gap();
        let (mut makers, mut helpers) = (Vec::new(), Vec::new());
        let settled = |index: &usize| !self.steps[*index].is_concerned();
        if !gap && due.iter().all(settled) {
            return (makers, helpers);
        }
        // Beyond the last revision that was told there are only refusals left to explain.
        let beyond = self.state.revision >= self.evidence.last;
        let needs_keys = due.iter().any(|index| self.steps[*index].needs_keys());
        for unknown in &self.unknown {
            if self.placed[unknown.step] || !self.may(unknown.step) {
                continue;
            }
            let step = &self.steps[unknown.step];
            let helps = |index: &usize| self.steps[*index].concerns(step);
            let claims = &self.evidence.claims;
            let writes = matches!(step.effect, Effect::Write | Effect::End);
            let wanted = !beyond || needs_keys || due.iter().any(helps);
            if gap && writes && wanted && claims.admit(unknown.step, self.state.revision + 1) {
                makers.push(unknown.step);
            }
            if (gap && unknown.serves) || due.iter().any(helps) {
                helpers.push(unknown.step);
            }
        }
        (makers, helpers)
    }

    /// What did happen and may be next: what is left of this revision or of none, and the write
    /// of the next one.
    pub(super) fn due(&self) -> Vec<usize> {
        let revision = self.state.revision as usize;
        let pinned = |revision: usize| self.pinned.get(revision).into_iter().flatten();
        let may = |index: &&usize| self.may(**index);
        let left = |index: &&usize| !self.placed[**index];
        let mut due: Vec<usize> = pinned(revision).take_while(may).filter(left).copied().collect();
        if self.is_closed() {
            let next = pinned(revision + 1).take_while(may).filter(left);
            let writer = self.writers.get(revision + 1).copied().flatten();
            due.extend(next.filter(|index| match writer {
                Some(writer) => **index == writer,
                None => self.steps[**index].effect == Effect::End,
            }));
        }
        due.extend(self.floating[self.next_float..].iter().take_while(may).filter(left));
        due
    }

    /// Whether everything that answered with this revision took effect.
    pub(super) fn is_closed(&self) -> bool {
        self.left.get(self.state.revision as usize).is_none_or(|left| *left == 0)
    }

    /// Whether the next revision is there, or may be, but nobody knows who made it.
    pub(super) fn is_gap(&self) -> bool {
        let next = self.state.revision + 1;
        let unclaimed = self.writers.get(next as usize).copied().flatten().is_none();
        self.is_closed() && unclaimed && (next <= self.evidence.last || self.evidence.is_open())
    }

    /// What is left returned no earlier than this.
    pub(super) fn horizon(&self) -> u64 {
        self.blocker().map_or(u64::MAX, |index| self.steps[index].end)
    }

    /// What is left and returned first.
    pub(super) fn blocker(&self) -> Option<usize> {
        self.returns.get(self.next_return).copied()
    }

    fn may(&self, index: usize) -> bool {
        self.steps[index].call <= self.horizon()
    }

    /// Lets a step take effect, if it fits.
    pub(super) fn attempt(&mut self, index: usize) -> Result<(), Misfit<'s>> {
        let mark = self.state.mark();
        let fits = self.fits(index, &mark);
        if fits.is_err() {
            self.state.undo(&mark);
        } else {
            self.place(index);
        }
        fits
    }

    fn fits(&mut self, index: usize, mark: &Mark) -> Result<(), Misfit<'s>> {
        let step = &self.steps[index];
        let may_move = self.is_closed();
        let claimed = self.writers.get(self.state.revision as usize + 1).copied().flatten();
        let outcome = self.state.perform(step.action);
        let (before, revision) = (mark.log, self.state.revision);
        let moved = self.state.log.len() > before;
        let as_told = match &step.expect {
            Expect::At(told, response) => *told == revision && outcome.as_ref() == Ok(response),
            Expect::Answer(response) => outcome.as_ref() == Ok(response),
            Expect::Refusal(refusal) => outcome.as_ref() == Err(refusal),
            Expect::Anything if self.state.changed_since(mark) => true,
            Expect::Anything => return Err(Misfit::Idle),
        };
        if !as_told || moved && step.effect == Effect::None {
            return Err(Misfit::Answer(Box::new(outcome), revision));
        }
        if !moved {
            return Ok(());
        }
        if !may_move || claimed.is_some_and(|claimed| claimed != index) {
            return Err(Misfit::Closed);
        }
        let changes = &self.state.log[before..];
        let admitted = self.evidence.admits(revision, changes, step);
        admitted.map_err(Misfit::Evidence)?;
        self.past_fits()
    }

    /// Whether the serializable reads of this revision read it as it is.
    pub(super) fn past_fits(&mut self) -> Result<(), Misfit<'s>> {
        let Some(past) = self.past.get(self.state.revision as usize) else { return Ok(()) };
        for index in past {
            let step = &self.stale[*index];
            let Expect::At(_, told) = &step.expect else { continue };
            let outcome = self.state.perform(step.action);
            if outcome.as_ref() != Ok(told) {
                return Err(Misfit::Stale(step, Box::new(outcome)));
            }
        }
        Ok(())
    }

    fn place(&mut self, index: usize) {
        self.placed[index] = true;
        self.trail.push(index);
        if self.state.revision as usize > self.makers.len() + 1 {
            self.makers.push(index);
        }
        if self.steps[index].is_unknown() {
            return;
        }
        self.missing -= 1;
        if let Some(revision) = self.steps[index].revision() {
            self.left[revision as usize] -= 1;
        }
        while self.blocker().is_some_and(|index| self.placed[index]) {
            self.next_return += 1;
        }
        while self.floating.get(self.next_float).is_some_and(|index| self.placed[*index]) {
            self.next_float += 1;
        }
    }

    fn point(&self) -> Point {
        let Search { next_return, next_float, .. } = *self;
        Point { mark: self.state.mark(), trail: self.trail.len(), next_return, next_float }
    }

    fn return_to(&mut self, point: &Point) {
        self.state.undo(&point.mark);
        self.makers.truncate(self.state.revision as usize - 1);
        while self.trail.len() > point.trail {
            let index = self.trail.pop().expect("it is longer");
            self.placed[index] = false;
            if self.steps[index].is_unknown() {
                continue;
            }
            self.missing += 1;
            if let Some(revision) = self.steps[index].revision() {
                self.left[revision as usize] += 1;
            }
        }
        self.next_return = point.next_return;
        self.next_float = point.next_float;
    }

    fn digest(&self) -> u64 {
        digest(&(self.state.digest(), &self.placed))
    }
}
