//! Members as a whole, in this process: what they take, what they answer, and what they survive.
//!
//! One program, because each would be linked with everything that a server is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod auth;
mod config;
mod damaged_log;
mod damaged_store;
mod divergence;
mod hostile_peer;
mod large_answers;
mod maintenance;
mod one_member;
mod snapshots;
mod support;
mod three_members;
mod turns;
