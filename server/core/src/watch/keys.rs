//! The keys a watch is about.

use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use kvorum_proto::key_range::KeyRange;

/// Where a span of keys stops. A bound is smaller than no bound.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Before(Bytes),
    Unbounded,
}

impl End {
    pub(super) fn is_after(&self, key: &[u8]) -> bool {
        match self {
            End::Before(end) => key < &end[..],
            End::Unbounded => true,
        }
    }
}

/// The keys from `start` up to `end`; never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) start: Bytes,
    pub(super) end: End,
}

/// A range as the index needs it: keys that are watched alone are looked up, spans are searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    One(Bytes),
    Span(Span),
}

impl Keys {
    /// Reads a request's key and range end; an empty key is the smallest one, `"\0"`. `None` if
    /// no key is meant. The bytes are copied: those of the request keep all of its buffer alive.
    pub(super) fn parse(key: &[u8], range_end: &[u8]) -> Option<Keys> {
        let key = if key.is_empty() { b"\0" } else { key };
        let range_end = Bytes::copy_from_slice(range_end);
        let range = KeyRange::new(Bytes::copy_from_slice(key), range_end.clone());
        if range.is_empty() {
            return None;
        }
        let start = range.start().clone();
        Some(match range.end_bound() {
            Bound::Included(_) => Keys::One(start),
            Bound::Excluded(_) => Keys::Span(Span { start, end: End::Before(range_end) }),
            Bound::Unbounded => Keys::Span(Span { start, end: End::Unbounded }),
        })
    }

    /// Bytes held in memory.
    pub(super) fn len(&self) -> usize {
        match self {
            Keys::One(key) => key.len(),
            Keys::Span(Span { start, end: End::Before(end) }) => start.len() + end.len(),
            Keys::Span(Span { start, end: End::Unbounded }) => start.len(),
        }
    }
}
