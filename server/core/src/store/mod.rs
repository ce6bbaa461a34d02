//! The state machine: keys with their history, leases, alarms, members, users and roles.
//!
//! [`Store`] is the writer's side: one thread applies committed entries to it, in order. [`Root`]
//! is an immutable snapshot that readers hold without a lock. Applying is a pure function of the
//! state and the entry: no clock, no randomness, nothing local. Which values happen to be resident
//! and how far a sweep has come are local, and so never decide what an entry does.
//!
//! Two persistent trees hold the keys: `keys` maps a key to its newest version (a deletion stays,
//! with weight 0, until it is swept), `revisions` maps a revision to its version. Older versions
//! of a key are found by the references in [`Version`]. The backend is the same data at rest: the
//! [`Change`]s of every entry make it equal, and [`Store::restore`] reads it back.
//!
//! The logical state has a [`StateHash`], and can be [exported](Root::export) as records.
//!
//! A store that was never compacted has the compacted revision -1, as in etcd.

mod adopt;
mod apply;
mod change;
mod cost;
mod dead;
mod element;
mod export;
mod hash;
mod history;
mod kv_hash;
mod lease;
mod pin;
mod range;
mod record;
mod reply;
mod restore;
mod root;
mod sweep;
mod txn;
mod version;

use std::collections::VecDeque;
use std::sync::Arc;

use kvorum_proto::etcdserverpb::InternalRaftRequest;
use kvorum_proto::membershippb::Member;
use raft_proto::eraftpb::ConfState;

pub use change::{Change, Position, Table};
pub use cost::{Looks, PAST_LOOKS};
pub use hash::StateHash;
pub use kv_hash::KvHash;
pub use lease::LeaseRecord;
pub use pin::Pin;
pub use record::{RecordError, stored_value};
pub use reply::{
    Applied, ByValue, Deferred, DeleteReply, OpReply, PutReply, RangeReply, Reply, TxnReply,
};
pub use restore::RestoreError;
pub use root::Root;
pub use txn::is_read_only;
pub use version::{Reference, Revision, Value, Version};

use apply::{Origin, tokens};
use dead::Dead;
use pin::Eras;
use sweep::{Release, Sweep};

/// The writer's side of the state machine.
pub struct Store {
    root: Root,
    conf_state: Arc<ConfState>,
    dead: Dead,
    eras: Eras,
    sweep: Sweep,
    release: Release,
}

impl Store {
    /// The empty store of a new member of a cluster of `members`.
    pub fn bootstrap(mut members: Vec<Member>, conf_state: ConfState) -> Self {
        members.sort_by_key(|member| member.id);
        let mut root = Root { members: members.into(), ..Root::empty() };
        root.members.iter().for_each(|member| root.sum += element::member(member));
        Self::around(root, conf_state)
    }

    /// Applies one committed entry. An entry of unknown kind changes nothing, not even the
    /// position: it is still to be applied by a version that knows it.
    pub fn apply(&mut self, index: u64, term: u64, entry: &InternalRaftRequest) -> Applied {
        self.apply_of(Origin::Own, index, term, entry)
    }

    /// Applies an entry that an etcd has committed, as that etcd applies it: by its rules, which
    /// admit more than ours.
    pub fn apply_etcds(&mut self, index: u64, term: u64, entry: &InternalRaftRequest) -> Applied {
        self.apply_of(Origin::Etcd, index, term, entry)
    }

    fn apply_of(
        &mut self,
        origin: Origin,
        index: u64,
        term: u64,
        entry: &InternalRaftRequest,
    ) -> Applied {
        let mut changes = Vec::new();
        let reply = self.perform(term, entry, origin, &mut changes);
        let tokens = reply.as_ref().ok().and_then(|_| tokens(entry));
        if reply.as_ref().is_err_and(|error| !error.is_deterministic()) {
            debug_assert!(changes.is_empty(), "an unknown entry changes nothing");
        } else {
            self.skip(index, term);
        }
        self.release_after(changes.len());
        let request_id = entry.header.as_ref().map_or(entry.id, |header| header.id);
        Applied { request_id, revision: self.root.revision, reply, changes, tokens }
    }

    /// Notes a committed entry without content, as raft itself makes when a leader begins.
    pub fn skip(&mut self, index: u64, term: u64) {
        debug_assert!(index > self.root.index, "entries are applied once and in order");
        self.root.index = index;
        self.root.term = term;
    }

    /// The snapshot that readers should now see. O(1).
    pub fn root(&self) -> Root {
        self.root.clone()
    }

    /// That of [`Store::root`].
    pub fn state_hash(&self) -> StateHash {
        self.root.state_hash()
    }

    pub fn position(&self) -> Position {
        Position {
            index: self.root.index,
            term: self.root.term,
            conf_state: ConfState::clone(&self.conf_state),
            hash: self.state_hash(),
        }
    }

    fn around(root: Root, conf_state: ConfState) -> Self {
        let conf_state = Arc::new(conf_state);
        let eras = Eras::new(root.compacted);
        let sweep = Sweep::from(root.compacted);
        Store {
            root,
            conf_state,
            dead: Dead::new(),
            eras,
            sweep,
            release: Release { queue: VecDeque::new(), upto: 0 },
        }
    }
}
