//! The pure heart of the server: no I/O, no clock, no threads, no randomness.
//!
//! Two pure things, composed by the member's shell and, identically, by a simulator:
//! [`node`] is consensus (`Node::step(Input, &mut Effects)`), [`store`] is the state machine
//! (`Store::apply(Entry) -> Applied`). [`watch`] decides who is owed which event, [`lessor`] when
//! leases expire, [`divergence`] whether the members still hold the same state, [`auth`] who may do
//! what.
//!
//! What goes in is data, what comes out is data; the shell performs it in order.

pub mod auth;
pub mod divergence;
pub mod error;
pub mod index;
pub mod lessor;
pub mod node;
pub mod planted;
pub mod store;
pub mod watch;
