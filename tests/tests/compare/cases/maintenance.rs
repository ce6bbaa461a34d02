//! Hashes, defragmentation, alarms.

use std::sync::LazyLock;

use super::{Case, Mask, Script};

/// Room for the keys of the cases, and not for [`LARGE`].
pub(super) const SMALL_QUOTA: &[&str] = &["--quota-backend-bytes=1000000"];

/// As much as one request may have. How much room is left is looked at now and then only, so that
/// one request has to be too much by itself.
static LARGE: LazyLock<String> = LazyLock::new(|| "x".repeat(1_400_000));

pub(super) fn one_member(script: &mut Script) {
    const TOOK: Mask = Mask::After(&["took "]);
    const HASH: Mask = Mask::After(&["\"hash\":", "\"Hash\" : ", "ENDPOINT, ", "CLIENT, "]);
    script.run_but("alarm list", "fields", "alarm-fields");
    script.run_but("alarm li", "fields", "alarm-fields");
    script.run_but("alarm disarm", "fields", "alarm-fields");
    let row = (script.format != "json").then_some("hash-revision");
    for line in [
        "endpoint hashkv",
        "endpoint hashkv --rev {REV-1}",
        "endpoint hashkv --rev=0",
        "endpoint hashkv --cluster",
    ] {
        // Leases are hashed with their keys, and each side has its own.
        let case = script.run(line);
        (case.row, case.mask) = (row, HASH);
    }
    let row = (script.format == "json").then_some("no-hashes");
    script.run("endpoint hashkv --rev 999999").row = row;
    for line in ["defrag", "defrag --cluster", "defrag --cluster=false"] {
        let case = script.run(line);
        (case.mask, case.row) = (TOOK, Some("defrag-took"));
    }
    // It has nobody to hand it to.
    script.run_all(&["move-leader {MEMBER}", "move-leader 1"]);
}

/// A database that has come to its quota.
pub(super) fn without_space() -> Vec<Case> {
    const TOOK: Mask = Mask::After(&["took = ", "\"took\":\"", "\"Took\" : "]);
    super::in_each_format(|script| {
        script.run("put large").input = &LARGE;
        script.run_but("alarm list", "fields", "alarm-fields");
        script.run_all(&["put small 1", "get small"]);
        let case = script.run("endpoint health");
        (case.mask, case.row) = (TOOK, Some("health-alarms"));
        script.run_but("alarm disarm", "fields", "alarm-fields");
        script.run_but("alarm list", "fields", "alarm-fields");
        script.run_all(&["put small 1", "del small"]);
    })
}

pub(super) fn mistakes(script: &mut Script) {
    script.run_all(&[
        "alarm list now",
        "alarm disarm now",
        "-w table alarm list",
        "move-leader",
        "move-leader a b",
        "move-leader xyz",
        "move-leader \"\"",
        "move-leader 11112222333344445",
        "move-leader -- -1",
    ]);
    let case = script.run("-w table endpoint hashkv");
    (case.mask, case.row) = (Mask::Numbers, Some("hash-revision"));
    let case = script.run("defrag --data-dir nowhere");
    (case.mask, case.row) = (Mask::Usage, Some("defrag-data-dir"));
    let case = script.run("defrag --command-timeout 300ms");
    case.variables = vec![("ETCDCTL_ENDPOINTS", "127.0.0.1:1")];
    for line in [
        "endpoint hashkv --command-timeout 300ms",
        "endpoint hashkv --cluster --command-timeout 300ms",
    ] {
        script.run(line).variables = vec![("ETCDCTL_ENDPOINTS", "127.0.0.1:1")];
    }
    script.run("move-leader 1 --command-timeout 300ms").variables =
        vec![("ETCDCTL_ENDPOINTS", "127.0.0.1:1")];
}
