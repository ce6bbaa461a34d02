//! Walking a range in key order.

use arrayvec::ArrayVec;

use super::Entry;
use super::head::Fence;
use super::inner::Inner;
use super::node::Node;

/// Deeper than any tree can be: with at least two children a node, 2^24 nodes would be on the
/// thinnest path.
const DEPTH_MAX: usize = 24;

/// Entries of a range in key order, those of weight 0 included. A step costs O(1) amortised.
pub struct Iter<'a, E, const B: usize> {
    /// Inner nodes on the way down, each with the child that comes next.
    path: ArrayVec<(&'a Inner<E, B>, usize), DEPTH_MAX>,
    leaf: &'a [E],
    to: Fence<'a>,
}

impl<'a, E: Entry, const B: usize> Iter<'a, E, B> {
    pub(super) fn new(root: &'a Node<E, B>, from: &[u8], to: Fence<'a>) -> Self {
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
                    return Iter { path, leaf: &leaf.entries[i..], to };
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
                return Some(entry);
            }
            let (inner, i) = self.path.last_mut()?;
            let Some(mut child) = inner.children.get(*i) else {
                self.path.pop();
                continue;
            };
            *i += 1;
            while let Node::Inner(inner) = child {
                self.path.push((&**inner, 1));
                child = &inner.children[0];
            }
            if let Node::Leaf(leaf) = child {
                self.leaf = &leaf.entries;
            }
        }
    }
}
