//! Consensus: one member's raft, driven by inputs, answering with ordered effects.

mod effect;
mod input;

pub use effect::{Effect, Effects, Group, Refusal, Role};
pub use input::{Input, Proposal};
