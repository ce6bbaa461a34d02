//! The command line itself: tables, syntax, variables, mistakes.

use super::{Mask, Script};

pub(super) fn tables(script: &mut Script) {
    script.run("-w table member list").mask = Mask::Numbers;
    script.run("-w table endpoint health").mask = Mask::Numbers;
    let case = script.run("-w table endpoint status");
    case.mask = Mask::Numbers;
    case.row = Some("status-columns");
    for line in ["-w table put a 1", "-w table get a", "-w table lease list", "-w table del a"] {
        script.run(line);
    }
}

pub(super) fn syntax(script: &mut Script) {
    for line in [
        "put syntax/1 one",
        "pu syntax/2 two",
        "get --prefix=true syntax",
        "get --prefix --prefix=false syntax",
        "get syntax/1 -w=json",
        "get -wjson syntax/1",
        "get syntax/1 --print-value-only",
        "get --limit 1 --prefix syntax --limit=2",
        "get syntax/1 syntax/2 extra",
        "get -- syntax/1",
        "put syntax/3 -- -v",
        "put -- syntax/4 --prefix",
        "get --prefix syntax --keys-only --hex",
        "get --prefix syntax --limit 0x1",
        "get --prefix syntax --rev -1",
        "mem li --command-timeout=10s",
        "lea list",
        "get --prefix syntax --dial-timeout 3s --keepalive-time=10s --keepalive-timeout=10s",
        "del syntax/1 syntax/3",
        "del --prefix=1 syntax",
    ] {
        script.run(line);
    }
    script.run("version").row = Some("version");
}

pub(super) fn variables(script: &mut Script) {
    for (line, variables) in [
        ("get a", vec![("ETCDCTL_ENDPOINTS", "{ENDPOINT}")]),
        ("get a", vec![("ETCDCTL_ENDPOINTS", "http://{ENDPOINT}"), ("ETCDCTL_WRITE_OUT", "json")]),
        (
            "get a --write-out=fields",
            vec![("ETCDCTL_ENDPOINTS", "{ENDPOINT}"), ("ETCDCTL_HEX", "false")],
        ),
        (
            "get a --write-out=fields",
            vec![("ETCDCTL_ENDPOINTS", "{ENDPOINT}"), ("ETCDCTL_WRITE_OUT", "json")],
        ),
        ("get a --endpoints {ENDPOINT}", vec![("ETCDCTL_ENDPOINTS", "{ENDPOINT}")]),
        ("get a --command-timeout 300ms", vec![("ETCDCTL_ENDPOINTS", "127.0.0.1:1")]),
        ("watch other", vec![("ETCDCTL_ENDPOINTS", "{ENDPOINT}"), ("ETCDCTL_WATCH_KEY", "w/2")]),
        ("watch", vec![("ETCDCTL_ENDPOINTS", "{ENDPOINT}"), ("ETCDCTL_WATCH_RANGE_END", "w/2")]),
    ] {
        script.run(line).variables = variables;
    }
}

pub(super) fn mistakes(script: &mut Script) {
    for line in [
        "get",
        "get a --prefix --from-key",
        "get a b --prefix",
        "get a --order sideways",
        "get a --sort-by size",
        "get a --consistency x",
        "get \"\"",
        "get a -w yaml",
        "get a -w json --print-value-only",
        "put",
        "put a",
        "put a 1 --ignore-value",
        "put a 1 --lease zz",
        "put a 1 --lease 1234",
        "put a 1 --ignore-lease --lease 1234",
        "put never --ignore-value",
        "put \"\" 1",
        "del",
        "del a b c",
        "del a --prefix --from-key",
        "compaction",
        "compaction x",
        "lease grant",
        "lease grant x",
        "lease grant 99999999999",
        "lease revoke",
        "lease revoke zz",
        "lease revoke 1234",
        "lease timetolive",
        "lease timetolive 1234",
        "lease keep-alive",
        "watch a b --prefix",
        "watch a --",
        "bogus",
        "e",
    ] {
        script.run(line);
    }
}

/// Flags that etcdctl 3.4 does not know: it prints its usage.
pub(super) fn later_flags(script: &mut Script) {
    for line in [
        "-w fields get --prefix \"\" --count-only",
        "get --prefix \"\" --min-mod-rev 2 --max-create-rev 999 --keys-only",
        "del x y --range",
        "member list --consistency=s",
        "get w/2 --max-recv-bytes=1000000 --max-request-bytes=0",
        "watch -i --progress-notify",
        // These two are of 3.7.
        "get a --stream",
        "get a --auth-jwt-token=token",
    ] {
        script.run(line).row = Some("later-flags");
    }
}

/// Usage: of groups of commands, and where a flag is wrong.
pub(super) fn groups(script: &mut Script) {
    for line in [
        "alarm",
        "auth",
        "endpoint",
        "lease",
        "member",
        "role",
        "snapshot",
        "user",
        "user bogus",
        "-- -x",
        "--hex -- -x",
        "help user",
        "help role add",
        "user passwd --help",
        "endpoint hashkv --rev x",
        "member add --bogus",
        "role grant-permission --prefix=maybe r read a",
        "user add --interactive=no a",
        "member list --peer-urls=http://b:1",
    ] {
        script.run(line).mask = Mask::Usage;
    }
}

/// Commands that etcdctl 3.4 does not have, and versions of the API that 3.6 does not have.
pub(super) fn later_commands(script: &mut Script) {
    for line in [
        "auth status",
        "auth status now",
        "downgrade validate",
        "downgrade validate 3.3 3.4",
        "downgrade validate \"\"",
        "downgrade enable",
    ] {
        let case = script.run(line);
        (case.row, case.mask) = (Some("later-commands"), Mask::Usage);
    }
    script.run_all(&["downgrade validate 3.3", "downgrade enable 3.3", "downgrade cancel"]);
    script.run("get a").variables = vec![("ETCDCTL_API", "4")];
    script.run("get a").variables = vec![("ETCDCTL_API", "3"), ("ETCDCTL_ENDPOINTS", "{ENDPOINT}")];
}
