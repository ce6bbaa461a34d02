//! Searching by the first 8 bytes that can differ.

use std::cmp::Ordering;

/// Lower or upper fence of a node; `None` is minus or plus infinity.
pub(super) type Fence<'a> = Option<&'a [u8]>;

/// The 8 bytes of `key` after `skip`, padded with zeros; keys with that many bytes in common
/// compare as their heads do, unless those are equal.
#[inline]
pub(super) fn head(key: &[u8], skip: usize) -> u64 {
    let rest = &key[skip.min(key.len())..];
    if let Some(bytes) = rest.first_chunk::<8>() {
        return u64::from_be_bytes(*bytes);
    }
    let mut bytes = [0; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes)
}

/// How many bytes all keys between two fences are known to have in common.
pub(super) fn skip_between(low: Fence, high: Fence) -> usize {
    match (low, high) {
        (Some(low), Some(high)) => common_prefix(low, high),
        _ => 0,
    }
}

/// The shortest `s` with `left < s <= right`.
pub(super) fn separator(left: &[u8], right: &[u8]) -> Box<[u8]> {
    right[..(common_prefix(left, right) + 1).min(right.len())].into()
}

/// The first position whose key is at least `key`, and whether it is equal.
#[inline]
pub(super) fn search<'a>(
    heads: &[u64],
    skip: usize,
    key: &[u8],
    at: impl Fn(usize) -> &'a [u8],
) -> (usize, bool) {
    let wanted = head(key, skip);
    let mut low = heads.partition_point(|head| *head < wanted);
    let mut high = low + heads[low..].iter().take_while(|head| **head == wanted).count();
    while low < high {
        let middle = usize::midpoint(low, high);
        match at(middle).cmp(key) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return (middle, true),
            Ordering::Greater => high = middle,
        }
    }
    (low, false)
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}
