//! Simulated clusters: every seed must hold, and what was meant to go wrong must have gone wrong.
//!
//! `KVORUM_SIM_SEEDS` sets how many seeds, `KVORUM_SIM_FROM` the first; a failing one is run again,
//! with everything that happens in it, by `cargo run -p kvorum-tests --bin kvorum-sim -- seed N
//! --trace`.

use std::sync::Mutex;

use kvorum_tests::sim::campaign::{Campaign, Failure, attempt, campaign, keep_panics};
use kvorum_tests::sim::plan::{FEWEST_CLASSES, FaultClass, Plan};
use kvorum_tests::sim::time::SECOND;

const SEEDS: u64 = 1_000;
const FROM: u64 = 1;
const THREADS: usize = 2;

/// Fewer seeds than this prove nothing about what happens how often.
const ENOUGH_SEEDS: u64 = 100;

#[test]
fn every_seed_holds() {
    keep_panics();
    let seeds = number("KVORUM_SIM_SEEDS").unwrap_or(SEEDS);
    let from = number("KVORUM_SIM_FROM").unwrap_or(FROM);
    let failed = Mutex::new(Vec::new());
    let note = |failure: &Failure| {
        let mut failed = failed.lock().expect("nobody panics holding it");
        failed.push(format!("seed {}: {}", failure.seed, failure.message));
    };
    let Campaign { figures, failures } = campaign(from, THREADS, |seed| seed >= from + seeds, note);
    let failed = failed.into_inner().expect("nobody panics holding it");
    assert!(failures.is_empty(), "{} seeds fail:\n{}", failures.len(), failed.join("\n"));
    assert_eq!(figures.seeds, seeds);
    assert!(figures.virtual_ns >= seeds * 20 * SECOND, "{figures}");
    assert!(figures.acknowledged >= seeds * 200, "{figures}");
    if seeds < ENOUGH_SEEDS {
        return;
    }
    let least = |what: &str, count: u64, wanted: u64| {
        assert!(count >= wanted, "{what}: {count} of at least {wanted}\n{figures}");
    };
    for class in FaultClass::ALL {
        least(&format!("{class:?}"), figures.fault(class), seeds / 4);
    }
    least("writes", figures.writes, seeds * 100);
    least("reads", figures.reads, seeds * 50);
    least("renewals", figures.renewals, seeds * 5);
    least("events", figures.events, seeds * 300);
    least("progress", figures.progress, seeds * 10);
    least("watches resumed", figures.resumed, seeds * 5);
    least("watches overtaken", figures.overtaken, seeds / 2);
    least("compactions", figures.compactions, seeds * 2);
    least("leases expired", figures.expired, seeds * 2);
    least("snapshots installed", figures.snapshots, seeds / 4);
    for (name, wanted) in [
        ("elections", seeds * 2),
        ("logs cut", seeds * 5),
        ("starts", seeds * 4),
        ("crashes in an operation", seeds / 5),
        ("crashes of a start", seeds / 20),
        ("crashes of a first start", seeds / 50),
        ("stops by a fault", seeds / 5),
        ("torn ends cut", seeds / 100),
        ("physical compactions", seeds / 2),
        ("sweeps", seeds),
        ("fetches", seeds / 5),
        ("streams broken", seeds),
        ("lost", seeds),
        ("doubled", seeds),
        ("late", seeds),
        ("applies held up", seeds / 20),
        ("power cycles", seeds / 10),
        ("seeds with snapshots", seeds / 5),
        ("states compared", seeds * 20),
        ("logs salvaged", seeds / 4),
        ("logs complete again", seeds / 4),
        ("damaged disks refused", seeds / 5),
        ("a bit of a vote", seeds / 20),
    ] {
        least(name, figures.other(name), wanted);
    }
}

#[test]
fn a_seed_is_the_same_world_every_time_and_another_seed_another_one() {
    keep_panics();
    let hash =
        |seed| attempt(seed, None).unwrap_or_else(|failure| panic!("{failure:?}")).trace_hash;
    let first: Vec<u128> = (1..=4).map(hash).collect();
    let second: Vec<u128> = (1..=4).map(hash).collect();
    assert_eq!(first, second);
    assert!(first.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn every_seed_has_three_classes_of_faults_and_twenty_seconds() {
    let plans: Vec<Plan> = (1..=1000).map(Plan::draw).collect();
    for plan in &plans {
        let mut classes = plan.faults.clone();
        classes.sort_unstable();
        classes.dedup();
        assert!(classes.len() >= FEWEST_CLASSES, "{plan}");
        assert!(plan.trouble >= 20 * SECOND, "{plan}");
    }
    let share = |holds: fn(&Plan) -> bool| plans.iter().filter(|plan| holds(plan)).count();
    assert!(share(|plan| plan.members == 1) >= 50);
    assert!(share(|plan| plan.members == 3) >= 500);
    assert!(share(|plan| plan.members == 5) >= 50);
    assert!(share(|plan| plan.snapshots.is_some()) >= 200, "snapshots are forced in a fifth");
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
