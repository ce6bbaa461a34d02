//! Sets of keys made of ranges.

use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use kvorum_proto::key_range::{KeyRange, successor};

/// The union of some ranges of keys: disjoint spans in key order, none touching the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cover(Vec<Span>);

/// How far a set goes on without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach<'a> {
    /// Up to, and without, this key.
    Before(&'a [u8]),
    Unbounded,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    start: Bytes,
    /// Excluded; no end is plus infinity.
    end: Option<Bytes>,
}

impl Cover {
    /// How far every key from `key` on is in the set; `None` if `key` itself is not. O(log n).
    pub fn reach(&self, key: &[u8]) -> Option<Reach<'_>> {
        let before = self.0.partition_point(|span| *span.start <= *key);
        let span = self.0.get(before.checked_sub(1)?)?;
        match &span.end {
            None => Some(Reach::Unbounded),
            Some(end) if **end > *key => Some(Reach::Before(end)),
            Some(_) => None,
        }
    }
}

impl FromIterator<KeyRange> for Cover {
    fn from_iter<I: IntoIterator<Item = KeyRange>>(ranges: I) -> Self {
        let mut spans: Vec<Span> = ranges.into_iter().filter_map(|range| span(&range)).collect();
        spans.sort_by(|a, b| a.start.cmp(&b.start));
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if last.end.as_ref().is_none_or(|end| *end >= span.start) => {
                    // No end is the greatest, but not in the order of options.
                    last.end = match (last.end.take(), span.end) {
                        (Some(one), Some(other)) => Some(one.max(other)),
                        (None, _) | (_, None) => None,
                    };
                }
                _ => merged.push(span),
            }
        }
        Cover(merged)
    }
}

/// Whether every key of `range` is in the union of `covers`.
pub(super) fn union_covers(covers: &[&Cover], range: &KeyRange) -> bool {
    // etcd looks for the range that was asked for, not for its keys: whoever may not touch the key
    // it starts with is refused.
    if range.is_empty() {
        return union_reach(covers, least(range.start())).is_some();
    }
    let mut at: &[u8] = least(range.start());
    loop {
        let Some(Reach::Before(end)) = union_reach(covers, at) else {
            return union_reach(covers, at).is_some();
        };
        match range.end_bound() {
            Bound::Included(_) => return true,
            Bound::Excluded(wanted) if wanted <= end => return true,
            Bound::Excluded(_) | Bound::Unbounded => at = end,
        }
    }
}

/// That of the union, or of at least one of them.
pub(super) fn union_reach<'a>(covers: &[&'a Cover], key: &[u8]) -> Option<Reach<'a>> {
    covers.iter().filter_map(|cover| cover.reach(key)).max()
}

fn span(range: &KeyRange) -> Option<Span> {
    let end = match range.end_bound() {
        _ if range.is_empty() => return None,
        Bound::Included(key) => Some(successor(key)),
        Bound::Excluded(end) => Some(Bytes::copy_from_slice(end)),
        Bound::Unbounded => None,
    };
    Some(Span { start: Bytes::copy_from_slice(least(range.start())), end })
}

/// No key is empty, so a range from there begins at the least key that can be.
fn least(start: &[u8]) -> &[u8] {
    if start.is_empty() { &[0] } else { start }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn range(key: &str, end: &str) -> KeyRange {
        KeyRange::new(
            Bytes::copy_from_slice(key.as_bytes()),
            Bytes::copy_from_slice(end.as_bytes()),
        )
    }

    fn covers(granted: &[(&str, &str)], asked: (&str, &str)) -> bool {
        let covers: Vec<Cover> =
            granted.iter().map(|(key, end)| Cover::from_iter([range(key, end)])).collect();
        union_covers(&covers.iter().collect::<Vec<_>>(), &range(asked.0, asked.1))
    }

    #[test]
    fn ranges_that_touch_cover_what_spans_them() {
        assert!(covers(&[("a", "c"), ("c", "e")], ("b", "d")));
        assert!(!covers(&[("a", "c"), ("c\0", "e")], ("b", "d")), "the key c itself is missing");
        assert!(covers(&[("a", "c"), ("c", ""), ("c\0", "e")], ("b", "d")));
    }

    #[test]
    fn a_single_key_covers_no_range_and_a_range_no_key_at_its_end() {
        assert!(covers(&[("a", "")], ("a", "")));
        assert!(!covers(&[("a", "")], ("a", "b")));
        assert!(!covers(&[("a", "b")], ("b", "")));
    }

    #[test]
    fn from_a_key_on_is_more_than_any_end() {
        assert!(
            !covers(&[("a", "\u{7f}")], ("a", "\0")),
            "GHSA-xg4h: from a key on is no single key"
        );
        assert!(!covers(&[("a", "")], ("a", "\0")));
        assert!(covers(&[("a", "\0")], ("b", "\0")));
        assert!(covers(&[("\0", "\0")], ("", "\0")), "there is no empty key");
    }

    type Letters = (u8, u8);

    /// Keys of one letter: `end` 0 is the single key, 9 from the key on.
    fn of_letters((key, end): Letters) -> KeyRange {
        let end: &[u8] = match end {
            0 => &[],
            9 => &[0],
            end => &[b'a' + end],
        };
        KeyRange::new(Bytes::from(vec![b'a' + key]), Bytes::copy_from_slice(end))
    }

    /// Every key of up to two bytes that a range of letters can tell from another.
    fn keys() -> Vec<Vec<u8>> {
        let letter = |n: u8| b'a' + n;
        let ones = (0..10).map(|n| vec![letter(n)]);
        ones.chain((0..10).flat_map(|n| [vec![letter(n), 0], vec![letter(n), 7]])).collect()
    }

    proptest! {
        #[test]
        fn a_union_covers_what_holds_no_key_outside_it(
            granted in vec(vec((0u8..8, 0u8..10), 0..4), 0..4),
            asked in (0u8..8, 0u8..10),
        ) {
            let ranges: Vec<Vec<KeyRange>> =
                granted.iter().map(|of| of.iter().copied().map(of_letters).collect()).collect();
            let covers: Vec<Cover> = ranges.iter().map(|of| of.iter().cloned().collect()).collect();
            let asked = of_letters(asked);
            let within = |key: &Vec<u8>| ranges.iter().flatten().any(|range| range.contains(key));
            // Of a range without keys, the key it starts with decides.
            let naive = if asked.is_empty() {
                within(&asked.start().to_vec())
            } else {
                keys().iter().filter(|key| asked.contains(key)).all(within)
            };
            let found = union_covers(&covers.iter().collect::<Vec<_>>(), &asked);
            prop_assert_eq!(found, naive);
        }
    }
}
