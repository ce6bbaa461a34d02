use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};
use raft_proto::eraftpb::ConfState;

use super::*;
use crate::identity::Identity;
use crate::storage::dir::DataDir;
use crate::storage::memory::{Effect, Errno, Fault, MemoryDisk, Op};

const OURS: Identity = Identity { cluster_id: 0xc1, member_id: 0xa1, incarnation: 0x77 };
/// A record or two.
const STEP_BYTES: usize = 200;

#[derive(Clone, Debug)]
enum Act {
    Commit(Vec<(Table, u8, Option<u8>)>),
    Step,
}

fn dir(disk: &MemoryDisk) -> MemberDir {
    let dir = DataDir::open(Arc::new(disk.clone()), Path::new("/data")).unwrap();
    let members = Vec::new();
    let conf_state = ConfState::from((vec![0xa1], vec![]));
    let options = crate::storage::wal::Options::default();
    crate::storage::boot::bootstrap(&dir, OURS, members, conf_state, options).unwrap();
    dir.member()
}

fn changes(of: &[(Table, u8, Option<u8>)]) -> Vec<Change> {
    let change = |(table, key, value): &(Table, u8, Option<u8>)| {
        let (table, key) = (*table, Bytes::from(vec![*key]));
        match value {
            Some(value) => Change::Put { table, key, value: Bytes::from(vec![*value; 9]) },
            None => Change::Remove { table, key },
        }
    };
    of.iter().map(change).collect()
}

fn position(index: u64) -> Position {
    Position { index, term: 1, ..Position::default() }
}

fn all(backend: &RedbBackend) -> Vec<(Table, Bytes, Bytes)> {
    backend.records().unwrap().collect()
}

fn act() -> impl Strategy<Value = Act> {
    let table = prop::sample::select(vec![Table::Meta, Table::Leases, Table::Versions]);
    let change = (table, 0..20_u8, prop::option::of(0..9_u8));
    prop::strategy::Union::new_weighted(vec![
        (2, prop::collection::vec(change, 1..6).prop_map(Act::Commit).boxed()),
        (1, prop::strategy::Just(Act::Step).boxed()),
    ])
}

proptest! {
    #![proptest_config(prop::test_runner::Config::with_cases(40))]
    #[test]
    fn what_is_committed_meanwhile_is_in_the_copy_wherever_that_has_come(
        before in prop::collection::vec(act(), 0..8),
        acts in prop::collection::vec(act(), 0..60),
    ) {
        let disk = MemoryDisk::new();
        let dir = dir(&disk);
        let mut store = RedbBackend::open(dir.disk(), &dir.store()).unwrap();
        let mut index = 0;
        let mut commit = |store: &mut RedbBackend, of: &[(Table, u8, Option<u8>)]| {
            index += 1;
            store.commit(&changes(of), &position(index)).unwrap();
        };
        for act in before {
            if let Act::Commit(of) = act {
                commit(&mut store, &of);
            }
        }
        let mut copying = Defragmentation::begin(dir.clone(), &store).unwrap();
        let mut complete = false;
        for act in acts {
            match act {
                Act::Commit(of) => {
                    commit(&mut store, &of);
                    copying.follow(&changes(&of)).unwrap();
                    complete = false;
                }
                Act::Step => complete = copying.step(&store, STEP_BYTES).unwrap(),
            }
        }
        while !complete {
            complete = copying.step(&store, STEP_BYTES).unwrap();
        }
        let (expected, at) = (all(&store), store.position().clone());
        let copy = copying.finish().unwrap();
        prop_assert_eq!(all(&copy), expected.clone());
        prop_assert_eq!(copy.values().in_use_bytes(), store.values().in_use_bytes());
        drop(copy);
        let opened = RedbBackend::open(dir.disk(), &dir.store()).unwrap();
        prop_assert_eq!(all(&opened), expected);
        prop_assert_eq!(opened.position(), &at);
        prop_assert!(!dir.holds(&copy_path(&dir)).unwrap());
    }
}

#[test]
fn a_file_of_what_was_removed_becomes_small() {
    let disk = MemoryDisk::new();
    let dir = dir(&disk);
    let mut store = RedbBackend::open(dir.disk(), &dir.store()).unwrap();
    let key = |at: u32| Bytes::from(at.to_be_bytes().to_vec());
    let table = Table::Leases;
    for from in (0..4000).step_by(100) {
        let put = |at| Change::Put { table, key: key(at), value: Bytes::from(vec![7; 1000]) };
        let some: Vec<_> = (from..from + 100).map(put).collect();
        store.commit(&some, &position(1)).unwrap();
    }
    let gone: Vec<_> = (0..3900).map(|at| Change::Remove { table, key: key(at) }).collect();
    store.commit(&gone, &position(2)).unwrap();
    let before = store.values().size_bytes().unwrap();
    let mut copying = Defragmentation::begin(dir, &store).unwrap();
    while !copying.step(&store, 1 << 20).unwrap() {}
    let copy = copying.finish().unwrap();
    let (after, in_use) = (copy.values().size_bytes().unwrap(), copy.values().in_use_bytes());
    assert!(before > 4_000_000, "{before}");
    // redb makes no file smaller than 1 MiB.
    assert!(after < before / 4, "{before} bytes before, {after} after, {in_use} in use");
}

#[test]
fn a_copy_that_fails_leaves_the_store_and_no_file() {
    let disk = MemoryDisk::new();
    let dir = dir(&disk);
    let mut store = RedbBackend::open(dir.disk(), &dir.store()).unwrap();
    let some = changes(&[(Table::Leases, 1, Some(1)), (Table::Leases, 2, Some(2))]);
    store.commit(&some, &position(1)).unwrap();
    let expected = all(&store);
    let mut copying = Defragmentation::begin(dir.clone(), &store).unwrap();
    assert!(!copying.step(&store, 1).unwrap());
    disk.inject(Fault::new(Effect::Fail(Errno::Enospc), &[Op::Write]).once_after(0));
    copying.follow(&changes(&[(Table::Alarms, 1, Some(3))])).unwrap_err();
    disk.heal();
    let error = copying.step(&store, 1).unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    copying.abandon();
    assert!(!dir.holds(&copy_path(&dir)).unwrap());
    assert_eq!(all(&store), expected);
    store.commit(&changes(&[(Table::Leases, 1, None)]), &position(2)).unwrap();
}
