//! A received state takes the place of the member's own as a whole, whenever the power fails.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use kvorum_core::node::Group;
use kvorum_proto::etcdserverpb::{CompactionRequest, InternalRaftRequest, PutRequest};
use kvorum_proto::membershippb::Member;
use prost::Message;
use raft_proto::eraftpb::{ConfState, Entry, HardState};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::storage::backend::Backend;
use crate::storage::boot::{Booted, boot, bootstrap};
use crate::storage::dir::DataDir;
use crate::storage::disk::Disk;
use crate::storage::memory::{Effect, Errno, Fault, MemoryDisk, Op};
use crate::storage::wal::{Log, Options};

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
    let taken = store.root().export().try_for_each(|change| {
        let change = change.resolve(|_| Err::<Bytes, _>(())).expect("all values are resident");
        let (table, key, value) = change.encode();
        incoming.take(table, key, value.expect("a state is put together of records"))
    });
    match taken {
        Ok(()) => incoming.finish(),
        Err(error) => {
            incoming.abandon();
            Err(error)
        }
    }
}

/// Logs, applies and stores entries until the log has forgotten those up to `index`.
fn forget_log(booted: &mut Booted, index: u64) {
    for number in 1.. {
        let (last, term) = (booted.log.last().0 + 1, 3);
        let value = Bytes::from(vec![last as u8; 1000]);
        let put = PutRequest { key: Bytes::from_static(b"key"), value, ..PutRequest::default() };
        let request = InternalRaftRequest { put: Some(put), ..InternalRaftRequest::default() };
        let data = Bytes::from(request.encode_to_vec());
        let entries = vec![Entry { index: last, term, data, ..Entry::default() }];
        let hard_state = Some(HardState { term, vote: 0, commit: last });
        booted.log.append(&Group { number, base: None, entries, hard_state }).unwrap();
        booted.log.sync().unwrap();
        let changes = booted.store.apply(last, term, &request).changes;
        booted.backend.commit(&changes, &booted.store.position()).unwrap();
        booted.log.release(last).unwrap();
        if booted.log.base().0 > index {
            return;
        }
    }
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

#[test]
fn a_state_that_was_put_in_place_but_not_durably_is_not_taken_back_later() {
    for sync_fails in [true, false] {
        let disk = empty_member();
        let (dir, mut booted) = start(&disk).unwrap();
        let received = receive(&dir.member(), &leader(40)).unwrap();
        booted.log.append(&base(&received.position)).unwrap();
        booted.log.sync().unwrap();
        let effect = if sync_fails { Effect::Fail(Errno::Eio) } else { Effect::Die };
        disk.inject(Fault::new(effect, &[Op::SyncDir]));
        install(&dir.member(), &received.position).unwrap_err();
        disk.kill();
        drop((dir, booted, received));

        let (dir, mut booted) = start(&disk).unwrap();
        assert_eq!(booted.consensus.applied, (40, 2));
        forget_log(&mut booted, 40);
        let position = booted.store.position();
        disk.crash(|| false);
        drop((dir, booted));
        let (_dir, booted) = start(&disk).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(booted.store.position(), position);
        assert_eq!(files(&disk), ["log", "store.redb"]);
    }
}

#[test]
fn a_complete_state_is_left_alone_by_the_next() {
    let disk = empty_member();
    let (dir, _booted) = start(&disk).unwrap();
    let first = receive(&dir.member(), &leader(40)).unwrap();
    receive(&dir.member(), &leader(50)).unwrap();
    install(&dir.member(), &first.position).unwrap();
}

#[test]
fn beside_the_log_of_another_member_a_received_state_stays_where_it_is() {
    let disk = empty_member();
    let (dir, booted) = start(&disk).unwrap();
    let received = receive(&dir.member(), &leader(40)).unwrap();
    drop((dir, booted));
    let log = Path::new("/data/kvorum/log");
    disk.remove_file(&log.join("00000001.log")).unwrap();
    let theirs = Identity { member_id: 0xb2, ..OURS };
    let base = (received.position.index, received.position.term);
    Log::create(&disk, log, theirs, base, OPTIONS).unwrap();
    let before = files(&disk);
    let error = start(&disk).err().expect("it is another member's").to_string();
    assert!(error.contains("belongs to another member"), "{error}");
    assert_eq!(files(&disk), before);
}

#[test]
fn a_state_that_cannot_be_received_takes_no_space() {
    let empty = empty_member();
    let size = {
        let disk = empty.copy();
        let (dir, _booted) = start(&disk).unwrap();
        let before = disk.allocated_bytes();
        receive(&dir.member(), &leader(400)).unwrap();
        disk.allocated_bytes() - before
    };
    let mut failed = 0;
    for room in (0..size).step_by(size as usize / 20) {
        let disk = empty.copy();
        let (dir, _booted) = start(&disk).unwrap();
        let before = disk.allocated_bytes();
        disk.set_capacity(Some(before + room));
        failed += u32::from(receive(&dir.member(), &leader(400)).is_err());
        disk.set_capacity(None);
        if files(&disk) == ["log", "store.redb"] {
            assert_eq!(disk.allocated_bytes(), before, "{room} bytes of room");
        } else {
            assert!(files(&disk)[1].starts_with(COMPLETE), "{room}: {:?}", files(&disk));
        }
    }
    assert!(failed > 10, "{failed}");
    // One whose complete name cannot be made durable.
    let (dir, _booted) = start(&empty).unwrap();
    empty.inject(Fault::new(Effect::Fail(Errno::Eio), &[Op::SyncDir]).times(1));
    receive(&dir.member(), &leader(40)).err().expect("the name is not durable");
    assert_eq!(files(&empty), ["log", "store.redb"]);
}

#[test]
fn records_without_a_byte_do_not_fill_the_memory() {
    let disk = empty_member();
    let (dir, _booted) = start(&disk).unwrap();
    let mut incoming = Incoming::begin(dir.member(), OURS, leader(40).position()).unwrap();
    let mut most = 0;
    for _ in 0..200_000 {
        incoming.take(Table::Versions, Bytes::new(), Bytes::new()).unwrap();
        most = most.max(incoming.gathering.held());
    }
    assert!(most < 140_000, "{most}");
    incoming.abandon();
}
