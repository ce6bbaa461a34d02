//! A cluster that needs to know who asks.

use super::{Mask, Script};

/// Passwords are hashed and checked all the time.
pub(super) const FAST: &[&str] = &["--bcrypt-cost=4"];

pub(super) fn guarded(script: &mut Script) {
    const TOOK: Mask = Mask::After(&["took = ", "\"took\":\"", "\"Took\" : "]);
    script.run_all(&[
        "auth enable",
        "user add root:secret",
        "role add reader",
        "role grant-permission reader read /a/ --prefix",
        "user add alice:secret",
        "user grant-role alice reader",
        "put /a/1 one",
        // The role root is not there, and made.
        "auth enable",
        "get /a/1",
        "put /a/1 two",
        "user list",
        "--user root:wrong get /a/1",
        "--user nobody:wrong get /a/1",
        "--user root --password wrong user list",
        "--user root:secret user list",
        "--user root:secret role list",
        "--user alice --password secret get /a/ --prefix",
        "--user alice:secret get /b/1",
        "--user alice:secret put /a/1 two",
        "--user alice:secret del /a/1",
        "--user alice:secret user list",
        "--user alice:secret user get alice",
        "--user alice:secret user get root",
        "--user alice:secret role get reader",
        "--user alice:secret role get root",
        "--user alice:secret auth disable",
        "--user root:secret user get root",
        "--user root:secret user get alice --detail",
        "--user root:secret auth enable",
    ]);
    script.run_but("--user root:secret role get root", "simple", "root-role");
    script.run_but("--user root:secret user get root --detail", "simple", "root-role");
    script.run("--user root get /a/1").input = "secret\n";
    script.run("--user root get /a/1").input = "wrong\n";
    // Without a password, nobody logs in.
    script.run("--user root get /a/1").input = "\n";
    script.run_all(&["--user root: get /a/1", "--password secret get /a/1"]);
    for (line, variables) in [
        ("get /a/1", vec![("ETCDCTL_USER", "root:secret")]),
        ("get /a/1", vec![("ETCDCTL_USER", "root"), ("ETCDCTL_PASSWORD", "secret")]),
        ("get /a/1", vec![("ETCDCTL_USER", "root"), ("ETCDCTL_PASSWORD", "wrong")]),
        ("--user root:secret get /a/1", vec![("ETCDCTL_USER", "root:secret")]),
    ] {
        let case = script.run(line);
        case.variables = variables;
        case.variables.push(("ETCDCTL_ENDPOINTS", "{ENDPOINT}"));
    }
    script.run_but("--user root:secret endpoint health", "simple", "health-stdout").mask = TOOK;
    // Being denied is an answer.
    script.run_but("--user alice:secret endpoint health", "simple", "health-stdout").mask = TOOK;
    // Whoever is not let in has asked nothing, so that nothing took any time.
    script.run_all(&[
        "--user root:wrong endpoint health",
        "--user root:wrong endpoint status",
        "--user root:wrong endpoint hashkv",
        "--user root:wrong defrag",
        "--user root:wrong move-leader 1",
        "--user root:wrong member list",
        "--user root:wrong lease list",
        "--user root:wrong watch a",
    ]);
    script.run("--user root:wrong txn").input = "\n\n\n";
    let row = (script.format != "simple").then_some("cluster-user");
    script.run("--user root:wrong endpoint health --cluster").row = row;
    script.run_but("--user root:secret member list", "fields", "fields-revision-zero");
    script.run_but("--user alice:secret alarm list", "fields", "alarm-fields");
    script.run_all(&[
        "--user alice:secret lease grant 1000",
        "--user alice:secret move-leader 1",
        "--user alice:secret compaction 1",
        "--user root:secret user revoke-role root root",
        "--user root:secret role delete root",
        "--user root:secret user delete root",
    ]);
    script.run("--user root:secret user passwd root --interactive=false").input = "other\n";
    script.run_all(&[
        "--user root:secret user list",
        "--user root:other user list",
        "--user root:other auth disable",
        "get /a/1",
        "--user root:other get /a/1",
        "auth disable",
        "user delete root",
        "user delete alice",
        "role delete reader",
        "role delete root",
    ]);
}
