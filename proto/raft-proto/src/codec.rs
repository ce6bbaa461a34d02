//! The trait of protobuf 2 that raft names, on top of prost.
//!
//! raft uses three of its methods: the encoded size limits messages, and configuration changes
//! are encoded and decoded. All three are prost's. What reflects on messages, or keeps fields
//! nobody knows, raft never calls, and it cannot be had here.

use std::any::Any;
use std::sync::OnceLock;

use prost::Message as _;
use protobuf::error::WireError;
use protobuf::reflect::MessageDescriptor;
use protobuf::{CodedInputStream, CodedOutputStream, ProtobufError, ProtobufResult, UnknownFields};

use crate::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeV2, ConfState, Entry, HardState, Message, Snapshot,
    SnapshotMetadata,
};

macro_rules! by_prost {
    ($($message:ident),* $(,)?) => {$(
        impl protobuf::Clear for $message {
            fn clear(&mut self) {
                prost::Message::clear(self);
            }
        }

        impl protobuf::Message for $message {
            fn new() -> $message {
                $message::default()
            }

            fn default_instance() -> &'static $message {
                static DEFAULT: OnceLock<$message> = OnceLock::new();
                DEFAULT.get_or_init($message::default)
            }

            fn is_initialized(&self) -> bool {
                true // proto3 has no required fields
            }

            fn compute_size(&self) -> u32 {
                // More than a message may ever have; raft only compares it with limits.
                u32::try_from(self.encoded_len()).unwrap_or(u32::MAX)
            }

            fn get_cached_size(&self) -> u32 {
                protobuf::Message::compute_size(self)
            }

            fn write_to_bytes(&self) -> ProtobufResult<Vec<u8>> {
                Ok(self.encode_to_vec())
            }

            fn write_to_with_cached_sizes(&self, to: &mut CodedOutputStream) -> ProtobufResult<()> {
                to.write_raw_bytes(&self.encode_to_vec())
            }

            fn merge_from_bytes(&mut self, bytes: &[u8]) -> ProtobufResult<()> {
                self.merge(bytes).map_err(|_| ProtobufError::WireError(WireError::Other))
            }

            fn merge_from(&mut self, _: &mut CodedInputStream) -> ProtobufResult<()> {
                // Nothing is parsed by protobuf 2, whose recursion has no bound.
                Err(ProtobufError::WireError(WireError::Other))
            }

            fn as_any(&self) -> &dyn Any {
                self
            }

            fn descriptor(&self) -> &'static MessageDescriptor {
                unimplemented!("prost messages have no descriptor of protobuf 2")
            }

            fn get_unknown_fields(&self) -> &UnknownFields {
                unimplemented!("prost drops unknown fields")
            }

            fn mut_unknown_fields(&mut self) -> &mut UnknownFields {
                unimplemented!("prost drops unknown fields")
            }
        }
    )*};
}

by_prost!(
    ConfChange,
    ConfChangeSingle,
    ConfChangeV2,
    ConfState,
    Entry,
    HardState,
    Message,
    Snapshot,
    SnapshotMetadata,
);
