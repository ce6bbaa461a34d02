//! Legal histories from a seed: the model of the property tests, asked by clients that overlap.

use std::collections::BTreeMap;

use bytes::Bytes;
use kvorum_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvorum_proto::etcdserverpb::request_op::Request as Part;
use kvorum_proto::etcdserverpb::response_op::Response as Reply;
use kvorum_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, Compare, DeleteRangeRequest, InternalRaftRequest,
    LeaseExpireRequest, LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest,
    LeaseKeepAliveResponse, LeaseRevokeRequest, LeaseRevokeResponse, PutRequest, RangeRequest,
    RequestOp, ResponseHeader, TxnRequest, WatchCreateRequest, WatchResponse,
};
use kvorum_proto::mvccpb::Event;

use crate::checker::{Ground, History, Leg, Operation, Outcome, Refusal, Request, Response, Watch};
use crate::model::{Answer, Model, View};

const NS_PER_MS: u64 = 1_000_000;
const TTL_S: i64 = 1;
const TTL_NS: u64 = 1_000_000_000;

/// How large and how uncertain a history is.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) clients: usize,
    pub(super) operations: usize,
    pub(super) watches: usize,
    pub(super) keys: u64,
    /// Of a hundred requests, how many have an unknown outcome.
    pub(super) unknown: u64,
    pub(super) ground: bool,
}

/// A generator of numbers, so that a seed means the same everywhere.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number below `sides`.
    pub(super) fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// A request on its way: when it was called, takes effect, and is answered.
struct Attempt {
    client: usize,
    call: u64,
    effect: u64,
    end: u64,
    request: Request,
    known: bool,
    /// What is not known may not happen.
    happens: bool,
}

struct World {
    dice: Dice,
    model: Model,
    /// What the store was, and from when on.
    past: Vec<(u64, View)>,
    deadlines: BTreeMap<i64, u64>,
}

pub(super) fn generate(seed: u64, shape: Shape) -> History {
    let mut dice = Dice::new(seed);
    let attempts = attempts(&mut dice, shape);
    let model = Model::default();
    let past = vec![(0, model.view)];
    let mut world = World { dice, model, past, deadlines: BTreeMap::new() };
    let mut history = History::default();
    for attempt in attempts {
        world.expire(attempt.effect);
        history.operations.push(world.perform(attempt));
    }
    let now = world.past.last().map_or(0, |it| it.0) + 1_000_000 * NS_PER_MS;
    for number in 0..shape.watches {
        history.watches.push(world.watch(number, shape, now));
    }
    history.ground = shape.ground.then(|| world.ground());
    history
}

/// In the order in which they take effect.
fn attempts(dice: &mut Dice, shape: Shape) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for client in 0..shape.clients {
        let mut now = dice.below(50) * NS_PER_MS;
        for number in 0..shape.operations / shape.clients {
            let call = now + (1 + dice.below(20)) * NS_PER_MS;
            let mut effect = call + dice.below(20) * NS_PER_MS;
            let end = effect + dice.below(20) * NS_PER_MS;
            let known = !dice.percent(shape.unknown);
            if !known && dice.percent(30) {
                effect += dice.below(2000) * NS_PER_MS;
            }
            let request = request(dice, shape, client * 10_000 + number);
            let happens = known || dice.percent(60);
            attempts.push(Attempt { client, call, effect, end, request, known, happens });
            now = end;
        }
    }
    attempts.sort_by_key(|attempt| attempt.effect);
    attempts
}

fn request(dice: &mut Dice, shape: Shape, number: usize) -> Request {
    // Few leases, so that they meet.
    let lease = 1 + dice.below(8) as i64;
    match dice.below(100) {
        0..35 => Request::Put(put(dice, shape, number)),
        35..60 => Request::Range(range(dice, shape)),
        60..68 => Request::DeleteRange(delete(dice, shape)),
        68..82 => Request::Txn(txn(dice, shape, number)),
        82..88 => Request::Grant(LeaseGrantRequest { id: lease, ttl: TTL_S }),
        88..92 => Request::Revoke(LeaseRevokeRequest { id: lease }),
        92..98 => Request::KeepAlive(LeaseKeepAliveRequest { id: lease }),
        _ => {
            let revision = dice.below(shape.operations as u64) as i64;
            Request::Compact(CompactionRequest { revision, physical: false })
        }
    }
}

fn key(dice: &mut Dice, shape: Shape) -> Bytes {
    Bytes::from(format!("k{}", dice.below(shape.keys)))
}

fn span(dice: &mut Dice, shape: Shape) -> (Bytes, Bytes) {
    let from = key(dice, shape);
    let end = match dice.below(4) {
        0 => Bytes::from_static(&[0]),
        1 => key(dice, shape),
        _ => Bytes::new(),
    };
    (from, end)
}

