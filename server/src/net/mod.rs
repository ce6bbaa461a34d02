//! Sockets: those that are listened on, those that are dialled, and the bytes that go through.
//!
//! What is said over a connection is no matter of this module.

mod dial;
mod listener;
mod wire;

pub(crate) use dial::Dialler;
pub(crate) use listener::{Listener, Listening};
pub(crate) use wire::{Greeting, Wire};
