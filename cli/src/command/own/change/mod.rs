//! What is about to change, shown before it does; then carried out in guarded transactions, so that
//! nobody's change is overwritten and what was done is known wherever it stops.

mod apply;
mod plan;

pub(crate) use apply::{Done, Work, carry_out};
pub(crate) use plan::{PlanRow, Question, Summary, agree};
