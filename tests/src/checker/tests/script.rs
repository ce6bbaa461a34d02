//! Histories written by hand.
//!
//! ```text
//! c1 put a 1 lease=7 prev [10,20] -> r2 a=0@1         times in ms; answer: revision, what was there
//! c1 get a..c rev=3 limit=1 serializable keys count [10,20] -> r5 a=1@2 b=2@3c2v2~7 more count=2
//! c1 del a.. prev [10,20] -> r5 2 a=1@2               how many, and what they were
//! c1 txn a.mod=2 b.value=1 ? put a 2; get b : del a [10,20] -> r3 then ok; b=1@2
//! c1 grant 7 5 [10,20] -> r1                          also: revoke 7, compact 3
//! c1 keep 7 [10,20] -> r1 5                           seconds left, 0 if it is gone
//! c1 … -> ? | -> error | -> refused compacted|future|no-lease|lease-exists|no-key
//! w1 watch a.. from=2 prev fragment no-put no-delete  begins a leg; again to resume
//! w1 @15 created r1 | progress r4 | canceled r5 | canceled r5 by 4
//! w1 @16 r3 put a=1@2 | del b@3 < b=0@2               `fragment` after the revision if it is one
//! w1 cancel 15                                        its client asks for its end
//! w1 owed 5
//! ground 5 compacted 0                                then one line for each revision:
//! ground 2: put a=1@2
//! ```

use bytes::Bytes;
use kvorum_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvorum_proto::etcdserverpb::request_op::Request as Part;
use kvorum_proto::etcdserverpb::response_op::Response as Reply;
use kvorum_proto::etcdserverpb::watch_create_request::FilterType;
use kvorum_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, Compare, DeleteRangeRequest, DeleteRangeResponse,
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse,
    RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse, WatchCreateRequest,
    WatchResponse,
};
use kvorum_proto::mvccpb::event::EventType;
use kvorum_proto::mvccpb::{Event, KeyValue};

use crate::checker::{Ground, History, Leg, Operation, Outcome, Refusal, Request, Response, Watch};

const NS_PER_MS: u64 = 1_000_000;

pub(super) fn history(script: &str) -> History {
    let mut history = History::default();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (who, rest) = line.split_once(' ').unwrap_or_else(|| panic!("what is {line:?}?"));
        match who.split_at(1) {
            ("c", number) => history.operations.push(operation(number.parse().unwrap(), rest)),
            ("w", _) => watch(&mut history, who, rest),
            _ => ground(&mut history, rest),
        }
    }
    history
}

fn operation(client: usize, line: &str) -> Operation {
    let (asked, told) = line.split_once(" -> ").unwrap_or_else(|| panic!("no -> in {line:?}"));
    let (asked, times) = asked.rsplit_once('[').unwrap_or_else(|| panic!("no time in {line:?}"));
    let (call, end) = times.trim().trim_end_matches(']').split_once(',').unwrap();
    let ms = |text: &str| text.trim().parse::<u64>().ok().map(|ms| ms * NS_PER_MS);
    let request = request(asked.trim());
    let outcome = outcome(&request, told.trim());
    let call_ns = ms(call).unwrap();
    Operation { client, member: 1, call_ns, return_ns: ms(end), request, outcome }
}

fn request(text: &str) -> Request {
    let (verb, rest) = text.split_once(' ').unwrap();
    let number = |at: usize| words(rest).nth(at).unwrap().parse::<i64>().unwrap();
    match verb {
        "txn" => Request::Txn(txn(rest)),
        "grant" => Request::Grant(LeaseGrantRequest { id: number(0), ttl: number(1) }),
        "revoke" => Request::Revoke(LeaseRevokeRequest { id: number(0) }),
        "keep" => Request::KeepAlive(LeaseKeepAliveRequest { id: number(0) }),
        "compact" => Request::Compact(CompactionRequest { revision: number(0), physical: false }),
        _ => match part(text) {
            Part::RequestPut(it) => Request::Put(it),
            Part::RequestRange(it) => Request::Range(it),
            Part::RequestDeleteRange(it) => Request::DeleteRange(it),
            Part::RequestTxn(it) => Request::Txn(it),
        },
    }
}

