//! What was committed is what is read, also after a crash, and damage is told.

use std::collections::BTreeMap;
use std::path::Path;

use kvorum_core::store::{StateHash, Value, Version};
use raft_proto::eraftpb::ConfState;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::file::DiskBacking;
use super::*;
use crate::storage::disk::Disk;
use crate::storage::memory::MemoryDisk;

const OURS: Identity = Identity { cluster_id: 0xc1, member_id: 0xa1, incarnation: 0x77 };

type Contents = BTreeMap<(Table, Bytes), Bytes>;

fn path() -> &'static Path {
    Path::new("/store.redb")
}

fn new_disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    RedbBackend::create(&disk, path(), OURS, &[], &position(0)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn open(disk: &MemoryDisk) -> Result<RedbBackend, BackendError> {
    RedbBackend::open(disk, path())
}

fn position(index: u64) -> Position {
    let conf_state = ConfState { voters: vec![1, 2, index], ..ConfState::default() };
    let hash = StateHash::from_bytes([index as u8; 16]);
    Position { index, term: index / 10, conf_state, hash }
}

fn version(main: i64, value: &[u8]) -> Change {
    Change::Version(Arc::new(Version {
        key: Bytes::from(format!("key{}", main % 7)),
        value: Value::Resident(Bytes::copy_from_slice(value)),
        value_len: value.len() as u32,
        at: Revision { main, sub: 0 },
        create_revision: main,
        version: 1,
        lease: 0,
        hash: StateHash::default(),
        prev: None,
        jump: None,
        depth: 0,
    }))
}

fn change(random: &mut StdRng) -> Change {
    let main = random.random_range(2..60);
    let key = Bytes::copy_from_slice(&random.random_range(0..20_u64).to_be_bytes());
    match random.random_range(0..5) {
        0 | 1 => version(main, &vec![random.random(); random.random_range(0..900)]),
        2 => Change::RemoveVersion(Revision { main, sub: 0 }),
        3 => {
            let value = Bytes::copy_from_slice(&random.random::<u64>().to_be_bytes());
            Change::Put { table: Table::Leases, key, value }
        }
        _ => Change::Remove { table: Table::Leases, key },
    }
}

fn perform(contents: &mut Contents, changes: &[Change]) {
    for change in changes {
        match change.encode() {
            (table, key, Some(value)) => contents.insert((table, key), value),
            (table, key, None) => contents.remove(&(table, key)),
        };
    }
}

fn contents(backend: &RedbBackend) -> Contents {
    let mut records = backend.records().unwrap();
    let mut contents = Contents::new();
    let mut before: Option<(Table, Bytes)> = None;
    for (table, key, value) in &mut records {
        match &before {
            Some((same, last)) if *same == table => assert!(*last < key),
            _ => assert!(contents.keys().all(|(seen, _)| *seen != table), "a table comes twice"),
        }
        before = Some((table, key.clone()));
        contents.insert((table, key), value);
    }
    assert!(records.error().is_none());
    contents
}

fn bytes_in(contents: &Contents) -> u64 {
    contents.iter().map(|((_, key), value)| (key.len() + value.len()) as u64).sum()
}

#[test]
fn what_was_committed_is_read_after_opening_again() {
    let mut random = StdRng::seed_from_u64(7);
    let disk = new_disk();
    let mut expected = Contents::new();
    for index in 1..20 {
        let mut backend = open(&disk).unwrap();
        assert_eq!(backend.identity(), OURS);
        assert_eq!(*backend.position(), position(index - 1));
        let changes: Vec<Change> = (0..30).map(|_| change(&mut random)).collect();
        backend.commit(&changes, &position(index)).unwrap();
        perform(&mut expected, &changes);
        assert_eq!(contents(&backend), expected);
        assert_eq!(backend.values().in_use_bytes(), bytes_in(&expected));
        drop(backend);
        let backend = open(&disk).unwrap();
        assert_eq!(contents(&backend), expected);
        assert_eq!(backend.values().in_use_bytes(), bytes_in(&expected));
    }
}

#[test]
fn records_come_in_the_order_of_their_keys() {
    let disk = new_disk();
    let mut backend = open(&disk).unwrap();
    let changes: Vec<Change> = [300, 2, 255, 256, 7].map(|main| version(main, b"v")).to_vec();
    backend.commit(&changes, &position(1)).unwrap();
    let keys: Vec<Bytes> = backend.records().unwrap().map(|(_, key, _)| key).collect();
    assert!(keys.is_sorted());
    assert_eq!(keys.len(), 5);
}

#[test]
fn a_value_is_read_back_by_its_revision_from_any_thread() {
    let disk = new_disk();
    let mut backend = open(&disk).unwrap();
    backend.commit(&[version(2, b"two"), version(3, b"")], &position(1)).unwrap();
    let values = backend.values();
    let reader = std::thread::spawn(move || {
        [2, 3, 4].map(|main| values.value(Revision { main, sub: 0 }).unwrap())
    });
    backend.commit(&[version(5, b"five")], &position(2)).unwrap();
    let read = reader.join().unwrap();
    assert_eq!(read, [Some(Bytes::from("two")), Some(Bytes::new()), None]);
    assert!(backend.values().size_bytes().unwrap() > 0);
}

#[test]
fn a_crash_leaves_a_commit_whole_or_not_at_all() {
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let disk = new_disk();
        let mut states = vec![Contents::new()];
        let mut backend = open(&disk).unwrap();
        disk.fail_after(random.random_range(5..120));
        let mut committed = 0;
        for index in 1..20 {
            let changes: Vec<Change> =
                (0..random.random_range(1..40)).map(|_| change(&mut random)).collect();
            let mut state = states.last().unwrap().clone();
            perform(&mut state, &changes);
            states.push(state);
            if backend.commit(&changes, &position(index)).is_err() {
                break;
            }
            committed = index;
        }
        let survival = random.random_range(0.0..1.0);
        disk.crash(|| random.random_bool(survival));
        drop(backend);
        let backend = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let index = backend.position().index;
        assert!(index == committed || index == committed + 1, "seed {seed}: {index} {committed}");
        assert_eq!(contents(&backend), states[index as usize], "seed {seed}");
    }
}

