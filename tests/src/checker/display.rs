//! How operations and answers are written in a violation: short, in the words of the commands.

use std::fmt::{self, Display, Formatter, Write};

use bytes::Bytes;
use kvorum_proto::etcdserverpb::request_op::Request as Part;
use kvorum_proto::etcdserverpb::response_op::Response as Reply;
use kvorum_proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp, TxnRequest, TxnResponse,
};
use kvorum_proto::mvccpb::event::EventType;
use kvorum_proto::mvccpb::{Event, KeyValue};

use super::history::{Operation, Request, Response};
use super::perform::Action;
use super::state::Change;
use super::step::Step;
use crate::rules::Refusal;

/// Values are cut here: a message is for reading.
const SHOWN_BYTES: usize = 24;

pub(super) fn bytes(bytes: &Bytes) -> String {
    let mut text = bytes[..bytes.len().min(SHOWN_BYTES)].escape_ascii().to_string();
    if bytes.len() > SHOWN_BYTES {
        text.push('…');
    }
    text
}

/// `key=value@modified`, and what else there is to know: `(created 3, version 2, lease 7)`.
pub(super) fn kv(kv: &KeyValue) -> String {
    let KeyValue { create_revision, mod_revision, version, lease, .. } = kv;
    let mut text = format!("{}={}@{mod_revision}", bytes(&kv.key), bytes(&kv.value));
    if (create_revision, *version) != (mod_revision, 1) {
        let _ = write!(text, "(created {create_revision}, version {version})");
    }
    if *lease != 0 {
        let _ = write!(text, "(lease {lease})");
    }
    text
}

pub(super) fn list<T>(items: &[T], each: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(each).collect::<Vec<_>>().join(", "))
}

pub(super) fn event(event: &Event) -> String {
    let pair = event.kv.as_ref();
    match event.r#type() {
        EventType::Put => format!("put {}", pair.map_or_else(|| "nothing".into(), kv)),
        EventType::Delete => {
            let (key, revision) =
                pair.map_or_else(Default::default, |kv| (bytes(&kv.key), kv.mod_revision));
            format!("delete {key}@{revision}")
        }
    }
}

pub(super) fn change(change: &Change) -> String {
    match &change.kv {
        Some(pair) => format!("put {}", kv(pair)),
        None => format!("delete {}@{}", bytes(&change.key), change.revision),
    }
}

/// An answer without its header, or a refusal.
pub(super) fn outcome(outcome: &Result<Response, Refusal>) -> String {
    match outcome {
        Err(refusal) => format!("\"{}\"", refusal.message()),
        Ok(Response::Put(put)) => match &put.prev_kv {
            Some(prev) => format!("ok, before it {}", kv(prev)),
            None => "ok".into(),
        },
        Ok(Response::Range(it)) => range_response(it),
        Ok(Response::DeleteRange(it)) => {
            format!("{} deleted {}", it.deleted, list(&it.prev_kvs, kv))
        }
        Ok(Response::Txn(it)) => txn_response(it),
        Ok(Response::Grant(it)) => format!("lease {} for {} s", it.id, it.ttl),
        Ok(Response::KeepAlive(it)) if it.ttl <= 0 => "the lease is gone".into(),
        Ok(Response::KeepAlive(it)) => format!("{} s more", it.ttl),
        Ok(Response::Revoke(_) | Response::Compact(_)) => "ok".into(),
    }
}

fn range_response(range: &RangeResponse) -> String {
    let more = if range.more { " and more" } else { "" };
    format!("{}{more} of {}", list(&range.kvs, kv), range.count)
}

fn txn_response(txn: &TxnResponse) -> String {
    let each = txn.responses.iter().map(|op| match &op.response {
        Some(Reply::ResponsePut(it)) => outcome(&Ok(Response::Put(it.clone()))),
        Some(Reply::ResponseRange(it)) => range_response(it),
        Some(Reply::ResponseDeleteRange(it)) => outcome(&Ok(Response::DeleteRange(it.clone()))),
        Some(Reply::ResponseTxn(it)) => txn_response(it),
        None => "nothing".into(),
    });
    let branch = if txn.succeeded { "then" } else { "else" };
    format!("{branch} {{{}}}", each.collect::<Vec<_>>().join("; "))
}

fn span(key: &Bytes, end: &Bytes) -> String {
    match &end[..] {
        [] => bytes(key),
        [0] => format!("{}..", bytes(key)),
        _ => format!("{}..{}", bytes(key), bytes(end)),
    }
}

fn put(put: &PutRequest) -> String {
    let lease = if put.lease == 0 { String::new() } else { format!(" lease {}", put.lease) };
    format!("put {} {}{lease}", bytes(&put.key), bytes(&put.value))
}

fn range(range: &RangeRequest) -> String {
    let mut text = format!("get {}", span(&range.key, &range.range_end));
    if range.revision > 0 {
        let _ = write!(text, " at {}", range.revision);
    }
    if range.limit > 0 {
        let _ = write!(text, " limit {}", range.limit);
    }
    if range.serializable {
        text.push_str(" serializable");
    }
    text
}

fn delete(delete: &DeleteRangeRequest) -> String {
    format!("del {}", span(&delete.key, &delete.range_end))
}

fn txn(it: &TxnRequest) -> String {
    let part = |op: &RequestOp| match &op.request {
        Some(Part::RequestPut(it)) => put(it),
        Some(Part::RequestRange(it)) => range(it),
        Some(Part::RequestDeleteRange(it)) => delete(it),
        Some(Part::RequestTxn(it)) => txn(it),
        None => "nothing".into(),
    };
    let compares = it.compare.len();
    let (success, failure) = (list(&it.success, part), list(&it.failure, part));
    format!("txn of {compares} compares then {success} else {failure}")
}

impl Display for Request {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Request::Put(it) => f.write_str(&put(it)),
            Request::Range(it) => f.write_str(&range(it)),
            Request::DeleteRange(it) => f.write_str(&delete(it)),
            Request::Txn(it) => f.write_str(&txn(it)),
            Request::Grant(it) => write!(f, "grant lease {} for {} s", it.id, it.ttl),
            Request::Revoke(it) => write!(f, "revoke lease {}", it.id),
            Request::KeepAlive(it) => write!(f, "keep lease {} alive", it.id),
            Request::Compact(it) => write!(f, "compact {}", it.revision),
        }
    }
}

/// `c1 put a 1 [10, 20]`; an operation of unknown outcome has no end.
impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Operation { client, member, request, call_ns, .. } = self;
        write!(f, "\"c{client} {request}\" at member {member} [{call_ns}, ")?;
        match self.return_ns {
            Some(return_ns) => write!(f, "{return_ns}]"),
            None => write!(f, "…]"),
        }
    }
}

impl Display for Step<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.operation, self.action) {
            (Some(operation), _) => operation.fmt(f),
            (None, Action::Expire { id }) => {
                write!(f, "the expiry of lease {id} (not before {})", self.call)
            }
            (None, action) => write!(f, "{action:?}"),
        }
    }
}
