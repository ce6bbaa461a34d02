//! What is about to change, shown before it does; then carried out in guarded transactions, so that
//! nobody's change is overwritten and what was done is known wherever it stops.

mod apply;
mod interruptible;
mod plan;
mod written;

pub(crate) use apply::{Done, Work, carry_out};
pub(crate) use interruptible::interruptible;
pub(crate) use plan::{PLAN_HEADER, PlanRow, Question, Summary, agree, settle};
pub(crate) use written::Written;
