//! Ids of members, clusters and requests, computed as etcd computes them.

use std::sync::atomic::{AtomicU64, Ordering};

use sha1::{Digest, Sha1};

/// Who a member is, in which cluster; fixed for life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cluster_id: u64,
    pub member_id: u64,
    /// Drawn at random when the member was made, never 0: tells its data from that of a member
    /// made anew under the same id, which knows nothing of what was promised before.
    pub incarnation: u64,
}

/// A member's id: the start of the SHA-1 of its sorted peer URLs and the cluster's token.
pub fn member_id<'a>(peer_urls: impl IntoIterator<Item = &'a str>, token: &str) -> u64 {
    let mut urls: Vec<&str> = peer_urls.into_iter().collect();
    urls.sort_unstable();
    let mut hash = Sha1::new();
    for url in urls {
        hash.update(url.as_bytes());
    }
    hash.update(token.as_bytes());
    first_eight(&hash.finalize())
}

/// A cluster's id: the start of the SHA-1 of its first members' sorted ids.
pub fn cluster_id(member_ids: impl IntoIterator<Item = u64>) -> u64 {
    let mut ids: Vec<u64> = member_ids.into_iter().collect();
    ids.sort_unstable();
    let mut hash = Sha1::new();
    for id in ids {
        hash.update(id.to_be_bytes());
    }
    first_eight(&hash.finalize())
}

/// An id as etcd's logs and commands print it.
pub fn hex(id: u64) -> String {
    format!("{id:x}")
}

fn first_eight(hash: &[u8]) -> u64 {
    u64::from_be_bytes(hash[..8].try_into().expect("a SHA-1 has 20 bytes"))
}

/// Gives out ids that are unique over members and restarts: two bytes of the member's id and six
/// that count from a number drawn at random at each start. etcd's `idutil` counts from the time of
/// the start; a clock that was set back would then make an answer to an entry of an earlier life
/// look like one to a request of this life.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    suffix: AtomicU64,
}

impl RequestIds {
    /// Counts from `chance`, which must be a random number.
    pub fn new(member_id: u64, chance: u64) -> RequestIds {
        RequestIds { prefix: (member_id & 0xffff) << 48, suffix: AtomicU64::new(chance) }
    }

    pub fn next(&self) -> u64 {
        const SUFFIX_MASK: u64 = (1 << 48) - 1;
        let suffix = self.suffix.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.prefix | (suffix & SUFFIX_MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_etcd_computes_for_the_same_flags() {
        // etcd --name default with its defaults.
        let alone = member_id(["http://localhost:2380"], "etcd-cluster");
        assert_eq!(hex(alone), "8e9e05c52164694d");
        assert_eq!(hex(cluster_id([alone])), "cdf818194e3a8c32");
    }

    #[test]
    fn the_order_of_urls_and_members_does_not_matter() {
        assert_eq!(member_id(["a", "b"], "t"), member_id(["b", "a"], "t"));
        assert_eq!(cluster_id([1, 2, 3]), cluster_id([3, 1, 2]));
    }

    #[test]
    fn request_ids_differ_between_members_and_restarts() {
        let first = RequestIds::new(0xabcd_0001, u64::MAX);
        assert_eq!(first.next(), 0x0001_0000_0000_0000);
        assert_eq!(first.next(), 0x0001_0000_0000_0001);
        assert_eq!(RequestIds::new(0xabcd_0001, 7).next(), 0x0001_0000_0000_0008);
        assert_eq!(RequestIds::new(0xabcd_0002, 7).next(), 0x0002_0000_0000_0008);
    }
}
