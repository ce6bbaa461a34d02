//! One request each: what it asks the client, and what the client's answer means.

use std::time::Duration;

use bytes::Bytes;
use kvorum_client::explore::{self, Child, LevelRequest, MAX_CHILDREN};
use kvorum_client::{
    Compare, CompareOp, CompareTarget, Connection, Delete, Endpoint, Get, KeyRange, Op, Put, Txn,
    pb,
};
use tokio::time::{Instant, timeout};

use super::{Outbox, revision};
use crate::cmd::{Reads, Request};
use crate::msg::{Alarm, Entry, KeyValue, LeaseLeft, LevelPart, Member, Membership, Reply, Status};

/// A status that takes longer is silence.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// The last answer to a request; those before it go out by themselves.
pub(super) async fn answer(
    connection: &Connection,
    request: Request,
    outbox: &Outbox,
) -> Result<Reply, kvorum_client::Failure> {
    match request {
        Request::Membership => membership(connection).await,
        Request::Status { address } => status(connection, &address).await,
        Request::Level { prefix, separator, from, limit, reads } => {
            let mut request = LevelRequest::new(prefix, separator);
            request.linearizable = reads == Reads::Linearizable;
            request.from = from.map(Into::into);
            level(connection, request, limit, outbox).await
        }
        Request::Sizes { prefixes } => sizes(connection, prefixes, outbox).await,
        Request::Value { key, reads } => {
            let get = Get { serializable: reads == Reads::Serializable, ..Get::key(key) };
            let range = connection.get(get).await?;
            let revision = revision(range.header.as_ref());
            Ok(Reply::Value { found: range.kvs.into_iter().next().map(KeyValue::from), revision })
        }
        Request::Lease { id } => {
            let lease = connection.lease_time_to_live(id, false).await?;
            Ok(Reply::Lease(LeaseLeft { id, granted_s: lease.granted_ttl, left_s: lease.ttl }))
        }
        Request::Count { prefix } => {
            let range = connection.get(Get { count_only: true, ..Get::prefix(prefix) }).await?;
            Ok(Reply::Count { keys: range.count as u64, revision: revision(range.header.as_ref()) })
        }
        Request::Put { key, value, expected, lease } => {
            let put = Put { lease, ..Put::new(key.clone(), value) };
            let txn = connection.txn(guarded(&key, expected, Op::Put(put))).await?;
            Ok(outcome(txn, |revision, _| Reply::Written { revision }))
        }
        Request::Delete { key, expected } => {
            let txn = connection
                .txn(guarded(&key, expected, Op::Delete(Delete::key(key.clone()))))
                .await?;
            Ok(outcome(txn, |revision, deleted| Reply::Deleted { keys: deleted, revision }))
        }
        Request::DeletePrefix { prefix } => {
            let delete = Delete { range: KeyRange::prefix(prefix), prev_kv: false };
            let deleted = connection.delete(delete).await?;
            Ok(Reply::Deleted {
                keys: deleted.deleted as u64,
                revision: revision(deleted.header.as_ref()),
            })
        }
        Request::Watch { .. } => unreachable!("a watch is a task of its own kind"),
    }
}

async fn membership(connection: &Connection) -> Result<Reply, kvorum_client::Failure> {
    let (members, alarms) = tokio::join!(connection.members(), connection.alarms());
    let members = members?;
    let alarms = alarms.ok().map(|answer| {
        let named = answer.alarms.into_iter().map(|alarm| Alarm {
            member: alarm.member_id,
            kind: match alarm.alarm {
                1 => "NOSPACE".into(),
                2 => "CORRUPT".into(),
                other => format!("{other}"),
            },
        });
        named.collect()
    });
    Ok(Reply::Membership(Membership {
        cluster_id: members.header.map_or(0, |header| header.cluster_id),
        members: members.members.into_iter().map(Member::from).collect(),
        alarms,
    }))
}

