//! Writing at a given rate, or as fast as it goes, and how long that took: what `check` measures.
//!
//! The workload is etcdctl's (`etcdctl/ctlv3/command/check.go`): so many clients, each with a
//! connection of its own, take writes of random keys from one queue.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::connection::Connection;
use crate::failure::Failure;
use crate::request::Put;

/// What is written.
#[derive(Debug, Clone)]
pub struct Load {
    pub prefix: Vec<u8>,
    /// Bytes of a key beyond the prefix: random ones, then zeros.
    pub key_bytes: usize,
    pub value_bytes: usize,
    pub amount: Amount,
}

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So many writes, as fast as they are answered.
    Writes(u64),
    /// As many as come to be due in this time, if they are answered in time.
    Rate { writes_per_s: u32, time: Duration },
}

/// Writes under way. Dropping it ends them.
pub struct LoadRun {
    results: Receiver<Result<Duration, Failure>>,
    tally: Tally,
    tasks: Vec<JoinHandle<()>>,
}

/// How the writes went.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadReport {
    /// How often each error came, by etcdctl's text.
    pub errors: BTreeMap<String, u64>,
    pub writes: u64,
    pub writes_per_s: f64,
    pub slowest_s: f64,
    /// Of the times, in seconds; not a number if there are none.
    pub deviation_s: f64,
}

/// Results on their way to whoever counts them.
const RESULTS: usize = 16;

/// Writes that are due and were not asked for in time are made up for as far as this goes: timers
/// are no finer.
const LATE: Duration = Duration::from_millis(2);

/// Different errors that are told apart; an error text may have a number in it.
const ERRORS: usize = 64;

impl LoadRun {
    /// Begins to write, by one client for each connection. Must be called within a runtime.
    pub fn start(connections: &[Connection], load: &Load) -> Self {
        let (queue, keys) = channel(connections.len().max(1));
        let (done, results) = channel(RESULTS);
        let keys = Arc::new(Mutex::new(keys));
        let producer = tokio::spawn(produce(load.clone(), queue));
        let clients = connections.iter().map(|connection| {
            let client = Client {
                connection: connection.clone(),
                keys: keys.clone(),
                value_bytes: load.value_bytes,
            };
            tokio::spawn(client.run(done.clone()))
        });
        let tasks = std::iter::once(producer).chain(clients).collect();
        Self { results, tally: Tally::new(), tasks }
    }

    /// Waits for the next answer; false when all have come.
    ///
    /// Dropping the future loses nothing.
    pub async fn step(&mut self) -> bool {
        let result = self.results.recv().await;
        result.map(|result| self.tally.add(result)).is_some()
    }

    /// Begins no more writes; those under way are answered yet.
    pub fn stop(&self) {
        if let Some(producer) = self.tasks.first() {
            producer.abort();
        }
    }

    /// Writes that were answered so far, by an error too.
    pub fn answered(&self) -> u64 {
        self.tally.count + self.tally.errors.values().sum::<u64>()
    }

    /// How it went, after the last answer.
    pub fn report(&self) -> LoadReport {
        self.tally.report(self.tally.began.elapsed())
    }
}

impl Drop for LoadRun {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Puts the keys into the queue, when they are due.
async fn produce(load: Load, queue: Sender<Vec<u8>>) {
    let mut keys = Keys::new(&load);
    match load.amount {
        Amount::Writes(count) => {
            for _ in 0..count {
                if queue.send(keys.next()).await.is_err() {
                    return;
                }
            }
        }
        Amount::Rate { writes_per_s, time } => {
            let interval = Duration::from_secs(1) / writes_per_s.max(1);
            let end = Instant::now() + time;
            let mut due = Instant::now();
            while due < end {
                sleep_until(due).await;
                if queue.send(keys.next()).await.is_err() {
                    return;
                }
                due = (due + interval).max(Instant::now() - LATE);
            }
        }
    }
}

struct Client {
    connection: Connection,
    keys: Arc<Mutex<Receiver<Vec<u8>>>>,
    value_bytes: usize,
}

impl Client {
    async fn run(self, done: Sender<Result<Duration, Failure>>) {
        loop {
            let Some(key) = self.keys.lock().await.recv().await else { return };
            let put = Put::new(key, vec![0; self.value_bytes]);
            let start = Instant::now();
            let result = self.connection.put(put).await.map(|_| start.elapsed());
            if done.send(result).await.is_err() {
                return;
            }
        }
    }
}

/// Keys that are hardly ever the same.
struct Keys {
    key: Vec<u8>,
    prefix_bytes: usize,
    random: RandomState,
    count: u64,
}

impl Keys {
    fn new(load: &Load) -> Self {
        let mut key = load.prefix.clone();
        key.resize(load.prefix.len() + load.key_bytes, 0);
        Self { key, prefix_bytes: load.prefix.len(), random: RandomState::new(), count: 0 }
    }

