//! What the revisions alone decide: one pass, no search.
//!
//! Every answer carries the revision the store had reached. So an operation that began after
//! another had returned can have no lower one, and a write makes a revision that nobody has seen
//! before, and nobody else makes. Each of these is necessary for any order of everything; the
//! search decides the rest.

use super::step::{Effect, Step, Steps};
use super::violation::{Rule, Violation};

pub(super) fn check(steps: &Steps) -> Result<(), Violation> {
    unique(steps)?;
    not_back(steps)
}

fn answered<'a>(steps: &'a [Step<'a>]) -> impl Iterator<Item = (i64, &'a Step<'a>)> {
    steps.iter().filter_map(|step| Some((step.revision()?, step)))
}

fn writes<'a>(steps: &'a Steps) -> Vec<(i64, &'a Step<'a>)> {
    let wrote = |(_, step): &(i64, &Step)| step.effect == Effect::Write;
    let mut writes: Vec<_> = answered(&steps.ordered).filter(wrote).collect();
    writes.sort_by_key(|(revision, _)| *revision);
    writes
}

fn unique(steps: &Steps) -> Result<(), Violation> {
    for pair in writes(steps).windows(2) {
        let [(revision, first), (other, second)] = pair else { continue };
        if revision == other {
            let message = format!("revision {revision} was made twice: by {first} and by {second}");
            return Err(Violation::new(Rule::RevisionTwice, message));
        }
    }
    Ok(())
}

fn not_back(steps: &Steps) -> Result<(), Violation> {
    let mut begun: Vec<_> = answered(&steps.ordered).collect();
    let mut ended = begun.clone();
    begun.sort_by_key(|(_, step)| step.call);
    ended.sort_by_key(|(_, step)| step.end);
    let mut ended = ended.into_iter().peekable();
    let mut highest: Option<(i64, &Step)> = None;
    for (revision, step) in begun {
        while let Some((told, before)) = ended.next_if(|(_, before)| before.end < step.call) {
            if highest.is_none_or(|(most, _)| told > most) {
                highest = Some((told, before));
            }
        }
        let Some((told, before)) = highest else { continue };
        let writes = step.effect == Effect::Write;
        if revision > told || (revision == told && !writes) {
            continue;
        }
        let (rule, what) = match step.effect {
            Effect::None => (Rule::StaleRead, "read at"),
            Effect::Write => (Rule::RevisionBack, "made"),
            Effect::Settle | Effect::End => (Rule::RevisionBack, "took effect at"),
        };
        let message = format!(
            "{step} {what} revision {revision}, but {before} had already answered with {told}"
        );
        return Err(Violation::new(rule, message));
    }
    Ok(())
}
