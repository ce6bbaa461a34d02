//! Planted bugs are found by the seeds that the product holds on.
//!
//! The table of all, with the number of seeds each takes, is made by
//! `cargo run -p kvorum-tests --features planted --bin kvorum-sim -- planted --seeds N`.

#![allow(clippy::print_stdout, reason = "how many seeds each takes is worth reading")]

use kvorum_core::planted::Bug;
use kvorum_tests::sim::campaign::{attempt, keep_panics};
use kvorum_tests::sim::planted::hunt;

const THREADS: usize = 2;
const FROM: u64 = 1;

/// Most bugs are found by the first few seeds, the rarest by most of a thousand.
const SEEDS: u64 = 3_000;

/// Enough to see that it is the bugs that are found: most are by so many. All seeds run without
/// the feature, too.
const SOUND_SEEDS: u64 = 150;

#[test]
fn what_is_planted_is_found() {
    keep_panics();
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        match hunt(bug, FROM, SEEDS, THREADS) {
            Some(found) => println!("{bug:?}: {} seeds", found.seeds),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found within {SEEDS} seeds: {missed:?}");
}

#[test]
fn with_nothing_planted_the_same_seeds_hold() {
    keep_panics();
    for seed in FROM..FROM + SOUND_SEEDS {
        attempt(seed, None).unwrap_or_else(|failure| panic!("seed {seed}: {}", failure.message));
    }
}
