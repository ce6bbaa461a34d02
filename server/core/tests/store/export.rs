//! What a root exports is the state, whatever becomes of the store it was taken from.

use kvorum_core::store::{Change, Position, Root, Store, Table};
use kvorum_proto::etcdserverpb::InternalRaftRequest;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::dump::dump;
use crate::load::{Local, Write, local, write};
use crate::machine::{Machine, Records};

/// A root to be exported later, and all there is to know of it.
struct Taken {
    root: Root,
    position: Position,
    text: String,
}

impl Taken {
    fn of(machine: &Machine) -> Self {
        let root = machine.store.root();
        let text = dump(machine, &root);
        Taken { root, position: machine.store.position(), text }
    }
}

/// The records, in the order they come.
fn exported(root: &Root, machine: &Machine) -> Vec<Change> {
    let read = |change: Change| change.resolve(|version| machine.read(version.at));
    root.export().map(|change| read(change).expect("its value is in the backend")).collect()
}

/// Tables come one by one, each in the order of its keys.
fn assert_in_order(changes: &[Change]) {
    let order = [
        Table::Meta,
        Table::Members,
        Table::Alarms,
        Table::Users,
        Table::Roles,
        Table::Leases,
        Table::Versions,
    ];
    let places: Vec<_> = (changes.iter())
        .map(|change| {
            let (table, key, value) = change.encode();
            assert!(value.is_some(), "an export removes nothing");
            (order.iter().position(|known| *known == table), key)
        })
        .collect();
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
}

fn installed(changes: &[Change], position: &Position) -> Machine {
    let records: Records = (changes.iter().map(Change::encode))
        .filter_map(|(table, key, value)| Some(((table, key), value?)))
        .collect();
    Machine::installed(position.clone(), records)
}

type Step = (Write, Vec<Local>);

fn step() -> impl Strategy<Value = Step> {
    (write(), vec(local(), 0..3))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_store_made_from_an_export_goes_on_as_the_exporter_does(
        before in vec(step(), 0..50),
        after in vec((write(), 0i64..3), 0..40),
    ) {
        let mut machine = Machine::new();
        let mut held = Vec::new();
        for (write, locals) in before {
            let entry = write.entry(&machine.store.root());
            machine.apply(entry);
            for local in &locals {
                local.perform(&mut machine, &mut held);
            }
        }
        held.clear();
        let taken = Taken::of(&machine);
        let mut entries: Vec<InternalRaftRequest> = Vec::new();
        for (write, behind) in after {
            let entry = write.entry(&machine.store.root());
            machine.apply(entry.clone());
            entries.push(entry);
            // All that may be given up while the root is held.
            while machine.sweep(3).1 {}
            machine.store.durable(machine.store.root().revision() - behind);
        }
        let again = taken.root.recompute_hash(|at| machine.read(at));
        prop_assert_eq!(again, Ok(taken.position.hash));
        let changes = exported(&taken.root, &machine);
        assert_in_order(&changes);
        let mut installed = installed(&changes, &taken.position);
        prop_assert_eq!(&installed.store.position(), &taken.position);
        prop_assert_eq!(installed.store.swept(), taken.root.compacted_revision());
        prop_assert_eq!(&dump(&installed, &installed.store.root()), &taken.text);
        for entry in entries {
            installed.apply(entry);
            while installed.sweep(2).1 {}
        }
        drop(taken);
        while machine.sweep(2).1 {}
        prop_assert_eq!(machine.store.position(), installed.store.position());
        let (ours, theirs) = (machine.store.root(), installed.store.root());
        prop_assert_eq!(dump(&installed, &theirs), dump(&machine, &ours));
        // With all swept, the two backends hold the same history.
        let versions = |machine: &Machine| -> Vec<_> {
            let records = machine.records.clone().into_iter();
            records.filter(|((table, _), _)| *table == Table::Versions).collect()
        };
        prop_assert_eq!(versions(&installed), versions(&machine));
    }
}

#[test]
fn an_empty_store_is_exported() {
    let machine = Machine::new();
    let changes = exported(&machine.store.root(), &machine);
    assert_eq!(changes, machine.store.initial_changes());
    let installed = installed(&changes, &machine.store.position());
    assert_eq!(installed.store.position(), machine.store.position());
}

#[test]
fn an_export_with_a_record_lost_on_the_way_is_refused() {
    let mut machine = Machine::new();
    for value in 0..5 {
        let write = Write::Put { key: value, value: 200, lease: 0 };
        machine.apply(write.entry(&machine.store.root()));
    }
    let changes = exported(&machine.store.root(), &machine);
    for lost in (0..changes.len()).filter(|lost| changes[*lost].encode().0 != Table::Meta) {
        let left = changes.iter().enumerate().filter(|(i, _)| *i != lost);
        let left = left.map(|(_, change)| change.encode());
        let records = left.filter_map(|(table, key, value)| Some((table, key, value?)));
        assert!(Store::restore(machine.store.position(), records).is_err(), "without {lost}");
    }
}
