//! Frames: how what is to be sent is put together, and taken apart.

use bytes::Bytes;
use kvorum_core::divergence::Mark;
use kvorum_core::node::{Input, Proposal};
use kvorum_core::store::{StateHash, Store};
use kvorum_proto::etcdserverpb::InternalRaftRequest;
use kvorum_proto::kvorumpb::{self, Frame};
use prost::Message as _;
use raft_proto::eraftpb::{Message, MessageType};
use tonic::Status;

use super::link::Outgoing;
use crate::limits::{HIGHEST_MAX_REQUEST_BYTES, PEER_FRAME_BYTES};

/// Puts messages into frames of about one size, in their order.
pub(super) fn pack(outgoing: impl Iterator<Item = Outgoing>) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut frame = Frame::default();
    let mut bytes = 0;
    for item in outgoing {
        let size = item.size();
        if bytes > 0 && bytes + size > PEER_FRAME_BYTES {
            frames.push(std::mem::take(&mut frame));
            bytes = 0;
        }
        bytes += size;
        match item {
            Outgoing::Raft(message) => frame.raft.push(message.encode_to_vec().into()),
            Outgoing::Proposal(Proposal { id, entry }) => {
                frame.proposals.push(kvorumpb::Proposal { id, entry });
            }
            Outgoing::Result { id, appended } => {
                let (term, index) = appended.unwrap_or((0, 0));
                frame.results.push(kvorumpb::ProposalResult { id, term, index });
            }
            Outgoing::Marks(marks) => frame.marks.extend(marks.iter().map(mark)),
            Outgoing::AskBound { nonce, last } => {
                frame.ask_bound = Some(kvorumpb::AskBound { nonce, last });
            }
            Outgoing::TellBound { nonce, bound: (term, index) } => {
                frame.tell_bound = Some(kvorumpb::TellBound { nonce, term, index });
            }
        }
    }
    if bytes > 0 {
        frames.push(frame);
    }
    frames
}

/// What a frame of the member `from` means to the member `to`. Whether the messages make sense
/// the node checks; that they are from and to whom they say, we do, and that writes can be applied.
pub(super) fn unpack(frame: Frame, from: u64, to: u64) -> Result<Vec<Input>, Status> {
    let mut inputs =
        Vec::with_capacity(frame.raft.len() + frame.proposals.len() + frame.results.len());
    for bytes in frame.raft {
        let message = Message::decode(bytes)
            .map_err(|_| Status::invalid_argument("error unmarshalling raft message"))?;
        if message.from != from || message.to != to {
            return Err(Status::failed_precondition("to field mismatch"));
        }
        // One without its state would make the node wait for it in vain.
        if message.msg_type == MessageType::MsgSnapshot as i32 {
            return Err(Status::invalid_argument("a snapshot comes on a stream of its own"));
        }
        inputs.push(Input::Raft(message));
    }
    for kvorumpb::Proposal { id, entry } in frame.proposals {
        check_write(id, &entry)?;
        inputs.push(Input::Forwarded { from, proposal: Proposal { id, entry } });
    }
    for kvorumpb::ProposalResult { id, term, index } in frame.results {
        let appended = (index != 0).then_some((term, index));
        inputs.push(Input::ForwardResult { from, id, appended });
    }
    if let Some(kvorumpb::AskBound { nonce, last }) = frame.ask_bound {
        inputs.push(Input::BoundAsked { from, nonce, last });
    }
    if let Some(kvorumpb::TellBound { nonce, term, index }) = frame.tell_bound {
        inputs.push(Input::BoundTold { from, nonce, term, index });
    }
    Ok(inputs)
}

/// A write that is to be proposed for a peer must be one that its edge can have let through. In
/// the log it would be too late: what cannot be applied stops every member, again at each start,
/// and what is too large no member takes. The entries of a leader are not looked at: they are in
/// the log, here or elsewhere, whatever they are. Decoding copies no keys or values, and every
/// member does it again when it applies the write.
fn check_write(id: u64, entry: &Bytes) -> Result<(), Status> {
    if entry.len() > HIGHEST_MAX_REQUEST_BYTES {
        return Err(Status::invalid_argument("a forwarded write is too large"));
    }
    let request = InternalRaftRequest::decode(entry.clone())
        .map_err(|_| Status::invalid_argument("error unmarshalling a forwarded write"))?;
    if request.header.as_ref().is_none_or(|header| header.id != id) {
        return Err(Status::invalid_argument("a forwarded write has another id than it says"));
    }
    if !Store::knows(&request) {
        return Err(Status::invalid_argument("a forwarded write is of an unknown kind"));
    }
    Ok(())
}

/// What a frame says of its sender's state.
pub(super) fn marks(frame: &mut Frame) -> Vec<Mark> {
    let marks = std::mem::take(&mut frame.marks).into_iter();
    let known = marks.filter_map(|kvorumpb::StateMark { index, hash }| {
        Some(Mark { index, hash: StateHash::from_bytes(hash[..].try_into().ok()?) })
    });
    known.collect()
}

