//! Who is a member, and who leads.

use super::{Case, Mask, Script};

/// Where nobody listens: a member that is announced and never started.
const NOBODY: &str = "http://127.0.0.1:1";

pub(super) fn of_one(script: &mut Script) {
    const TOOK: Mask = Mask::After(&["took = ", "\"took\":\"", "\"Took\" : "]);
    script.run_but("member list", "fields", "fields-revision-zero");
    let row = match script.format {
        "json" => Some("hex-member-json"),
        "fields" => Some("hex-ids-fields"),
        _ => None,
    };
    script.run("member list --hex").row = row;
    script.run_but("endpoint health", "simple", "health-stdout").mask = TOOK;
    script.run_but("endpoint health --cluster", "simple", "health-stdout").mask = TOOK;
    let row = (script.format != "json").then_some("status-columns");
    for line in ["endpoint status", "endpoint status --cluster=true"] {
        let case = script.run(line);
        (case.row, case.mask) = (row, Mask::Numbers);
    }
}

/// With three, one more that does not run takes no quorum away.
pub(super) fn of_three() -> Vec<Case> {
    super::in_each_format(|script| {
        let learner = (script.format == "simple").then_some("learner-added");
        script.run(&format!("member add l --learner --peer-urls={NOBODY}")).row = learner;
        script.run_all(&[
            // Who does not lead waits for who does.
            "member promote {NEW} --command-timeout 1s",
            &format!("member update {{NEW}} --peer-urls {NOBODY}1"),
        ]);
        if script.format != "fields" {
            script.run("member list");
        }
        script.run_all(&[
            "member remove {NEW}",
            "member remove {NEW}",
            &format!("member update {{NEW}} --peer-urls={NOBODY}"),
            "member promote {NEW}",
            &format!("member add v --learner=false --peer-urls={NOBODY},{NOBODY}2"),
            "member promote {NEW}",
            "member remove {NEW}",
            "member update {MEMBER} --peer-urls={PEER}",
            "member add again --peer-urls={PEER}",
            "move-leader {FOLLOWER}",
            "move-leader {FOLLOWER}",
            "move-leader {LEADER}",
            "move-leader 1",
        ]);
        script.run("move-leader 1").variables = vec![("ETCDCTL_ENDPOINTS", "{FOLLOWER-ENDPOINT}")];
        // The same keys have the same hash.
        let row = (script.format != "json").then_some("hash-revision");
        script.run("endpoint hashkv --cluster").row = row;
    })
}

pub(super) fn mistakes(script: &mut Script) {
    script.run_all(&[
        "member add",
        "member add a",
        "member add a b",
        "member add a http://b:1 HTTPS://c:2 --peer-urls=http://b:1",
        "member add a --peer-urls=",
        "member add a --peer-urls=b:1",
        "member add a --peer-urls=http://b",
        "member add a --peer-urls=http://b:1/path",
        "member remove",
        "member remove a b",
        "member remove xyz",
        "member remove 1",
        "member remove 11112222333344445",
        "member update",
        "member update xyz --peer-urls=http://b:1",
        "member update 1",
        "member update 1 --peer-urls=http://b:1",
        "member update {MEMBER} --peer-urls=b",
        "member promote",
        "member promote xyz",
        "member promote 1",
        "member promote {MEMBER}",
        "member remove {MEMBER}",
        "mem ad",
        "member list ignored",
    ]);
}
