//! Commands that go on in the background while the prompt is free: watches.

use std::collections::BTreeMap;

use tokio::task::JoinHandle;

/// Watches at once: each holds a place on the connection, and nobody reads more.
const JOBS_MAX: usize = 32;

/// What runs in the background, by the number `kill` takes.
#[derive(Default)]
pub(super) struct Jobs {
    last: usize,
    running: BTreeMap<usize, Job>,
}

struct Job {
    line: String,
    task: JoinHandle<()>,
}

impl Jobs {
    /// The number the next job gets, or `None` if there are too many.
    pub(super) fn next(&mut self) -> Option<usize> {
        self.running.retain(|_, job| !job.task.is_finished());
        (self.running.len() < JOBS_MAX).then_some(self.last + 1)
    }

    pub(super) fn add(&mut self, number: usize, line: &str, task: JoinHandle<()>) {
        self.last = number;
        self.running.insert(number, Job { line: line.trim().to_owned(), task });
    }

    /// Number and command line of each job that still runs.
    pub(super) fn list(&mut self) -> Vec<(usize, String)> {
        self.running.retain(|_, job| !job.task.is_finished());
        self.running.iter().map(|(number, job)| (*number, job.line.clone())).collect()
    }

    /// Ends a job; false if there is none of that number.
    pub(super) fn kill(&mut self, number: usize) -> bool {
        let job = self.running.remove(&number).filter(|job| !job.task.is_finished());
        job.map(|job| job.task.abort()).is_some()
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        for job in self.running.values() {
            job.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{JOBS_MAX, Jobs};

    #[tokio::test]
    async fn a_job_runs_until_it_is_killed_and_its_number_is_not_used_again() {
        let mut jobs = Jobs::default();
        for line in ["watch a", "watch b"] {
            let number = jobs.next().unwrap();
            jobs.add(number, line, tokio::spawn(std::future::pending()));
        }
        assert!(jobs.kill(2) && !jobs.kill(2) && !jobs.kill(9));
        assert_eq!(jobs.list(), [(1, "watch a".to_owned())]);
        assert_eq!(jobs.next(), Some(3));
    }

    #[tokio::test]
    async fn there_is_a_limit() {
        let mut jobs = Jobs::default();
        while let Some(number) = jobs.next() {
            jobs.add(number, "watch", tokio::spawn(std::future::pending()));
        }
        assert_eq!(jobs.list().len(), JOBS_MAX);
    }
}