#[test]
fn after_an_error_nothing_more_is_taken() {
    let disk = new_disk();
    let mut backend = open(&disk).unwrap();
    disk.fail_after(0);
    let error = backend.commit(&[version(2, b"two")], &position(1)).unwrap_err();
    assert!(error.to_string().contains("/store.redb"), "{error}");
    disk.heal();
    let again = backend.commit(&[version(2, b"two")], &position(1)).unwrap_err();
    assert!(matches!(again, BackendError::Poisoned(_)), "{again}");
}

#[test]
fn a_file_of_something_else_is_refused() {
    for content in [&b""[..], b"red", b"SQLite format 3\0 and so on and on"] {
        let disk = MemoryDisk::new();
        disk.create(path()).unwrap().write_at(content, 0).unwrap();
        let error = open(&disk).unwrap_err();
        assert!(matches!(error, BackendError::Foreign { .. }), "{error}");
    }
}

#[test]
fn a_store_of_another_format_is_refused() {
    let disk = new_disk();
    let other = FORMAT - 1;
    {
        let file = disk.open(path()).unwrap();
        let database = ::redb::Builder::new().create_with_backend(DiskBacking::new(file)).unwrap();
        let transaction = database.begin_write().unwrap();
        let own = ::redb::TableDefinition::<&[u8], &[u8]>::new("kvorum");
        let mut table = transaction.open_table(own).unwrap();
        table.insert(&b"format"[..], &other.to_le_bytes()[..]).unwrap();
        drop(table);
        transaction.commit().unwrap();
    }
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, BackendError::Format { found, .. } if found == other), "{error}");
}

#[test]
fn damage_is_told_or_does_no_harm() {
    let mut random = StdRng::seed_from_u64(3);
    let disk = new_disk();
    let mut backend = open(&disk).unwrap();
    let mut states = vec![Contents::new()];
    for index in 1..4 {
        let changes: Vec<Change> = (0..40).map(|_| change(&mut random)).collect();
        backend.commit(&changes, &position(index)).unwrap();
        let mut state = states[index as usize - 1].clone();
        perform(&mut state, &changes);
        states.push(state);
    }
    drop(backend);
    let used: Vec<usize> = disk
        .with_bytes(path(), |bytes| (0..bytes.len()).filter(|at| bytes[*at] != 0).collect())
        .unwrap();
    let mut told = 0;
    for at in used.iter().step_by(used.len() / 300 + 1) {
        let copy = disk.copy();
        copy.with_bytes(path(), |bytes| bytes[*at] ^= 1 << (at % 8)).unwrap();
        match open(&copy) {
            // A damaged newest commit may leave the one before, whole; boot compares with the log.
            Ok(backend) => {
                let index = backend.position().index as usize;
                assert_eq!(contents(&backend), states[index], "byte {at}");
            }
            Err(_) => told += 1,
        }
    }
    assert!(told > 0);
}

#[test]
fn a_shortened_file_is_told() {
    let disk = new_disk();
    let mut backend = open(&disk).unwrap();
    backend.commit(&[version(2, &[7; 5000])], &position(1)).unwrap();
    drop(backend);
    let size = disk.with_bytes(path(), |bytes| bytes.len()).unwrap();
    for size in [4, 100, 4096, size / 2, size - 4096] {
        let copy = disk.copy();
        copy.with_bytes(path(), |bytes| bytes.truncate(size)).unwrap();
        let error = open(&copy).unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{size}: {error}");
    }
}
