//! §7.4: maintenance.

use kvorum_tests::differential::contract::base64;
use kvorum_tests::differential::step::{Call, Step};
use serde_json::{Value, json};

use crate::section::{Row, call, row};

const DOWNGRADE: &str =
    "v3.6.0 server/etcdserver/version/downgrade.go, api/v3rpc/rpctypes/error.go";

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
        row("B64", "a version of the client that is no text", Step::Call(unreadable))
            .kills()
            .later(
                json!({"status": "InvalidArgument: etcdserver: invalid client api version"}),
                "v3.6.0 server/etcdserver/api/v3rpc/interceptor.go",
            ),
    ]
}