fn part(text: &str) -> Part {
    let mut rest = words(text);
    let verb = rest.next().unwrap();
    let (key, range_end) = span(rest.next().unwrap());
    let rest: Vec<&str> = rest.collect();
    let number = |name: &str| option(&rest, name).map_or(0, |it| it.parse().unwrap());
    let has = |word: &str| rest.contains(&word);
    match verb {
        "put" => Part::RequestPut(PutRequest {
            key,
            value: text_bytes(rest[0]),
            lease: number("lease"),
            prev_kv: has("prev"),
            ignore_value: has("ignore-value"),
            ignore_lease: has("ignore-lease"),
        }),
        "get" => Part::RequestRange(RangeRequest {
            key,
            range_end,
            revision: number("rev"),
            limit: number("limit"),
            serializable: has("serializable"),
            keys_only: has("keys"),
            count_only: has("count"),
            ..RangeRequest::default()
        }),
        "del" => {
            Part::RequestDeleteRange(DeleteRangeRequest { key, range_end, prev_kv: has("prev") })
        }
        _ => panic!("what is {text:?}?"),
    }
}

fn txn(text: &str) -> TxnRequest {
    let (compares, branches) = text.split_once('?').unwrap();
    let (success, failure) = branches.split_once(':').unwrap_or((branches, ""));
    let ops = |text: &str| {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|it| RequestOp { request: Some(part(it)) }).collect()
    };
    TxnRequest {
        compare: words(compares).map(compare).collect(),
        success: ops(success),
        failure: ops(failure),
    }
}

fn compare(text: &str) -> Compare {
    let (what, operand) = text.split_once('=').unwrap();
    let (key, field) = what.split_once('.').unwrap();
    let number = || operand.parse::<i64>().unwrap();
    let (target, union) = match field {
        "mod" => (CompareTarget::Mod, TargetUnion::ModRevision(number())),
        "create" => (CompareTarget::Create, TargetUnion::CreateRevision(number())),
        "version" => (CompareTarget::Version, TargetUnion::Version(number())),
        _ => (CompareTarget::Value, TargetUnion::Value(text_bytes(operand))),
    };
    Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key: text_bytes(key),
        target_union: Some(union),
        ..Compare::default()
    }
}

fn outcome(request: &Request, text: &str) -> Outcome {
    match text.split_once(' ').unwrap_or((text, "")) {
        ("?", _) => return Outcome::Unknown,
        ("error", _) => return Outcome::Failed,
        ("refused", why) => return Outcome::Refused(refusal(why)),
        _ => {}
    }
    let (revision, rest) = text.split_once(' ').unwrap_or((text, ""));
    let header = header(revision);
    let done = match request {
        Request::Put(it) => reply(&Part::RequestPut(it.clone()), rest, header),
        Request::Range(it) => reply(&Part::RequestRange(it.clone()), rest, header),
        Request::DeleteRange(it) => reply(&Part::RequestDeleteRange(it.clone()), rest, header),
        Request::Txn(it) => Reply::ResponseTxn(txn_reply(it, rest, header)),
        Request::Grant(LeaseGrantRequest { id, ttl }) => {
            let granted = LeaseGrantResponse { header, id: *id, ttl: *ttl, error: String::new() };
            return Outcome::Done(Response::Grant(granted));
        }
        Request::KeepAlive(LeaseKeepAliveRequest { id }) => {
            let ttl = rest.parse().unwrap();
            return Outcome::Done(Response::KeepAlive(LeaseKeepAliveResponse {
                header,
                id: *id,
                ttl,
            }));
        }
        Request::Revoke(_) => {
            return Outcome::Done(Response::Revoke(LeaseRevokeResponse { header }));
        }
        Request::Compact(_) => {
            return Outcome::Done(Response::Compact(CompactionResponse { header }));
        }
    };
    Outcome::Done(match done {
        Reply::ResponsePut(it) => Response::Put(it),
        Reply::ResponseRange(it) => Response::Range(it),
        Reply::ResponseDeleteRange(it) => Response::DeleteRange(it),
        Reply::ResponseTxn(it) => Response::Txn(it),
    })
}

