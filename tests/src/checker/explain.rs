//! Why no step fits, in words: whose answer is wrong, and what would have been right.

use super::Violation;
use super::display;
use super::evidence::Clash;
use super::history::Response;
use super::perform::Action;
use super::search::{Misfit, Search};
use super::step::{Effect, Expect, Step};
use super::violation::Rule;
use crate::rules::Refusal;

/// Explains a point of the search where nothing can be next.
pub(super) fn explain(search: &mut Search) -> Violation {
    if let Err(misfit) = search.past_fits() {
        return misfits(search, None, misfit);
    }
    let revision = search.state.revision;
    let mut due = search.due();
    due.sort_by_key(|index| search.steps[*index].end);
    let told = |index: &&usize| search.steps[**index].revision() == Some(revision);
    if let Some(index) = due.iter().find(told) {
        return one(search, *index);
    }
    let blocker = search.blocker();
    if let Some(index) = blocker.filter(|index| search.steps[*index].revision().is_none()) {
        return one(search, index);
    }
    if let Some(index) = due.iter().find(|index| search.steps[**index].revision().is_some()) {
        return one(search, *index);
    }
    if search.is_gap() && revision < search.evidence.last {
        return unexplained(search);
    }
    match blocker {
        Some(index) => early(search, index),
        None => unexplained(search),
    }
}

fn one(search: &mut Search, index: usize) -> Violation {
    let mark = search.state.mark();
    if let Err(misfit) = search.attempt(index) {
        return misfits(search, Some(index), misfit);
    }
    // It fits, but nothing after it does.
    search.state.undo(&mark);
    early(search, index)
}

fn misfits(search: &Search, index: Option<usize>, misfit: Misfit) -> Violation {
    let revision = search.state.revision;
    let name = |index: Option<usize>| {
        index.map_or_else(|| "the beginning".into(), |index| search.steps[index].to_string())
    };
    let (rule, message) = match misfit {
        Misfit::Answer(right, at) => {
            let Some(step) = index.map(|index| &search.steps[index]) else {
                unreachable!("an answer is some step's")
            };
            return wrong_answer(step, &right, at);
        }
        Misfit::Evidence(Clash::Ground(Some(events))) => {
            let held = display::list(events, display::event);
            let at = revision + 1;
            (
                Rule::LostWrite,
                format!("{} made revision {at}, but the members hold {held} there", name(index)),
            )
        }
        Misfit::Evidence(Clash::Ground(None)) => {
            let at = revision + 1;
            (
                Rule::LostWrite,
                format!("{} made revision {at}, which the members do not hold", name(index)),
            )
        }
        Misfit::Evidence(Clash::Seen(seen)) => {
            let made = format!("{} made revision {}", name(index), seen.kv.mod_revision);
            (Rule::NeverWritten, format!("{seen}, but {made} otherwise"))
        }
        Misfit::Evidence(Clash::Course(seen)) => {
            let made = format!("after {} made revision {}", name(index), revision + 1);
            (Rule::NeverWritten, format!("{seen}, which cannot be {made}"))
        }
        Misfit::Stale(reader, right) => return not_past(reader, &right),
        Misfit::Evidence(Clash::Late(Some(reader))) => {
            return too_soon(reader, revision + 1, &name(index));
        }
        Misfit::Evidence(Clash::Watched | Clash::Late(None)) | Misfit::Idle | Misfit::Closed => {
            (Rule::Answer, format!("{} cannot follow on revision {revision}", name(index)))
        }
    };
    Violation::new(rule, message)
}

fn wrong_answer(step: &Step, right: &Result<Response, Refusal>, at: i64) -> Violation {
    let right = display::outcome(right);
    let (rule, message) = match &step.expect {
        Expect::At(told, response) => {
            let answer = display::outcome(&Ok(response.clone()));
            let text = format!("{step} answered {answer} at revision {told}");
            (Rule::Answer, format!("{text}, but right is {right} at revision {at}"))
        }
        Expect::Answer(response) => {
            let answer = display::outcome(&Ok(response.clone()));
            (Rule::Answer, format!("{step} answered {answer}, but right is {right}"))
        }
        Expect::Refusal(refusal) => {
            let text = format!("{step} was refused with {}", display::outcome(&Err(*refusal)));
            (Rule::Refusal, format!("{text}, but right at revision {at} is {right}"))
        }
        Expect::Anything => (Rule::Answer, format!("{step} does not fit")),
    };
    Violation::new(rule, message)
}

