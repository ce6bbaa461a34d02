//! Looking for a planted bug: seed after seed until one fails.
//!
//! The table of all, with the number of seeds each takes from the first on, is made by
//! `cargo run -p kvorum-tests --features planted --bin kvorum-sim -- planted --seeds N`.

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

#[cfg(test)]
mod tests {
    #![allow(clippy::print_stdout, reason = "how many seeds each takes is worth reading")]

    use super::*;
    use crate::sim::campaign::keep_panics;

    const THREADS: usize = 2;
    const FROM: u64 = 1;

    /// Most bugs are found by the first few seeds.
    const SEEDS: u64 = 3_000;

    /// Those that are found rarely are looked for from a little before the seed that found them
    /// last: what changes the load makes the hunt longer, and is no reason to fail.
    const RARE: [(Bug, u64); 4] = [
        (Bug::ExpireInAnyTerm, 100),
        (Bug::VoteForgotten, 126),
        (Bug::CutPastStored, 201),
        (Bug::IncompleteVotes, 438),
    ];

    /// Enough to see that it is the bugs that are found: most are by so many. All seeds run without
    /// the feature, too.
    const SOUND_SEEDS: u64 = 60;

    #[test]
    fn what_is_planted_is_found() {
        keep_panics();
        let mut missed = Vec::new();
        for bug in Bug::ALL {
            let rare = RARE.iter().find(|(rare, _)| *rare == bug);
            let from = rare.map_or(FROM, |(_, from)| *from);
            match hunt(bug, from, SEEDS, THREADS) {
                Some(found) => println!("{bug:?}: {} seeds from {from} on", found.seeds),
                None => missed.push(bug),
            }
        }
        assert!(missed.is_empty(), "not found within {SEEDS} seeds: {missed:?}");
    }

    #[test]
    fn with_nothing_planted_the_same_seeds_hold() {
        keep_panics();
        let rare = RARE.iter().map(|(_, from)| *from..*from + 6);
        for seed in (FROM..=SOUND_SEEDS).chain(rare.flatten()) {
            attempt(seed, None)
                .unwrap_or_else(|failure| panic!("seed {seed}: {}", failure.message));
        }
    }
}
