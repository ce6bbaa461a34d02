//! Counters, gauges and histograms that are counted up where things happen. Each is a relaxed
//! atomic: counting costs a few nanoseconds and orders nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn inc(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How much there is of something at the moment.
#[derive(Debug, Default)]
pub(crate) struct Level(AtomicU64);

impl Level {
    pub(crate) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn down(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long things took. A time is in the first bucket whose bound it does not exceed, or in the
/// last, which has none.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds_s: &'static [f64],
    buckets: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

impl Histogram {
    /// `bounds_s` in seconds, ascending.
    pub(super) fn new(bounds_s: &'static [f64]) -> Histogram {
        let buckets = (0..=bounds_s.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds_s, buckets, sum_ns: AtomicU64::new(0) }
    }

    pub(crate) fn observe(&self, took: Duration) {
        let bucket = self.bounds_s.partition_point(|bound| *bound < took.as_secs_f64());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(nanos, Ordering::Relaxed);
    }

    /// How many were at most as long as each bound, in order; then how many there were.
    pub(super) fn cumulative(&self) -> (Vec<(f64, u64)>, u64) {
        let mut count = 0;
        let mut reached = Vec::with_capacity(self.bounds_s.len());
        for (i, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            if let Some(bound) = self.bounds_s.get(i) {
                reached.push((*bound, count));
            }
        }
        (reached, count)
    }

    pub(super) fn sum_s(&self) -> f64 {
        Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_for_every_bound_it_does_not_exceed() {
        let histogram = Histogram::new(&[0.001, 0.002]);
        for ms in [1, 2, 2, 5] {
            histogram.observe(Duration::from_millis(ms));
        }
        assert_eq!(histogram.cumulative(), (vec![(0.001, 1), (0.002, 3)], 4));
        assert!((histogram.sum_s() - 0.010).abs() < 1e-9);
    }
}
