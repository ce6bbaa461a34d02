//! The state hash: one number that says whether two members hold the same state.
//!
//! It is the sum, modulo 2^128, of a hash of each element of the logical state: versions of keys
//! under compaction's rules, leases, alarms, members, the cluster version, users and roles, and the
//! current and the compacted revision. A sum does not depend on the order of its parts, so every entry changes it
//! by what the entry adds and takes away, and it can be recomputed at any time from what is there.
//! It speaks of records as they are meant, not as they are encoded; how far a sweep has come and
//! which values are resident play no part. So it is equal on all members at the same index, also
//! while one sweeps and another does not, and after a restart in the middle of either.
//!
//! # Compaction
//!
//! At `Compact(C)` everything dead under `C` leaves the sum at once, though it is swept only later
//! and nobody walks over it. What is dead is exactly what a complete sweep removes:
//!
//! - a version of main revision `m`, replaced by one of main revision `n`, is dead under `C` when
//!   `n <= C` and `m < C`: from `max(n, m + 1)` on;
//! - a deletion of main revision `m` is dead under `C` when `m < C`: from `m + 1` on, whether or
//!   not something came after it.
//!
//! Either is known when the replacing version, or the deletion, is written at `n`, and is `n` or
//! `n + 1`; a version keeps its hash, so its value need not be read again for that. So the sum
//! `Q(C)` of all that is dead under `C` is complete as soon as the main revision `C` is. `Dead`
//! notes it for each main revision that a compaction may still name, 16 bytes each, and a
//! compaction from `B` to `C` takes `Q(C) - Q(B)` from the sum.
//!
//! After a restart the notes begin at 0 again, over what is read. That is right wherever a sweep
//! was interrupted: of one key it removes the oldest version first, so a version is never there
//! without those that came after it, and whatever is read is found dead or not as before; what is
//! missing is in neither of the two sums.
//!
//! # What it protects against
//!
//! Members that come apart through a bug, a lost or doubled entry, or damage that no checksum
//! caught: two different states have the same hash with a probability of about 2^-128. It does not
//! protect against somebody who wants two states to look alike: neither XXH3 nor a sum withstands
//! chosen records. And it says that two states differ, not where.

use std::fmt;
use std::ops::{AddAssign, SubAssign};

use bytes::Bytes;

use super::{Revision, Root, Value, element};

/// A hash of the logical state: equal on all members at the same index. It finds bugs and damage,
/// not somebody who chooses records so that two states look alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateHash(u128);

impl StateHash {
    /// Little-endian.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        StateHash(u128::from_le_bytes(bytes))
    }

    pub(super) const fn of(bits: u128) -> Self {
        StateHash(bits)
    }
}

impl fmt::Display for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl AddAssign for StateHash {
    fn add_assign(&mut self, element: StateHash) {
        self.0 = self.0.wrapping_add(element.0);
    }
}

impl SubAssign for StateHash {
    fn sub_assign(&mut self, element: StateHash) {
        self.0 = self.0.wrapping_sub(element.0);
    }
}

impl Root {
    /// The hash of this state. O(1).
    pub fn state_hash(&self) -> StateHash {
        let mut hash = self.sum;
        hash += element::revisions(self.revision, self.compacted);
        hash += element::auth(&self.auth);
        hash
    }

    /// The hash of this state once more, from every record of it. `value` reads back from the
    /// backend what is not resident.
    pub fn recompute_hash<E>(
        &self,
        mut value: impl FnMut(Revision) -> Result<Bytes, E>,
    ) -> Result<StateHash, E> {
        let mut hash = element::revisions(self.revision, self.compacted);
        for version in self.logical_versions() {
            hash += match &version.value {
                Value::Resident(value) => element::version(version, value),
                Value::Stored => element::version(version, &value(version.at)?),
            };
        }
        for lease in self.leases() {
            hash += element::lease(&lease);
        }
        for alarm in self.alarms() {
            hash += element::alarm(alarm);
        }
        for member in self.members() {
            hash += element::member(member);
        }
        for user in self.auth.users() {
            hash += element::user(user);
        }
        for role in self.auth.roles() {
            hash += element::role(role);
        }
        hash += element::auth(&self.auth);
        if let Some(version) = self.cluster_version() {
            hash += element::cluster_version(version);
        }
        Ok(hash)
    }
}
