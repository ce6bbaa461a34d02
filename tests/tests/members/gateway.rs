//! The JSON gateway beside etcd's own: the same requests to Debian's etcd and to ours, statuses and
//! bodies compared; and what etcd 3.6 answers otherwise than 3.4, in 3.6's form.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::http::{Answer, Exchange, request};
use kvorum_tests::memory::{peak_bytes, resident_bytes};
use kvorum_tests::program::{NO_ETCD, Names, real_etcd};
use kvorum_tests::wait::until;
use kvorum_tests::{binary, or_skip};
use serde_json::{Value, json};

/// How etcd 3.4 and 3.6 differ; else they agree.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Differs {
    /// 3.4 has the message twice, as `error` too. Of every error.
    No,
    /// The text about JSON that cannot be read is the library's.
    TextOfJson,
    /// 3.4 says 412 where 3.6 says 400: another version of grpc-gateway.
    Precondition,
    /// 3.4 answers with a line of text, 3.6 with an error in JSON.
    Routing(u16, i32),
}

use Differs::{No, Precondition, Routing, TextOfJson};

/// In this order, to one member each.
const CASES: &[(&str, &str, Differs)] = &[
    ("/v3/kv/put", r#"{"key":"YQ==","value":"MQ=="}"#, No),
    ("/v3/kv/put", r#"{"key":"YQ==","value":"Mg==","prev_kv":true}"#, No),
    ("/v3/kv/put", r#"{"key":"Yg==","value":"","lease":"7"}"#, No),
    ("/v3/lease/grant", r#"{"TTL":"600","ID":7}"#, No),
    ("/v3/lease/grant", r#"{"TTL":600,"ID":"7"}"#, Precondition),
    ("/v3/lease/grant", r#"{"TTL":"9000000001","ID":8}"#, No),
    ("/v3/kv/put", r#"{"key":"Yg==","lease":7}"#, No),
    ("/v3beta/kv/put", r#"{"key":"Yw==","value":"AP/+"}"#, No),
    ("/v3/kv/range", r#"{"key":"YQ=="}"#, No),
    ("/v3/kv/range", r#"{"key":"YQ==","range_end":"eg=="}"#, No),
    ("/v3/kv/range", r#"{"key":"YQ==","rangeEnd":"eg==","keysOnly":true,"limit":"2"}"#, No),
    ("/v3/kv/range", r#"{"key":"AA==","range_end":"AA==","count_only":true}"#, No),
    ("/v3/kv/range", r#"{"key":"AA==","range_end":"AA==","sort_order":"DESCEND"}"#, No),
    ("/v3/kv/range", r#"{"key":"AA==","range_end":"AA==","sort_order":2,"sort_target":3}"#, No),
    ("/v3/kv/range", r#"{"key":"YQ==","revision":2,"serializable":true}"#, No),
    ("/v3/kv/range", r#"{"key":"YQ==","revision":1000}"#, No),
    ("/v3/kv/range", r#"{"key":"YQ==","unknown":[{"a":null}],"limit":null}"#, No),
    ("/v3/kv/range", r#"{"key":"YQ=="} {"key":"Yg=="}"#, No),
    ("/v3/kv/range", r#"{"key":"bm9uZQ=="}"#, No),
    ("/v3/kv/range", "{}", No),
    ("/v3/kv/range", "", No),
    ("/v3/kv/range", " \n", No),
    ("/v3/kv/range", r#"{"key":"#, TextOfJson),
    ("/v3/kv/range", r#"{"key":"***"}"#, TextOfJson),
    ("/v3/kv/range", r#"{"key":5}"#, TextOfJson),
    ("/v3/kv/range", r#"{"key":"YQ==","limit":"x"}"#, TextOfJson),
    ("/v3/kv/range", r#"{"key":"YQ==","limit":1.5}"#, TextOfJson),
    ("/v3/kv/range", r#"{"key":"YQ==","limit":99999999999999999999}"#, TextOfJson),
    ("/v3/kv/range", r#"{"key":"YQ==","keys_only":"true"}"#, TextOfJson),
    ("/v3/kv/range", "[]", TextOfJson),
    ("/v3/kv/range", "true", TextOfJson),
    ("/v3/kv/range", "{]", TextOfJson),
    (
        "/v3/kv/txn",
        r#"{"compare":[{"key":"YQ==","target":"VALUE","value":"Mg=="}],
            "success":[{"request_put":{"key":"YQ==","value":"Mw==","prev_kv":true}},
                       {"requestRange":{"key":"YQ=="}}],
            "failure":[{"request_delete_range":{"key":"YQ=="}}]}"#,
        No,
    ),
    (
        "/v3/kv/txn",
        r#"{"compare":[{"key":"YQ==","result":"GREATER","target":"CREATE","create_revision":"99"}],
            "failure":[{"request_txn":{"success":[{"request_delete_range":
                {"key":"Yw==","prev_kv":true}}]}}]}"#,
        No,
    ),
    ("/v3/kv/txn", "{}", No),
    ("/v3/kv/txn", r#"{"success":[{}]}"#, No),
    ("/v3/kv/txn", r#"{"compare":[{}]}"#, No),
    (
        "/v3/kv/txn",
        r#"{"success":[{"request_put":{"key":"eA=="}},{"request_put":{"key":"eA=="}}]}"#,
        No,
    ),
    ("/v3/kv/deleterange", r#"{"key":"YQ==","prev_kv":true}"#, No),
    ("/v3/kv/deleterange", r#"{"key":"YQ=="}"#, No),
    ("/v3/kv/deleterange", "{}", No),
    ("/v3/kv/compaction", r#"{"revision":"3"}"#, No),
    ("/v3/kv/compaction", r#"{"revision":"2"}"#, No),
    ("/v3/kv/compaction", r#"{"revision":3000,"physical":true}"#, No),
    ("/v3/kv/range", r#"{"key":"YQ==","revision":2}"#, No),
    ("/v3/lease/timetolive", r#"{"ID":"99"}"#, No),
    ("/v3/kv/lease/timetolive", r#"{"ID":99,"keys":true}"#, No),
    ("/v3/lease/leases", "{}", No),
    ("/v3/kv/lease/leases", "", No),
    ("/v3/lease/revoke", r#"{"ID":7}"#, No),
    ("/v3/kv/lease/revoke", r#"{"ID":7}"#, No),
    ("/v3/lease/keepalive", r#"{"ID":7}{"ID":"8"}"#, No),
    ("/v3/lease/keepalive", "", No),
    ("/v3/maintenance/transfer-leadership", r#"{"targetID":5}"#, Precondition),
    ("/v3/nothing", "{}", Routing(404, 5)),
    ("/v3beta/nothing", "{}", Routing(404, 5)),
    ("/v3alpha/kv/range", "{}", No),
    ("/nothing", "{}", No),
];

/// What neither of the two can know of the other.
const MASKED: [&str; 3] = ["cluster_id", "member_id", "raft_term"];

fn masked(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if MASKED.contains(&name.as_str()) {
                    *value = "…".into();
                } else {
                    masked(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(masked),
        _ => {}
    }
}

/// Status and body, without what may differ.
fn essence(answer: &Answer) -> (u16, Vec<Value>) {
    let lines = answer.body.lines().map(|line| {
        let mut line = serde_json::from_str(line).unwrap_or_else(|_| line.into());
        masked(&mut line);
        line
    });
    (answer.status, lines.collect())
}

/// What 3.6 says where this is what 3.4 says.
fn translated((status, mut lines): (u16, Vec<Value>), differs: Differs) -> (u16, Vec<Value>) {
    for line in &mut lines {
        if let Some(fields) = line.as_object_mut()
            && fields.get("error").is_some_and(Value::is_string)
        {
            assert_eq!(fields.remove("error").as_ref(), fields.get("message"));
        }
    }
    match differs {
        Precondition => {
            assert_eq!(status, 412);
            (400, lines)
        }
        Routing(status, code) => {
            let text = lines.first().cloned().unwrap_or_default();
            (status, vec![json!({ "code": code, "message": text })])
        }
        No | TextOfJson => (status, lines),
    }
}

fn post(cluster: &Cluster, path: &str, body: &str) -> Answer {
    let json = [("Content-Type", "application/json")];
    request(&cluster.members[0].endpoint(), &format!("POST {path}"), &json, body)
        .expect("HTTP is answered")
}

fn both() -> Option<[Cluster; 2]> {
    let theirs = Cluster::start(&real_etcd()?, 1);
    Some([theirs, Cluster::start(&Names::of(binary!()).server(), 1)])
}

#[test]
fn the_same_requests_get_the_same_answers_as_from_etcd() {
    let [theirs, ours] = or_skip!(both(), NO_ETCD);
    for (path, body, differs) in CASES {
        let (mut expected, mut answer) =
            [&theirs, &ours].map(|cluster| essence(&post(cluster, path, body))).into();
        expected = translated(expected, *differs);
        if *differs == TextOfJson {
            for (_, lines) in [&mut expected, &mut answer] {
                let text = lines.first_mut().and_then(|line| line.get_mut("message"));
                assert!(text.as_ref().is_some_and(|text| text.is_string()), "{path} {body}");
                *text.expect("it was just seen") = "…".into();
            }
        }
        assert_eq!(answer, expected, "{path} {body}");
    }
    for line in ["GET /v3/kv/range", "PUT /v3/kv/range", "DELETE /v3/watch"] {
        let [expected, answer] = [&theirs, &ours].map(|cluster| {
            request(&cluster.members[0].endpoint(), line, &[], "{}").expect("HTTP is answered")
        });
        assert_eq!((expected.status, expected.body.trim()), (405, "Method Not Allowed"), "{line}");
        let answer = essence(&answer);
        let expected = json!({ "code": 12, "message": "Method Not Allowed" });
        assert_eq!(answer, (501, vec![expected]), "{line}");
    }
}

/// Begins to watch two keys on one stream, which asks for nothing more if `is_all`.
fn watch(cluster: &Cluster, is_all: bool) -> Exchange {
    let address = cluster.members[0].endpoint();
    let mut stream = Exchange::streaming(&address, "/v3/watch").expect("it connects");
    // A text may come in parts, and two in one.
    stream.send_chunk(r#"{"create_request":{"key":"#).expect("it is sent");
    let rest = r#""YQ==","prev_kv":true}} {"create_request":{"key":"Yg=="}}"#;
    stream.send_chunk(rest).expect("it is sent");
    if is_all {
        stream.send_end().expect("it is sent");
    }
    let (status, headers) = stream.head().expect("there is an answer");
    assert_eq!(status, 200);
    assert!(headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
    stream
}

fn line(stream: &mut Exchange) -> Value {
    let line = stream.line().expect("a line comes").expect("the stream goes on");
    let mut line = serde_json::from_str(&line).expect("a line is JSON");
    masked(&mut line);
    line
}

/// Watches two keys, changes them meanwhile, and gives every line.
fn watched(cluster: &Cluster) -> Vec<Value> {
    let mut stream = watch(cluster, true);
    let mut lines = vec![line(&mut stream), line(&mut stream)];
    for value in ["MQ==", "Mg=="] {
        post(cluster, "/v3/kv/put", &format!(r#"{{"key":"YQ==","value":"{value}"}}"#));
        lines.push(line(&mut stream));
    }
    for (path, body) in [
        ("/v3/kv/deleterange", r#"{"key":"YQ=="}"#),
        ("/v3/kv/put", r#"{"key":"Yg==","value":"AA=="}"#),
    ] {
        post(cluster, path, body);
        lines.push(line(&mut stream));
    }
    lines
}

#[test]
fn watches_are_lines_of_one_answer() {
    let [theirs, ours] = or_skip!(both(), NO_ETCD);
    assert_eq!(watched(&ours), watched(&theirs));
}

/// etcd does not answer over HTTP/1 before it has read the whole request.
#[test]
fn a_stream_goes_both_ways_at_once() {
    let ours = Cluster::start(&Names::of(binary!()).server(), 1);
    let mut stream = watch(&ours, false);
    assert_eq!(line(&mut stream)["result"]["created"], json!(true));
    assert_eq!(line(&mut stream)["result"]["watch_id"], json!("1"));
    stream.send_chunk(r#"{"cancel_request":{"watch_id":1}}"#).expect("it is sent");
    let canceled = line(&mut stream);
    assert_eq!(
        (&canceled["result"]["watch_id"], &canceled["result"]["canceled"]),
        (&json!("1"), &json!(true))
    );
}

#[test]
fn what_cannot_be_read_on_a_stream_is_said_and_ends_it() {
    let ours = Cluster::start(&Names::of(binary!()).server(), 1);
    let refused = essence(&post(&ours, "/v3/watch", r#"{"create_request":{"key":"*"}}"#));
    assert_eq!((refused.0, &refused.1[0]["code"]), (400, &json!(3)), "{refused:?}");
    let answer = post(&ours, "/v3/watch", r#"{"create_request":{"key":"YQ=="}} nonsense"#);
    // The watch may have been created before what follows was read.
    let (status, lines) = essence(&answer);
    assert!([200, 400].contains(&status), "{answer:?}");
    assert_eq!(lines.last().expect("there are lines")["error"]["code"], json!(3), "{answer:?}");
}

#[test]
fn a_request_that_is_too_large_is_refused_unread() {
    let ours = Cluster::start(&Names::of(binary!()).server(), 1);
    let value = "A".repeat(5 << 20);
    let answer = post(&ours, "/v3/kv/put", &format!(r#"{{"key":"YQ==","value":"{value}"}}"#));
    assert_eq!((answer.status, &answer.json()["code"]), (429, &json!(8)), "{}", answer.body);
    let value = "A".repeat(2 << 20);
    let answer = post(&ours, "/v3/kv/put", &format!(r#"{{"key":"YQ==","value":"{value}"}}"#));
    let expected = json!({ "code": 3, "message": "etcdserver: request is too large" });
    assert_eq!((answer.status, answer.json()), (400, expected));
}

/// What the member may take at most for requests that it refuses, over what it takes at rest.
const MAX_EXTRA_BYTES: u64 = 400 << 20;

/// Beside its memory at rest, the most this member took while `at_once` did something each.
fn extra_peak(ours: &mut Cluster, at_once: usize, act: impl Fn() + Sync) -> u64 {
    let id = ours.members[0].running().id();
    let rest = resident_bytes(id);
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(&act);
        }
    });
    peak_bytes(id).saturating_sub(rest)
}

/// Two bytes of a text each, and a hundred times that once it is read.
#[test]
fn a_text_of_very_many_messages_is_refused_and_costs_little() {
    let mut ours = Cluster::start(&Names::of(binary!()).server(), 1);
    let address = ours.members[0].endpoint();
    let compare = vec![r#"{"key":""}"#; 200_000].join(",");
    let body = format!(r#"{{"compare":[{compare}]}}"#);
    let extra = extra_peak(&mut ours, 8, || {
        let answer = request(&address, "POST /v3/kv/txn", &[], &body).expect("it is answered");
        let expected = "etcdserver: too many operations in txn request";
        assert_eq!((answer.status, &answer.json()["message"]), (400, &json!(expected)));
    });
    assert!(extra < MAX_EXTRA_BYTES, "{} MiB", extra >> 20);
}

#[test]
fn requests_that_do_not_end_are_held_up_to_a_bound() {
    let mut ours = Cluster::start(&Names::of(binary!()).server(), 1);
    let address = ours.members[0].endpoint();
    let part = "A".repeat(2 << 20);
    let held = Mutex::new(Vec::new());
    let extra = extra_peak(&mut ours, 400, || {
        let mut stream = Exchange::streaming(&address, "/v3/kv/put").expect("it connects");
        // Beyond the bound it may be refused before all is sent.
        let _ = stream.send_chunk(&part);
        held.lock().expect("nobody panicked").push(stream);
    });
    assert!(extra < MAX_EXTRA_BYTES, "{} MiB", extra >> 20);
    held.lock().expect("nobody panicked").clear();
    let served = until(Duration::from_secs(10), || {
        let put = post(&ours, "/v3/kv/put", r#"{"key":"YQ==","value":"MQ=="}"#);
        (put.status == 200).then_some(())
    });
    assert!(served.is_some(), "what is held of clients that have gone is free again");
}

#[test]
fn a_timeout_bounds_a_stream_to_its_end() {
    let ours = Cluster::start(&Names::of(binary!()).server(), 1);
    let address = ours.members[0].endpoint();
    let headers = [("Grpc-Timeout", "300m")];
    let create = r#"{"create_request":{"key":"YQ=="}}"#;
    let mut stream =
        Exchange::open(&address, "POST /v3/watch", &headers, create).expect("it connects");
    assert_eq!(stream.head().expect("there is an answer").0, 200);
    assert_eq!(line(&mut stream)["result"]["created"], json!(true));
    let expected = json!({ "error": { "code": 4, "message": "context deadline exceeded" } });
    assert_eq!(line(&mut stream), expected);
    assert_eq!(stream.line().expect("it ends well"), None);
}

#[test]
fn an_answer_far_larger_than_a_message_comes_whole() {
    let ours = Cluster::start(&Names::of(binary!()).server(), 1);
    let value = "A".repeat(1 << 20);
    for key in ["YQ==", "Yg==", "Yw==", "ZA==", "ZQ=="] {
        let put = post(&ours, "/v3/kv/put", &format!(r#"{{"key":"{key}","value":"{value}"}}"#));
        assert_eq!(put.status, 200, "{}", put.body);
    }
    let all = post(&ours, "/v3/kv/range", r#"{"key":"AA==","range_end":"AA=="}"#).json();
    assert_eq!(all["count"], "5");
    let kvs = all["kvs"].as_array().expect("there are keys");
    assert!(kvs.len() == 5 && kvs.iter().all(|kv| kv["value"] == value.as_str()));
}
