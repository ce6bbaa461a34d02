//! Walking a range in key order.

use arrayvec::ArrayVec;

use super::Entry;
use super::head::Fence;
use super::inner::Inner;
use super::node::Node;

/// Deeper than any tree can be: with at least two children a node, 2^24 nodes would be on the
/// thinnest path.
const DEPTH_MAX: usize = 24;

/// Entries of a range in key order. A step costs O(1) amortised.
pub struct Iter<'a, E, const B: usize> {
    /// Inner nodes on the way down, each with the child that comes next.
    path: ArrayVec<(&'a Inner<E, B>, usize), DEPTH_MAX>,
    leaf: &'a [E],
    to: Fence<'a>,
    /// Passes over what weighs nothing, whole subtrees at a time.
    counted_only: bool,
}

impl<'a, E: Entry, const B: usize> Iter<'a, E, B> {
    pub(super) fn new(
        root: &'a Node<E, B>,
        from: &[u8],
        to: Fence<'a>,
        counted_only: bool,
    ) -> Self {
        let mut path = ArrayVec::new();
        let mut node = root;
        loop {
            match node {
                Node::Inner(inner) => {
                    let i = inner.separators.child(from);
                    path.push((&**inner, i + 1));
                    node = &inner.children[i];
                }
                Node::Leaf(leaf) => {
                    let (i, _) = leaf.find(from);
                    return Iter { path, leaf: &leaf.entries[i..], to, counted_only };
                }
            }
        }
    }
}

impl<'a, E: Entry, const B: usize> Iterator for Iter<'a, E, B> {
    type Item = &'a E;

    #[inline]
    fn next(&mut self) -> Option<&'a E> {
        loop {
            if let Some((entry, rest)) = self.leaf.split_first() {
                if self.to.is_some_and(|to| entry.key() >= to) {
                    self.leaf = &[];
                    self.path.clear();
                    return None;
                }
                self.leaf = rest;
                if self.counted_only && entry.weight() == 0 {
                    continue;
                }
                return Some(entry);
            }
            let (inner, i) = self.path.last_mut()?;
            let Some(child) = inner.children.get(*i) else {
                self.path.pop();
                continue;
            };
            let weight = inner.weights[*i];
            *i += 1;
            match child {
                _ if self.counted_only && weight == 0 => {}
                Node::Inner(inner) => self.path.push((&**inner, 0)),
                Node::Leaf(leaf) => self.leaf = &leaf.entries,
            }
        }
    }
}
