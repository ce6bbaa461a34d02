//! The state machine as its specification: golden scripts, and properties that hold for every
//! sequence of operations.

mod damage;
mod dump;
mod machine;
mod parse;
mod properties;
mod script;
