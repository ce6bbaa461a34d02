//! What is wrong with a cluster, and what to do about it.
//!
//! [`collect`] asks the members and writes down [`Facts`]; [`judge`] is a pure function from facts
//! to [`Finding`]s. Nothing is changed anywhere. Each member is asked for its status once per
//! advertised address and once for its metrics; a comparison of hashes reads all of its data and is
//! left out above [`MAX_HASHED_BYTES`] unless it is wanted.

mod clock;
mod collect;
mod facts;
mod finding;
mod judge;
mod metrics;

pub use collect::{Options, collect};
pub use facts::{Address, Alarm, Disk, Facts, Hash, Latency, MemberFacts, Status, Unknown};
pub use finding::{Check, Finding, Severity};
pub use judge::judge;

/// Above this size a comparison of hashes costs a member more than a look should.
pub const MAX_HASHED_BYTES: i64 = 4 * 1024 * 1024 * 1024;
