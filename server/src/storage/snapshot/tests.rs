//! A received state takes the place of the member's own as a whole, whenever the power fails.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use kvorum_core::node::Group;
use kvorum_proto::etcdserverpb::{CompactionRequest, InternalRaftRequest, PutRequest};
use kvorum_proto::membershippb::Member;
use raft_proto::eraftpb::{ConfState, HardState};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::storage::boot::{Booted, boot, bootstrap};
use crate::storage::dir::DataDir;
use crate::storage::memory::MemoryDisk;
use crate::storage::wal::Options;

const OURS: Identity = Identity { cluster_id: 0xc1, member_id: 0xa1, incarnation: 0x77 };
const OPTIONS: Options = Options { segment_bytes: 64 * 1024 };

fn members() -> Vec<Member> {
    vec![Member { id: 0xa1, ..Member::default() }, Member { id: 0xb2, ..Member::default() }]
}

fn conf_state() -> ConfState {
    ConfState::from((vec![0xa1, 0xb2], vec![]))
}

fn open_dir(disk: &MemoryDisk) -> DataDir {
    DataDir::open(Arc::new(disk.clone()), Path::new("/data")).unwrap()
}

fn start(disk: &MemoryDisk) -> Result<(DataDir, Booted), StorageError> {
    let dir = open_dir(disk);
    let booted = boot(&dir, OPTIONS)?;
    Ok((dir, booted))
}

/// A member that has nothing yet.
fn empty_member() -> MemoryDisk {
    let disk = MemoryDisk::new();
    bootstrap(&open_dir(&disk), OURS, members(), conf_state(), OPTIONS).unwrap();
    disk
}

/// The leader's store after so many entries of term 2, the last but five compacted away.
fn leader(entries: u64) -> Store {
    let mut store = Store::bootstrap(members(), conf_state());
    for index in 1..=entries {
        let mut request = InternalRaftRequest::default();
        if index == entries {
            let revision = store.root().revision() - 5;
            request.compaction = Some(CompactionRequest { revision, ..Default::default() });
        } else {
            let key = Bytes::from(format!("key{}", index % 7));
            let value = Bytes::from(vec![index as u8; 300]);
            request.put = Some(PutRequest { key, value, ..PutRequest::default() });
        }
        assert!(store.apply(index, 2, &request).reply.is_ok());
    }
    store
}

fn receive(dir: &MemberDir, store: &Store) -> Result<Received, StorageError> {
    let mut incoming = Incoming::begin(dir.clone(), OURS, store.position())?;
    for change in store.root().export() {
        let change = change.resolve(|_| Err::<Bytes, _>(())).expect("all values are resident");
        let (table, key, value) = change.encode();
        incoming.take(table, key, value.expect("a state is put together of records"))?;
    }
    incoming.finish()
}

/// What the log says when it begins after a received state.
fn base(position: &Position) -> Group {
    Group {
        number: 1,
        base: Some((position.index, position.term)),
        entries: Vec::new(),
        hard_state: Some(HardState { term: 3, vote: 0, commit: position.index }),
    }
}

fn files(disk: &MemoryDisk) -> Vec<String> {
    disk.list(Path::new("/data/kvorum")).unwrap()
}

#[test]
fn a_received_state_answers_as_the_one_that_was_sent() {
    let disk = empty_member();
    let leader = leader(40);
    let (dir, mut booted) = start(&disk).unwrap();
    let received = receive(&dir.member(), &leader).unwrap();
    assert_eq!(received.store.root().state_hash(), leader.root().state_hash());
    booted.log.append(&base(&received.position)).unwrap();
    booted.log.sync().unwrap();
    install(&dir.member(), &received.position).unwrap();
    assert_eq!(files(&disk), ["log", "store.redb"]);
    drop((dir, booted, received));

    let (_dir, booted) = start(&disk).unwrap();
    assert_eq!(booted.consensus.applied, (40, 2));
    assert_eq!(booted.consensus.base, (40, 2));
    assert_eq!(booted.store.position(), leader.position());
    let values = booted.backend.values();
    let told = booted.store.root();
    let hash = told.recompute_hash(|at| {
        Ok::<_, Infallible>(values.value(at).unwrap().expect("what is readable is stored"))
    });
    assert_eq!(hash, Ok(leader.root().state_hash()));
}

