//! Planted bugs are found by the seeds that the product holds on.
//!
//! The table of all, with the number of seeds each takes, is made by
//! `cargo run -p kvorum-tests --features planted --bin kvorum-sim -- planted --seeds N`.

use kvorum_core::planted::Bug;
use kvorum_tests::sim::campaign::{attempt, keep_panics};
use kvorum_tests::sim::planted::hunt;

const THREADS: usize = 2;
const FROM: u64 = 1;

/// Far fewer than the seeds on which the product must hold; several times what each takes.
const SEEDS: u64 = 120;

/// Those that every change must find again. The others take more seeds than there is time for.
const SOON: &[Bug] = &[];

#[test]
fn what_is_planted_is_found() {
    keep_panics();
    let mut missed = Vec::new();
    for bug in SOON {
        if hunt(*bug, FROM, SEEDS, THREADS).is_none() {
            missed.push(*bug);
        }
    }
    assert!(missed.is_empty(), "not found within {SEEDS} seeds: {missed:?}");
}

#[test]
fn with_nothing_planted_the_same_seeds_hold() {
    keep_panics();
    for seed in FROM..FROM + SEEDS / 4 {
        attempt(seed, None).unwrap_or_else(|failure| panic!("seed {seed}: {}", failure.message));
    }
}
