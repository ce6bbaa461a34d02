//! The state machine as its specification: golden scripts, and properties that hold for every
//! sequence of operations.

mod auth;
mod damage;
mod dump;
mod export;
mod hash;
mod load;
mod machine;
mod parse;
mod properties;
mod restart;
mod script;
