//! A range of keys, normalised once from a request's `key` and `range_end`.
//!
//! The same value is authorised and executed, so the two can never disagree about what a request
//! touches. As etcd defines it: an empty `range_end` means the single key, a `range_end` of one
//! zero byte means every key from `key` on, anything else means `[key, range_end)`, which is empty
//! unless `key < range_end`.

use std::ops::{Bound, RangeBounds};

use bytes::{BufMut, Bytes, BytesMut};

/// A set of neighbouring keys. Equal sets are equal values: the single key `k` written as
/// `[k, k + "\0")` is recognised as such. Only of empty ranges there are many, one for each start:
/// whether somebody may ask for one is decided by that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    start: Bytes,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum End {
    /// Nothing but the start itself.
    Single,
    /// Up to, and without, this key.
    Before(Bytes),
    Unbounded,
    /// Not even the start.
    Empty,
}

impl KeyRange {
    pub fn new(key: Bytes, range_end: Bytes) -> Self {
        if range_end.is_empty() {
            return Self::single(key);
        }
        if *range_end == [0] {
            return Self::starting_at(key);
        }
        if key >= range_end {
            return KeyRange { start: key, end: End::Empty };
        }
        if is_successor(&key, &range_end) {
            return Self::single(key);
        }
        KeyRange { start: key, end: End::Before(range_end) }
    }

    pub fn single(key: Bytes) -> Self {
        KeyRange { start: key, end: End::Single }
    }

    /// Every key from `key` on.
    pub fn starting_at(key: Bytes) -> Self {
        KeyRange { start: key, end: End::Unbounded }
    }

    pub fn all() -> Self {
        Self::starting_at(Bytes::new())
    }

    /// The least key that can be in the range.
    pub fn start(&self) -> &Bytes {
        &self.start
    }

    /// The key, if the range can hold but one.
    pub fn as_single(&self) -> Option<&Bytes> {
        (self.end == End::Single).then_some(&self.start)
    }

    pub fn is_empty(&self) -> bool {
        self.end == End::Empty
    }

    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.start_bound(), self.end_bound())
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            End::Single => *self.start == *key,
            End::Before(end) => *self.start <= *key && *key < **end,
            End::Unbounded => *self.start <= *key,
            End::Empty => false,
        }
    }

    /// Whether a key is in both.
    pub fn overlaps(&self, other: &KeyRange) -> bool {
        !self.is_empty()
            && !other.is_empty()
            && self.starts_before_end_of(other)
            && other.starts_before_end_of(self)
    }

    /// Whether every key of `other` is in this one.
    pub fn covers(&self, other: &KeyRange) -> bool {
        match (&self.end, &other.end) {
            (_, End::Empty) => true,
            (End::Empty, _) => false,
            (_, End::Single) => self.contains(&other.start),
            (End::Single, _) | (End::Before(_), End::Unbounded) => false,
            (End::Before(end), End::Before(inner)) => self.start <= other.start && inner <= end,
            (End::Unbounded, _) => self.start <= other.start,
        }
    }

    fn starts_before_end_of(&self, other: &KeyRange) -> bool {
        match &other.end {
            End::Single => self.start <= other.start,
            End::Before(end) => self.start < *end,
            End::Unbounded => true,
            End::Empty => false,
        }
    }
}

impl RangeBounds<[u8]> for KeyRange {
    fn start_bound(&self) -> Bound<&[u8]> {
        Bound::Included(&self.start)
    }

    fn end_bound(&self) -> Bound<&[u8]> {
        match &self.end {
            End::Single => Bound::Included(&self.start),
            End::Before(end) => Bound::Excluded(end),
            End::Unbounded => Bound::Unbounded,
            End::Empty => Bound::Excluded(&self.start),
        }
    }
}

/// The least key above `key`.
pub fn successor(key: &[u8]) -> Bytes {
    let mut next = BytesMut::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.put_u8(0);
    next.freeze()
}

/// Whether `next` is the least key above `key`.
fn is_successor(key: &[u8], next: &[u8]) -> bool {
    next.split_last().is_some_and(|(last, head)| *last == 0 && head == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(key: &'static str, end: &'static str) -> KeyRange {
        KeyRange::new(key.into(), end.into())
    }

    #[test]
    fn an_empty_end_means_the_single_key() {
        let single = range("b", "");
        assert!(single.contains(b"b") && !single.contains(b"b\0") && !single.contains(b""));
        assert_eq!(single.as_single().map(|key| &**key), Some(&b"b"[..]));
        assert_eq!(single, range("b", "b\0"));
    }

    #[test]
    fn a_zero_byte_as_end_means_from_the_key_on() {
        let from = range("b", "\0");
        assert!(!from.contains(b"a") && from.contains(b"b") && from.contains(b"\xff\xff"));
        assert_eq!(range("", "\0"), KeyRange::all());
    }

    #[test]
    fn any_other_end_is_excluded() {
        let some = range("b", "d");
        assert!(!some.contains(b"a") && some.contains(b"b"));
        assert!(some.contains(b"c\xff") && !some.contains(b"d"));
    }

    #[test]
    fn a_key_at_or_above_the_end_is_an_empty_range() {
        for empty in [range("b", "b"), range("c", "b")] {
            assert!(empty.is_empty() && !empty.contains(b"b") && !empty.contains(b""));
            assert!(!empty.overlaps(&KeyRange::all()));
            assert!(range("x", "").covers(&empty));
        }
    }

    #[test]
    fn overlap_is_having_a_key_in_common() {
        let cases = [
            (range("a", "c"), range("b", "d"), true),
            (range("a", "b"), range("b", "c"), false),
            (range("a", "c"), range("b", ""), true),
            (range("a", "b"), range("b", ""), false),
            (range("b", "\0"), range("a", "b"), false),
            (range("b", "\0"), range("z", ""), true),
            (range("b", ""), range("b", ""), true),
            (range("b", ""), range("c", ""), false),
        ];
        for (a, b, expected) in cases {
            assert_eq!(a.overlaps(&b), expected, "{a:?} {b:?}");
            assert_eq!(b.overlaps(&a), expected, "{b:?} {a:?}");
        }
    }

    #[test]
    fn covering_is_holding_every_key_of_the_other() {
        let cases = [
            (range("a", "d"), range("b", "c"), true),
            (range("a", "d"), range("a", "d"), true),
            (range("a", "d"), range("b", "e"), false),
            (range("a", "d"), range("b", "\0"), false),
            (range("a", "\0"), range("b", "\0"), true),
            (range("b", "\0"), range("a", "c"), false),
            (range("a", ""), range("a", ""), true),
            (range("a", ""), range("a", "b"), false),
        ];
        for (outer, inner, expected) in cases {
            assert_eq!(outer.covers(&inner), expected, "{outer:?} {inner:?}");
        }
    }
}
