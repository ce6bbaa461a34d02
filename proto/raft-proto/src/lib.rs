//! raft's messages, in the place of the published `raft-proto` (`[patch.crates-io]` in the
//! workspace's root).
//!
//! It exists so that `raft` 0.7.0 can be taken from the registry as it is. The published crate
//! generates its messages at build time, by `protoc` and by a prost of 2022 or by protobuf 2;
//! this one has them written down, on the prost that the rest of the tree uses. So there is one
//! prost, no `protoc` and no build script, and an entry's bytes are [`bytes::Bytes`]: shared
//! between log, peers and state machine, never copied.
//!
//! The field numbers in [`eraftpb`] are those of raft's `eraftpb.proto`. They are what members
//! say to each other on the wire, and must not change.
//!
//! Besides the messages there is exactly what raft 0.7.0 calls: the accessors in `accessors`, the
//! trait of protobuf 2 that raft names ([`codec`](mod@codec); nothing is parsed by protobuf 2),
//! and the functions about configuration changes.

mod accessors;
mod codec;
mod conf_change;
pub mod eraftpb;

pub use conf_change::{ConfChangeI, conf_state_eq, new_conf_change_single};

/// What raft re-exports.
pub mod prelude {
    pub use crate::eraftpb::{
        ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2,
        ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot, SnapshotMetadata,
    };
}