fn mark(mark: &Mark) -> kvorumpb::StateMark {
    let hash = Bytes::copy_from_slice(&mark.hash.to_bytes());
    kvorumpb::StateMark { index: mark.index, hash }
}

#[cfg(test)]
mod tests {
    use kvorum_proto::etcdserverpb::{DowngradeVersionTestRequest, PutRequest, RequestHeader};

    use super::*;

    fn write(id: u64, value_bytes: usize) -> Proposal {
        let header = Some(RequestHeader { id, ..RequestHeader::default() });
        let value = vec![7; value_bytes].into();
        let put = Some(PutRequest { key: "key".into(), value, ..PutRequest::default() });
        let request = InternalRaftRequest { header, put, ..InternalRaftRequest::default() };
        Proposal { id, entry: request.encode_to_vec().into() }
    }

    fn raft(index: u64) -> Message {
        Message { from: 1, to: 2, index, ..Message::default() }
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let proposal = write(7, 5);
        let frames = pack(
            [
                Outgoing::Raft(Box::new(raft(1))),
                Outgoing::Raft(Box::new(raft(2))),
                Outgoing::Proposal(proposal.clone()),
                Outgoing::Result { id: 8, appended: Some((3, 4)) },
                Outgoing::Result { id: 9, appended: None },
                Outgoing::AskBound { nonce: 5, last: 6 },
                Outgoing::TellBound { nonce: 7, bound: (8, 9) },
            ]
            .into_iter(),
        );
        let [frame] = &frames[..] else { panic!("{frames:?}") };
        assert_eq!(
            unpack(frame.clone(), 1, 2).unwrap(),
            [
                Input::Raft(raft(1)),
                Input::Raft(raft(2)),
                Input::Forwarded { from: 1, proposal },
                Input::ForwardResult { from: 1, id: 8, appended: Some((3, 4)) },
                Input::ForwardResult { from: 1, id: 9, appended: None },
                Input::BoundAsked { from: 1, nonce: 5, last: 6 },
                Input::BoundTold { from: 1, nonce: 7, term: 8, index: 9 },
            ]
        );
    }

    #[test]
    fn large_messages_get_frames_of_their_own() {
        let told = [1, 2].map(|index| Mark { index, hash: StateHash::from_bytes([7; 16]) });
        let mut frames = pack([Outgoing::Marks(told.to_vec())].into_iter());
        assert_eq!(marks(&mut frames[0]), told);
        let large = || {
            let entry = vec![0; PEER_FRAME_BYTES].into();
            Outgoing::Proposal(Proposal { id: 1, entry })
        };
        assert_eq!(pack([large(), large()].into_iter()).len(), 2);
        assert_eq!(pack(std::iter::empty()).len(), 0);
    }

    #[test]
    fn a_forwarded_write_must_be_one_that_every_member_can_apply() {
        let verdict = |id, entry: Bytes| {
            let proposals = vec![kvorumpb::Proposal { id, entry }];
            unpack(Frame { proposals, ..Frame::default() }, 1, 2)
        };
        assert!(verdict(7, write(7, 5).entry).is_ok());
        let largest = write(7, HIGHEST_MAX_REQUEST_BYTES - 64).entry;
        assert!(verdict(7, largest).is_ok(), "as large as any edge lets through");
        assert!(verdict(7, write(7, HIGHEST_MAX_REQUEST_BYTES).entry).is_err(), "larger");
        assert!(verdict(8, write(7, 5).entry).is_err(), "under another id");
        assert!(verdict(0, Bytes::new()).is_err(), "nothing");
        assert!(verdict(7, Bytes::from_static(b"\xff\xff")).is_err(), "garbage");
        let header = Some(RequestHeader { id: 7, ..RequestHeader::default() });
        let bare = InternalRaftRequest { header, ..InternalRaftRequest::default() };
        assert!(verdict(7, bare.encode_to_vec().into()).is_err(), "no operation");
        let downgrade_version_test = Some(DowngradeVersionTestRequest::default());
        let unknown = InternalRaftRequest { downgrade_version_test, ..bare };
        assert!(verdict(7, unknown.encode_to_vec().into()).is_err(), "an unknown operation");
    }

    #[test]
    fn a_member_speaks_only_for_itself() {
        let frames = pack([Outgoing::Raft(Box::new(raft(1)))].into_iter());
        assert!(unpack(frames[0].clone(), 3, 2).is_err());
        assert!(unpack(frames[0].clone(), 1, 3).is_err());
        let snapshot = Message { msg_type: MessageType::MsgSnapshot as i32, ..raft(1) };
        let frames = pack([Outgoing::Raft(Box::new(snapshot))].into_iter());
        assert!(unpack(frames[0].clone(), 1, 2).is_err(), "it came without its state");
        let garbage = Frame { raft: vec!["\u{ff}garbage".into()], ..Frame::default() };
        assert!(unpack(garbage, 1, 2).is_err());
    }
}
