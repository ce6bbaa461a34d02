//! A member starts where it stopped, whatever stopped it, and a log and a store that do not
//! belong together do not start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use kvorum_core::node::Group;
use kvorum_core::store::{Change, Revision};
use kvorum_proto::etcdserverpb::{InternalRaftRequest, PutRequest, RangeRequest};
use prost::Message;
use raft_proto::eraftpb::{Entry, HardState};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::storage::dir::DirError;
use crate::storage::disk::{Disk, FileDisk};
use crate::storage::memory::MemoryDisk;
use crate::storage::snapshot::SnapshotError;

mod damage;

const OURS: Identity = Identity { cluster_id: 0xc1, member_id: 0xa1, incarnation: 0x77 };

fn options() -> Options {
    Options { segment_bytes: 64 * 1024 }
}

fn members() -> Vec<Member> {
    vec![Member { id: 0xa1, ..Member::default() }]
}

fn open_dir(disk: &MemoryDisk) -> DataDir {
    open_at(disk, "/data").unwrap()
}

fn open_at(disk: &MemoryDisk, path: &str) -> Result<DataDir, StorageError> {
    Ok(DataDir::open(Arc::new(disk.clone()), Path::new(path))?)
}

fn make(dir: &DataDir) -> Result<(), StorageError> {
    bootstrap(dir, OURS, members(), ConfState::from((vec![0xa1], vec![])), options())
}

fn put(index: u64) -> InternalRaftRequest {
    let key = Bytes::from(format!("key{}", index % 5));
    let value = Bytes::from(format!("value{index}"));
    let put = PutRequest { key, value, ..PutRequest::default() };
    InternalRaftRequest { id: index, put: Some(put), ..InternalRaftRequest::default() }
}

fn group(number: u64, index: u64) -> Group {
    let data = Bytes::from(put(index).encode_to_vec());
    let entries = vec![Entry { index, term: 1, data, ..Entry::default() }];
    let hard_state = HardState { term: 1, vote: 0xa1, commit: index - 1 };
    Group { number, base: None, entries, hard_state: Some(hard_state) }
}

/// A member as the runtime's threads run it, on one thread.
struct Running {
    booted: Booted,
    changes: Vec<Change>,
    number: u64,
}

impl Running {
    fn start(dir: &DataDir) -> Result<Running, StorageError> {
        let mut booted = boot(dir, options())?;
        let mut changes = Vec::new();
        for entry in std::mem::take(&mut booted.consensus.tail) {
            let request = InternalRaftRequest::decode(entry.data).unwrap();
            changes.extend(booted.store.apply(entry.index, entry.term, &request).changes);
        }
        Ok(Running { booted, changes, number: 0 })
    }

    /// Logs, syncs and applies the next put; answers its index.
    fn put(&mut self) -> Result<u64, StorageError> {
        self.number += 1;
        let index = self.booted.log.last().0 + 1;
        self.booted.log.append(&group(self.number, index))?;
        self.booted.log.sync()?;
        self.changes.extend(self.booted.store.apply(index, 1, &put(index)).changes);
        Ok(index)
    }

    fn commit(&mut self) -> Result<(), StorageError> {
        let position = self.booted.store.position();
        self.booted.backend.commit(&std::mem::take(&mut self.changes), &position)?;
        Ok(())
    }
}

/// Every version of every key that puts up to `index` left.
fn expect_puts(store: &Store, index: u64) {
    let root = store.root();
    assert_eq!(store.position().index, index);
    assert_eq!(root.revision(), index as i64 + 1);
    let events: Vec<(Bytes, Revision)> =
        root.events(2).map(|version| (version.key.clone(), version.at)).collect();
    let expected = (1..=index).map(|at| {
        (Bytes::from(format!("key{}", at % 5)), Revision { main: at as i64 + 1, sub: 0 })
    });
    assert_eq!(events, expected.collect::<Vec<_>>());
    let newest = root.range(&RangeRequest {
        key: Bytes::from(format!("key{}", index % 5)),
        ..RangeRequest::default()
    });
    let newest = newest.unwrap();
    let value = newest.versions.first().and_then(|version| version.value.resident().cloned());
    assert_eq!(value, (index > 0).then(|| Bytes::from(format!("value{index}"))));
}

#[test]
fn a_new_member_starts_empty() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("default.etcd");
    let dir = DataDir::open(Arc::new(FileDisk), &path).unwrap();
    assert!(!dir.has_member().unwrap());
    make(&dir).unwrap();
    assert!(dir.has_member().unwrap());
    let booted = boot(&dir, options()).unwrap();
    assert_eq!(booted.identity, OURS);
    assert_eq!(booted.consensus.conf_state.voters, [0xa1]);
    assert_eq!(booted.consensus.hard_state, HardState::default());
    assert_eq!(booted.consensus.tail, []);
    assert_eq!(booted.torn, None);
    assert_eq!(booted.store.root().members(), members());
    expect_puts(&booted.store, 0);
}

