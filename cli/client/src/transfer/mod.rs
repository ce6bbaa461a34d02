//! Keys that go from one place to another: into a bundle, out of one, to other names.
//!
//! What arrives and what is there are read side by side, in the order of keys
//! ([`Difference`](crate::travel::Difference)), and of each key it is decided what becomes of it
//! ([`decide`]): no more than some pages are held of either, however many keys there are.

mod arrival;
mod leases;
mod terms;

pub use arrival::{Aim, Arrival, decide};
pub use leases::{LeaseBook, LeaseRule, LeaseTally};
pub use terms::Terms;
