//! Queues: who comes under a name, in the order of coming, and whose turn it is.
//!
//! A place in a queue is the key `name/lease`, the lease in hexadecimal, put under the lease; the
//! oldest key under `name/` has its turn. Each who waits watches the one key before its own, so
//! that a turn wakes one. Invariants:
//! - It is one's turn when a current read finds nothing older under the name, never because an
//!   event came; so a watch may miss nothing and may be overtaken by compaction.
//! - The same read finds one's own key: its lease may have ended meanwhile (etcd #11456).
//! - One waits for as long as one may come; who may not any more is told at once.
//! - Who leaves deletes the key it came by and no other that took its name.

use std::future::pending;

use bytes::Bytes;
use kvorum_core::auth::Access;
use kvorum_core::node::Refusal;
use kvorum_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvorum_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvorum_proto::etcdserverpb::request_op::Request as Op;
use kvorum_proto::etcdserverpb::response_op::Response as Done;
use kvorum_proto::etcdserverpb::watch_create_request::FilterType;
use kvorum_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp,
    ResponseHeader, ResponseOp, TxnRequest, TxnResponse, WatchCreateRequest,
};
use kvorum_proto::key_range::KeyRange;
use tokio::sync::oneshot;
use tonic::Status;

use super::require_leader::while_led;
use super::session::{Session, as_told};
use super::standing::while_allowed;
use super::status::{not_a, of_refusal, of_request};
use crate::runtime::RequestError;

/// What one is told who is no leader, or none any more.
pub(super) const NOT_LEADER: &str = "election: not leader";

/// Who comes, and under what name. What it says is a part of its request, whose whole buffer lives
/// as long as that: it is let go once it is said, before the wait.
pub(super) struct Entrant {
    prefix: Bytes,
    /// Not 0.
    lease: i64,
    kind: Kind,
}

enum Kind {
    Locker,
    /// Says something, and something else if it comes again.
    Candidate {
        value: Bytes,
    },
}

/// It is one's turn.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) key: Bytes,
    /// The revision at which the key was put first: the order of the queue, and a fencing token.
    pub(super) create_revision: i64,
    /// Of the transaction by which one came.
    pub(super) came: Option<ResponseHeader>,
    /// Of the read that found it one's turn.
    pub(super) found: Option<ResponseHeader>,
}

/// Comes under the name and waits for the turn. Who comes again, with the same lease, has the
/// place it had.
///
/// All of it runs beside the call: a client that goes away ends the call at once, and its place
/// is still given up.
pub(super) async fn take(session: Session, entrant: Entrant) -> Result<Turn, Status> {
    let waits = session.handle().waits.clone().try_acquire_owned();
    let wait = waits.map_err(|_| of_refusal(Refusal::TooManyRequests))?;
    let (answer, answered) = oneshot::channel();
    tokio::spawn(async move {
        attend(&session, entrant, answer).await;
        drop(wait);
    });
    answered.await.unwrap_or_else(|_| Err(of_request(RequestError::Stopped))).map_err(as_told)
}

/// Puts, if the key is still the one that was put first at this revision; `None` if it is not.
pub(super) async fn say(
    session: &Session,
    key: &Bytes,
    create_revision: i64,
    put: PutRequest,
) -> Result<Option<Option<ResponseHeader>>, Status> {
    let txn = TxnRequest {
        compare: vec![created_at(key, create_revision)],
        success: vec![op(Op::RequestPut(put))],
        failure: Vec::new(),
    };
    let TxnResponse { header, succeeded, .. } = session.txn(txn).await?;
    Ok(succeeded.then_some(header))
}

/// Deletes the key, if it is still the one that was put first at this revision.
pub(super) async fn leave(
    session: &Session,
    key: &Bytes,
    create_revision: i64,
) -> Result<Option<ResponseHeader>, Status> {
    let delete = DeleteRangeRequest { key: key.clone(), ..DeleteRangeRequest::default() };
    let txn = TxnRequest {
        compare: vec![created_at(key, create_revision)],
        success: vec![op(Op::RequestDeleteRange(delete))],
        failure: Vec::new(),
    };
    Ok(session.txn(txn).await?.header)
}

/// The oldest key under a prefix.
pub(super) fn first(prefix: &Bytes) -> RangeRequest {
    RangeRequest {
        key: prefix.clone(),
        range_end: end_of(prefix),
        limit: 1,
        sort_order: SortOrder::Ascend as i32,
        sort_target: SortTarget::Create as i32,
        ..RangeRequest::default()
    }
}