async fn status(connection: &Connection, address: &str) -> Result<Reply, kvorum_client::Failure> {
    let endpoint = Endpoint::parse(address)
        .map_err(|error| kvorum_client::Failure::Config(error.to_string()))?;
    let asked = Instant::now();
    let status =
        timeout(STATUS_TIMEOUT, connection.status(&endpoint)).await.unwrap_or_else(|_| {
            Err(kvorum_client::Failure::NoAnswer {
                endpoint: address.to_owned(),
                after: STATUS_TIMEOUT,
                write: false,
            })
        })?;
    let latency_us = asked.elapsed().as_micros() as u64;
    let header = status.header.unwrap_or_default();
    Ok(Reply::Status(Status {
        cluster_id: header.cluster_id,
        member_id: header.member_id,
        leader: status.leader,
        raft_term: status.raft_term,
        raft_index: status.raft_index,
        raft_applied: status.raft_applied_index,
        revision: header.revision,
        db_size_bytes: status.db_size as u64,
        db_in_use_bytes: status.db_size_in_use as u64,
        version: status.version,
        learner: status.is_learner,
        errors: status.errors,
        latency_us,
    }))
}

/// Reads a level in pages of what one answer may hold, all at the revision of the first.
async fn level(
    connection: &Connection,
    mut request: LevelRequest,
    limit: usize,
    outbox: &Outbox,
) -> Result<Reply, kvorum_client::Failure> {
    let continued = request.from.is_some();
    let skip = request.prefix.len();
    let mut left = limit;
    loop {
        request.limit = left.min(MAX_CHILDREN);
        let page = explore::level(connection, request.clone()).await?;
        left = left.saturating_sub(page.children.len());
        let done = page.next.is_none() || left == 0;
        let part = LevelPart {
            continued,
            entries: page.children.into_iter().map(|child| entry(child, skip)).collect(),
            revision: page.revision,
            done,
            rest: page.next.clone().map(Bytes::from),
        };
        if done || !outbox.send(Ok(Reply::Level(part.clone()))).await {
            return Ok(Reply::Level(part));
        }
        request.from = page.next;
        request.revision = page.revision;
    }
}

async fn sizes(
    connection: &Connection,
    prefixes: Vec<Bytes>,
    outbox: &Outbox,
) -> Result<Reply, kvorum_client::Failure> {
    let last = prefixes.len().saturating_sub(1);
    let mut reply = Reply::Size { prefix: Bytes::new(), keys: 0, done: true };
    for (nth, prefix) in prefixes.into_iter().enumerate() {
        let keys = explore::count(connection, &prefix, 0).await? as u64;
        reply = Reply::Size { prefix, keys, done: nth == last };
        if nth < last && !outbox.send(Ok(reply.clone())).await {
            break;
        }
    }
    Ok(reply)
}

/// Does `op` if the newest revision of `key` is still `expected`, else says what is there instead.
fn guarded(key: &Bytes, expected: i64, op: Op) -> Txn {
    Txn {
        compares: vec![Compare {
            range: KeyRange::single(key.to_vec()),
            op: CompareOp::Equal,
            target: CompareTarget::ModRevision(expected),
        }],
        success: vec![op],
        failure: vec![Op::Get(Get::key(key.to_vec()))],
    }
}

fn outcome(txn: pb::TxnResponse, done: impl Fn(i64, u64) -> Reply) -> Reply {
    let revision = revision(txn.header.as_ref());
    let first = txn.responses.into_iter().next().and_then(|answer| answer.response);
    match (txn.succeeded, first) {
        (true, Some(pb::ResponseOpKind::ResponseDeleteRange(deleted))) => {
            done(revision, deleted.deleted as u64)
        }
        (true, _) => done(revision, 0),
        (false, Some(pb::ResponseOpKind::ResponseRange(range))) => {
            Reply::Conflict { current: range.kvs.into_iter().next().map(KeyValue::from), revision }
        }
        (false, _) => Reply::Conflict { current: None, revision },
    }
}

fn entry(child: Child, skip: usize) -> Entry {
    let (path, folder) = match child {
        Child::Key(meta) => (meta.key, false),
        Child::Branch(mut prefix) => {
            prefix.pop();
            (prefix, true)
        }
    };
    Entry { name: Bytes::from(path).split_off(skip), folder }
}

impl From<pb::Member> for Member {
    fn from(member: pb::Member) -> Self {
        Self {
            id: member.id,
            name: member.name,
            peer_urls: member.peer_ur_ls,
            client_urls: member.client_ur_ls,
            learner: member.is_learner,
        }
    }
}

impl From<pb::KeyValue> for KeyValue {
    fn from(kv: pb::KeyValue) -> Self {
        Self {
            key: kv.key.into(),
            value: kv.value.into(),
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: kv.lease,
        }
    }
}
