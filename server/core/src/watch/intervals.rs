//! An interval tree: which spans hold a key.
//!
//! An AVL tree ordered by span, where each node also knows the farthest end below it. Finding
//! the k spans around a key among n costs O(log n + k log n), and the depth stays logarithmic
//! whatever spans a client chooses.

use std::cmp::Ordering;

use super::keys::{End, Span};

#[derive(Debug)]
pub(super) struct Intervals<T> {
    root: Link<T>,
}

impl<T> Default for Intervals<T> {
    fn default() -> Self {
        Intervals { root: None }
    }
}

impl<T> Intervals<T> {
    pub(super) fn get(&self, span: &Span) -> Option<&T> {
        let mut link = &self.root;
        while let Some(node) = link {
            link = match span.cmp(&node.span) {
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
                Ordering::Equal => return Some(&node.value),
            };
        }
        None
    }

    pub(super) fn get_mut(&mut self, span: &Span) -> Option<&mut T> {
        let mut link = &mut self.root;
        while let Some(node) = link {
            link = match span.cmp(&node.span) {
                Ordering::Less => &mut node.left,
                Ordering::Greater => &mut node.right,
                Ordering::Equal => return Some(&mut node.value),
            };
        }
        None
    }

    /// The span must not be there yet.
    pub(super) fn insert(&mut self, span: Span, value: T) {
        insert(&mut self.root, span, value);
    }

    pub(super) fn remove(&mut self, span: &Span) {
        remove(&mut self.root, span);
    }

    /// Calls `found` for each span that holds the key, in order.
    pub(super) fn around<'a>(&'a self, key: &[u8], found: &mut impl FnMut(&'a T)) {
        around(self.root.as_deref(), key, found);
    }
}

type Link<T> = Option<Box<Node<T>>>;

#[derive(Debug)]
struct Node<T> {
    span: Span,
    value: T,
    /// The farthest end in this subtree.
    reach: End,
    height: u8,
    left: Link<T>,
    right: Link<T>,
}

impl<T> Node<T> {
    /// How much higher the left side is.
    fn lean(&self) -> i16 {
        i16::from(height(self.left.as_deref())) - i16::from(height(self.right.as_deref()))
    }

    /// Restores what depends on the children.
    fn refresh(&mut self) {
        let (left, right) = (self.left.as_deref(), self.right.as_deref());
        self.height = 1 + height(left).max(height(right));
        let below = [left, right].into_iter().flatten().map(|child| &child.reach).max();
        let farther = below.filter(|reach| **reach > self.span.end);
        self.reach = farther.unwrap_or(&self.span.end).clone();
    }
}

fn height<T>(node: Option<&Node<T>>) -> u8 {
    node.map_or(0, |node| node.height)
}

fn around<'a, T>(node: Option<&'a Node<T>>, key: &[u8], found: &mut impl FnMut(&'a T)) {
    let Some(node) = node.filter(|node| node.reach.is_after(key)) else { return };
    around(node.left.as_deref(), key, found);
    if &node.span.start[..] <= key {
        if node.span.end.is_after(key) {
            found(&node.value);
        }
        around(node.right.as_deref(), key, found);
    }
}

fn insert<T>(link: &mut Link<T>, span: Span, value: T) {
    match link {
        None => {
            let reach = span.end.clone();
            let node = Node { span, value, reach, height: 1, left: None, right: None };
            *link = Some(Box::new(node));
        }
        Some(node) => {
            let side = if span < node.span { &mut node.left } else { &mut node.right };
            insert(side, span, value);
            balance(link);
        }
    }
}

fn remove<T>(link: &mut Link<T>, span: &Span) {
    let Some(node) = link else { return };
    match span.cmp(&node.span) {
        Ordering::Less => remove(&mut node.left, span),
        Ordering::Greater => remove(&mut node.right, span),
        Ordering::Equal => *link = join(node.left.take(), node.right.take()),
    }
    balance(link);
}