#[test]
fn a_member_starts_where_it_stopped() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::open(Arc::new(FileDisk), temp.path()).unwrap();
    make(&dir).unwrap();
    for life in 0..4 {
        let mut running = Running::start(&dir).unwrap();
        expect_puts(&running.booted.store, life * 15);
        for at in 0..15 {
            running.put().unwrap();
            if at == 9 {
                running.commit().unwrap();
            }
        }
        expect_puts(&running.booted.store, life * 15 + 15);
    }
    let booted = boot(&dir, options()).unwrap();
    assert_eq!(booted.consensus.applied, (55, 1));
    assert_eq!(booted.consensus.hard_state.commit, 59);
    assert_eq!(
        booted.consensus.tail.iter().map(|e| e.index).collect::<Vec<_>>(),
        [56, 57, 58, 59, 60]
    );
    // Values that are not the newest of their key come from the backend.
    let old = booted.backend.values().value(Revision { main: 3, sub: 0 }).unwrap();
    assert_eq!(old, Some(Bytes::from("value2")));
}

#[test]
fn a_crash_at_any_moment_of_the_making_leaves_all_or_nothing() {
    // Makings that were not told to be done, and survived whole or left nothing.
    let (mut whole, mut nothing) = (0, 0);
    'moments: for after in 0.. {
        for outcome in 0..4 {
            let mut random = StdRng::seed_from_u64(after << 8 | outcome);
            let survival = [0.0, 1.0].get(outcome as usize).copied();
            let survival = survival.unwrap_or_else(|| random.random_range(0.0..1.0));
            let disk = MemoryDisk::new();
            disk.fail_after(after);
            let made = DataDir::open(Arc::new(disk.clone()), Path::new("/data"))
                .map_err(StorageError::from)
                .and_then(|dir| make(&dir));
            disk.crash(|| random.random_bool(survival));
            let what = format!("operation {after} outcome {outcome}");
            let dir = open_dir(&disk);
            if !dir.has_member().unwrap() {
                assert!(made.is_err(), "{what}: made, and gone");
                nothing += 1;
                make(&dir).unwrap();
            } else if made.is_err() {
                whole += 1;
            }
            let running = Running::start(&dir);
            let mut running = running.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(running.put().unwrap(), 1);
            if made.is_ok() && outcome == 3 {
                break 'moments;
            }
        }
    }
    assert!(whole > 0 && nothing > 0, "{whole} {nothing}");
}

#[test]
fn a_member_that_was_started_is_not_lost_with_the_process_that_made_it() {
    const DATA: &str = "/some/where/data";
    // The first process dies while it makes the directories, or not at all.
    for died in [0, 1, 2, 3, 4, 5, 6, 7, 1000] {
        for died_again in 0.. {
            let disk = MemoryDisk::new();
            let mut made = false;
            for after in [died, died_again] {
                disk.fail_after(after);
                made = open_at(&disk, DATA)
                    .and_then(|dir| if dir.has_member()? { Ok(()) } else { make(&dir) })
                    .is_ok();
                disk.heal();
            }
            {
                let dir = open_at(&disk, DATA).unwrap();
                if !dir.has_member().unwrap() {
                    make(&dir).unwrap();
                }
                let mut running = Running::start(&dir).unwrap();
                assert_eq!(running.put().unwrap(), 1);
            }
            disk.crash(|| false);
            let dir = open_at(&disk, DATA).unwrap();
            assert!(dir.has_member().unwrap(), "died {died}, {died_again}: the member is gone");
            expect_puts(&Running::start(&dir).unwrap().booted.store, 1);
            if made {
                break;
            }
        }
    }
}

/// Power is lost, or only the process dies: then what was written is there, durable or not.
fn stop(disk: &MemoryDisk, random: &mut StdRng) {
    disk.heal();
    if random.random_bool(0.7) {
        let survival = random.random_range(0.0..1.0);
        disk.crash(|| random.random_bool(survival));
    }
}

/// The disk said no, rather than something untrue.
fn is_fault(error: &StorageError) -> bool {
    matches!(
        error,
        StorageError::Dir(DirError::Unusable { .. })
            | StorageError::Log(LogError::Io { .. })
            | StorageError::Backend(BackendError::Io { .. })
            | StorageError::Snapshot(SnapshotError::Io { .. })
            | StorageError::Boot(BootError::Unsettled { .. })
    )
}

