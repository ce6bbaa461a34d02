//! The proof of Kvorum: what the tests in this crate share.
//!
//! Whatever a test starts, it ends; whatever it writes, it writes into a temporary folder.

pub mod certificates;
pub mod checker;
pub mod cluster;
pub mod contents;
pub mod differential;
pub mod etcdctl;
pub mod http;
pub mod https;
pub mod keyspace;
pub mod ledger;
pub mod load;
pub mod memory;
pub mod messages;
pub mod model;
pub mod ports;
pub mod process;
pub mod program;
pub mod recorder;
mod rules;
pub mod sim;
pub mod skip;
pub mod slow;
pub mod terminal;
pub mod transcript;
pub mod wait;
pub mod watching;
pub mod workspace;
