//! The bottom of the tree: entries in key order.

use std::mem::replace;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::Entry;
use super::head::{Fence, head, search, separator, skip_between};
use super::node::{Node, Split, Upserted};

#[derive(Clone)]
pub(super) struct Leaf<E, const B: usize> {
    pub(super) skip: usize,
    pub(super) heads: ArrayVec<u64, B>,
    pub(super) entries: ArrayVec<E, B>,
}

impl<E: Entry, const B: usize> Leaf<E, B> {
    pub(super) fn new(entries: impl IntoIterator<Item = E>, low: Fence, high: Fence) -> Self {
        let entries = entries.into_iter().collect();
        let mut leaf = Leaf { skip: 0, heads: ArrayVec::new(), entries };
        leaf.rehead(low, high);
        leaf
    }

    pub(super) fn weight(&self) -> u64 {
        self.weight_before(self.entries.len())
    }

    pub(super) fn weight_before(&self, i: usize) -> u64 {
        self.entries[..i].iter().map(|entry| u64::from(entry.weight())).sum()
    }

    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> (usize, bool) {
        search(&self.heads, self.skip, key, |i| self.entries[i].key())
    }

    pub(super) fn upsert(
        &mut self,
        (low, high): (Fence, Fence),
        key: &[u8],
        make: impl FnOnce(Option<&E>) -> E,
    ) -> Upserted<E, B> {
        let (i, found) = self.find(key);
        if found {
            let new = make(Some(&self.entries[i]));
            let delta = i64::from(new.weight()) - i64::from(self.entries[i].weight());
            let old = Some(replace(&mut self.entries[i], new));
            return Upserted { old, delta, split: None };
        }
        let new = make(None);
        let delta = i64::from(new.weight());
        if self.entries.is_full() {
            let split = Some(self.split(i, new, low, high));
            return Upserted { old: None, delta, split };
        }
        self.heads.insert(i, head(key, self.skip));
        self.entries.insert(i, new);
        Upserted { old: None, delta, split: None }
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> E {
        let (i, _) = self.find(key);
        self.heads.remove(i);
        self.entries.remove(i)
    }

    /// Takes in the entries of the leaf to the right, or shares them evenly if they do not fit.
    pub(super) fn join(&mut self, right: &Self, low: Fence, high: Fence) -> Option<Split<E, B>> {
        let mut all: Vec<E> = self.entries.iter().chain(&right.entries).cloned().collect();
        if all.len() <= B {
            *self = Leaf::new(all, low, high);
            return None;
        }
        let tail = all.split_off(all.len() / 2);
        let separator = separator(all[all.len() - 1].key(), tail[0].key());
        *self = Leaf::new(all, low, Some(&separator));
        let right = Leaf::new(tail, Some(&separator), high);
        Some(Split { separator, right: Node::Leaf(Arc::new(right)) })
    }

    /// Makes room for `new` at position `i` by moving the upper entries out.
    fn split(&mut self, i: usize, new: E, low: Fence, high: Fence) -> Split<E, B> {
        // Appending at the right edge leaves full leaves behind it.
        let cut = if high.is_none() && i == B { B } else { B / 2 };
        let mut tail: ArrayVec<E, B> = self.entries.drain(cut..).collect();
        let separator = match tail.first() {
            Some(first) => separator(self.entries[cut - 1].key(), first.key()),
            None => separator(self.entries[cut - 1].key(), new.key()),
        };
        if new.key() < &*separator {
            self.entries.insert(i, new);
        } else {
            tail.insert(i - cut, new);
        }
        self.rehead(low, Some(&separator));
        let right = Leaf::new(tail, Some(&separator), high);
        Split { separator, right: Node::Leaf(Arc::new(right)) }
    }

    fn rehead(&mut self, low: Fence, high: Fence) {
        self.skip = skip_between(low, high);
        self.heads = self.entries.iter().map(|entry| head(entry.key(), self.skip)).collect();
    }
}
