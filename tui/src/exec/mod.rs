//! Performs requests: this folder is the only part of the dashboard that talks to a cluster. Of the
//! client, the rest knows the decoders, which are pure.
//!
//! Each request is a task of its own, so nothing here waits. A slot holds one task at a time;
//! asking again, or cancelling, ends the one that runs. Answers go through one bounded queue: a
//! stream that is faster than the dashboard reads is held up by flow control, down to its
//! connection.

mod answers;
mod follow;

use std::collections::HashMap;
use std::time::Duration;

pub use kvorum_client::Config;
use kvorum_client::{Connection, Endpoint, KeyRange, pb};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use crate::cmd::{Request, Slot, Ticket};
use crate::msg::{Answer, Failure, Reply};

/// Answers that wait to be looked at; the tasks behind them wait with them.
const ANSWERS_MAX: usize = 256;
/// Whoever runs through the tree does not want every value he passes: a read that follows another
/// this closely waits.
const SETTLE: Duration = Duration::from_millis(60);

pub struct Executor {
    config: Config,
    /// For the status of single members, whatever requests are told to use.
    probe: Connection,
    /// Where everything else goes.
    connection: watch::Sender<Connection>,
    answers: mpsc::Sender<Answer>,
    tasks: HashMap<Slot, AbortHandle>,
    value_asked: Option<Instant>,
}

/// Where one task's answers go.
struct Outbox {
    ticket: Ticket,
    answers: mpsc::Sender<Answer>,
}

impl Executor {
    pub fn new(config: Config) -> Result<(Self, mpsc::Receiver<Answer>), Failure> {
        let connection = Connection::new(config.clone()).map_err(Failure::from)?;
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let executor = Self {
            config,
            probe: connection.clone(),
            connection: watch::Sender::new(connection),
            answers,
            tasks: HashMap::new(),
            value_asked: None,
        };
        Ok((executor, receiver))
    }

    pub fn ask(&mut self, ticket: Ticket, request: Request) {
        self.tasks.retain(|_, task| !task.is_finished());
        let slot = ticket.slot.clone();
        let delay = self.settle(&request);
        let connection = match &request {
            Request::Status { .. } => self.probe.clone(),
            _ => self.connection.borrow().clone(),
        };
        let outbox = Outbox { ticket, answers: self.answers.clone() };
        let task = match request {
            Request::Watch { key, prefix } => {
                let range = if prefix {
                    KeyRange::prefix(key.to_vec())
                } else {
                    KeyRange::single(key.to_vec())
                };
                tokio::spawn(follow::follow(range, self.connection.subscribe(), outbox))
            }
            request => tokio::spawn(async move {
                sleep(delay).await;
                let body = answers::answer(&connection, request, &outbox).await;
                outbox.send(body.map_err(Failure::from)).await;
            }),
        };
        if let Some(replaced) = self.tasks.insert(slot, task.abort_handle()) {
            replaced.abort();
        }
    }

    pub fn cancel(&mut self, slot: &Slot) {
        if let Some(task) = self.tasks.remove(slot) {
            task.abort();
        }
    }

    /// Requests go to these addresses from now on. Those that are on their way stay where they are;
    /// a watch that was interrupted moves.
    pub fn reach(&mut self, addresses: &[String]) {
        let endpoints: Vec<Endpoint> =
            addresses.iter().filter_map(|address| Endpoint::parse(address).ok()).collect();
        if endpoints.is_empty() {
            return;
        }
        if let Ok(connection) = Connection::new(Config { endpoints, ..self.config.clone() }) {
            self.connection.send_replace(connection);
        }
    }

    fn settle(&mut self, request: &Request) -> Duration {
        if !matches!(request, Request::Value { .. }) {
            return Duration::ZERO;
        }
        let last = self.value_asked.replace(Instant::now());
        if last.is_some_and(|last| last.elapsed() < SETTLE) { SETTLE } else { Duration::ZERO }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        for task in self.tasks.values() {
            task.abort();
        }
    }
}

impl Outbox {
    /// Returns whether there is still somebody to hear it.
    async fn send(&self, body: Result<Reply, Failure>) -> bool {
        self.answers.send(Answer { ticket: self.ticket.clone(), body }).await.is_ok()
    }
}

fn revision(header: Option<&pb::ResponseHeader>) -> i64 {
    header.map_or(0, |header| header.revision)
}

impl From<kvorum_client::Failure> for Failure {
    fn from(failure: kvorum_client::Failure) -> Self {
        Self {
            refused: failure.nothing_listens(),
            unreachable: failure.is_connection(),
            text: failure.to_string(),
        }
    }
}
