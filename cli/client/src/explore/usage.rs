//! How much lies below each branch, while the keys come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::segments::Segments;

/// What lies below one branch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// The prefix, separator included.
    pub path: Vec<u8>,
    pub keys: u64,
    pub key_bytes: u64,
    pub value_bytes: u64,
}

/// The branches, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageReport {
    pub branches: Vec<Usage>,
    /// All that is in smaller branches than can be remembered, with their number.
    pub rest: Option<(u64, Usage)>,
    pub total: Usage,
}

/// Branches remembered: a few MiB. The smallest of more are added up.
pub const MAX_BRANCHES: usize = 10_000;

/// Adds up keys that come in order.
///
/// A key counts for the branch it lies in, at most `depth` levels below the prefix; what lies in no
/// branch counts for the prefix.
#[derive(Debug)]
pub struct UsageFold {
    skip: usize,
    separator: u8,
    depth: usize,
    most: usize,
    /// From the prefix to the branch of the last key.
    open: Vec<Usage>,
    done: BinaryHeap<Reverse<Sized>>,
    rest: (u64, Usage),
    total: Usage,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sized {
    bytes: u64,
    keys: u64,
    key_bytes: u64,
    /// Of equals, the first in key order comes first.
    path: Reverse<Vec<u8>>,
}

impl Usage {
    pub fn bytes(&self) -> u64 {
        self.key_bytes + self.value_bytes
    }

    fn add(&mut self, other: &Usage) {
        self.keys += other.keys;
        self.key_bytes += other.key_bytes;
        self.value_bytes += other.value_bytes;
    }
}

impl UsageFold {
    /// `prefix` is what all keys begin with; `depth` the number of levels told apart.
    pub fn new(prefix: &[u8], separator: u8, depth: usize) -> Self {
        Self::remembering(MAX_BRANCHES, prefix, separator, depth)
    }

    fn remembering(most: usize, prefix: &[u8], separator: u8, depth: usize) -> Self {
        let top = Usage { path: prefix.to_vec(), ..Usage::default() };
        Self {
            skip: prefix.len(),
            separator,
            depth,
            most,
            total: top.clone(),
            open: vec![top],
            done: BinaryHeap::new(),
            rest: (0, Usage::default()),
        }
    }

    /// Takes the next key.
    pub fn push(&mut self, key: &[u8], value_bytes: usize) {
        while self.open.len() > 1 && self.open.last().is_some_and(|it| !key.starts_with(&it.path)) {
            self.leave();
        }
        let mut end = self.open.last().map_or(self.skip, |usage| usage.path.len());
        for name in Segments::new(key, end, self.separator) {
            let ends = name.len() > 1 && name.ends_with(&[self.separator]);
            if !ends || self.open.len() > self.depth {
                break;
            }
            end += name.len();
            self.open.push(Usage { path: key[..end].to_vec(), ..Usage::default() });
        }
        let (key_bytes, value_bytes) = (key.len() as u64, value_bytes as u64);
        let one = Usage { path: Vec::new(), keys: 1, key_bytes, value_bytes };
        self.total.add(&one);
        if let Some(branch) = self.open.last_mut() {
            branch.add(&one);
        }
    }

    /// The last key has come.
    pub fn finish(mut self) -> UsageReport {
        while !self.open.is_empty() {
            self.leave();
        }
        let largest_first = self.done.into_sorted_vec().into_iter();
        let branches = largest_first.map(|Reverse(sized)| Usage {
            value_bytes: sized.bytes - sized.key_bytes,
            path: sized.path.0,
            keys: sized.keys,
            key_bytes: sized.key_bytes,
        });
        UsageReport {
            branches: branches.collect(),
            rest: (self.rest.0 > 0).then_some(self.rest),
            total: self.total,
        }
    }

    fn leave(&mut self) {
        let Some(branch) = self.open.pop() else { return };
        if branch.keys == 0 {
            return;
        }
        let bytes = branch.bytes();
        let Usage { path, keys, key_bytes, .. } = branch;
        self.done.push(Reverse(Sized { bytes, keys, key_bytes, path: Reverse(path) }));
        if self.done.len() > self.most
            && let Some(Reverse(smallest)) = self.done.pop()
        {
            let value_bytes = smallest.bytes - smallest.key_bytes;
            self.rest.0 += 1;
            self.rest.1.keys += smallest.keys;
            self.rest.1.key_bytes += smallest.key_bytes;
            self.rest.1.value_bytes += value_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{UsageFold, UsageReport};

    fn told(report: &UsageReport) -> Vec<(&str, u64, u64)> {
        let row = |usage: &super::Usage| usage.bytes();
        let mut rows = Vec::new();
        for usage in &report.branches {
            rows.push((str::from_utf8(&usage.path).unwrap(), usage.keys, row(usage)));
        }
        rows
    }

    #[test]
    fn each_branch_is_told_with_what_lies_below_it_largest_first() {
        let mut fold = UsageFold::new(b"", b'/', 1);
        for (key, value_bytes) in
            [("/a/1", 10), ("/a/2/x", 10), ("/b/1", 100), ("/top", 1), ("plain", 2)]
        {
            fold.push(key.as_bytes(), value_bytes);
        }
        let report = fold.finish();
        assert_eq!(told(&report), [("/b/", 1, 104), ("/a/", 2, 30), ("", 2, 12)]);
        assert_eq!((report.total.keys, report.total.bytes(), report.rest), (5, 146, None));
    }

    #[test]
    fn a_key_between_two_branches_counts_where_it_lies() {
        let mut fold = UsageFold::new(b"/", b'/', 2);
        for key in ["/a/1", "/a/b/1", "/a/b/c/1", "/a/z", "/b"] {
            fold.push(key.as_bytes(), 0);
        }
        assert_eq!(told(&fold.finish()), [("/a/b/", 2, 14), ("/a/", 2, 8), ("/", 1, 2)]);
    }

    #[test]
    fn of_too_many_branches_the_smallest_are_added_up() {
        let mut fold = UsageFold::remembering(2, b"", b'/', 1);
        for (branch, bytes) in [("a", 5), ("b", 50), ("c", 1), ("d", 500), ("e", 7)] {
            fold.push(format!("{branch}/k").as_bytes(), bytes);
        }
        let report = fold.finish();
        assert_eq!(told(&report), [("d/", 1, 503), ("b/", 1, 53)]);
        let (branches, rest) = report.rest.unwrap();
        assert_eq!((branches, rest.keys, rest.bytes()), (3, 3, 13 + 9));
        assert_eq!(report.total.bytes(), 563 + 15);
    }
}
