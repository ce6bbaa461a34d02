//! The tree as its users see it.

use std::sync::Arc;

use super::head::{Fence, head, skip_between};
use super::inner::{Inner, Separators};
use super::leaf::Leaf;
use super::node::Node;
use super::{Entry, Iter};

/// Entries ordered by their keys, with a fan-out of `B`. A clone is a snapshot.
pub struct Tree<E, const B: usize> {
    root: Node<E, B>,
}

impl<E, const B: usize> Clone for Tree<E, B> {
    fn clone(&self) -> Self {
        Tree { root: self.root.clone() }
    }
}

impl<E: Entry, const B: usize> Default for Tree<E, B> {
    fn default() -> Self {
        const { assert!(B >= 8 && B.is_multiple_of(4)) };
        Tree { root: Node::Leaf(Arc::new(Leaf::new([], None, None))) }
    }
}

impl<E: Entry, const B: usize> Tree<E, B> {
    /// The summed weight of all entries.
    pub fn weight(&self) -> u64 {
        self.root.weight()
    }

    pub fn get(&self, key: &[u8]) -> Option<&E> {
        let mut node = &self.root;
        loop {
            match node {
                Node::Inner(inner) => node = &inner.children[inner.separators.child(key)],
                Node::Leaf(leaf) => {
                    let (i, found) = leaf.find(key);
                    return found.then(|| &leaf.entries[i]);
                }
            }
        }
    }

    /// Puts what `make` makes of the entry now under `key`, in one descent, and returns the
    /// replaced entry. What `make` returns must have exactly `key`.
    pub fn upsert(&mut self, key: &[u8], make: impl FnOnce(Option<&E>) -> E) -> Option<E> {
        let upserted = self.root.upsert((None, None), key, make);
        if let Some(split) = upserted.split {
            let left = self.root.clone();
            self.root = Node::Inner(Arc::new(Inner {
                weights: [left.weight(), split.right.weight()].into_iter().collect(),
                separators: Separators::new(vec![split.separator], None, None),
                children: [left, split.right].into_iter().collect(),
            }));
        }
        upserted.old
    }

    pub fn remove(&mut self, key: &[u8]) -> Option<E> {
        self.get(key)?; // a miss must not copy the path
        let old = self.root.remove((None, None), key);
        while let Node::Inner(inner) = &self.root {
            if inner.children.len() > 1 {
                break;
            }
            self.root = inner.children[0].clone();
        }
        Some(old)
    }

    /// The summed weight of `[from, to)`; no `to` is plus infinity. O(log n).
    pub fn count(&self, from: &[u8], to: Option<&[u8]>) -> u64 {
        let end = to.map_or_else(|| self.weight(), |to| self.weight_below(to));
        end.saturating_sub(self.weight_below(from))
    }

    /// The entries of `[from, to)` in key order, those of weight 0 included; no `to` is plus
    /// infinity.
    pub fn range<'a>(&'a self, from: &[u8], to: Option<&'a [u8]>) -> Iter<'a, E, B> {
        Iter::new(&self.root, from, to, false)
    }

    /// As [`Tree::range`], without those of weight 0: however many lie between two that count, the
    /// way from one to the next is O(log n).
    pub fn range_counted<'a>(&'a self, from: &[u8], to: Option<&'a [u8]>) -> Iter<'a, E, B> {
        Iter::new(&self.root, from, to, true)
    }

    pub fn iter(&self) -> Iter<'_, E, B> {
        self.range(&[], None)
    }

    /// Panics if an invariant is broken; for tests.
    pub fn check(&self) {
        assert!(!matches!(&self.root, Node::Inner(root) if root.children.len() < 2));
        check(&self.root, None, None);
    }

    /// The summed weight of the entries with a key below `key`.
    fn weight_below(&self, key: &[u8]) -> u64 {
        let (mut node, mut sum) = (&self.root, 0);
        loop {
            match node {
                Node::Inner(inner) => {
                    let i = inner.separators.child(key);
                    sum += inner.weights[..i].iter().sum::<u64>();
                    node = &inner.children[i];
                }
                Node::Leaf(leaf) => return sum + leaf.weight_before(leaf.find(key).0),
            }
        }
    }
}

impl<'a, E: Entry, const B: usize> IntoIterator for &'a Tree<E, B> {
    type Item = &'a E;
    type IntoIter = Iter<'a, E, B>;

    fn into_iter(self) -> Iter<'a, E, B> {
        self.iter()
    }
}

/// Returns the depth and weight of what is below `node`.
fn check<E: Entry, const B: usize>(node: &Node<E, B>, low: Fence, high: Fence) -> (usize, u64) {
    let inside =
        |key: &[u8]| low.is_none_or(|low| low <= key) && high.is_none_or(|high| key < high);
    match node {
        Node::Leaf(leaf) => {
            assert!(leaf.skip <= skip_between(low, high) && leaf.heads.len() == leaf.entries.len());
            assert!(leaf.entries.windows(2).all(|pair| pair[0].key() < pair[1].key()));
            for (stored, entry) in leaf.heads.iter().zip(&leaf.entries) {
                assert!(inside(entry.key()) && *stored == head(entry.key(), leaf.skip));
            }
            (1, node.weight())
        }
        Node::Inner(inner) => {
            let separators = &inner.separators;
            assert!(separators.skip <= skip_between(low, high));
            assert!(separators.keys.len() + 1 == inner.children.len());
            assert!(inner.weights.len() == inner.children.len());
            assert!(separators.keys.windows(2).all(|pair| pair[0] < pair[1]));
            for (stored, key) in separators.heads.iter().zip(&separators.keys) {
                assert!(inside(key) && *stored == head(key, separators.skip));
            }
            let (mut depth, mut sum) = (0, 0);
            for (i, child) in inner.children.iter().enumerate() {
                let (low, high) = separators.fences(i, low, high);
                let (below, weight) = check(child, low, high);
                assert!(i == 0 || below == depth);
                assert!(high.is_none() || child.fill() >= B / 4);
                assert_eq!(weight, inner.weights[i]);
                depth = below;
                sum += weight;
            }
            (depth + 1, sum)
        }
    }
}
