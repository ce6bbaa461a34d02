//! The watch guarantees on real processes, under load: every watch is told every change that it
//! asked for, in order, once, each revision whole, or that compaction overtook it, whatever
//! members are killed, however slowly it reads and wherever it goes on.
//!
//! `kvorum-watch runs N` does the same as often as wanted. `KVORUM_WATCH_RUNS` sets how often it
//! is done here.

#![allow(clippy::print_stdout, reason = "what a run came to is worth reading")]

use kvorum_tests::binary;
use kvorum_tests::program::Names;
use kvorum_tests::watching::run::{run, shortfall};

const RUNS: u64 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_under_load_are_told_everything_that_they_are_owed() {
    let names = Names::of(binary!());
    let runs = std::env::var("KVORUM_WATCH_RUNS")
        .map_or(RUNS, |runs| runs.parse().expect("KVORUM_WATCH_RUNS is a number"));
    let mut reports = Vec::new();
    for seed in 1..=runs {
        let report = run(&names.server(), seed).await;
        let report = report.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        println!("{report}");
        reports.push(report);
    }
    assert_eq!(shortfall(&reports), None);
}
