//! Looking for a planted bug: seed after seed until one fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use kvorum_core::planted::{Bug, plant};

use super::campaign::{Failure, attempt};

/// How a planted bug was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// After so many seeds, the failing one included.
    pub seeds: u64,
    pub failure: Failure,
}

/// Runs the seeds from `from` on, at most so many, until one fails with the bug.
pub fn hunt(bug: Bug, from: u64, seeds: u64, threads: usize) -> Option<Found> {
    let next = AtomicU64::new(from);
    let last = AtomicU64::new(from + seeds);
    let first: Mutex<Option<Failure>> = Mutex::new(None);
    let work = || {
        plant(Some(bug));
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= last.load(Ordering::Relaxed) {
                break;
            }
            let Err(failure) = attempt(seed, None) else { continue };
            last.fetch_min(seed, Ordering::Relaxed);
            let mut first = first.lock().expect("nobody panics holding it");
            if first.as_ref().is_none_or(|first| first.seed > seed) {
                *first = Some(failure);
            }
        }
        plant(None);
    };
    thread::scope(|scope| (0..threads.max(1)).for_each(|_| drop(scope.spawn(work))));
    let failure = first.into_inner().expect("nobody panics holding it")?;
    Some(Found { seeds: failure.seed - from + 1, failure })
}
