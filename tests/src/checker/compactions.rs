//! Which compactions may have happened, and when.
//!
//! Answers that need not be of the newest state (serializable reads, watches) are judged by this:
//! a compaction that was asked for may have happened from its call on. One of unknown outcome
//! counts too, so what is checked here raises no false alarm and is as sharp as what is known.

use super::history::{History, Outcome, Request};
use super::step::{Expect, Steps};
use super::violation::{Rule, Violation};
use crate::rules::Refusal;

#[derive(Debug)]
pub(super) struct Compactions {
    /// What was compacted to, and when that was called.
    asked: Vec<(i64, u64)>,
}

impl Compactions {
    pub(super) fn of(history: &History) -> Compactions {
        let asked = history.operations.iter().filter_map(|operation| match &operation.request {
            Request::Compact(compact)
                if matches!(operation.outcome, Outcome::Done(_) | Outcome::Unknown) =>
            {
                Some((compact.revision, operation.call_ns))
            }
            _ => None,
        });
        // A new store is compacted to -1, below which a transaction cannot read.
        Compactions { asked: std::iter::once((-1, 0)).chain(asked).collect() }
    }

    /// Whether there can have been a compaction to just this revision.
    pub(super) fn may_be(&self, revision: i64, at_ns: u64) -> bool {
        self.asked.iter().any(|(to, call)| *to == revision && *call <= at_ns)
    }

    /// Whether a compaction can have taken away the state at this revision.
    pub(super) fn may_hide(&self, revision: i64, at_ns: u64) -> bool {
        self.asked.iter().any(|(to, call)| *to > revision && *call <= at_ns)
    }
}

/// Nothing that was acknowledged as compacted comes back, and nobody compacts but on request.
pub(super) fn check_ground(history: &History, compactions: &Compactions) -> Result<(), Violation> {
    let Some(ground) = &history.ground else { return Ok(()) };
    let held = ground.compacted;
    for operation in &history.operations {
        let Request::Compact(asked) = &operation.request else { continue };
        if matches!(operation.outcome, Outcome::Done(_)) && asked.revision > held {
            let text = format!("{operation} compacted to {}", asked.revision);
            let message = format!("{text}, but the members hold everything from {held} on");
            return Err(Violation::new(Rule::LostWrite, message));
        }
    }
    if held > 0 && !compactions.may_be(held, u64::MAX) {
        let message = format!("the members compacted to {held}, which nobody had asked for");
        return Err(Violation::new(Rule::Unexplained, message));
    }
    Ok(())
}

/// Refusals of serializable reads. A member may lag behind as far as it likes, so a revision may
/// always be in its future; but for the first one, which every member knows.
pub(super) fn check_refusals(steps: &Steps, compactions: &Compactions) -> Result<(), Violation> {
    for step in &steps.stale {
        let Expect::Refusal(refusal) = step.expect else { continue };
        let revisions = step.asked_revisions();
        let right = match refusal {
            Refusal::Compacted => {
                revisions.iter().any(|revision| compactions.may_hide(*revision, step.end))
            }
            Refusal::FutureRevision => revisions.iter().any(|revision| *revision > 1),
            Refusal::NoLease | Refusal::LeaseExists | Refusal::NoKey => false,
        };
        if !right {
            let message = format!("{step} was refused with \"{}\" for nothing", refusal.message());
            return Err(Violation::new(Rule::SerializableRead, message));
        }
    }
    Ok(())
}
