//! The rows of the backend's own: who the member is, and how far the log is applied.

use kvorum_core::store::Position;
use prost::Message;
use raft_proto::eraftpb::ConfState;

use crate::identity::Identity;

/// Cluster id and member id, 8 bytes little-endian each.
pub(super) fn encode_identity(identity: Identity) -> [u8; 16] {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&identity.cluster_id.to_le_bytes());
    out[8..].copy_from_slice(&identity.member_id.to_le_bytes());
    out
}

pub(super) fn decode_identity(bytes: &[u8]) -> Option<Identity> {
    let (cluster_id, member_id) = bytes.split_at_checked(8)?;
    Some(Identity {
        cluster_id: u64::from_le_bytes(cluster_id.try_into().ok()?),
        member_id: u64::from_le_bytes(member_id.try_into().ok()?),
    })
}

/// Index, term and the bytes in use, 8 bytes little-endian each, then raft's message.
pub(super) fn encode_position(position: &Position, in_use: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(24 + position.conf_state.encoded_len());
    out.extend_from_slice(&position.index.to_le_bytes());
    out.extend_from_slice(&position.term.to_le_bytes());
    out.extend_from_slice(&in_use.to_le_bytes());
    out.extend_from_slice(&position.conf_state.encode_to_vec());
    out
}

pub(super) fn decode_position(bytes: &[u8]) -> Option<(Position, u64)> {
    let (index, rest) = bytes.split_first_chunk::<8>()?;
    let (term, rest) = rest.split_first_chunk::<8>()?;
    let (in_use, conf_state) = rest.split_first_chunk::<8>()?;
    let position = Position {
        index: u64::from_le_bytes(*index),
        term: u64::from_le_bytes(*term),
        conf_state: ConfState::decode(conf_state).ok()?,
    };
    Some((position, u64::from_le_bytes(*in_use)))
}
