//! Clients that write without pause and write down what they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use etcd_client::{Client, ConnectOptions, Error, PutOptions};
use tokio::task::JoinSet;

use crate::ledger::{Ledger, Write};

const CONNECTS_WITHIN: Duration = Duration::from_secs(1);

/// Each writer has so many keys, so that keys are overwritten and deleted and made again.
pub const KEYS_PER_WRITER: usize = 7;

/// One of so many writes is a delete. Without a divisor in common with the number of keys, so
/// that each key's turn comes; and larger, so that a writer's keys are never all gone.
const DELETE_EVERY: usize = 8;

/// Running writers. They go on until [`Load::stop`].
pub struct Load {
    writers: JoinSet<()>,
    stopped: Arc<AtomicBool>,
}

impl Load {
    /// Starts `writers` clients. Each begins at an endpoint of its own and goes to the next when
    /// one does not answer. Each lease has a key of each writer that always hangs on it; the other
    /// keys are attached now and then, and detached again.
    /// None waits longer than `patience` for an answer.
    pub fn start(
        urls: &[String],
        writers: usize,
        patience: Duration,
        leases: &[i64],
        ledger: &Arc<Ledger>,
    ) -> Load {
        let stopped = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for index in 0..writers {
            let mut urls = urls.to_vec();
            let first = index % urls.len();
            urls.rotate_left(first);
            let writer = Writer {
                // A part that no other writer in any round has.
                name: format!("{index}-{:08x}", rand::random::<u32>()),
                keys: (0..KEYS_PER_WRITER).map(|key| format!("load/{index}/{key}")).collect(),
                urls,
                patience,
                leases: leases.to_vec(),
                ledger: Arc::clone(ledger),
                stopped: Arc::clone(&stopped),
            };
            tasks.spawn(writer.run());
        }
        Load { writers: tasks, stopped }
    }

    /// Ends the writers after what they are at.
    pub async fn stop(mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        while let Some(ended) = self.writers.join_next().await {
            ended.expect("a writer does not panic");
        }
    }
}

struct Writer {
    name: String,
    keys: Vec<String>,
    urls: Vec<String>,
    patience: Duration,
    leases: Vec<i64>,
    ledger: Arc<Ledger>,
    stopped: Arc<AtomicBool>,
}

impl Writer {
    async fn run(self) {
        // Anywhere in the order of the writes, so that no two rounds are alike.
        let mut step = usize::from(rand::random::<u8>());
        for url in self.urls.iter().cycle() {
            let Ok(mut client) = connect(url).await else { continue };
            while !self.stopped.load(Ordering::Relaxed) {
                step += 1;
                let write = self.write(step);
                let began = Instant::now();
                let sent =
                    tokio::time::timeout(self.patience, self.send(&mut client, &write, step));
                if let Ok(Ok(revision)) = sent.await {
                    self.ledger.acknowledge(write, began, revision);
                } else {
                    self.ledger.leave_open(write, began);
                    // An endpoint that refuses at once must not be asked in a busy loop.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    break;
                }
            }
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn write(&self, step: usize) -> Write {
        let key = self.keys[step % self.keys.len()].clone();
        if step.is_multiple_of(DELETE_EVERY) {
            Write::Delete { key }
        } else {
            Write::Put { key, value: format!("{}-{step}", self.name) }
        }
    }

    /// What the key of this step is attached to.
    fn lease(&self, step: usize) -> Option<i64> {
        let (round, key) = (step / self.keys.len(), step % self.keys.len());
        let chosen = if key < self.leases.len() { key } else { round % self.keys.len() };
        self.leases.get(chosen).copied()
    }

    /// Sends a write and gives the revision it made.
    async fn send(
        &self,
        client: &mut Client,
        write: &Write,
        step: usize,
    ) -> Result<Option<i64>, Error> {
        let header = match write {
            Write::Put { key, value } => {
                let options = self.lease(step).map(|lease| PutOptions::new().with_lease(lease));
                client.put(key.as_str(), value.as_str(), options).await?.take_header()
            }
            Write::Delete { key } => {
                let mut answer = client.delete(key.as_str(), None).await?;
                if answer.deleted() == 0 {
                    return Ok(None);
                }
                answer.take_header()
            }
        };
        Ok(Some(header.expect("an answer has a header").revision()))
    }
}

/// A client of one member only.
pub async fn connect(url: &str) -> Result<Client, Error> {
    let options = ConnectOptions::new().with_connect_timeout(CONNECTS_WITHIN);
    Client::connect([url], Some(options)).await
}
