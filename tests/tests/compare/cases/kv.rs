//! Keys, leases, transactions and watches, in each format.

use super::{Mask, Script};

pub(super) fn keys(script: &mut Script) {
    for line in [
        "put a 1",
        "put a 2 --prev-kv",
        "put b \"x y\"",
        r#"put "bin\xff" "\x01\xfe<é>\n\u200b""#,
        "put c \"\"",
        "get a",
        "get a --rev {REV-3}",
        "get nothing",
        "get --prefix \"\"",
        "get a c",
        "get a c --limit 1",
        "get --from-key b --keys-only",
        "get --prefix b --order descend --sort-by modify",
        "get --prefix \"\" --sort-by value --order ASCEND --limit 2",
        "get a --consistency=s",
        r#"get "bin\xff""#,
        "put a --ignore-value --prev-kv",
    ] {
        script.run(line);
    }
    script.run_but("get --prefix b --hex", "fields", "hex-ids-fields");
    script.run("put fromstdin").input = "line one\nline two\n";
    script.run("get fromstdin");
}

pub(super) fn leases(script: &mut Script) {
    const LEFT: Mask = Mask::After(&["remaining(", "\"ttl\":", "\"TTL\" : "]);
    script.run("lease grant 1000");
    script.run("put leased 1 --lease={LEASE}");
    script.run("get leased");
    script.run("lease list");
    script.run("lease timetolive {LEASE}").mask = LEFT;
    script.run("lease timetolive {LEASE} --keys").mask = LEFT;
    script.run("lease keep-alive --once {LEASE}");
    script.run("put leased 2 --ignore-lease --prev-kv");
    let lines = script.by_format(1, 1, 6);
    script.run("lease keep-alive {LEASE}").lines = Some(lines);
    script.run("lease revoke {LEASE}");
    script.run("lease revoke {LEASE}");
    script.run("lease timetolive {LEASE}");
    script.run("lease keep-alive {LEASE}");
    script.run("lease keep-alive --once {LEASE}");
    script.run("lease list");
    script.run("get leased");
}

pub(super) fn transactions(script: &mut Script) {
    const ROW: &str = "txn-json-names";
    script.run_but("txn", "json", ROW).input =
        "mod(\"a\") > \"0\"\n\nput t 1\nget t\ndel c --prev-kv\n\nput t 0\n\n";
    script.run("txn").input = "\nput t 1\ndel t\n\n\n";
    script.run_but("txn", "json", ROW).input =
        "val(\"a\") = \"no\"\n\nput t 1\n\nget a\nget --prefix b --keys-only\n\n";
    script.run_but("txn", "json", ROW).input = "create(\"new\") = \"0\"\nver(\"a\") != \"0\"\nvalue(\"b\") < \"z\"\n\nput new \"x\\ty\"\n\n\n";
    script.run("txn").input = "\n\n\n";
    script.run("txn").input = "mod(\"a\") > \"0\"\n\nput t 1\n";
    script.run("txn").input = "mod(a) > \"0\"\n\n\n\n";
    script.run("txn").input = "age(\"a\") > \"0\"\n\n\n\n";
    script.run("txn").input = "\nwatch a\n\n\n";
    script.run("txn extra").input = "\n\n\n";
    script.run("txn -i").input = "\n\n\n";
}

pub(super) fn deletions(script: &mut Script) {
    for line in [
        "del a --prev-kv",
        "del a",
        "del --prefix bin --prev-kv",
        "del --from-key x",
        "del --prefix \"\"",
        "get --prefix \"\"",
    ] {
        script.run(line);
    }
}

pub(super) fn watches(script: &mut Script) {
    for line in ["put w/1 one", "put w/1 two", "del w/1", "put w/2 \"new\\nline\""] {
        script.run(line);
    }
    let lines = script.by_format(12, 1, 32);
    script.run("watch --prefix w/ --rev {REV-3}").lines = Some(lines);
    let lines = script.by_format(13, 1, 30);
    script.run("watch w/1 --rev {REV-3} --prev-kv").lines = Some(lines);
    let lines = script.by_format(3, 1, 11);
    script.run("watch w/2 w/3 --rev {REV-3}").lines = Some(lines);
    let lines = script.by_format(4, 2, 12);
    script
        .run(
            "watch w/2 --rev {REV} -- sh -c \"echo $ETCD_WATCH_REVISION $ETCD_WATCH_EVENT_TYPE \
             $ETCD_WATCH_KEY $ETCD_WATCH_VALUE\"",
        )
        .lines = Some(lines);
    script.run("watch w/2 --rev {REV} -- false");
    let lines = script.by_format(3, 1, 11);
    let case = script.run("watch -i");
    case.input = "watch w/2 --rev {REV}\n";
    case.lines = Some(lines);
    script.run("watch -i").input = "";
    script.run("watch");
}

pub(super) fn compaction(script: &mut Script) {
    for line in [
        "compaction {REV-1}",
        "compaction {REV-2}",
        "compaction 999999",
        "get w/1 --rev 1",
        "get w/1 --rev 999999",
        "compaction {REV} --physical",
    ] {
        script.run(line);
    }
    script.run_but("watch w/1 --rev 1", "fields", "fields-revision-zero");
}
