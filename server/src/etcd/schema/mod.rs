//! What etcd keeps in which bucket, as 3.4 to 3.6 do.
//!
//! | bucket | key | value |
//! |---|---|---|
//! | `key` | revision: main, `_`, sub (17 bytes), and `t` for a deletion | `mvccpb.KeyValue`; of a deletion the key alone |
//! | `meta` | `consistent_index`; since 3.5 `term` | 8 bytes big-endian |
//! | | `confState`, since 3.5 | JSON |
//! | | `scheduledCompactRev`, `finishedCompactRev` | a revision |
//! | | `storageVersion`, since 3.6 | text |
//! | `lease` | id, 8 bytes big-endian | `leasepb.Lease` |
//! | `alarm` | `etcdserverpb.AlarmMember` | nothing |
//! | `auth` | `authEnabled`, `authRevision` | a byte; 8 bytes big-endian |
//! | `authUsers`, `authRoles` | name | `authpb.User`, `authpb.Role` |
//! | `members` | id in hexadecimal digits | JSON |
//! | `members_removed` | id in hexadecimal digits | `removed` |
//! | `cluster` | `clusterVersion`, since 3.5 | text |
//!
//! What we write has all of it: 3.4 passes over what it does not know, and 3.6 takes a file for
//! one of its own by `storageVersion`. Facts from etcd's `server/storage/schema` and
//! `server/storage/mvcc/revision.go`.

mod auth;
mod read;
mod write;

use kvorum_core::store::Revision;

pub use read::{SchemaError, State, compacted_revision, consistent_index, read, storage_version};
pub use write::write;

pub(super) const KEY: &str = "key";
const META: &str = "meta";
const LEASE: &str = "lease";
const ALARM: &str = "alarm";
const AUTH: &str = "auth";
const AUTH_USERS: &str = "authUsers";
const AUTH_ROLES: &str = "authRoles";
const CLUSTER: &str = "cluster";
const MEMBERS: &str = "members";
const MEMBERS_REMOVED: &str = "members_removed";

const CONSISTENT_INDEX: &str = "consistent_index";
const TERM: &str = "term";
const CONF_STATE: &str = "confState";
const SCHEDULED_COMPACTION: &str = "scheduledCompactRev";
const FINISHED_COMPACTION: &str = "finishedCompactRev";
const STORAGE_VERSION: &str = "storageVersion";
const AUTH_ENABLED: &str = "authEnabled";
const AUTH_REVISION: &str = "authRevision";
const CLUSTER_VERSION_NAME: &str = "clusterVersion";

const REVISION_BYTES: usize = 17;
const DELETION: u8 = b't';

/// The key of a version.
fn revision_key(at: Revision, is_deletion: bool) -> Vec<u8> {
    let mut key = Vec::with_capacity(REVISION_BYTES + 1);
    key.extend(at.main.to_be_bytes());
    key.push(b'_');
    key.extend(at.sub.to_be_bytes());
    if is_deletion {
        key.push(DELETION);
    }
    key
}

/// The revision that a key of a version says, and whether it is one of a deletion.
pub(super) fn parse_revision(key: &[u8]) -> Option<(Revision, bool)> {
    let (main, rest) = key.split_first_chunk()?;
    let (sub, mark) = rest.strip_prefix(b"_")?.split_first_chunk()?;
    let at = Revision { main: i64::from_be_bytes(*main), sub: i64::from_be_bytes(*sub) };
    // etcd takes a mark that is none of a deletion for no mark.
    (at.main >= 0 && at.sub >= 0 && mark.len() <= 1).then_some((at, mark == [DELETION]))
}

#[cfg(test)]
mod tests;
