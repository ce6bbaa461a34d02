//! How many keys to ask for, so that a page is of a size that memory can be counted by.

/// Up to etcd 3.6 every page makes the server walk the index to the end of the range, to count, so
/// pages are large there. Two of these and what they are decoded from stay far below what a
/// terminal may take.
const AIM_BYTES: usize = 4 << 20;

/// More keys than this save little and cost a pause.
const MOST_KEYS: i64 = 32_768;

/// A first row should not wait for a large page.
const FIRST_KEYS: i64 = 256;

/// Values may grow from page to page; what was small does not promise that the next is.
const GROWTH: i64 = 8;

/// The number of keys of the next page.
#[derive(Debug, Clone)]
pub(super) struct PageSize {
    keys: i64,
    /// Larger ones were not answered.
    most: i64,
}

impl PageSize {
    pub(super) fn new() -> Self {
        Self { keys: FIRST_KEYS, most: MOST_KEYS }
    }

    pub(super) fn keys(&self) -> i64 {
        self.keys
    }

    /// Learns from a page what the next may be.
    pub(super) fn learn(&mut self, keys: usize, bytes: usize) {
        let Some(mean) = bytes.checked_div(keys) else { return };
        let fitting = (AIM_BYTES / mean.max(1)) as i64;
        let grown = self.keys.saturating_mul(GROWTH);
        self.keys = fitting.min(grown).clamp(1, self.most);
    }

    /// The page was too large to be sent or took too long. `false`: it is one key already.
    pub(super) fn shrink(&mut self) -> bool {
        let shrinks = self.keys > 1;
        self.keys = (self.keys / GROWTH).max(1);
        self.most = self.keys;
        shrinks
    }
}

#[cfg(test)]
mod tests {
    use super::{AIM_BYTES, FIRST_KEYS, GROWTH, MOST_KEYS, PageSize};

    #[test]
    fn pages_grow_to_the_bytes_aimed_at_and_no_further() {
        let mut size = PageSize::new();
        size.learn(256, 256 * 300);
        assert_eq!(size.keys(), FIRST_KEYS * GROWTH);
        for _ in 0..5 {
            size.learn(1000, 1000 * 300);
        }
        assert_eq!(size.keys(), (AIM_BYTES / 300) as i64);
        size.learn(10, 10 << 20);
        assert_eq!(size.keys(), (AIM_BYTES >> 20) as i64);
        for _ in 0..9 {
            size.learn(1000, 1000);
        }
        assert_eq!(size.keys(), MOST_KEYS);
        size.learn(0, 0);
        assert_eq!(size.keys(), MOST_KEYS, "an empty page teaches nothing");
    }

    #[test]
    fn what_was_too_large_is_not_asked_for_again() {
        let mut size = PageSize::new();
        assert!(size.shrink());
        size.learn(32, 32);
        assert_eq!(size.keys(), FIRST_KEYS / GROWTH);
        assert!(size.shrink() && size.shrink() && !size.shrink());
        assert_eq!(size.keys(), 1);
    }
}