fn reply(request: &Part, text: &str, header: Option<ResponseHeader>) -> Reply {
    let rest: Vec<&str> = words(text).collect();
    let pairs: Vec<KeyValue> =
        rest.iter().filter(|it| it.contains('@')).map(|it| pair(it)).collect();
    match request {
        Part::RequestPut(_) => {
            Reply::ResponsePut(PutResponse { header, prev_kv: pairs.into_iter().next() })
        }
        Part::RequestRange(_) => {
            let count = option(&rest, "count").map_or(pairs.len() as i64, |it| it.parse().unwrap());
            let more = rest.contains(&"more");
            Reply::ResponseRange(RangeResponse { header, kvs: pairs, more, count })
        }
        Part::RequestDeleteRange(_) => Reply::ResponseDeleteRange(DeleteRangeResponse {
            header,
            deleted: rest[0].parse().unwrap(),
            prev_kvs: pairs,
        }),
        Part::RequestTxn(nested) => Reply::ResponseTxn(txn_reply(nested, text, header)),
    }
}

fn txn_reply(txn: &TxnRequest, text: &str, header: Option<ResponseHeader>) -> TxnResponse {
    let (branch, rest) = text.split_once(' ').unwrap_or((text, ""));
    let succeeded = branch == "then";
    let ops = if succeeded { &txn.success } else { &txn.failure };
    // Nothing stands for the answer of a get that finds nothing.
    let texts = rest.split(';').map(str::trim).chain(std::iter::repeat(""));
    let responses = ops.iter().zip(texts).map(|(op, text)| ResponseOp {
        response: Some(reply(op.request.as_ref().unwrap(), text, None)),
    });
    TxnResponse { header, succeeded, responses: responses.collect() }
}

fn refusal(text: &str) -> Refusal {
    match text {
        "compacted" => Refusal::Compacted,
        "future" => Refusal::FutureRevision,
        "no-lease" => Refusal::NoLease,
        "lease-exists" => Refusal::LeaseExists,
        "no-key" => Refusal::NoKey,
        _ => panic!("what is {text:?}?"),
    }
}

fn watch(history: &mut History, name: &str, line: &str) {
    let known = history.watches.iter().position(|watch| watch.name == name);
    let index = known.unwrap_or_else(|| {
        let name = name.to_owned();
        history.watches.push(Watch { name, legs: Vec::new(), owed: 0 });
        history.watches.len() - 1
    });
    let watch = &mut history.watches[index];
    let (verb, rest) = line.split_once(' ').unwrap();
    match verb.strip_prefix('@') {
        Some(at) => {
            let response = watch_response(rest);
            let leg = watch.legs.last_mut().unwrap();
            leg.responses.push((at.parse::<u64>().unwrap() * NS_PER_MS, response));
        }
        None if verb == "owed" => watch.owed = rest.parse().unwrap(),
        None if verb == "cancel" => {
            let leg = watch.legs.last_mut().unwrap();
            leg.cancel_ns = Some(rest.parse::<u64>().unwrap() * NS_PER_MS);
        }
        None => {
            let (request, responses) = (watch_request(rest), Vec::new());
            watch.legs.push(Leg { member: 1, request, cancel_ns: None, responses });
        }
    }
}

