//! Looking into a keyspace too large to list.
//!
//! - [`level`]: one level of the tree, read by skipping what lies below its branches.
//! - [`Scan`]: every key of some ranges at one revision, page by page, one page ahead of whoever
//!   handles it. What is made of it is a fold that remembers little: [`TreeFold`], [`UsageFold`],
//!   [`Pattern`], [`LockFold`].
//! - [`readable`]: where a user who may not read everything can begin.
//! - [`leases`], [`locks`], [`access`](access()), [`wait`](wait()): questions with an answer of their own.
//!
//! Reads are serializable: the member that answers is asked for what it has, and no leader for
//! what is newest.

mod access;
mod estimate;
mod granted;
mod keyspace;
mod leases;
mod level;
mod locks;
mod page_size;
mod scan;
mod search;
mod segments;
#[cfg(test)]
mod test_keys;
mod tree;
mod usage;
mod wait;

pub use access::{Access, AccessReport, access};
pub use estimate::{ASK_ABOVE_BYTES, Estimate, estimate};
pub use granted::{NoRanges, Readable, readable};
pub use kvorum_proto::mvccpb::KeyValue;
pub use leases::{LeaseRow, LeaseTime, leases};
pub use level::{
    Child, DEFAULT_CHILDREN, KeyMeta, Level, LevelRequest, MAX_CHILDREN, complete, count, level,
};
pub use locks::{Contender, Lock, LockFold, MAX_CONTENDERS, remaining};
pub use scan::{Page, Scan, ScanRequest};
pub use search::{BadPattern, Pattern, PatternOptions};
pub use segments::Segments;
#[cfg(test)]
pub(crate) use test_keys::block_on;
pub use tree::{TreeFold, TreeKind, TreeRow};
pub use usage::{MAX_BRANCHES, Usage, UsageFold, UsageReport};
pub use wait::{Happened, WaitFor, wait};

use crate::pb;

/// Questions asked at the same time when one is asked per row.
pub(crate) const AT_ONCE: usize = 16;

/// A key of a scan, as an answer has it: with bytes of its own, that keep no page.
pub fn owned(kv: KeyValue) -> pb::KeyValue {
    pb::KeyValue {
        key: kv.key.into(),
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        value: kv.value.into(),
        lease: kv.lease,
    }
}

/// A key of an answer, as a scan has it.
pub fn shared(kv: pb::KeyValue) -> KeyValue {
    KeyValue {
        key: kv.key.into(),
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        value: kv.value.into(),
        lease: kv.lease,
    }
}
