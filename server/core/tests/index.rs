//! The index against std's ordered map, with snapshots held across changes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use kvorum_core::index::{Entry, Tree};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Debug)]
struct Record {
    key: Vec<u8>,
    value: u8,
}

#[derive(Clone, Debug)]
struct Held(Arc<Record>);

impl Entry for Held {
    fn key(&self) -> &[u8] {
        &self.0.key
    }

    /// Every fourth value stands for a deletion.
    fn weight(&self) -> u32 {
        u32::from(!self.0.value.is_multiple_of(4))
    }
}

#[derive(Clone, Debug)]
enum Op {
    Put(Vec<u8>, u8),
    Remove(Vec<u8>),
    Count(Vec<u8>, Vec<u8>),
    Page(Vec<u8>, Vec<u8>, usize),
    Hold,
    LetGo(usize),
}

/// Few symbols, zero bytes and shared prefixes: collisions and equal heads.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(0u8..3, 0..5),
        (0u16..600).prop_map(|n| format!("/registry/pods/ns/{n:05}").into_bytes()),
        vec(select(&b"\0a\xff"[..]), 7..14),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (key(), any::<u8>()).prop_map(|(key, value)| Op::Put(key, value)),
        6 => key().prop_map(Op::Remove),
        1 => (key(), key()).prop_map(|(from, to)| Op::Count(from, to)),
        1 => (key(), key(), 0usize..40).prop_map(|(from, to, n)| Op::Page(from, to, n)),
        1 => Just(Op::Hold),
        1 => any::<usize>().prop_map(Op::LetGo),
    ]
}

type Model = BTreeMap<Vec<u8>, u8>;

fn counted<'a>(entries: impl Iterator<Item = (&'a Vec<u8>, &'a u8)>) -> u64 {
    entries.filter(|(_, value)| !value.is_multiple_of(4)).count() as u64
}

fn assert_same<const B: usize>(tree: &Tree<Held, B>, model: &Model) {
    tree.check();
    assert_eq!(tree.weight(), counted(model.iter()));
    let got = tree.iter().map(|held| (&held.0.key, &held.0.value));
    assert!(got.eq(model.iter()));
}

/// Removes everything, in an order that depends on the seed: nodes underflow at all depths, and
/// are joined and shared while snapshots hold them. Keys go in runs of neighbours, since a node
/// shares with its sibling only if that one is still full.
fn drain<const B: usize>(
    mut tree: Tree<Held, B>,
    mut model: Model,
    held: &mut Vec<(Tree<Held, B>, Model)>,
    seed: u64,
) {
    let mut keys: Vec<(usize, Vec<u8>)> = model.keys().cloned().enumerate().collect();
    let run_length = 1 << (seed % 10);
    keys.sort_by_cached_key(|(at, _)| {
        let mut hasher = DefaultHasher::new();
        (seed, at / run_length).hash(&mut hasher);
        hasher.finish()
    });
    for (i, (_, key)) in keys.iter().enumerate() {
        if i.is_multiple_of(64) {
            held.push((tree.clone(), model.clone()));
        }
        assert_eq!(tree.remove(key).map(|old| old.0.value), model.remove(key));
        if i.is_multiple_of(8) {
            assert_same(&tree, &model);
        }
    }
    assert_same(&tree, &model);
}

