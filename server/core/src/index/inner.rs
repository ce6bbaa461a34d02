//! Inner nodes: children, what each weighs, and the separators between them.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::Entry;
use super::head::{Fence, head, search, skip_between};
use super::node::{Node, Split, Upserted};

/// Child `i` holds the keys in `[keys[i - 1], keys[i])`.
#[derive(Clone)]
pub(super) struct Separators {
    pub(super) skip: usize,
    pub(super) heads: Vec<u64>,
    pub(super) keys: Vec<Box<[u8]>>,
}

/// The separators live behind an `Arc` of their own: a copy of a path that leaves the shape
/// alone, as overwriting does, shares them.
#[derive(Clone)]
pub(super) struct Inner<E, const B: usize> {
    pub(super) separators: Arc<Separators>,
    pub(super) weights: ArrayVec<u64, B>,
    pub(super) children: ArrayVec<Node<E, B>, B>,
}

impl Separators {
    pub(super) fn new(keys: Vec<Box<[u8]>>, low: Fence, high: Fence) -> Arc<Self> {
        let skip = skip_between(low, high);
        let heads = keys.iter().map(|key| head(key, skip)).collect();
        Arc::new(Separators { skip, heads, keys })
    }

    /// The child that `key` belongs to.
    #[inline]
    pub(super) fn child(&self, key: &[u8]) -> usize {
        let (i, found) = search(&self.heads, self.skip, key, |i| &self.keys[i]);
        i + usize::from(found)
    }

    /// The fences of child `i`, given those of the node itself.
    pub(super) fn fences<'a>(
        &'a self,
        i: usize,
        low: Fence<'a>,
        high: Fence<'a>,
    ) -> (Fence<'a>, Fence<'a>) {
        let low = if i > 0 { Some(&*self.keys[i - 1]) } else { low };
        let high = self.keys.get(i).map_or(high, |key| Some(&**key));
        (low, high)
    }

    fn insert(&mut self, i: usize, key: Box<[u8]>) {
        self.heads.insert(i, head(&key, self.skip));
        self.keys.insert(i, key);
    }

    fn remove(&mut self, i: usize) {
        self.heads.remove(i);
        self.keys.remove(i);
    }

    fn replace(&mut self, i: usize, key: Box<[u8]>) {
        self.heads[i] = head(&key, self.skip);
        self.keys[i] = key;
    }
}

impl<E: Entry, const B: usize> Inner<E, B> {
    pub(super) fn upsert(
        &mut self,
        (low, high): (Fence, Fence),
        key: &[u8],
        make: impl FnOnce(Option<&E>) -> E,
    ) -> Upserted<E, B> {
        let i = self.separators.child(key);
        let fences = self.separators.fences(i, low, high);
        let Upserted { old, delta, split } = self.children[i].upsert(fences, key, make);
        self.weights[i] = self.weights[i].saturating_add_signed(delta);
        let split = split.and_then(|split| self.adopt(i, split, low, high));
        Upserted { old, delta, split }
    }

    /// The key is known to be there.
    pub(super) fn remove(&mut self, (low, high): (Fence, Fence), key: &[u8]) -> E {
        let i = self.separators.child(key);
        let fences = self.separators.fences(i, low, high);
        let old = self.children[i].remove(fences, key);
        self.weights[i] -= u64::from(old.weight());
        if self.children[i].fill() < B / 4 && self.children.len() > 1 {
            let left = if i + 1 < self.children.len() { i } else { i - 1 };
            self.join_children(left, low, high);
        }
        old
    }

    /// Takes in the children of the node to the right, or shares them evenly.
    pub(super) fn join(
        &mut self,
        right: &Self,
        separator: &[u8],
        low: Fence,
        high: Fence,
    ) -> Option<Split<E, B>> {
        let mut keys = self.separators.keys.clone();
        keys.push(separator.into());
        keys.extend(right.separators.keys.iter().cloned());
        let children: Vec<_> = self.children.iter().chain(&right.children).cloned().collect();
        let weights: Vec<_> = self.weights.iter().chain(&right.weights).copied().collect();
        if children.len() <= B {
            *self = Inner {
                separators: Separators::new(keys, low, high),
                weights: weights.into_iter().collect(),
                children: children.into_iter().collect(),
            };
            return None;
        }
        let cut = children.len() / 2;
        Some(self.lay_out(Layout { keys, weights, children, cut }, low, high))
    }

    /// Places the right half of child `i` behind it; splits if the node is full.
    fn adopt(
        &mut self,
        i: usize,
        split: Split<E, B>,
        low: Fence,
        high: Fence,
    ) -> Option<Split<E, B>> {
        let weight = split.right.weight();
        self.weights[i] -= weight;
        if !self.children.is_full() {
            Arc::make_mut(&mut self.separators).insert(i, split.separator);
            self.children.insert(i + 1, split.right);
            self.weights.insert(i + 1, weight);
            return None;
        }
        let mut keys = self.separators.keys.clone();
        keys.insert(i, split.separator);
        let mut children: Vec<_> = self.children.drain(..).collect();
        children.insert(i + 1, split.right);
        let mut weights: Vec<_> = self.weights.drain(..).collect();
        weights.insert(i + 1, weight);
        // As in a leaf: growth at the right edge leaves full nodes behind it.
        let cut = if high.is_none() && i == B - 1 { B } else { B.div_ceil(2) };
        Some(self.lay_out(Layout { keys, weights, children, cut }, low, high))
    }

    /// Joins child `left` with the one after it.
    fn join_children(&mut self, left: usize, low: Fence, high: Fence) {
        let separators = self.separators.clone();
        let (low, _) = separators.fences(left, low, high);
        let (_, high) = separators.fences(left + 1, low, high);
        let right = self.children.remove(left + 1);
        let weight = self.weights[left] + self.weights.remove(left + 1);
        let split = self.children[left].join(&right, &separators.keys[left], low, high);
        drop(separators);
        let separators = Arc::make_mut(&mut self.separators);
        if let Some(split) = split {
            separators.replace(left, split.separator);
            self.weights[left] = self.children[left].weight();
            self.weights.insert(left + 1, weight - self.weights[left]);
            self.children.insert(left + 1, split.right);
        } else {
            separators.remove(left);
            self.weights[left] = weight;
        }
    }

    /// Keeps the children below `cut`; the rest become the node to the right, and the separator
    /// between the two moves up.
    fn lay_out(&mut self, all: Layout<E, B>, low: Fence, high: Fence) -> Split<E, B> {
        let Layout { mut keys, mut weights, mut children, cut } = all;
        let right_keys = keys.split_off(cut);
        let separator = keys.pop().expect("a separator stands before the cut");
        let right = Inner {
            separators: Separators::new(right_keys, Some(&separator), high),
            weights: weights.drain(cut..).collect(),
            children: children.drain(cut..).collect(),
        };
        *self = Inner {
            separators: Separators::new(keys, low, Some(&separator)),
            weights: weights.into_iter().collect(),
            children: children.into_iter().collect(),
        };
        Split { separator, right: Node::Inner(Arc::new(right)) }
    }
}

/// More children than fit into one node, and where to cut them in two.
struct Layout<E, const B: usize> {
    keys: Vec<Box<[u8]>>,
    weights: Vec<u64>,
    children: Vec<Node<E, B>>,
    cut: usize,
}