/// Asks whether there is the key, of what this member has: for the permission to ask.
pub(super) fn existence_of(key: &Bytes) -> RangeRequest {
    let key = key.clone();
    RangeRequest { key, serializable: true, count_only: true, ..RangeRequest::default() }
}

/// What the keys under a name begin with.
pub(super) fn prefix_of(name: &[u8]) -> Bytes {
    Bytes::from([name, b"/"].concat())
}

/// All keys with the prefix, which ends with a slash.
pub(super) fn queue_of(prefix: &Bytes) -> KeyRange {
    KeyRange::new(prefix.clone(), end_of(prefix))
}

/// Behind all keys with the prefix, which ends with a slash.
pub(super) fn end_of(prefix: &[u8]) -> Bytes {
    let name = prefix.strip_suffix(b"/").unwrap_or(prefix);
    Bytes::from([name, b"0"].concat())
}

type Answer = oneshot::Sender<Result<Turn, Status>>;

/// Whoever goes, or is told an error, does not stay in the queue.
async fn attend(session: &Session, entrant: Entrant, mut answer: Answer) {
    let (place, unsaid) = match come(session, entrant).await {
        Ok(place) => place,
        Err(status) => {
            // Nobody may be there to hear it.
            let _ = answer.send(Err(status));
            return;
        }
    };
    let (caller, may_come) = (session.caller(), Access::Txn(&place.entry));
    let waiting = while_allowed(&caller, may_come, wait(session, &place, unsaid));
    let turn = tokio::select! {
        turn = waiting => turn,
        () = answer.closed() => Err(Status::cancelled("the client is gone")),
        Err(status) = while_led(session.handle(), false, pending()) => Err(status),
    };
    let failed = turn.is_err();
    // Who had its turn already and only asked again keeps it.
    let may_leave = !place.is_old || !place.is_first;
    if (answer.send(turn).is_err() || failed)
        && may_leave
        && let Err(status) = leave(session, &place.key, place.create_revision).await
    {
        tracing::info!(reason = status.message(), "a place in a queue stays until its lease ends");
    }
}

struct Place {
    /// By which one came, but for what was said.
    entry: TxnRequest,
    key: Bytes,
    prefix: Bytes,
    create_revision: i64,
    came: Option<ResponseHeader>,
    /// One came again.
    is_old: bool,
    is_first: bool,
    /// What one is told whose place is gone.
    lost: &'static str,
}

/// Takes a place, and says what it has to say there if nobody had the place before; if somebody
/// had and said something else, that is to be said yet.
async fn come(session: &Session, entrant: Entrant) -> Result<(Place, Option<PutRequest>), Status> {
    let lost = entrant.lost();
    let Entrant { prefix, lease, kind } = entrant;
    let key = Bytes::from([&prefix, hexadecimal(lease).as_bytes()].concat());
    let entry = |value: Bytes| {
        let own = RangeRequest { key: key.clone(), ..RangeRequest::default() };
        let put = PutRequest { key: key.clone(), value, lease, ..PutRequest::default() };
        let oldest = RangeRequest { keys_only: true, ..first(&prefix) };
        let oldest = op(Op::RequestRange(oldest));
        TxnRequest {
            compare: vec![created_at(&key, 0)],
            success: vec![op(Op::RequestPut(put)), oldest.clone()],
            failure: vec![op(Op::RequestRange(own)), oldest],
        }
    };
    let value = match kind {
        Kind::Locker => None,
        Kind::Candidate { value } => Some(value),
    };
    let said = value.clone().unwrap_or_default();
    let TxnResponse { header: came, responses, .. } = session.txn(entry(said)).await?;
    let [own, ResponseOp { response: Some(Done::ResponseRange(oldest)) }] = responses.as_slice()
    else {
        return Err(not_a("range"));
    };
    let before = match &own.response {
        Some(Done::ResponseRange(own)) => own.kvs.first(),
        _ => None,
    };
    let create_revision = before
        .map_or_else(|| came.as_ref().map_or(0, |header| header.revision), |kv| kv.create_revision);
    let is_first = oldest.kvs.first().is_none_or(|kv| kv.create_revision == create_revision);
    let unsaid = value.filter(|value| before.is_some_and(|kv| kv.value != value));
    let unsaid =
        unsaid.map(|value| PutRequest { key: key.clone(), value, lease, ..PutRequest::default() });
    let (entry, is_old) = (entry(Bytes::new()), before.is_some());
    let place = Place { entry, key, prefix, create_revision, came, is_old, is_first, lost };
    Ok((place, unsaid))
}

