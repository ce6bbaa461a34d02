//! The judge of histories: is there one order of everything that explains what every client was
//! told, and was every watch told what happened?
//!
//! **What is checked.** Strict serializability of all operations (G1, G4, G6), serializable reads
//! against the past (G7), refusals only for a reason (G8), nothing acknowledged lost (G2, where
//! the ground is given), leases that end whole and not before their time (G18, G19), and the
//! watch guarantees (G9 to G15).
//!
//! **How.** Every answer of a linearizable operation carries the revision of the state it is
//! about. So the place of nearly everything is known, up to the order within one revision:
//! `order` checks in one pass what the revisions alone decide, and `search` goes through the
//! revisions with a tiny etcd (`state`, `perform`), choosing only where something is open: which
//! write of unknown outcome made a revision that no acknowledged write made, when a lease ended,
//! and where leases and compactions fall within a revision. `evidence` narrows these choices to
//! one nearly always. The order found is the truth for `watch`.
//!
//! **Accepts what is right, and nothing else.** A history is accepted if and only if there is an
//! order of its operations, in which those of unknown outcome may be left out or come at any time
//! after their call, that agrees with real time, with a sequential etcd and with all evidence.
//! Nothing wrong passes, since the search only ever accepts by executing the order it found.
//! Nothing right is refused, since it leaves out only what it need not try (see `search`) and
//! comes back to every choice; but a search that is cut off by its budget is a violation, so that
//! nothing passes undecided, and two states are taken for the same if 64 bits of hash are, which
//! can only make it say that there is no order.
//!
//! **Accepts too much in:**
//! - refused serializable reads, watches ended by compaction and a `prev_kv` that is missing: they
//!   are taken for right if a compaction that may have happened explains them, whether or not it is
//!   part of the order found;
//! - the header of a keep-alive: it is of a moment before it, and only held not to be of the future;
//! - open revisions: at one that several writes of unknown outcome explain equally well, and that
//!   nobody read and no watch covers, it does not matter which is taken, but for a watch that is
//!   reported itself: then its message may name another write than the one that happened.
//!
//! Watches are believed at first: they tell which of several writes of unknown outcome happened.
//! If no order agrees with them all, the operations are judged without them; if those are in
//! order, a watch is at fault, and `watch` says which.

mod claims;
mod compactions;
mod course;
mod display;
mod evidence;
mod explain;
mod history;
mod order;
mod perform;
mod search;
mod sight;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod timeline;
mod violation;
mod watch;

pub use history::{Ground, History, Leg, Operation, Outcome, Request, Response, Watch};
pub use violation::{Rule, Violation};

pub use crate::rules::Refusal;

use compactions::Compactions;
use evidence::Evidence;
use search::{End, Search};
use step::Steps;
use timeline::Timeline;

/// What is wrong with the history: nothing, or the first fault of its operations, or the first
/// of each watch.
pub fn check(history: &History) -> Vec<Violation> {
    match judge(history) {
        Ok(violations) => violations,
        Err(violation) => vec![violation],
    }
}

fn judge(history: &History) -> Result<Vec<Violation>, Violation> {
    let steps = Steps::prepare(history)?;
    order::check(&steps)?;
    let (timeline, doubt) = match explain_all(&steps, history, true) {
        Ok(timeline) => (timeline, None),
        Err(doubt) => (explain_all(&steps, history, false)?, Some(doubt)),
    };
    let compactions = Compactions::of(history);
    compactions::check_ground(history, &compactions)?;
    compactions::check_refusals(&steps, &compactions)?;
    let checked = history.watches.iter().map(|it| watch::check(it, &timeline, &compactions));
    let violations: Vec<Violation> = checked.filter_map(Result::err).collect();
    match doubt {
        // The watches may be right, and the order that was found without them another one.
        Some(doubt) if doubt.rule == Rule::Undecided => Err(doubt),
        // The watches contradict each other about what nobody else knows.
        Some(doubt) if violations.is_empty() => Err(doubt),
        _ => Ok(violations),
    }
}

fn explain_all(
    steps: &Steps,
    history: &History,
    believe_watches: bool,
) -> Result<Timeline, Violation> {
    let evidence = Evidence::gather(steps, history, believe_watches)?;
    let mut search = Search::new(steps, &evidence);
    let unclear = || Violation::new(Rule::Undecided, "no order was found".into());
    match search.run(history.budget, explain::explain) {
        End::Found => Ok(Timeline::of(search)),
        End::Lost(why) => Err(why.unwrap_or_else(unclear)),
        End::GaveUp(why) => {
            let steps = history.budget;
            let farthest = why.unwrap_or_else(unclear);
            let message =
                format!("undecided after {steps} steps; the farthest came to: {farthest}");
            Err(Violation::new(Rule::Undecided, message))
        }
    }
}
