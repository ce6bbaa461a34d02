//! Watches of real members: their guarantees under load, and what they cost.
//!
//! [`run`] has clients write and watch a cluster of processes while watches are slow, members are
//! killed and the history is compacted, and has [`crate::checker`] judge what the watches were
//! told by what the writers were. [`measure`] measures.

pub mod measure;
pub mod run;
mod watcher;
mod writer;

use std::time::{Duration, Instant};

use tonic::transport::{Channel, Endpoint};

/// A busy machine is slow, and a member that is gone says so at once.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);

/// The clock that all clients of a run share.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    fn now_ns(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A connection to one member, made when it is needed.
fn channel(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("the URL of a member is one");
    endpoint.connect_timeout(CONNECTS_WITHIN).connect_lazy()
}
