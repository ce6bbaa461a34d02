//! §7.4: maintenance.

use kvorum_tests::differential::contract::base64;
use kvorum_tests::differential::step::{Call, Step};
use serde_json::{Value, json};

use crate::section::{Row, call, row};

const DOWNGRADE: &str =
    "v3.6.0 server/etcdserver/version/downgrade.go, api/v3rpc/rpctypes/error.go";

fn header() -> Value {
    json!({"cluster_id": "<cluster>", "member_id": "<member>", "raft_term": "<term>",
        "revision": "4"})
}

pub(crate) fn rows() -> Vec<Row> {
    let key = json!({"key": base64("k")});
    let put = || Step::call("KV/Put", key.clone());
    let downgrade = |name, what, action: u8, version: &str, status: &str| {
        let request = json!({"action": action, "version": version});
        call(name, what, "Maintenance/Downgrade", request)
            .later(json!({"status": status}), DOWNGRADE)
    };
    let unreadable = Call {
        metadata: vec![("client-api-version", b"\xff\xfe")],
        ..Call::new("KV/Range", key.clone())
    };
    let unreadable_stream = Step::Stream {
        call: Call {
            metadata: vec![("client-api-version", b"\xff\xfe")],
            ..Call::new("Watch/Watch", json!({}))
        },
        messages: vec![json!({"create_request": {"key": base64("k")}})],
        at_most: 1,
    };
    let hash = |revision: &str| -> Value { json!({"revision": revision}) };
    vec![
        call("B61", "leadership to nobody", "Maintenance/MoveLeader", json!({"targetID": "77"})),
        call("B62a", "HashKV of the future", "Maintenance/HashKV", hash("1000")).before(vec![
            put(),
            put(),
            put(),
            Step::call("KV/Compact", json!({"revision": "3"})),
        ]),
        call("B62b", "HashKV of what is compacted", "Maintenance/HashKV", hash("2")),
        call("B62c", "HashKV of the compacted revision", "Maintenance/HashKV", hash("3")).later(
            json!({"status": "OK", "body": {"header": header(), "hash": "*",
                "compact_revision": "3", "hash_revision": "3"}}),
            "v3.6.0 server/storage/mvcc/kvstore.go, HashByRev",
        ),
        downgrade(
            "B63a",
            "Downgrade to what is no version",
            0,
            "nonsense",
            "InvalidArgument: etcdserver: wrong downgrade target version format",
        ),
        downgrade(
            "B63b",
            "Downgrade by more than one minor",
            0,
            "3.1.0",
            "InvalidArgument: etcdserver: invalid downgrade target version",
        ),
        downgrade(
            "B63c",
            "Downgrade to what is not even near, in earnest",
            1,
            "3.1.0",
            "InvalidArgument: etcdserver: invalid downgrade target version",
        ),
        downgrade(
            "B63d",
            "the end of a downgrade that does not run",
            2,
            "",
            "FailedPrecondition: etcdserver: no inflight downgrade job",
        ),
        downgrade(
            "B63e",
            "Downgrade in earnest, until members can change the cluster's version",
            1,
            "3.5.0",
            "Unimplemented: kvorum: downgrading is not supported yet",
        ),
        call(
            "B63f",
            "whether a downgrade would do",
            "Maintenance/Downgrade",
            json!({"action": 0, "version": "3.5.0"}),
        )
        .later(json!({"status": "OK", "body": {"header": header(), "version": "3.6"}}), DOWNGRADE),
        row("B64a", "a version of the client that is no text", Step::Call(unreadable))
            .kills()
            .later(
                json!({"status": "InvalidArgument: etcdserver: invalid client api version"}),
                "v3.6.0 server/etcdserver/api/v3rpc/interceptor.go, newUnaryInterceptor",
            ),
        row("B64b", "the same on a stream", unreadable_stream).kills().later(
            json!({"status": "InvalidArgument: etcdserver: invalid client api version"}),
            "v3.6.0 server/etcdserver/api/v3rpc/interceptor.go, newStreamInterceptor",
        ),
    ]
}
