use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kvorum_core::store::{Change, Position, Root, Store, Version};
use kvorum_proto::etcdserverpb::request_op::Request;
use kvorum_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, InternalRaftRequest, LeaseGrantRequest,
    LeaseRevokeRequest, PutRequest, RequestOp, TxnRequest,
};
use kvorum_proto::mvccpb::KeyValue;
use proptest::prelude::{Strategy, prop, prop_assert_eq, proptest};
use prost::Message;
use raft_proto::eraftpb::ConfState;

use super::*;
use crate::etcd::bolt::{Bolt, BuildError, Builder, Sink};

#[derive(Clone, Copy, Debug)]
enum Op {
    Put {
        key: u8,
        lease: i64,
        len: usize,
    },
    Delete {
        from: u8,
        to: u8,
    },
    Several {
        put: u8,
        delete: u8,
    },
    Grant {
        id: i64,
    },
    Revoke {
        id: i64,
    },
    /// At so many revisions before the newest.
    Compact {
        before: i64,
    },
}

struct ToMemory(Vec<u8>);

impl Sink for ToMemory {
    type Error = BuildError;
    const WRITES: bool = true;

    fn put(&mut self, bytes: Vec<u8>) -> Result<(), BuildError> {
        self.0.extend(bytes);
        Ok(())
    }
}

fn request(op: Op, revision: i64) -> InternalRaftRequest {
    let name = |key: u8| Bytes::from(vec![b'k', key]);
    let put = |key, lease, len: usize| PutRequest {
        key: name(key),
        value: vec![key; len].into(),
        lease,
        ..PutRequest::default()
    };
    let delete = |from, to| DeleteRangeRequest {
        key: name(from),
        range_end: name(to),
        ..DeleteRangeRequest::default()
    };
    let mut request = InternalRaftRequest::default();
    match op {
        Op::Put { key, lease, len } => request.put = Some(put(key, lease, len)),
        Op::Delete { from, to } => request.delete_range = Some(delete(from, to)),
        Op::Several { put: key, delete: gone } => {
            let all = [
                Request::RequestPut(put(key, 0, 9)),
                Request::RequestPut(put(key + 1, 0, 0)),
                Request::RequestDeleteRange(delete(gone, gone + 3)),
            ];
            let success = all.map(|request| RequestOp { request: Some(request) }).to_vec();
            request.txn = Some(TxnRequest { success, ..TxnRequest::default() });
        }
        Op::Grant { id } => {
            request.lease_grant = Some(LeaseGrantRequest { id, ttl: 60 + id });
        }
        Op::Revoke { id } => request.lease_revoke = Some(LeaseRevokeRequest { id }),
        Op::Compact { before } => {
            let revision = revision - before;
            request.compaction = Some(CompactionRequest { revision, physical: false });
        }
    }
    request
}

fn applied(ops: &[Op]) -> Store {
    let mut store = Store::bootstrap(Vec::new(), ConfState::default());
    for (index, op) in ops.iter().enumerate() {
        // Some are refused, as a lease that is not there: then they do nothing.
        let _ = store.apply(index as u64 + 1, 1, &request(*op, store.root().revision()));
    }
    store
}

type Values = BTreeMap<Revision, Bytes>;

/// The values of a state that has them all in memory.
fn values(root: &Root) -> Values {
    let versions = root.export().filter_map(|change| match change {
        Change::Version(version) => Some((version.at, version.value.resident()?.clone())),
        _ => None,
    });
    versions.collect()
}

fn file_of(root: &Root, values: &Values) -> Vec<u8> {
    let value =
        |version: &Version| -> Result<Bytes, BuildError> { Ok(values[&version.at].clone()) };
    let mut builder = Builder::measure();
    write(root, &mut builder, value).unwrap();
    let (layout, _) = builder.finish().unwrap();
    let mut builder = Builder::write(ToMemory(Vec::new()), layout).unwrap();
    write(root, &mut builder, value).unwrap();
    builder.finish().unwrap().1.0
}

fn open(file: &[u8]) -> Bolt {
    let disk = tempfile::tempfile().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&disk, file, 0).unwrap();
    Bolt::open(Arc::new(disk), file.len() as u64).unwrap()
}

/// A file with these revisions of one key.
fn with_revisions(all: &[(i64, i64)], compacted: Option<i64>) -> Bolt {
    fn fill<S: Sink>(to: &mut Builder<S>, all: &[(i64, i64)], compacted: Option<i64>)
    where
        S::Error: std::fmt::Debug,
    {
        to.bucket(KEY).unwrap();
        for (main, sub) in all {
            let kv = KeyValue {
                key: "k".into(),
                create_revision: *main,
                mod_revision: *main,
                version: 1,
                ..KeyValue::default()
            };
            let at = Revision { main: *main, sub: *sub };
            to.row(&revision_key(at, false), kv.encode_to_vec()).unwrap();
        }
        to.bucket(META).unwrap();
        if let Some(main) = compacted {
            let at = revision_key(Revision { main, sub: 0 }, false);
            to.row(SCHEDULED_COMPACTION.as_bytes(), at).unwrap();
        }
    }
    let mut builder = Builder::measure();
    fill(&mut builder, all, compacted);
    let mut writer = Builder::write(ToMemory(Vec::new()), builder.finish().unwrap().0).unwrap();
    fill(&mut writer, all, compacted);
    open(&writer.finish().unwrap().1.0)
}

