//! A client that writes without pause, and notes what it asked and was told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use kvorum_proto::etcdserverpb::kv_client::KvClient;
use kvorum_proto::etcdserverpb::response_op::Response as Op;
use kvorum_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, RequestOp, TxnRequest, request_op,
};
use tokio::time::{sleep, timeout};
use tonic::Status;
use tonic::transport::Channel;

use super::{Clock, channel};
use crate::checker::{Operation, Outcome, Refusal, Request, Response};
use crate::sim::random::Random;

const KEYS: u64 = 10;

/// How long a client waits for an answer before it leaves the outcome open and goes elsewhere.
const PATIENCE: Duration = Duration::from_secs(3);

/// An endpoint that refuses at once must not be asked in a busy loop.
const PAUSE: Duration = Duration::from_millis(20);

/// What writers tell the others while they write.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) stopped: AtomicBool,
    pub(super) changes: AtomicU64,
    pub(super) revision: AtomicI64,
}

/// A client of all members, one at a time.
pub(super) struct Writer {
    number: usize,
    clients: Vec<KvClient<Channel>>,
    member: usize,
    clock: Clock,
    random: Random,
    written: Arc<Written>,
    pub(super) operations: Vec<Operation>,
}

impl Writer {
    pub(super) fn new(
        number: usize,
        urls: &[String],
        clock: Clock,
        random: Random,
        written: &Arc<Written>,
    ) -> Writer {
        Writer {
            number,
            clients: urls.iter().map(|url| KvClient::new(channel(url))).collect(),
            member: number % urls.len(),
            clock,
            random,
            written: Arc::clone(written),
            operations: Vec::new(),
        }
    }

    /// Writes until it is told to stop.
    pub(super) async fn run(mut self) -> Writer {
        while !self.written.stopped.load(Ordering::Relaxed) {
            let request = self.draw();
            self.ask(request).await;
        }
        self
    }

    /// Asks the member at hand, and says what was answered. Without an answer another one is next.
    pub(super) async fn ask(&mut self, request: Request) -> Option<Response> {
        let call_ns = self.clock.now_ns();
        let mut client = self.clients[self.member].clone();
        let answer = timeout(PATIENCE, send(&mut client, request.clone())).await;
        let outcome = match answer {
            Ok(Ok(response)) => Outcome::Done(response),
            Ok(Err(status)) => match Refusal::from_message(status.message()) {
                Some(refusal) => Outcome::Refused(refusal),
                None => Outcome::Unknown,
            },
            Err(_) => Outcome::Unknown,
        };
        let open = outcome == Outcome::Unknown;
        let return_ns = (!open).then(|| self.clock.now_ns());
        let answered = if let Outcome::Done(response) = &outcome {
            self.written.changes.fetch_add(changes(response), Ordering::Relaxed);
            let revision = response.header().map_or(0, |header| header.revision);
            self.written.revision.fetch_max(revision, Ordering::Relaxed);
            Some(response.clone())
        } else {
            None
        };
        let (client, member) = (self.number, self.member);
        self.operations.push(Operation { client, member, call_ns, return_ns, request, outcome });
        if open {
            self.member = (self.member + 1) % self.clients.len();
            sleep(PAUSE).await;
        }
        answered
    }

    fn draw(&mut self) -> Request {
        match self.random.below(10) {
            0..5 => {
                let key = self.key();
                Request::Put(self.put(key))
            }
            5 => Request::DeleteRange(delete(self.key())),
            _ => {
                let count = 2 + self.random.below(4);
                let keys: BTreeSet<String> = (0..count).map(|_| self.key()).collect();
                let ops = keys.into_iter().map(|key| {
                    if self.random.chance(20) {
                        request_op::Request::RequestDeleteRange(delete(key))
                    } else {
                        request_op::Request::RequestPut(self.put(key))
                    }
                });
                let success = ops.map(|op| RequestOp { request: Some(op) }).collect();
                Request::Txn(TxnRequest { success, ..TxnRequest::default() })
            }
        }
    }

    fn key(&mut self) -> String {
        format!("k{}", self.random.below(KEYS))
    }

    /// A value that nobody else writes; now and then a large one, so that slow watches are slow.
    fn put(&mut self, key: String) -> PutRequest {
        let length = if self.random.chance(30) { 8_000 } else { 60 };
        let (number, nonce) = (self.number, self.random.draw());
        let value = format!("{number}-{nonce:016x}-{}", "v".repeat(length)).into();
        PutRequest { key: key.into(), value, ..PutRequest::default() }
    }
}

fn delete(key: String) -> DeleteRangeRequest {
    DeleteRangeRequest { key: key.into(), ..DeleteRangeRequest::default() }
}

pub(super) fn compaction(revision: i64) -> Request {
    Request::Compact(CompactionRequest { revision, physical: false })
}

async fn send(client: &mut KvClient<Channel>, request: Request) -> Result<Response, Status> {
    Ok(match request {
        Request::Put(put) => Response::Put(client.put(put).await?.into_inner()),
        Request::DeleteRange(delete) => {
            Response::DeleteRange(client.delete_range(delete).await?.into_inner())
        }
        Request::Txn(txn) => Response::Txn(client.txn(txn).await?.into_inner()),
        Request::Compact(compact) => Response::Compact(client.compact(compact).await?.into_inner()),
        Request::Range(range) => Response::Range(client.range(range).await?.into_inner()),
        Request::Grant(_) | Request::Revoke(_) | Request::KeepAlive(_) => {
            return Err(Status::unimplemented("leases are not written here"));
        }
    })
}

/// How many keys a write changed.
fn changes(response: &Response) -> u64 {
    match response {
        Response::Put(_) => 1,
        Response::DeleteRange(deleted) => deleted.deleted.unsigned_abs(),
        Response::Txn(txn) => {
            txn.responses.iter().filter_map(|op| op.response.as_ref()).fold(0, |sum, op| match op {
                Op::ResponsePut(_) => sum + 1,
                Op::ResponseDeleteRange(deleted) => sum + deleted.deleted.unsigned_abs(),
                _ => sum,
            })
        }
        _ => 0,
    }
}