fn not_past(reader: &Step, right: &Result<Response, Refusal>) -> Violation {
    let (revision, told) = match &reader.expect {
        Expect::At(revision, told) => (*revision, display::outcome(&Ok(told.clone()))),
        _ => (0, String::new()),
    };
    let right = display::outcome(right);
    let message =
        format!("{reader} answered {told}, but the store at revision {revision} held {right}");
    Violation::new(Rule::SerializableRead, message)
}

fn too_soon(reader: &Step, revision: i64, maker: &str) -> Violation {
    let told = reader.known_revision().unwrap_or(revision);
    let message = format!(
        "{reader} answered with revision {told}, but {maker}, which made revision {revision}, had \
         not begun"
    );
    Violation::new(Rule::SerializableRead, message)
}

/// Nothing that may have happened makes the next revision.
fn unexplained(search: &mut Search) -> Violation {
    let next = search.state.revision + 1;
    let known = search.evidence.describe(next);
    let (makers, _) = search.unknown(&[]);
    for index in makers {
        let mark = search.state.mark();
        let misfit = search.attempt(index);
        search.state.undo(&mark);
        match misfit {
            Err(Misfit::Stale(reader, right)) => return not_past(reader, &right),
            Err(Misfit::Evidence(Clash::Late(Some(reader)))) => {
                return too_soon(reader, next, &search.steps[index].to_string());
            }
            _ => {}
        }
    }
    if search.evidence.knows(next) {
        let taken = search.trail.clone();
        let again = taken.into_iter().rev().find(|index| makes(search, *index, next));
        if let Some(index) = again {
            let step = &search.steps[index];
            let message =
                format!("{known}: revision {next} repeats {step}, which was applied twice");
            return Violation::new(Rule::AppliedTwice, message);
        }
    }
    let left: Vec<usize> = (0..search.steps.len()).filter(|it| !search.placed[*it]).collect();
    let revoked = |expiry: &Step| {
        let mut steps = left.iter().map(|index| &search.steps[*index]);
        steps.any(|it| it.effect == Effect::End && !it.is_unknown() && it.concerns(expiry))
    };
    let mut later = left.clone();
    later.retain(|index| search.steps[*index].is_unknown() && !revoked(&search.steps[*index]));
    if let Some(index) = later.into_iter().find(|index| makes(search, *index, next)) {
        return only(search, index, next, &known);
    }
    let message = format!("no write can have made revision {next}: {known}");
    Violation::new(Rule::Unexplained, message)
}

/// One write of unknown outcome would make the revision, but it cannot be its turn.
fn only(search: &Search, index: usize, next: i64, known: &str) -> Violation {
    let step = &search.steps[index];
    let text = format!("{known}: only {step} can have made revision {next}");
    if let Some(claimed) = search.evidence.claims.claimed_by(index).filter(|it| *it != next) {
        let message = format!("{text}, but it made revision {claimed}: it was applied twice");
        return Violation::new(Rule::AppliedTwice, message);
    }
    let before = search
        .blocker()
        .map_or_else(String::new, |index| format!(", before {} returned", search.steps[index]));
    let expiry = matches!(step.action, Action::Expire { .. });
    let rule = if expiry { Rule::ExpiredEarly } else { Rule::RealTime };
    Violation::new(rule, format!("{text}{before}"))
}

/// Whether the step, were it allowed, would make this revision as it is known.
fn makes(search: &mut Search, index: usize, revision: i64) -> bool {
    let step = &search.steps[index];
    if step.effect == Effect::None {
        return false;
    }
    let mark = search.state.mark();
    let done = search.state.perform(step.action).is_ok() && search.state.revision == revision;
    let changes = &search.state.log[mark.log..];
    let makes = done && search.evidence.admits(revision, changes, step).is_ok();
    search.state.undo(&mark);
    makes
}

fn early(search: &Search, index: usize) -> Violation {
    let revision = search.state.revision;
    let step = &search.steps[index];
    let left = search.steps.iter().enumerate().filter(|(index, step)| {
        !search.placed[*index] && step.revision().is_some_and(|told| told <= revision)
    });
    let others: Vec<String> = left.filter(|it| it.0 != index).map(|it| it.1.to_string()).collect();
    let message = match others.first() {
        Some(other) => format!(
            "{other} took effect at or before revision {revision}, but {step} had returned before \
             and can only come later"
        ),
        None => format!("{step} had returned, but cannot have taken effect by revision {revision}"),
    };
    Violation::new(Rule::RealTime, message)
}
