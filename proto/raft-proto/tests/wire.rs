//! The wire of the peers, pinned by bytes written by hand from the field numbers of raft's
//! `eraftpb.proto`. A key is the field number times 8, plus 0 for a number and 2 for bytes; from
//! field 16 on it takes two bytes.

use bytes::Bytes;
use prost::Message as _;
use raft_proto::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
    Entry, EntryType, HardState, Message, MessageType, Snapshot, SnapshotMetadata,
};

fn pinned<M>(message: &M, bytes: &[u8])
where
    M: prost::Message + protobuf::Message + Default + PartialEq,
{
    assert_eq!(message.encode_to_vec(), bytes, "{message:?}");
    assert_eq!(&M::decode(bytes).expect("the bytes decode"), message);
    // raft goes by the trait of protobuf 2.
    assert_eq!(message.write_to_bytes().expect("it encodes"), bytes);
    assert_eq!(message.compute_size() as usize, bytes.len());
    let mut copy = <M as protobuf::Message>::new();
    copy.merge_from_bytes(bytes).expect("the bytes decode");
    assert_eq!(&copy, message);
}

fn entry() -> Entry {
    Entry {
        entry_type: EntryType::EntryConfChangeV2 as i32,
        term: 3,
        index: 300,
        data: Bytes::from_static(b"d"),
        context: Bytes::from_static(b"c"),
        sync_log: true,
    }
}

const ENTRY: &[u8] = &[0x08, 2, 0x10, 3, 0x18, 0xac, 0x02, 0x22, 1, b'd', 0x28, 1, 0x32, 1, b'c'];

fn snapshot() -> Snapshot {
    let conf_state = ConfState::from(([1], []));
    let metadata = SnapshotMetadata { conf_state: Some(conf_state), index: 7, term: 2 };
    Snapshot { data: Bytes::from_static(b"s"), metadata: Some(metadata) }
}

const SNAPSHOT: &[u8] = &[0x0a, 1, b's', 0x12, 9, 0x0a, 3, 0x0a, 1, 1, 0x10, 7, 0x18, 2];

#[test]
fn an_entry() {
    pinned(&Entry::default(), &[]);
    pinned(&entry(), ENTRY);
}

#[test]
fn a_snapshot() {
    pinned(&snapshot(), SNAPSHOT);
}

#[test]
fn a_message_with_every_field() {
    let message = Message {
        msg_type: MessageType::MsgRequestPreVoteResponse as i32,
        to: 1,
        from: 2,
        term: 3,
        log_term: 4,
        index: 5,
        entries: vec![entry(), Entry::default()],
        commit: 6,
        commit_term: 7,
        snapshot: Some(snapshot()),
        request_snapshot: 8,
        reject: true,
        reject_hint: 9,
        context: Bytes::from_static(b"x"),
        deprecated_priority: 10,
        priority: -1,
    };
    let mut bytes = vec![0x08, 18, 0x10, 1, 0x18, 2, 0x20, 3, 0x28, 4, 0x30, 5];
    bytes.extend([0x3a, ENTRY.len() as u8]);
    bytes.extend(ENTRY);
    bytes.extend([0x3a, 0, 0x40, 6, 0x4a, SNAPSHOT.len() as u8]);
    bytes.extend(SNAPSHOT);
    bytes.extend([0x50, 1, 0x58, 9, 0x62, 1, b'x', 0x68, 8, 0x70, 10, 0x78, 7]);
    bytes.extend([0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    pinned(&message, &bytes);
}

#[test]
fn a_hard_state() {
    pinned(&HardState { term: 1, vote: 2, commit: 3 }, &[0x08, 1, 0x10, 2, 0x18, 3]);
}

#[test]
fn a_conf_state() {
    let conf_state = ConfState {
        voters: vec![1, 2],
        learners: vec![3],
        voters_outgoing: vec![4],
        learners_next: vec![5],
        auto_leave: true,
    };
    let bytes = [0x0a, 2, 1, 2, 0x12, 1, 3, 0x1a, 1, 4, 0x22, 1, 5, 0x28, 1];
    pinned(&conf_state, &bytes);
    // Written number by number, as proto2 does.
    let unpacked = [0x08, 1, 0x08, 2, 0x10, 3, 0x18, 4, 0x20, 5, 0x28, 1];
    assert_eq!(ConfState::decode(&unpacked[..]).expect("the bytes decode"), conf_state);
}

#[test]
fn conf_changes() {
    let change = ConfChange {
        change_type: ConfChangeType::AddLearnerNode as i32,
        node_id: 4,
        context: Bytes::from_static(b"x"),
        id: 1,
    };
    pinned(&change, &[0x08, 1, 0x10, 2, 0x18, 4, 0x22, 1, b'x']);
    let change_type = ConfChangeType::RemoveNode as i32;
    let change = ConfChangeV2 {
        transition: ConfChangeTransition::Explicit as i32,
        changes: vec![ConfChangeSingle { change_type, node_id: 3 }],
        context: Bytes::from_static(b"y"),
    };
    pinned(&change, &[0x08, 2, 0x12, 4, 0x08, 1, 0x10, 3, 0x1a, 1, b'y']);
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    use protobuf::Message as _;
    assert!(Entry::new().merge_from_bytes(&[0xff]).is_err());
}