fn watch_request(text: &str) -> WatchCreateRequest {
    let rest: Vec<&str> = words(text).collect();
    let (key, range_end) = span(rest[0]);
    let has = |word: &str| rest.contains(&word);
    let filters = [("no-put", FilterType::Noput), ("no-delete", FilterType::Nodelete)];
    WatchCreateRequest {
        key,
        range_end,
        start_revision: option(&rest, "from").map_or(0, |it| it.parse().unwrap()),
        prev_kv: has("prev"),
        fragment: has("fragment"),
        filters: filters.iter().filter(|it| has(it.0)).map(|it| it.1.into()).collect(),
        ..WatchCreateRequest::default()
    }
}

fn watch_response(text: &str) -> WatchResponse {
    let (verb, rest) = text.split_once(' ').unwrap();
    let mut response = WatchResponse::default();
    match verb {
        "created" => (response.created, response.header) = (true, header(rest)),
        "progress" => response.header = header(rest),
        "canceled" => {
            let (revision, compacted) = rest.split_once(" by ").unwrap_or((rest, "0"));
            (response.canceled, response.header) = (true, header(revision));
            response.compact_revision = compacted.parse().unwrap();
        }
        revision => {
            response.header = header(revision);
            let whole = rest.strip_prefix("fragment ");
            response.fragment = whole.is_some();
            response.events = whole.unwrap_or(rest).split('|').map(event).collect();
        }
    }
    response
}

fn event(text: &str) -> Event {
    let (made, prev) = text.split_once('<').unwrap_or((text, ""));
    let (verb, what) = made.trim().split_once(' ').unwrap();
    let prev_kv = words(prev).next().map(pair);
    if verb == "put" {
        return Event { r#type: EventType::Put.into(), kv: Some(pair(what)), prev_kv };
    }
    let (key, revision) = what.split_once('@').unwrap();
    let mod_revision = revision.parse().unwrap();
    let kv = KeyValue { key: text_bytes(key), mod_revision, ..KeyValue::default() };
    Event { r#type: EventType::Delete.into(), kv: Some(kv), prev_kv }
}

fn ground(history: &mut History, line: &str) {
    if let Some((revision, events)) = line.split_once(": ") {
        let events = events.split('|').map(event).collect();
        history.ground.as_mut().unwrap().events.push((revision.parse().unwrap(), events));
        return;
    }
    let (revision, compacted) = line.split_once(" compacted ").unwrap();
    let (revision, compacted) = (revision.parse().unwrap(), compacted.parse().unwrap());
    history.ground = Some(Ground { revision, compacted, events: Vec::new() });
}

/// `key=value@modified`, then optionally `c` created, `v` version, `~` lease.
fn pair(text: &str) -> KeyValue {
    let (key, rest) = text.split_once('=').unwrap_or_else(|| panic!("what is {text:?}?"));
    let (value, numbers) = rest.split_once('@').unwrap();
    let number = |mark: char| {
        let digits = numbers.split_once(mark)?.1;
        let digits = digits.split(|it: char| !it.is_ascii_digit()).next()?;
        digits.parse::<i64>().ok()
    };
    let digits = numbers.split(|it: char| !it.is_ascii_digit()).next().unwrap();
    let mod_revision = digits.parse().unwrap();
    KeyValue {
        key: text_bytes(key),
        value: text_bytes(value),
        mod_revision,
        create_revision: number('c').unwrap_or(mod_revision),
        version: number('v').unwrap_or(1),
        lease: number('~').unwrap_or(0),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as it stands in an answer")]
fn header(text: &str) -> Option<ResponseHeader> {
    let revision = text.strip_prefix('r').unwrap_or_else(|| panic!("what is {text:?}?"));
    Some(ResponseHeader { revision: revision.parse().unwrap(), ..ResponseHeader::default() })
}

/// `a`, `a..c`, or `a..` for everything from `a` on.
fn span(text: &str) -> (Bytes, Bytes) {
    match text.split_once("..") {
        None => (text_bytes(text), Bytes::new()),
        Some((key, "")) => (text_bytes(key), Bytes::from_static(&[0])),
        Some((key, end)) => (text_bytes(key), text_bytes(end)),
    }
}

fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

fn text_bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
