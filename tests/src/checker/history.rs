//! What clients did and what they were told: the input of the checker.

use kvorum_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse,
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse,
    ResponseHeader, TxnRequest, TxnResponse, WatchCreateRequest, WatchResponse,
};
use kvorum_proto::mvccpb::Event;

use crate::rules::Refusal;

/// Steps that the search may take. A history of a few thousand operations takes about one step
/// per operation; a hundred times that is a search that is lost.
const DEFAULT_BUDGET: usize = 200_000;

/// Everything that was observed of one cluster that began empty, at revision 1.
#[derive(Clone, Debug)]
pub struct History {
    pub operations: Vec<Operation>,
    pub watches: Vec<Watch>,
    pub ground: Option<Ground>,
    /// Steps after which the search gives up, which counts as a violation.
    pub budget: usize,
    /// How much earlier than promised a lease may end: what the clocks of the members may differ
    /// in over a lease's life. Nothing, unless the clocks were made to run at different rates.
    pub expiry_slack_ns: u64,
}

impl Default for History {
    fn default() -> Self {
        History {
            operations: Vec::new(),
            watches: Vec::new(),
            ground: None,
            budget: DEFAULT_BUDGET,
            expiry_slack_ns: 0,
        }
    }
}

/// One request and what became of it. Times are of one clock that all clients share.
#[derive(Clone, Debug)]
pub struct Operation {
    pub client: usize,
    pub member: usize,
    pub call_ns: u64,
    /// None if no answer came; an operation of unknown outcome has no return that counts.
    pub return_ns: Option<u64>,
    pub request: Request,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    Put(PutRequest),
    Range(RangeRequest),
    DeleteRange(DeleteRangeRequest),
    Txn(TxnRequest),
    Grant(LeaseGrantRequest),
    Revoke(LeaseRevokeRequest),
    KeepAlive(LeaseKeepAliveRequest),
    Compact(CompactionRequest),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Done(Response),
    /// The state machine refused, for a reason that lies in the state it had.
    Refused(Refusal),
    /// It did not happen and never will, whatever the state: a bad request, an overloaded member,
    /// an alarm. Nothing is checked.
    Failed,
    /// A timeout, a lost connection, a changed leader: it may have happened, may happen at any
    /// later time, or never.
    Unknown,
}

/// The answers, as they came.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    Put(PutResponse),
    Range(RangeResponse),
    DeleteRange(DeleteRangeResponse),
    Txn(TxnResponse),
    Grant(LeaseGrantResponse),
    Revoke(LeaseRevokeResponse),
    KeepAlive(LeaseKeepAliveResponse),
    Compact(CompactionResponse),
}

/// One watch as its client sees it, over all the streams it was resumed on, each time with the
/// same keys and filters.
#[derive(Clone, Debug)]
pub struct Watch {
    pub name: String,
    pub legs: Vec<Leg>,
    /// The last leg stayed open long enough, with all members healthy, to be told everything up
    /// to this revision; 0 if nothing of the kind is known.
    pub owed: i64,
}

/// One watch on one stream of one member.
#[derive(Clone, Debug)]
pub struct Leg {
    pub member: usize,
    pub request: WatchCreateRequest,
    /// When its client asked for its end, if it did and goes on to note what comes.
    pub cancel_ns: Option<u64>,
    /// In the order they came, and with the time: those with this watch's id, and progress of
    /// the whole stream (id -1).
    pub responses: Vec<(u64, WatchResponse)>,
}

/// What a healed member holds at the end: the truth about every revision it still has.
#[derive(Clone, Debug, PartialEq)]
pub struct Ground {
    /// The last compaction; 0 or less if there was none.
    pub compacted: i64,
    /// The revision the member is at.
    pub revision: i64,
    /// The events of every revision from `compacted` (but at least 2) to `revision`, as a watch
    /// of all keys without `prev_kv` tells them.
    pub events: Vec<(i64, Vec<Event>)>,
}

impl Response {
    pub fn header(&self) -> Option<&ResponseHeader> {
        match self {
            Response::Put(it) => it.header.as_ref(),
            Response::Range(it) => it.header.as_ref(),
            Response::DeleteRange(it) => it.header.as_ref(),
            Response::Txn(it) => it.header.as_ref(),
            Response::Grant(it) => it.header.as_ref(),
            Response::Revoke(it) => it.header.as_ref(),
            Response::KeepAlive(it) => it.header.as_ref(),
            Response::Compact(it) => it.header.as_ref(),
        }
    }
}
