//! Many seeds, on a few pairs of servers at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::differences::Differences;
use super::generate::{Area, Plan};
use super::run::{Failure, Programs, Stop, run};
use super::tally::Tally;

pub struct Campaign {
    pub from: u64,
    pub seeds: u64,
    /// Of each seed.
    pub requests: u64,
    pub threads: usize,
    pub areas: Vec<Area>,
    pub stop: Stop,
}

#[derive(Debug, Default)]
pub struct Findings {
    pub tally: Tally,
    /// The first failure of each kind, and how often that kind came.
    pub failures: BTreeMap<String, (Failure, u64)>,
    /// Seeds that could not be run.
    pub broken: Vec<String>,
}

impl Campaign {
    /// Runs all seeds; `report` hears of each failure of a new kind at once.
    pub fn run(
        &self,
        programs: &Programs,
        table: &Differences,
        report: impl Fn(&Failure) + Sync,
    ) -> Findings {
        let next = AtomicU64::new(self.from);
        let findings = Mutex::new(Findings::default());
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= self.from + self.seeds {
                            return;
                        }
                        let plan = Plan::new(seed, self.requests, &self.areas);
                        let outcome = run(programs, &plan, table, self.stop);
                        let mut findings = findings.lock().unwrap_or_else(PoisonError::into_inner);
                        match outcome {
                            Ok(outcome) => {
                                findings.tally.add(&outcome.tally);
                                for failure in outcome.failures {
                                    findings.note(failure, &report);
                                }
                            }
                            Err(error) => findings.broken.push(format!("seed {seed}: {error}")),
                        }
                    }
                });
            }
        });
        findings.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Findings {
    fn note(&mut self, failure: Failure, report: impl Fn(&Failure)) {
        let kind = failure.kind();
        if let Some((_, times)) = self.failures.get_mut(&kind) {
            *times += 1;
        } else {
            report(&failure);
            self.failures.insert(kind, (failure, 1));
        }
    }

    pub fn is_clean(&self) -> bool {
        self.failures.is_empty() && self.broken.is_empty()
    }
}
