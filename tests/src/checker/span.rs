//! The keys that a request means.

use std::ops::Bound;

use bytes::Bytes;

/// `key` and `range_end` as etcd reads them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    key: &'a Bytes,
    end: &'a Bytes,
}

impl<'a> Span<'a> {
    pub(super) fn new(key: &'a Bytes, end: &'a Bytes) -> Span<'a> {
        Span { key, end }
    }

    pub(super) fn single(&self) -> Option<&'a Bytes> {
        self.end.is_empty().then_some(self.key)
    }

    pub(super) fn holds(&self, key: &Bytes) -> bool {
        match &self.end[..] {
            [] => key == self.key,
            [0] => key >= self.key,
            end => key >= self.key && key[..] < *end,
        }
    }

    pub(super) fn bounds(&self) -> (Bound<&'a Bytes>, Bound<&'a Bytes>) {
        let from = Bound::Included(self.key);
        match &self.end[..] {
            [] => (from, Bound::Included(self.key)),
            [0] => (from, Bound::Unbounded),
            // A map wants its bounds in order.
            end if *end <= self.key[..] => (from, Bound::Excluded(self.key)),
            _ => (from, Bound::Excluded(self.end)),
        }
    }
}