/// One tree of what was left and right of a removed node; still to be balanced at its top.
fn join<T>(left: Link<T>, mut right: Link<T>) -> Link<T> {
    let Some(mut top) = take_first(&mut right) else { return left };
    top.left = left;
    top.right = right;
    Some(top)
}

fn take_first<T>(link: &mut Link<T>) -> Link<T> {
    let node = link.as_mut()?;
    if node.left.is_some() {
        let first = take_first(&mut node.left);
        balance(link);
        return first;
    }
    let rest = node.right.take();
    std::mem::replace(link, rest)
}

/// Restores the order of heights, given that it holds in both children and is off by at most one.
fn balance<T>(link: &mut Link<T>) {
    let Some(node) = link else { return };
    match node.lean() {
        2.. => {
            if node.left.as_ref().is_some_and(|left| left.lean() < 0) {
                rotate_left(&mut node.left);
            }
            rotate_right(link);
        }
        ..-1 => {
            if node.right.as_ref().is_some_and(|right| right.lean() > 0) {
                rotate_right(&mut node.right);
            }
            rotate_left(link);
        }
        _ => node.refresh(),
    }
}

/// The right child becomes the top.
fn rotate_left<T>(link: &mut Link<T>) {
    let Some(mut node) = link.take() else { return };
    let mut top = node.right.take().expect("only what leans right is rotated left");
    node.right = top.left.take();
    node.refresh();
    top.left = Some(node);
    top.refresh();
    *link = Some(top);
}

/// The left child becomes the top.
fn rotate_right<T>(link: &mut Link<T>) {
    let Some(mut node) = link.take() else { return };
    let mut top = node.left.take().expect("only what leans left is rotated right");
    node.left = top.right.take();
    node.refresh();
    top.right = Some(node);
    top.refresh();
    *link = Some(top);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{End, Intervals, Node, Span};

    /// Returns the depth, counted and not believed, and the farthest end.
    fn check<T>(node: Option<&Node<T>>) -> (u8, Option<&End>) {
        let Some(node) = node else { return (0, None) };
        let (left, left_end) = check(node.left.as_deref());
        let (right, right_end) = check(node.right.as_deref());
        assert!(left.abs_diff(right) <= 1, "{left} deep on the left, {right} on the right");
        let depth = 1 + left.max(right);
        assert_eq!(node.height, depth);
        let end = Some(&node.span.end).max(left_end).max(right_end);
        assert_eq!(Some(&node.reach), end);
        (depth, end)
    }

    fn key(n: u8) -> Bytes {
        Bytes::from(vec![b'a' + n])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn finds_exactly_the_spans_that_hold_the_key(
            steps in prop::collection::vec((any::<bool>(), 0u8..12, 0u8..13), 1..200)
        ) {
            let mut tree = Intervals::default();
            let mut model = BTreeMap::new();
            for (n, (add, start, length)) in steps.into_iter().enumerate() {
                let end = if length == 0 { End::Unbounded } else { End::Before(key(start + length)) };
                let span = Span { start: key(start), end };
                if add && !model.contains_key(&span) {
                    tree.insert(span.clone(), n);
                    model.insert(span, n);
                } else if !add {
                    tree.remove(&span);
                    model.remove(&span);
                }
                check(tree.root.as_deref());
                for probe in 0..26 {
                    let mut found = Vec::new();
                    tree.around(&key(probe), &mut |n| found.push(*n));
                    let wanted: Vec<usize> = model
                        .iter()
                        .filter(|(span, _)| span.start <= key(probe) && span.end.is_after(&key(probe)))
                        .map(|(_, n)| *n)
                        .collect();
                    prop_assert_eq!(found, wanted);
                }
            }
        }

        #[test]
        fn stays_balanced_when_spans_come_in_order(count in 1u16..1000) {
            let mut tree = Intervals::default();
            for n in 0..count {
                let start = Bytes::from(n.to_be_bytes().to_vec());
                tree.insert(Span { start, end: End::Unbounded }, n);
            }
            check(tree.root.as_deref());
        }
    }
}