fn run<const B: usize>(ops: Vec<Op>, seed: u64) {
    let (mut tree, mut model) = (Tree::<Held, B>::default(), Model::new());
    let mut held: Vec<(Tree<Held, B>, Model)> = Vec::new();
    for op in ops {
        match op {
            Op::Put(key, value) => {
                let record = Held(Arc::new(Record { key: key.clone(), value }));
                let old = tree.upsert(&key, |old| {
                    assert_eq!(old.map(|old| old.0.value), model.get(&key).copied());
                    record
                });
                assert_eq!(old.map(|old| old.0.value), model.insert(key.clone(), value));
                assert_eq!(tree.get(&key).map(|held| held.0.value), Some(value));
            }
            Op::Remove(key) => {
                assert_eq!(tree.remove(&key).map(|old| old.0.value), model.remove(&key));
            }
            Op::Count(from, to) => {
                let inside = model.iter().filter(|(key, _)| from <= **key && **key < to);
                assert_eq!(tree.count(&from, Some(&to)), counted(inside));
                assert_eq!(tree.count(&from, None), counted(model.range(from..)));
            }
            Op::Page(from, to, n) => {
                let got = tree.range(&from, Some(&to)).take(n).map(|held| &held.0.key);
                let wanted = model.keys().filter(|key| from <= **key && **key < to).take(n);
                assert!(got.eq(wanted));
                let got = tree.range_counted(&from, Some(&to)).take(n).map(|held| &held.0.key);
                let inside = model.range(from..).take_while(|(key, _)| **key < to);
                let wanted = inside.filter(|(_, value)| !value.is_multiple_of(4));
                assert!(got.eq(wanted.take(n).map(|(key, _)| key)));
            }
            Op::Hold => held.push((tree.clone(), model.clone())),
            Op::LetGo(i) if !held.is_empty() => drop(held.swap_remove(i % held.len())),
            Op::LetGo(_) => {}
        }
    }
    assert_same(&tree, &model);
    drain(tree, model, &mut held, seed); // snapshots outlive the tree they were taken of
    for (tree, model) in &held {
        assert_same(tree, model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn narrow_nodes_behave_as_a_map(ops in vec(op(), 0..1500), seed: u64) {
        run::<8>(ops, seed);
    }

    #[test]
    fn nodes_as_used_behave_as_a_map(ops in vec(op(), 0..1500), seed: u64) {
        run::<16>(ops, seed);
    }
}

#[test]
fn an_entry_of_weight_zero_stays_and_is_not_counted() {
    let mut tree = Tree::<Held, 8>::default();
    for i in 0..1000u32 {
        let value = u8::from(!i.is_multiple_of(3));
        let held = Held(Arc::new(Record { key: i.to_be_bytes().to_vec(), value }));
        tree.upsert(&i.to_be_bytes(), |_| held);
    }
    tree.check();
    assert_eq!(tree.weight(), 666);
    assert_eq!(tree.count(&10u32.to_be_bytes(), Some(&20u32.to_be_bytes())), 7);
    assert_eq!(tree.iter().count(), 1000);
}

/// Growth in key order leaves full nodes at every depth, which nothing else does.
#[test]
fn what_grew_in_key_order_shrinks_in_any() {
    for seed in 0..10 {
        let (mut tree, mut model) = (Tree::<Held, 8>::default(), Model::new());
        for i in 0..1000u32 {
            let (key, value) = (i.to_be_bytes().to_vec(), i as u8);
            let held = Held(Arc::new(Record { key: key.clone(), value }));
            tree.upsert(&key, |_| held);
            model.insert(key, value);
        }
        let mut held = Vec::new();
        drain(tree, model, &mut held, seed);
        for (tree, model) in &held {
            assert_same(tree, model);
        }
    }
}

#[derive(Clone)]
struct Watched {
    key: [u8; 4],
    weight: u32,
    looked_at: Rc<Cell<usize>>,
}

impl Entry for Watched {
    fn key(&self) -> &[u8] {
        &self.key
    }

    fn weight(&self) -> u32 {
        self.looked_at.update(|times| times + 1);
        self.weight
    }
}

#[test]
fn what_does_not_count_is_passed_over_however_much_it_is() {
    const ENTRIES: u32 = 100_000;
    let looked_at = Rc::new(Cell::new(0));
    let mut tree: Tree<Watched, 16> = Tree::default();
    for n in 0..ENTRIES {
        let (key, weight) = (n.to_be_bytes(), u32::from(n == ENTRIES / 2));
        tree.upsert(&key, |_| Watched { key, weight, looked_at: Rc::clone(&looked_at) });
    }
    looked_at.set(0);
    let found: Vec<_> = tree.range_counted(&[], None).map(|entry| entry.key).collect();
    assert_eq!(found, [(ENTRIES / 2).to_be_bytes()]);
    assert!(looked_at.get() <= 2 * 16, "{} entries were looked at", looked_at.get());
}
