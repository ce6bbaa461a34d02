//! The rows of the backend's own: who the member is, and how far the log is applied.

use kvorum_core::store::{Position, StateHash};
use prost::Message;
use raft_proto::eraftpb::ConfState;

use crate::identity::Identity;

/// Cluster id, member id and incarnation, 8 bytes little-endian each.
pub(super) fn encode_identity(identity: Identity) -> Vec<u8> {
    let Identity { cluster_id, member_id, incarnation } = identity;
    [cluster_id, member_id, incarnation].iter().flat_map(|part| part.to_le_bytes()).collect()
}

pub(super) fn decode_identity(bytes: &[u8]) -> Option<Identity> {
    let (cluster_id, rest) = bytes.split_first_chunk::<8>()?;
    let (member_id, incarnation) = rest.split_first_chunk::<8>()?;
    Some(Identity {
        cluster_id: u64::from_le_bytes(*cluster_id),
        member_id: u64::from_le_bytes(*member_id),
        incarnation: u64::from_le_bytes(incarnation.try_into().ok()?),
    })
}

/// Index, term and the bytes in use, 8 bytes little-endian each, the state hash, 16 bytes
/// little-endian, then raft's message.
pub(super) fn encode_position(position: &Position, in_use: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(40 + position.conf_state.encoded_len());
    out.extend_from_slice(&position.index.to_le_bytes());
    out.extend_from_slice(&position.term.to_le_bytes());
    out.extend_from_slice(&in_use.to_le_bytes());
    out.extend_from_slice(&position.hash.to_bytes());
    out.extend_from_slice(&position.conf_state.encode_to_vec());
    out
}

pub(super) fn decode_position(bytes: &[u8]) -> Option<(Position, u64)> {
    let (index, rest) = bytes.split_first_chunk::<8>()?;
    let (term, rest) = rest.split_first_chunk::<8>()?;
    let (in_use, rest) = rest.split_first_chunk::<8>()?;
    let (hash, conf_state) = rest.split_first_chunk::<16>()?;
    let position = Position {
        index: u64::from_le_bytes(*index),
        term: u64::from_le_bytes(*term),
        conf_state: ConfState::decode(conf_state).ok()?,
        hash: StateHash::from_bytes(*hash),
    };
    Some((position, u64::from_le_bytes(*in_use)))
}