#[test]
fn a_crash_at_any_moment_leaves_the_old_state_or_the_new() {
    let leader = leader(40);
    let (mut old, mut new) = (0, 0);
    'moments: for after in 0.. {
        for outcome in 0..4 {
            let mut random = StdRng::seed_from_u64(after << 8 | outcome);
            let survival = [0.0, 1.0].get(outcome as usize).copied();
            let survival = survival.unwrap_or_else(|| random.random_range(0.0..1.0));
            let disk = empty_member();
            let (dir, mut booted) = start(&disk).unwrap();
            disk.fail_after(after);
            let mut begun = false;
            let installed = receive(&dir.member(), &leader).and_then(|received| {
                booted.log.append(&base(&received.position))?;
                booted.log.sync()?;
                begun = true;
                install(&dir.member(), &received.position)
            });
            drop((dir, booted));
            if random.random_bool(0.8) {
                disk.crash(|| random.random_bool(survival));
            } else {
                disk.heal();
            }
            let what = format!("operation {after} outcome {outcome}");
            let (_dir, booted) = start(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
            match booted.consensus.applied {
                (0, 0) => {
                    assert!(!begun, "{what}: the log begins after a state that is gone");
                    assert_eq!(booted.consensus.base, (0, 0), "{what}");
                    old += 1;
                }
                (40, 2) => {
                    assert_eq!(booted.consensus.base, (40, 2), "{what}");
                    assert_eq!(booted.store.position(), leader.position(), "{what}");
                    new += 1;
                }
                other => panic!("{what}: {other:?}"),
            }
            assert_eq!(files(&disk), ["log", "store.redb"], "{what}");
            if installed.is_ok() && outcome == 3 {
                break 'moments;
            }
        }
    }
    assert!(old > 0 && new > 0, "{old} {new}");
}

#[test]
fn a_state_that_raft_did_not_take_is_forgotten() {
    let disk = empty_member();
    let (dir, booted) = start(&disk).unwrap();
    let received = receive(&dir.member(), &leader(40)).unwrap();
    assert!(files(&disk).iter().any(|name| name.starts_with(COMPLETE)));
    discard(&dir.member(), &received.position).unwrap();
    assert_eq!(files(&disk), ["log", "store.redb"]);
    // And one whose process died before it said so.
    drop(receive(&dir.member(), &leader(40)).unwrap());
    drop((dir, booted, received));
    let (_dir, booted) = start(&disk).unwrap();
    assert_eq!(booted.consensus.applied, (0, 0));
    assert_eq!(files(&disk), ["log", "store.redb"]);
}

#[test]
fn a_state_that_lacks_or_changes_a_record_is_refused() {
    let disk = empty_member();
    let leader = leader(40);
    let (dir, _booted) = start(&disk).unwrap();
    // The versions tell the revision too, and how far a sweep has come is each member's own.
    let told_otherwise = |key: &[u8]| key == b"revision" || key == b"swept";
    let count = leader.root().export().count();
    for (at, drop_it) in (0..count).flat_map(|at| [(at, true), (at, false)]) {
        let mut incoming = Incoming::begin(dir.member(), OURS, leader.position()).unwrap();
        let mut harmless = false;
        for (number, change) in leader.root().export().enumerate() {
            let (table, key, value) = change.encode();
            let mut value = value.unwrap().to_vec();
            if number == at {
                harmless = told_otherwise(&key);
                if drop_it {
                    continue;
                }
                let Some(last) = value.last_mut() else { continue };
                *last ^= 1;
            }
            incoming.take(table, key, value.into()).unwrap();
        }
        if harmless {
            continue;
        }
        let error = incoming.finish().err().unwrap_or_else(|| panic!("record {at}, {drop_it}"));
        let what = format!("record {at}, {drop_it}: {error}");
        assert!(matches!(error, StorageError::Snapshot(SnapshotError::Content(_))), "{what}");
    }
}