    /// The next key: the prefix, and a random number as Go's `binary.PutVarint` writes it.
    fn next(&mut self) -> Vec<u8> {
        const LOW_BITS: u64 = 0x7f;
        self.count += 1;
        // Not negative, so its zigzag form is its double.
        let mut number = self.random.hash_one(self.count) >> 1 << 1;
        for byte in &mut self.key[self.prefix_bytes..] {
            let is_last = number <= LOW_BITS;
            *byte = (number & LOW_BITS) as u8 | if is_last { 0 } else { 0x80 };
            number >>= 7;
            if is_last {
                break;
            }
        }
        self.key.clone()
    }
}

/// Answers as they come, by Welford's method: no time is kept.
struct Tally {
    began: Instant,
    errors: BTreeMap<String, u64>,
    count: u64,
    mean_s: f64,
    squares: f64,
    slowest_s: f64,
}

impl Tally {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            errors: BTreeMap::new(),
            count: 0,
            mean_s: 0.0,
            squares: 0.0,
            slowest_s: 0.0,
        }
    }

    fn add(&mut self, result: Result<Duration, Failure>) {
        let took_s = match result {
            Ok(took) => took.as_secs_f64(),
            Err(failure) => return self.fail(failure.etcdctl_text()),
        };
        self.count += 1;
        let off = took_s - self.mean_s;
        self.mean_s += off / self.count as f64;
        self.squares += off * (took_s - self.mean_s);
        self.slowest_s = self.slowest_s.max(took_s);
    }

    fn fail(&mut self, text: String) {
        let is_known = self.errors.contains_key(&text) || self.errors.len() < ERRORS;
        let text = if is_known { text } else { "other errors".to_owned() };
        *self.errors.entry(text).or_default() += 1;
    }

    fn report(&self, took: Duration) -> LoadReport {
        LoadReport {
            errors: self.errors.clone(),
            writes: self.count,
            writes_per_s: self.count as f64 / took.as_secs_f64(),
            slowest_s: self.slowest_s,
            deviation_s: (self.squares / self.count as f64).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Amount, ERRORS, Keys, Load, Tally};
    use crate::failure::Failure;

    #[test]
    fn a_key_is_the_prefix_a_number_and_zeros() {
        let amount = Amount::Writes(1);
        let load = Load { prefix: b"/p/".to_vec(), key_bytes: 256, value_bytes: 0, amount };
        let mut keys = Keys::new(&load);
        let (first, second) = (keys.next(), keys.next());
        assert_ne!(first, second);
        assert_eq!((first.len(), &first[..3]), (259, b"/p/".as_slice()));
        // Ten bytes of seven bits hold any number.
        assert!(first[13..].iter().all(|byte| *byte == 0));
        assert!(first[3..13].iter().any(|byte| *byte != 0));
    }

    #[test]
    fn the_report_says_how_many_how_fast_and_how_even() {
        let mut tally = Tally::new();
        for took_ms in [2, 4, 4, 4, 5, 5, 7, 9] {
            tally.add(Ok(Duration::from_millis(took_ms)));
        }
        let report = tally.report(Duration::from_secs(2));
        assert_eq!((report.writes, report.writes_per_s), (8, 4.0));
        assert!((report.slowest_s - 0.009).abs() < 1e-9);
        assert!((report.deviation_s - 0.002).abs() < 1e-9);
        assert!(Tally::new().report(Duration::from_secs(1)).deviation_s.is_nan());
    }

    #[test]
    fn ever_other_errors_take_no_more_room() {
        let mut tally = Tally::new();
        for number in 0..1000 {
            tally.add(Err(Failure::Config(format!("error {number}"))));
        }
        assert_eq!(tally.errors.len(), ERRORS + 1);
        assert_eq!(tally.errors.values().sum::<u64>(), 1000);
    }
}
