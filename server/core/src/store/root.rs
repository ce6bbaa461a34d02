//! An immutable snapshot of the state.

use std::sync::Arc;

use kvorum_proto::etcdserverpb::AlarmMember;
use kvorum_proto::membershippb::Member;

use super::lease::{Attachments, Leases};
use super::{Pin, Revision, StateHash, Version};
use crate::auth::Auth;
use crate::index::{Entry, Tree};

/// Measured best for counted entries: wider nodes cost more to copy than they save in depth.
pub(super) const FANOUT: usize = 16;

/// What a version costs in memory and on disk beyond its key and value; an estimate.
const VERSION_OVERHEAD_BYTES: i64 = 96;

/// What a lease costs; etcd's estimate.
const LEASE_BYTES: u64 = 64;

pub(super) type Keys = Tree<Arc<Version>, FANOUT>;
pub(super) type Revisions = Tree<Dated, FANOUT>;

/// The whole replicated state at one log index. Cloning is O(1); it is never changed once handed
/// out, and a reader that holds it needs no lock.
#[derive(Clone)]
pub struct Root {
    pub(super) index: u64,
    pub(super) term: u64,
    pub(super) revision: i64,
    pub(super) compacted: i64,
    pub(super) size_bytes: i64,
    /// The state hash but for the element of the revisions, which every write changes.
    pub(super) sum: StateHash,
    pub(super) keys: Keys,
    pub(super) revisions: Revisions,
    pub(super) leases: Leases,
    pub(super) attachments: Attachments,
    pub(super) members: Arc<[Member]>,
    pub(super) alarms: Arc<[AlarmMember]>,
    pub(super) cluster_version: Option<Arc<str>>,
    pub(super) auth: Auth,
    pub(super) pin: Pin,
}

impl Root {
    /// The current revision.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Nothing older than this can be read; -1 if there was no compaction.
    pub fn compacted_revision(&self) -> i64 {
        self.compacted
    }

    /// The log index of the last entry applied.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The term of the last entry applied.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// In the order of their ids.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// In the order of member ids, then of kinds.
    pub fn alarms(&self) -> &[AlarmMember] {
        &self.alarms
    }

    pub fn cluster_version(&self) -> Option<&str> {
        self.cluster_version.as_deref()
    }

    /// Users, roles and whether they matter.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// How many keys there are now.
    pub fn key_count(&self) -> u64 {
        self.keys.weight()
    }

    /// Roughly what all keys, values and leases take, history that is not swept yet included. It
    /// shrinks as soon as a sweep removes something, whatever the backend's file does.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes.unsigned_abs() + self.leases.weight() * LEASE_BYTES
    }

    /// Keeps the history of this root readable after the root itself is let go.
    pub fn pin(&self) -> Pin {
        self.pin.clone()
    }

    pub(super) fn empty() -> Self {
        Root {
            index: 0,
            term: 0,
            revision: 1,
            compacted: -1,
            size_bytes: 0,
            sum: StateHash::default(),
            keys: Keys::default(),
            revisions: Revisions::default(),
            leases: Leases::default(),
            attachments: Attachments::default(),
            members: Arc::new([]),
            alarms: Arc::new([]),
            cluster_version: None,
            auth: Auth::initial(),
            pin: Pin::default(),
        }
    }
}

/// That of the table of alarms; a kind from a newer version may be anything.
pub(super) fn alarm_order(alarm: &AlarmMember) -> (u64, u32) {
    (alarm.member_id, alarm.alarm as u32)
}

/// A version as an entry of the tree of revisions.
#[derive(Clone)]
pub(super) struct Dated {
    key: [u8; 16],
    pub(super) version: Arc<Version>,
}

impl Dated {
    pub(super) fn new(version: Arc<Version>) -> Self {
        Dated { key: version.at.to_bytes(), version }
    }
}

impl Revisions {
    pub(super) fn at(&self, at: Revision) -> Option<&Arc<Version>> {
        self.get(&at.to_bytes()).map(|dated| &dated.version)
    }

    pub(super) fn put(&mut self, version: Arc<Version>) {
        let dated = Dated::new(version);
        let key = dated.key;
        self.upsert(&key, |_| dated);
    }
}

impl Version {
    pub(super) fn size_bytes(&self) -> i64 {
        self.key.len() as i64 + i64::from(self.value_len) + VERSION_OVERHEAD_BYTES
    }
}

impl Entry for Dated {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

impl Entry for Arc<Version> {
    fn key(&self) -> &[u8] {
        &self.key
    }

    fn weight(&self) -> u32 {
        u32::from(!self.is_deletion())
    }
}
