//! A simulator: a cluster of production's own parts on virtual disks, in a virtual network, under
//! a virtual clock, all moved by one seed.
//!
//! - [`plan`]: what a seed means. [`random`], [`time`]: chance and the clock. `trace`: what
//!   happened, in a hash that two runs of a seed agree on.
//! - `world`: one event after another, on one thread. `member`: production's node, log, store,
//!   backend and hub, wired as the runtime's threads are, and the ends of their lives. `edge`,
//!   `renewal`, `publish`: what becomes of a request at a member. `network`: streams and datagrams.
//!   `marks`: what members tell each other of their states.
//! - `client`: what clients do. `nemesis`: what goes wrong; `damage`: what does so on disks.
//! - `check`: what must hold, checked while it happens and after healing.
//! - [`report`], [`campaign`]: figures of one run and of many.
//!
//! Nothing here reads a clock, starts a thread inside a run, or goes through a map in an order
//! that is not sorted; so a failing seed fails again.

pub mod campaign;
mod check;
mod client;
mod damage;
mod edge;
mod marks;
mod member;
mod nemesis;
mod network;
pub mod plan;
#[cfg(feature = "planted")]
pub mod planted;
mod publish;
pub mod random;
mod renewal;
pub mod report;
pub mod time;
mod trace;
mod world;

use std::io::Write;

use plan::Plan;
use report::Figures;
use world::World;

/// What came of a seed that holds.
#[derive(Clone, Debug)]
pub struct Run {
    pub figures: Figures,
    /// Equal for two runs of one seed.
    pub trace_hash: u128,
}

/// Runs a seed; panics with what does not hold. A readable trace goes to `readable`.
pub fn run(seed: u64, readable: Option<Box<dyn Write>>) -> Run {
    let mut world = World::new(Plan::draw(seed), readable);
    world.run();
    Run { figures: world.figures.clone(), trace_hash: world.trace.hash() }
}