fn put(dice: &mut Dice, shape: Shape, number: usize) -> PutRequest {
    PutRequest {
        key: key(dice, shape),
        value: Bytes::from(format!("v{number}")),
        lease: if dice.percent(20) { 1 + dice.below(8) as i64 } else { 0 },
        prev_kv: dice.percent(30),
        ignore_lease: dice.percent(3),
        ..PutRequest::default()
    }
}

fn range(dice: &mut Dice, shape: Shape) -> RangeRequest {
    let (key, range_end) = span(dice, shape);
    let revision =
        if dice.percent(25) { dice.below(shape.operations as u64 / 2) as i64 } else { 0 };
    RangeRequest {
        key,
        range_end,
        revision,
        limit: dice.below(4) as i64,
        serializable: dice.percent(25),
        keys_only: dice.percent(10),
        count_only: dice.percent(5),
        ..RangeRequest::default()
    }
}

fn delete(dice: &mut Dice, shape: Shape) -> DeleteRangeRequest {
    let (key, range_end) = span(dice, shape);
    DeleteRangeRequest { key, range_end, prev_kv: dice.percent(50) }
}

fn txn(dice: &mut Dice, shape: Shape, number: usize) -> TxnRequest {
    let compare = Compare {
        result: CompareResult::Less.into(),
        target: CompareTarget::Version.into(),
        key: key(dice, shape),
        target_union: Some(TargetUnion::Version(dice.below(4) as i64)),
        ..Compare::default()
    };
    let (one, other) = (key(dice, shape), key(dice, shape));
    let write = |key: &Bytes| {
        let value = Bytes::from(format!("t{number}"));
        Part::RequestPut(PutRequest { key: key.clone(), value, ..PutRequest::default() })
    };
    let mut success = vec![write(&one), Part::RequestRange(range(dice, shape))];
    if one != other {
        success.push(write(&other));
    }
    let failure = match dice.below(3) {
        0 => vec![Part::RequestRange(range(dice, shape))],
        1 => vec![Part::RequestDeleteRange(delete(dice, shape))],
        _ => vec![write(&one)],
    };
    let ops = |parts: Vec<Part>| {
        parts.into_iter().map(|part| RequestOp { request: Some(part) }).collect()
    };
    TxnRequest { compare: vec![compare], success: ops(success), failure: ops(failure) }
}

impl World {
    fn expire(&mut self, now: u64) {
        let due = self.deadlines.iter().filter(|it| *it.1 < now).map(|it| *it.0);
        for id in due.collect::<Vec<_>>() {
            if self.dice.percent(30) {
                self.deadlines.remove(&id);
                let lease_expire = Some(LeaseExpireRequest { term: 1, i_ds: vec![id] });
                let entry = InternalRaftRequest { lease_expire, ..InternalRaftRequest::default() };
                self.apply(now, &entry).unwrap();
            }
        }
    }