#[test]
fn what_was_acknowledged_survives_any_crash() {
    // `KVORUM_FUZZ_RUNS` is for long searches.
    let runs = std::env::var("KVORUM_FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok());
    for seed in 0..runs.unwrap_or(40) {
        let mut random = StdRng::seed_from_u64(seed);
        let disk = MemoryDisk::new();
        make(&open_dir(&disk)).unwrap();
        let mut acknowledged = 0;
        for life in 0..5 {
            let what = format!("seed {seed} life {life}");
            let mut start = || {
                let running = Running::start(&open_dir(&disk))?;
                let reached = running.booted.store.position().index;
                assert!(reached >= acknowledged, "{what}: {reached}, {acknowledged}");
                expect_puts(&running.booted.store, reached);
                acknowledged = reached;
                Ok(running)
            };
            while random.random_bool(0.3) {
                disk.fail_after(random.random_range(0..12));
                if let Err(error) = start() {
                    assert!(is_fault(&error), "{what}: {error}");
                }
                stop(&disk, &mut random);
            }
            let mut running = start().unwrap_or_else(|error| panic!("{what}: {error}"));
            disk.fail_after(random.random_range(0..200));
            for _ in 0..random.random_range(0..60) {
                let Ok(index) = running.put() else { break };
                acknowledged = index;
                if random.random_bool(0.1) && running.commit().is_err() {
                    break;
                }
            }
            drop(running);
            stop(&disk, &mut random);
        }
    }
}

/// A member with 20 puts of which the store has those before the last commit.
fn member(disk: &MemoryDisk) -> (PathBuf, PathBuf) {
    let dir = open_dir(disk);
    make(&dir).unwrap();
    let mut running = Running::start(&dir).unwrap();
    for at in 0..20 {
        running.put().unwrap();
        if at == 9 {
            running.commit().unwrap();
        }
    }
    (dir.store(), dir.log().join("00000001.log"))
}

fn refused(disk: &MemoryDisk) -> String {
    match boot(&open_dir(disk), options()) {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_store_that_is_newer_than_the_log_is_refused() {
    let disk = MemoryDisk::new();
    let (_, log) = member(&disk);
    let other = MemoryDisk::new();
    make(&open_dir(&other)).unwrap();
    let empty = other.with_bytes(&log, |bytes| bytes.clone()).unwrap();
    disk.with_bytes(&log, |bytes| bytes.clone_from(&empty)).unwrap();
    let message = refused(&disk);
    assert!(message.contains("the newest vote had been made durable and is gone"), "{message}");
    disk.remove_file(&log.with_file_name("vote")).unwrap();
    let message = refused(&disk);
    assert!(
        message.starts_with("the store has applied entry 10, but the log ends at entry 0"),
        "{message}"
    );
}

#[test]
fn an_older_copy_of_the_store_is_brought_up_by_the_log() {
    let disk = MemoryDisk::new();
    let (store, _) = member(&disk);
    let old = disk.with_bytes(&store, |bytes| bytes.clone()).unwrap();
    {
        let mut running = Running::start(&open_dir(&disk)).unwrap();
        running.put().unwrap();
        running.commit().unwrap();
    }
    disk.with_bytes(&store, |bytes| bytes.clone_from(&old)).unwrap();
    expect_puts(&Running::start(&open_dir(&disk)).unwrap().booted.store, 21);
}

#[test]
fn a_log_that_begins_after_the_store_ends_is_refused() {
    let disk = MemoryDisk::new();
    let (_, log) = member(&disk);
    let dir = log.parent().unwrap();
    let mut running = Running::start(&open_dir(&disk)).unwrap();
    while running.booted.log.segments() < 3 {
        running.put().unwrap();
    }
    drop(running);
    disk.remove_file(&dir.join("00000001.log")).unwrap();
    let message = refused(&disk);
    assert!(
        message.starts_with("the store has applied entry 10, but the log begins after entry "),
        "{message}"
    );
}

#[test]
fn a_store_of_another_history_is_refused() {
    let disk = MemoryDisk::new();
    member(&disk);
    {
        let mut booted = boot(&open_dir(&disk), options()).unwrap();
        let position = Position { index: 12, term: 2, ..booted.store.position() };
        booted.backend.commit(&[], &position).unwrap();
    }
    let message = refused(&disk);
    assert!(
        message.starts_with(
            "the store has applied entry 12 of term 2, but in the log it is of term 1"
        ),
        "{message}"
    );
}

#[test]
fn a_missing_part_is_named() {
    let disk = MemoryDisk::new();
    let (store, log) = member(&disk);
    let copy = disk.copy();
    copy.remove_file(&store).unwrap();
    assert!(refused(&copy).starts_with("/data/kvorum/store.redb is missing; "));
    let copy = disk.copy();
    copy.remove_file(&log).unwrap();
    assert!(refused(&copy).contains("/data/kvorum/log/00000001.log is missing; "));
    let copy = disk.copy();
    copy.remove_dir_all(log.parent().unwrap()).unwrap();
    assert!(refused(&copy).starts_with("/data/kvorum/log is missing; "));
}

#[test]
fn the_log_of_another_member_is_refused() {
    let disk = MemoryDisk::new();
    let (_, log) = member(&disk);
    let other = MemoryDisk::new();
    let theirs = Identity { member_id: 0xb2, ..OURS };
    let dir = open_dir(&other);
    bootstrap(&dir, theirs, members(), ConfState::default(), options()).unwrap();
    let foreign = other.with_bytes(&log, |bytes| bytes.clone()).unwrap();
    disk.with_bytes(&log, |bytes| bytes.clone_from(&foreign)).unwrap();
    let message = refused(&disk);
    assert!(message.contains("belongs to another member"), "{message}");
}
