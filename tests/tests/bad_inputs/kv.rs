//! §7.1: keys and values.

use kvorum_tests::differential::contract::base64;
use kvorum_tests::differential::step::Step;
use serde_json::{Value, json};

use crate::section::{Row, call, row};

/// etcd's `--max-request-bytes`, and what gRPC takes at most.
const MAX_REQUEST_BYTES: usize = 1_572_864;
const MAX_MESSAGE_BYTES: usize = MAX_REQUEST_BYTES + 512 * 1024;

const KEY: &str = "v3.6.0 server/etcdserver/api/v3rpc/key.go, checkRangeRequest";

fn key(name: &str) -> Value {
    json!({"key": base64(name)})
}

fn put(name: &str) -> Step {
    Step::call("KV/Put", json!({"key": base64(name), "value": base64("v")}))
}

fn alarm(action: u8, kind: u8) -> Step {
    let alarm = json!({"action": action, "memberID": "7", "alarm": kind});
    Step::call("Maintenance/Alarm", alarm)
}

pub(crate) fn rows() -> Vec<Row> {
    [ranges(), puts(), deletions(), transactions(), compactions(), alarms()]
        .into_iter()
        .flatten()
        .collect()
}

fn ranges() -> Vec<Row> {
    let with = |field: &str, value: Value| {
        let mut request = key("k");
        request[field] = value;
        request
    };
    let both_odd = json!({"key": base64("k"), "range_end": base64("l"), "sort_order": 1,
        "sort_target": 99});
    let invalid_sort = || json!({"status": "InvalidArgument: etcdserver: invalid sort option"});
    let streamed = |request: Value| {
        let call = kvorum_tests::differential::step::Call::new("KV/RangeStream", json!({}));
        Step::Stream { call, messages: vec![request], at_most: 5 }
    };
    // The first row, as its answer depends on nothing having been written.
    // From then on nothing is compacted, where before it was not even that.
    let fresh = call("B27", "Compact 0 on a fresh server", "KV/Compact", json!({})).changes();
    vec![
        fresh,
        call("B1", "Range without a key", "KV/Range", json!({})).before(vec![
            put("k"),
            put("k"),
            put("k"),
        ]),
        call("B2", "Range, unknown sort order", "KV/Range", with("sort_order", 99.into()))
            .later(invalid_sort(), KEY),
        call("B3", "Range, unknown sort target", "KV/Range", both_odd)
            .kills()
            .later(invalid_sort(), KEY),
        call("B4", "Range of the future", "KV/Range", with("revision", "1000".into())),
        call("B5", "Range of what is compacted", "KV/Range", with("revision", "1".into()))
            .before(vec![Step::call("KV/Compact", json!({"revision": "3"}))]),
        call("B6a", "Range of a negative revision", "KV/Range", with("revision", "-1".into())),
        call(
            "B6b",
            "Range of a negative revision in a transaction",
            "KV/Txn",
            json!({"success": [{"request_range": with("revision", "-1".into())}]}),
        ),
        row("B7", "RangeStream that sorts", streamed(with("sort_order", 2.into()))).later(
            json!({"status": "Unimplemented: RangeStream does not support custom sort orders"}),
            "v3.7.1 server/etcdserver/v3_server.go",
        ),
        row("B8", "RangeStream of some revisions", streamed(with("min_mod_revision", "1".into())))
            .later(
                json!({"status": "Unimplemented: RangeStream does not support revision filters"}),
                "v3.7.1 server/etcdserver/v3_server.go",
            ),
        row("none (RangeStream)", "RangeStream of a key", streamed(key("k"))).later(
            json!({"status": "OK", "body": [{"range_response": {
                "count": "1",
                "header": {"cluster_id": "<cluster>", "member_id": "<member>",
                    "raft_term": "<term>", "revision": "4"},
                "kvs": [{"create_revision": "2", "key": base64("k"), "mod_revision": "4",
                    "value": base64("v"), "version": "3"}],
            }}]}),
            "v3.7.1 server/etcdserver/v3_server.go, RangeStream",
        ),
    ]
}

fn puts() -> Vec<Row> {
    let large =
        |length: usize| json!({"key": base64("large"), "value": base64(vec![b'x'; length])});
    vec![
        call("B9", "Put without a key", "KV/Put", json!({"value": base64("v")})),
        call(
            "B10",
            "Put that ignores a value and gives one",
            "KV/Put",
            json!({"key": base64("k"), "value": base64("v"), "ignore_value": true}),
        ),
        call(
            "B11",
            "Put that ignores a lease and gives one",
            "KV/Put",
            json!({"key": base64("k"), "lease": "5", "ignore_lease": true}),
        ),
        call(
            "B12a",
            "Put that keeps the value of no key",
            "KV/Put",
            json!({"key": base64("none"), "ignore_value": true}),
        ),
        call(
            "B12b",
            "Put that keeps the lease of no key",
            "KV/Put",
            json!({"key": base64("none"), "ignore_lease": true}),
        ),
        call(
            "B13",
            "Put under an unknown lease",
            "KV/Put",
            json!({"key": base64("k"), "lease": "424242"}),
        ),
        call("B14", "Put larger than a request may be", "KV/Put", large(MAX_REQUEST_BYTES)),
        call("B15", "Put larger than gRPC takes", "KV/Put", large(MAX_MESSAGE_BYTES)),
    ]
}

