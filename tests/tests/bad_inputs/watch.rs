//! §7.2: watches. Answers are those of one stream, in order.

use kvorum_tests::differential::contract::base64;
use kvorum_tests::differential::step::{Call, Step};
use serde_json::{Value, json};

use crate::section::{Row, row};

/// What is sent on one stream, and how many answers are waited for.
fn stream(messages: Vec<Value>, at_most: usize) -> Step {
    Step::Stream { call: Call::new("Watch/Watch", json!({})), messages, at_most }
}

fn create(fields: Value) -> Value {
    let mut create = json!({"key": base64("k")});
    if let (Some(create), Value::Object(fields)) = (create.as_object_mut(), fields) {
        create.extend(fields);
    }
    json!({"create_request": create})
}

fn put(value: &[u8]) -> Step {
    put_at("k", value)
}

fn put_at(key: &str, value: &[u8]) -> Step {
    Step::call("KV/Put", json!({"key": base64(key), "value": base64(value)}))
}

fn refused(why: &str) -> Value {
    let header = json!({"cluster_id": "<cluster>", "member_id": "<member>", "raft_term": "<term>",
        "revision": "4"});
    let answer = json!({"header": header, "watch_id": "-1", "created": true, "canceled": true,
        "cancel_reason": why});
    json!({"status": "OK", "body": [answer]})
}

pub(crate) fn rows() -> Vec<Row> {
    let good = || create(json!({}));
    let large = vec![b'x'; 1_000_000];
    let delete = json!({"key": base64("m"), "range_end": base64("n")});
    let delete = Step::call("KV/DeleteRange", delete);
    // The deletion is one revision, and tells what was there.
    let deletions = |fields: Value| {
        let mut create = create(fields);
        create["create_request"]["key"] = base64("m");
        create["create_request"]["range_end"] = base64("n");
        create["create_request"]["prev_kv"] = true.into();
        create["create_request"]["start_revision"] = "8".into();
        create
    };
    vec![
        row("B31", "a negative start", stream(vec![create(json!({"start_revision": "-1"}))], 1))
            .before(vec![put(b"1"), put(b"2"), put(b"3")])
            .later(
                refused("etcdserver: mvcc: required revision has been compacted"),
                "v3.6.14 server/etcdserver/api/v3rpc/watch.go",
            ),
        row("B32", "a compacted start", stream(vec![create(json!({"start_revision": "1"}))], 2))
            .before(vec![Step::call("KV/Compact", json!({"revision": "3"}))]),
        row(
            "B33",
            "a start in the future",
            stream(vec![create(json!({"start_revision": "9"}))], 1),
        ),
        row(
            "B34",
            "an id in use",
            stream(vec![create(json!({"watch_id": "5"})), create(json!({"watch_id": "5"}))], 2),
        ),
        row(
            "B35a",
            "an end where it begins",
            stream(vec![create(json!({"range_end": base64("k")}))], 1),
        ),
        row(
            "B35b",
            "an end before it begins",
            stream(vec![create(json!({"range_end": base64("a")}))], 1),
        ),
        row(
            "B38",
            "the end of an unknown watch",
            stream(vec![json!({"cancel_request": {"watch_id": "4711"}}), good()], 1),
        ),
        row("B39", "a request that is none", stream(vec![json!({}), good()], 1)),
        row("B40", "no key", stream(vec![json!({"create_request": {}})], 1)),
        row(
            "B42a",
            "more in one revision than a response may hold",
            stream(vec![deletions(json!({}))], 2),
        )
        .before(vec![
            put_at("m1", &large),
            put_at("m2", &large),
            put_at("m3", &large),
            delete,
        ]),
        row("B42b", "the same in fragments", stream(vec![deletions(json!({"fragment": true}))], 3)),
    ]
}
