//! The member around the heart: gRPC, disk, peers and threads.
//!
//! A library: [`Member::start`] runs a member in this process, for a playground, tests and whoever
//! embeds one; [`server_main`] is the process around it. The heart itself, `kvorum-core`, is pure:
//! what it decides is data, and this crate performs it.
//!
//! - `auth`: passwords and tokens.
//! - [`config`]: the command line and the environment, as etcd has them.
//! - [`stage`]: what each part of a member does, without a thread.
//! - [`runtime`]: the threads around them, and what they share.
//! - `edge`: what clients see. `peer`: what other members see. `metrics`: what is counted.
//! - `net`: sockets. `tls`: who is let in over them.
//! - [`storage`]: every byte on disk.
//! - [`limits`]: every bound, with its reason.

mod auth;
pub mod config;
mod edge;
pub mod etcd;
pub mod identity;
pub mod limits;
pub mod logging;
mod metrics;
mod net;
mod peer;
mod process;
pub mod runtime;
pub mod stage;
pub mod storage;
mod tls;
pub mod version;

pub use process::server_main;
pub use runtime::{Listeners, LocalMember, Member, Reason, StartError, Stopper, local_cluster};
pub use tls::CommonName;
