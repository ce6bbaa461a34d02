//! Consensus, proved on nodes without threads, clock or sockets.

mod checks;
mod cluster;
mod crash;
mod disk;
mod fuzz;
mod membership;
mod order;
mod recovery;
mod script;
mod sim;
