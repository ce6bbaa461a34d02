//! Consensus, proved on nodes without threads, clock or sockets.

mod cluster;
mod crash;
mod disk;
mod fuzz;
mod membership;
mod order;
mod script;
mod sim;