fn store_of(file: &[u8], position: Position) -> Store {
    let bolt = open(file);
    let mut changes = Vec::new();
    let state = read(&bolt, |change| -> Result<(), SchemaError> {
        changes.push(change);
        Ok(())
    })
    .unwrap();
    changes.push(Change::of_revision(state.revision));
    changes.extend(state.compacted.map(Change::of_compacted));
    assert_eq!(consistent_index(&bolt).unwrap(), position.index);
    assert_eq!(storage_version(&bolt).unwrap(), "3.6.0");
    let records = changes.iter().map(|change| {
        let (table, key, value) = change.encode();
        (table, key, value.expect("a state is records that are put"))
    });
    Store::adopt(position, records).unwrap()
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..12_u8;
    prop::strategy::Union::new_weighted(vec![
        (
            8,
            (key.clone(), 0..4_i64, 0..30_usize)
                .prop_map(|(key, lease, len)| Op::Put { key, lease, len })
                .boxed(),
        ),
        (
            3,
            (key.clone(), 0..4_u8)
                .prop_map(|(from, more)| Op::Delete { from, to: from + more })
                .boxed(),
        ),
        (2, (key, 14..20_u8).prop_map(|(put, delete)| Op::Several { put, delete }).boxed()),
        (2, (1..4_i64).prop_map(|id| Op::Grant { id }).boxed()),
        (1, (1..4_i64).prop_map(|id| Op::Revoke { id }).boxed()),
        (1, (0..9_i64).prop_map(|before| Op::Compact { before }).boxed()),
    ])
}

proptest! {
    /// The state hash is over all that a state is, history included.
    #[test]
    fn a_state_that_went_through_a_file_is_the_same(ops in prop::collection::vec(op(), 0..120)) {
        let store = applied(&ops);
        let (root, position) = (store.root(), store.position());
        let values = values(&root);
        let back = store_of(&file_of(&root, &values), position.clone());
        prop_assert_eq!(back.position(), position);
        prop_assert_eq!(back.root().compacted_revision(), root.compacted_revision());
        // And once more, from one that was never swept.
        let again = store_of(&file_of(&back.root(), &values), back.position());
        prop_assert_eq!(again.state_hash(), store.state_hash());
    }
}

#[test]
fn a_revision_that_no_compaction_removed_is_missed() {
    for (all, compacted, gap) in [
        (&[(2, 0), (3, 0), (3, 1), (4, 0)][..], None, None),
        (&[], None, None),
        (&[(3, 0)], None, Some(2)),
        (&[(2, 0), (4, 0)], None, Some(3)),
        (&[(2, 0), (3, 1)], None, Some(3)),
        (&[(2, 0), (2, 2)], None, Some(2)),
        // What is compacted may be gone, the compacted revision itself as well.
        (&[(2, 1), (7, 3), (11, 0)], Some(10), None),
        (&[(11, 0), (11, 1)], Some(10), None),
        (&[(10, 1), (11, 0)], Some(10), None),
        (&[(2, 0), (12, 0)], Some(10), Some(11)),
    ] {
        let read = read(&with_revisions(all, compacted), |_| Ok::<_, SchemaError>(()));
        let found = match read {
            Ok(_) => None,
            Err(SchemaError::Gap(main)) => Some(main),
            Err(error) => panic!("{all:?}: {error}"),
        };
        assert_eq!(found, gap, "{all:?} compacted {compacted:?}");
    }
}

#[test]
fn keys_of_versions_are_those_of_etcd() {
    let at = Revision { main: 0x0102, sub: 3 };
    let key = b"\0\0\0\0\0\0\x01\x02_\0\0\0\0\0\0\0\x03";
    assert_eq!(revision_key(at, false), key);
    assert_eq!(parse_revision(key), Some((at, false)));
    let deletion = [&key[..], b"t"].concat();
    assert_eq!(revision_key(at, true), deletion);
    assert_eq!(parse_revision(&deletion), Some((at, true)));
}

#[test]
fn what_is_no_revision_is_none() {
    for key in [&b""[..], b"\0\0\0\0\0\0\0\x01_\0", b"\0\0\0\0\0\0\0\x01-\0\0\0\0\0\0\0\0"] {
        assert_eq!(parse_revision(key), None, "{key:?}");
    }
    assert_eq!(parse_revision(b"\xff\0\0\0\0\0\0\x01_\0\0\0\0\0\0\0\0"), None);
    assert_eq!(parse_revision(b"\0\0\0\0\0\0\0\x01_\0\0\0\0\0\0\0\0tt"), None);
}
