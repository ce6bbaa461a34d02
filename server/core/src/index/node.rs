//! A node is a leaf or an inner node, shared until it is changed.

use std::sync::Arc;

use super::Entry;
use super::head::Fence;
use super::inner::Inner;
use super::leaf::Leaf;

pub(super) enum Node<E, const B: usize> {
    Leaf(Arc<Leaf<E, B>>),
    Inner(Arc<Inner<E, B>>),
}

/// What became of an upsert below.
pub(super) struct Upserted<E, const B: usize> {
    pub(super) old: Option<E>,
    /// By how much the weight changed.
    pub(super) delta: i64,
    pub(super) split: Option<Split<E, B>>,
}

/// The upper half of a node that became too full, and the least key that belongs to it.
pub(super) struct Split<E, const B: usize> {
    pub(super) separator: Box<[u8]>,
    pub(super) right: Node<E, B>,
}

impl<E, const B: usize> Clone for Node<E, B> {
    fn clone(&self) -> Self {
        match self {
            Node::Leaf(leaf) => Node::Leaf(leaf.clone()),
            Node::Inner(inner) => Node::Inner(inner.clone()),
        }
    }
}

impl<E: Entry, const B: usize> Node<E, B> {
    pub(super) fn weight(&self) -> u64 {
        match self {
            Node::Leaf(leaf) => leaf.weight(),
            Node::Inner(inner) => inner.weights.iter().sum(),
        }
    }

    pub(super) fn fill(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.entries.len(),
            Node::Inner(inner) => inner.children.len(),
        }
    }

    pub(super) fn upsert(
        &mut self,
        fences: (Fence, Fence),
        key: &[u8],
        make: impl FnOnce(Option<&E>) -> E,
    ) -> Upserted<E, B> {
        match self {
            Node::Leaf(leaf) => Arc::make_mut(leaf).upsert(fences, key, make),
            Node::Inner(inner) => Arc::make_mut(inner).upsert(fences, key, make),
        }
    }

    /// The key is known to be there.
    pub(super) fn remove(&mut self, fences: (Fence, Fence), key: &[u8]) -> E {
        match self {
            Node::Leaf(leaf) => Arc::make_mut(leaf).remove(key),
            Node::Inner(inner) => Arc::make_mut(inner).remove(fences, key),
        }
    }

    /// Merges the sibling to the right into this node, or shares the items evenly if they do not
    /// fit; the fences are those of both together.
    pub(super) fn join(
        &mut self,
        right: &Self,
        separator: &[u8],
        low: Fence,
        high: Fence,
    ) -> Option<Split<E, B>> {
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(right)) => Arc::make_mut(left).join(right, low, high),
            (Node::Inner(left), Node::Inner(right)) => {
                Arc::make_mut(left).join(right, separator, low, high)
            }
            _ => unreachable!("siblings have one depth"),
        }
    }
}
