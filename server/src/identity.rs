//! Ids of members, clusters and requests, computed as etcd computes them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

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

/// Gives out ids that are unique over members and restarts: two bytes of the member's id, five of
/// the time of the start in milliseconds, one that counts; as etcd's `idutil`.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    suffix: AtomicU64,
}

impl RequestIds {
    pub fn new(member_id: u64, start: SystemTime) -> RequestIds {
        const TIME_MASK: u64 = (1 << 40) - 1;
        let start_ms = start
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        RequestIds {
            prefix: (member_id & 0xffff) << 48,
            suffix: AtomicU64::new((start_ms & TIME_MASK) << 8),
        }
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
        let start = UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        let later = start + std::time::Duration::from_millis(1);
        let first = RequestIds::new(0xabcd_0001, start);
        assert_eq!(first.next() + 1, first.next());
        assert_ne!(first.next() >> 8, RequestIds::new(0xabcd_0001, later).next() >> 8);
        assert_ne!(first.next() >> 48, RequestIds::new(0xabcd_0002, start).next() >> 48);
    }
}