async fn wait(
    session: &Session,
    place: &Place,
    unsaid: Option<PutRequest>,
) -> Result<Turn, Status> {
    if let Some(put) = unsaid {
        let proclaimed = say(session, &place.key, place.create_revision, put).await?;
        proclaimed.ok_or_else(|| Status::unknown(NOT_LEADER))?;
    }
    let found = if place.is_first {
        place.came
    } else {
        until_first(session, place).await?.ok_or_else(|| Status::unknown(place.lost))?
    };
    let (key, came) = (place.key.clone(), place.came);
    Ok(Turn { key, create_revision: place.create_revision, came, found })
}

/// Looks again whenever the key before one's own, or one's own, is gone; `None` if it is one's own.
async fn until_first(
    session: &Session,
    place: &Place,
) -> Result<Option<Option<ResponseHeader>>, Status> {
    let own_and_before = RangeRequest {
        limit: 2,
        sort_order: SortOrder::Descend as i32,
        max_create_revision: place.create_revision,
        keys_only: true,
        ..first(&place.prefix)
    };
    loop {
        let RangeResponse { header, kvs, .. } = session.range(own_and_before.clone()).await?;
        let (own, before) = (kvs.first(), kvs.get(1));
        if own.is_none_or(|own| own.create_revision != place.create_revision) {
            return Ok(None);
        }
        let Some(before) = before else { return Ok(Some(header)) };
        let revision = header.map_or(0, |header| header.revision);
        until_deleted(session, [&place.key, &before.key], revision + 1).await?;
    }
}

/// Returns when one of the keys is deleted at this revision or later, or that cannot be told any
/// more.
async fn until_deleted(session: &Session, keys: [&Bytes; 2], from: i64) -> Result<(), Status> {
    let watches = keys.into_iter().map(|key| WatchCreateRequest {
        key: key.clone(),
        start_revision: from,
        filters: vec![FilterType::Noput as i32],
        ..WatchCreateRequest::default()
    });
    let mut events = session.watch(watches.collect()).await;
    loop {
        let response = events.next().await?;
        if response.canceled || !response.events.is_empty() {
            return Ok(());
        }
    }
}

impl Entrant {
    pub(super) fn locker(name: &[u8], lease: i64) -> Entrant {
        Entrant { prefix: prefix_of(name), lease, kind: Kind::Locker }
    }

    pub(super) fn candidate(name: &[u8], lease: i64, value: Bytes) -> Entrant {
        Entrant { prefix: prefix_of(name), lease, kind: Kind::Candidate { value } }
    }

    /// The text of a lost lock is etcd's; of a lost candidacy etcd says nothing and lets it win.
    fn lost(&self) -> &'static str {
        match self.kind {
            Kind::Locker => "mutex: session is expired",
            Kind::Candidate { .. } => "election: session is expired",
        }
    }
}

/// The key was put first at this revision; 0 if there is none.
fn created_at(key: &Bytes, revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal as i32,
        target: CompareTarget::Create as i32,
        key: key.clone(),
        target_union: Some(TargetUnion::CreateRevision(revision)),
        ..Compare::default()
    }
}

fn op(request: Op) -> RequestOp {
    RequestOp { request: Some(request) }
}

/// As Go prints a signed number.
fn hexadecimal(lease: i64) -> String {
    let sign = if lease < 0 { "-" } else { "" };
    format!("{sign}{:x}", lease.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_written_as_go_writes_it() {
        for (lease, text) in [
            (0x390d_a205_1e9c_ef08, "390da2051e9cef08"),
            (4660, "1234"),
            (-26, "-1a"),
            (i64::MIN, "-8000000000000000"),
        ] {
            assert_eq!(hexadecimal(lease), text);
        }
    }

    #[test]
    fn a_prefix_ends_behind_all_its_keys() {
        for name in ["", "a", "a/b", "ä"] {
            assert_eq!(end_of(&prefix_of(name.as_bytes())), Bytes::from(format!("{name}0")));
        }
    }
}