fn deletions() -> Vec<Row> {
    vec![
        call("B16", "DeleteRange without a key", "KV/DeleteRange", json!({})),
        call(
            "B17a",
            "DeleteRange that ends where it begins",
            "KV/DeleteRange",
            json!({"key": base64("k"), "range_end": base64("k")}),
        ),
        call(
            "B17b",
            "DeleteRange that ends before it begins",
            "KV/DeleteRange",
            json!({"key": base64("k"), "range_end": base64("a")}),
        ),
    ]
}

fn transactions() -> Vec<Row> {
    let range = |number: usize| json!({"request_range": key(&format!("k{number}"))});
    let ranges = |count: usize| (0..count).map(range).collect::<Vec<Value>>();
    let txn = |name, what, txn: Value| call(name, what, "KV/Txn", txn);
    let put = json!({"request_put": key("new")});
    let delete = json!({"request_delete_range": {"key": base64("m"), "range_end": base64("o")}});
    let nested = json!({"request_txn": {"success": [put]}});
    let leased = json!({"request_put": {"key": base64("new"), "lease": "424242"}});
    vec![
        txn("B18a", "Txn of 129 compares", json!({"compare": vec![key("k"); 129]})),
        txn("B18b", "Txn of 129 operations", json!({"success": ranges(129)})),
        txn("B18c", "Txn of 129 operations otherwise", json!({"failure": ranges(129)})),
        txn(
            "B19",
            "Txn with more inside than the outside left",
            json!({"success": [{"request_txn": {"success": ranges(128)}}]}),
        ),
        txn("B20", "Txn that compares no key", json!({"compare": [{"version": "1"}]})),
        txn("B21a", "Txn that puts a key twice", json!({"success": [put, put]})),
        txn("B21b", "Txn that puts a key inside and outside", json!({"success": [put, nested]})),
        txn("B22", "Txn that puts what it deletes", json!({"success": [put, delete]})),
        txn("B23", "Txn with an operation that is none", json!({"success": [{}]})),
        txn(
            "B24",
            "Txn that puts under an unknown lease",
            json!({"success": [{"request_put": key("other")}, leased]}),
        ),
    ]
}

fn compactions() -> Vec<Row> {
    let compact = |revision: &str| json!({"revision": revision});
    vec![
        call("B25a", "Compact what is compacted", "KV/Compact", compact("3")),
        call("B25b", "Compact a negative revision", "KV/Compact", compact("-1")),
        call("B26", "Compact the future", "KV/Compact", compact("1000")),
    ]
}

fn alarms() -> Vec<Row> {
    let put = json!({"request_put": key("new")});
    let delete = json!({"request_delete_range": key("none")});
    let grant = json!({"ID": "77", "TTL": "1000"});
    let full = |row: Row| row.before(vec![alarm(1, 1)]).after(vec![alarm(2, 1)]);
    let damaged = |row: Row| row.before(vec![alarm(1, 2)]).after(vec![alarm(2, 2)]);
    vec![
        full(call("B28a", "Put without space", "KV/Put", key("new"))),
        full(call("B28b", "LeaseGrant without space", "Lease/LeaseGrant", grant.clone())),
        full(call("B28c", "Txn without space", "KV/Txn", json!({"success": [put]}))),
        full(call("B28d", "Txn that only deletes", "KV/Txn", json!({"success": [delete]}))),
        full(call("B28e", "DeleteRange without space", "KV/DeleteRange", key("none"))),
        damaged(call("B29a", "Put while corrupt", "KV/Put", key("new"))),
        damaged(call("B29b", "Range while corrupt", "KV/Range", key("k"))),
        damaged(call("B29c", "DeleteRange while corrupt", "KV/DeleteRange", key("k"))),
        damaged(call("B29d", "Txn while corrupt", "KV/Txn", json!({"success": [put]}))),
        damaged(call("B29e", "LeaseGrant while corrupt", "Lease/LeaseGrant", grant)),
        damaged(call("B29f", "LeaseRevoke while corrupt", "Lease/LeaseRevoke", json!({"ID": "1"}))),
        damaged(call("B29g", "Compact while corrupt", "KV/Compact", json!({"revision": "4"}))),
        full(call("B28g", "Compact without space", "KV/Compact", json!({"revision": "4"})))
            .changes(),
        // The last row: 3.4 writes.
        full(call(
            "B28f",
            "Txn without space, nested",
            "KV/Txn",
            json!({"success": [{"request_txn": {"success": [put]}}]}),
        ))
        .later(
            json!({"status": "ResourceExhausted: etcdserver: mvcc: database space exceeded"}),
            "v3.6.14 server/storage/quota.go, costTxnReq",
        ),
    ]
}
