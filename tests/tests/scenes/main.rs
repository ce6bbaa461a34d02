//! What people build on etcd, with several real processes, on our server and on Debian's etcd.

mod configuration;
mod discovery;
mod locks;
mod order;
mod readme;
mod stage;
mod upkeep;
mod watch;