    fn apply(&mut self, at: u64, entry: &InternalRaftRequest) -> Result<Answer, &'static str> {
        let outcome = self.model.apply(1, entry);
        self.past.push((at, self.model.view));
        outcome
    }

    fn perform(&mut self, attempt: Attempt) -> Operation {
        let mut outcome = Outcome::Unknown;
        if attempt.happens {
            let told = self.ask(&attempt);
            let refusal = |text| Outcome::Refused(Refusal::from_message(text).unwrap());
            if attempt.known {
                outcome = told.map_or_else(refusal, Outcome::Done);
            }
        }
        let (client, member) = (attempt.client, attempt.client % 3);
        let (call_ns, return_ns) = (attempt.call, Some(attempt.end));
        Operation { client, member, call_ns, return_ns, request: attempt.request, outcome }
    }

    fn ask(&mut self, attempt: &Attempt) -> Result<Response, &'static str> {
        let mut entry = InternalRaftRequest::default();
        match attempt.request.clone() {
            Request::Range(range) if range.serializable => {
                let known = self.past.len() as u64;
                let view = self.past[(known - 1 - self.dice.below(known.min(30))) as usize].1;
                return self.model.range(&range, view).map(Response::Range);
            }
            Request::Range(range) => {
                return self.model.range(&range, self.model.view).map(Response::Range);
            }
            Request::KeepAlive(LeaseKeepAliveRequest { id }) => {
                let ttl = self.model.leases.get(&id).map_or(0, |lease| lease.ttl);
                self.deadlines.entry(id).and_modify(|it| *it = attempt.effect + TTL_NS);
                let header = self.header();
                return Ok(Response::KeepAlive(LeaseKeepAliveResponse { header, id, ttl }));
            }
            Request::Put(it) => entry.put = Some(it),
            Request::DeleteRange(it) => entry.delete_range = Some(it),
            Request::Txn(it) => entry.txn = Some(it),
            Request::Grant(it) => entry.lease_grant = Some(it),
            Request::Revoke(it) => entry.lease_revoke = Some(it),
            Request::Compact(it) => entry.compaction = Some(it),
        }
        let answer = self.apply(attempt.effect, &entry)?;
        let header = self.header();
        Ok(match (answer, &attempt.request) {
            (Answer::Op(Reply::ResponsePut(mut it)), _) => {
                it.header = header;
                Response::Put(it)
            }
            (Answer::Op(Reply::ResponseDeleteRange(mut it)), _) => {
                it.header = header;
                Response::DeleteRange(it)
            }
            (Answer::Op(Reply::ResponseTxn(mut it)), _) => {
                it.header = header;
                Response::Txn(it)
            }
            (Answer::Granted { id, ttl }, _) => {
                self.deadlines.insert(id, attempt.effect + TTL_NS);
                let error = String::new();
                Response::Grant(LeaseGrantResponse { header, id, ttl, error })
            }
            (_, Request::Revoke(it)) => {
                self.deadlines.remove(&it.id);
                Response::Revoke(LeaseRevokeResponse { header })
            }
            _ => Response::Compact(CompactionResponse { header }),
        })
    }

    fn header(&self) -> Option<ResponseHeader> {
        header(self.model.view.revision)
    }

    /// A watch that is told everything at the end, on two streams or one.
    fn watch(&mut self, number: usize, shape: Shape, now: u64) -> Watch {
        let View { revision, compacted } = self.model.view;
        let (key, range_end) = span(&mut self.dice, shape);
        let start = 1 + self.dice.below(revision as u64) as i64;
        let mut request = WatchCreateRequest {
            key,
            range_end,
            start_revision: start,
            prev_kv: self.dice.percent(50),
            fragment: self.dice.percent(20),
            filters: if self.dice.percent(20) { vec![self.dice.below(2) as i32] } else { vec![] },
            ..WatchCreateRequest::default()
        };
        let mut legs = Vec::new();
        if start < compacted {
            let created =
                WatchResponse { created: true, header: header(revision), ..Default::default() };
            let ended = WatchResponse {
                header: header(revision),
                canceled: true,
                compact_revision: compacted,
                ..Default::default()
            };
            let responses = vec![(now, created), (now, ended)];
            legs.push(Leg { member: 0, request: request.clone(), cancel_ns: None, responses });
            request.start_revision = compacted;
        }
        let events = self.model.events(&request, request.start_revision);
        let middle = request.start_revision + self.dice.below(revision as u64) as i64;
        let (early, late): (Vec<Event>, Vec<Event>) =
            events.into_iter().partition(|event| at(event) < middle);
        // Whoever resumes goes on after what came last.
        let next = early.last().map_or(request.start_revision, |event| at(event) + 1);
        legs.push(self.leg(1, request.clone(), early, now, next));
        request.start_revision = next;
        legs.push(self.leg(2, request, late, now, revision + 1));
        Watch { name: format!("w{number}"), legs, owed: revision }
    }

    /// Events up to, and without, `upto`.
    fn leg(
        &mut self,
        member: usize,
        request: WatchCreateRequest,
        events: Vec<Event>,
        now: u64,
        upto: i64,
    ) -> Leg {
        let fragment = request.fragment;
        let newest = self.header();
        let created = WatchResponse { created: true, header: newest, ..Default::default() };
        let mut responses = vec![(now, created)];
        let mut batch: Vec<Event> = Vec::new();
        let mut rest = events.into_iter().peekable();
        while let Some(event) = rest.next() {
            let revision = at(&event);
            batch.push(event);
            let next = rest.peek().map(at);
            let whole = next != Some(revision);
            let cut = next.is_none() || self.dice.percent(40);
            if cut && (whole || fragment) {
                let events = std::mem::take(&mut batch);
                let response = WatchResponse {
                    events,
                    fragment: !whole,
                    header: newest,
                    ..Default::default()
                };
                responses.push((now, response));
                if whole && self.dice.percent(20) {
                    let told = next.unwrap_or(upto) - 1;
                    responses
                        .push((now, WatchResponse { header: header(told), ..Default::default() }));
                }
            }
        }
        Leg { member, request, cancel_ns: None, responses }
    }

    fn ground(&self) -> Ground {
        let View { revision, compacted } = self.model.view;
        let range_end = Bytes::from_static(&[0]);
        let all = WatchCreateRequest { key: range_end.clone(), range_end, ..Default::default() };
        let events = self.model.events(&all, compacted);
        let groups = events.chunk_by(|a, b| at(a) == at(b));
        let events = groups.map(|group| (at(&group[0]), group.to_vec())).collect();
        Ground { compacted, revision, events }
    }
}

pub(super) fn at(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}

#[expect(clippy::unnecessary_wraps, reason = "as it stands in an answer")]
fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}
