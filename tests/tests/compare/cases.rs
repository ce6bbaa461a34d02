//! The invocations, in the order in which they are run.
//!
//! In a line, `{REV}` is the revision before it runs (`{REV-2}` two before), `{LEASE}` the lease
//! granted last, `{ENDPOINT}` the member. Words are quoted as in a transaction.

/// One invocation.
pub(crate) struct Case {
    pub(crate) line: String,
    pub(crate) input: &'static str,
    /// With variables, no `--endpoints` is given.
    pub(crate) variables: Vec<(&'static str, &'static str)>,
    /// The lines to wait for from a command that goes on.
    pub(crate) lines: Option<usize>,
    /// The row of the table of differences that explains why the output is not the same.
    pub(crate) row: Option<&'static str>,
    pub(crate) mask: Mask,
}

/// What is masked besides IDs and addresses.
#[derive(Clone, Copy)]
pub(crate) enum Mask {
    Ids,
    /// The numbers after these words.
    After(&'static [&'static str]),
    /// Every number, and the width of columns.
    Numbers,
}

impl Case {
    pub(crate) fn title(&self) -> String {
        let variables: Vec<_> =
            self.variables.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let variables = variables.concat();
        let input =
            if self.input.is_empty() { String::new() } else { format!(" <<< {:?}", self.input) };
        format!("{variables}etcdctl {}{input}", self.line)
    }
}

/// All invocations: the same ones in three formats, then those that need only one.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for format in ["simple", "json", "fields"] {
        let mut script = Script { format, cases: Vec::new() };
        keys(&mut script);
        leases(&mut script);
        transactions(&mut script);
        deletions(&mut script);
        watches(&mut script);
        members(&mut script);
        compaction(&mut script);
        cases.append(&mut script.cases);
    }
    let mut script = Script { format: "", cases: Vec::new() };
    tables(&mut script);
    syntax(&mut script);
    variables(&mut script);
    mistakes(&mut script);
    later_flags(&mut script);
    cases.append(&mut script.cases);
    cases
}

struct Script {
    /// Empty: the lines name their own, or none.
    format: &'static str,
    cases: Vec<Case>,
}

impl Script {
    fn run(&mut self, line: &str) -> &mut Case {
        let format =
            if self.format.is_empty() { String::new() } else { format!("-w {} ", self.format) };
        self.cases.push(Case {
            line: format!("{format}{line}"),
            input: "",
            variables: Vec::new(),
            lines: None,
            row: None,
            mask: Mask::Ids,
        });
        self.cases.last_mut().expect("one was pushed")
    }

    /// The row, in this format only.
    fn run_but(&mut self, line: &str, format: &str, row: &'static str) -> &mut Case {
        let differs = self.format == format;
        let case = self.run(line);
        case.row = differs.then_some(row);
        case
    }

    /// Of three numbers, the one for this format.
    fn by_format(&self, simple: usize, json: usize, fields: usize) -> usize {
        match self.format {
            "json" => json,
            "fields" => fields,
            _ => simple,
        }
    }
}

fn keys(script: &mut Script) {
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

fn leases(script: &mut Script) {
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

fn transactions(script: &mut Script) {
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

fn deletions(script: &mut Script) {
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

fn watches(script: &mut Script) {
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

fn members(script: &mut Script) {
    const TOOK: Mask = Mask::After(&["took = ", "\"took\":\"", "\"Took\" : "]);
    script.run_but("member list", "fields", "fields-revision-zero");
    let row = match script.format {
        "json" => Some("hex-member-json"),
        "fields" => Some("hex-ids-fields"),
        _ => None,
    };
    script.run("member list --hex").row = row;
    script.run_but("endpoint health", "simple", "health-stdout").mask = TOOK;
    let row = (script.format != "json").then_some("status-columns");
    let case = script.run("endpoint status");
    case.row = row;
    case.mask = Mask::Numbers;
}

fn compaction(script: &mut Script) {
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

fn tables(script: &mut Script) {
    script.run("-w table member list").mask = Mask::Numbers;
    script.run("-w table endpoint health").mask = Mask::Numbers;
    let case = script.run("-w table endpoint status");
    case.mask = Mask::Numbers;
    case.row = Some("status-columns");
    for line in ["-w table put a 1", "-w table get a", "-w table lease list", "-w table del a"] {
        script.run(line);
    }
}

fn syntax(script: &mut Script) {
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

fn variables(script: &mut Script) {
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

fn mistakes(script: &mut Script) {
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
fn later_flags(script: &mut Script) {
    for line in [
        "-w fields get --prefix \"\" --count-only",
        "get --prefix \"\" --min-mod-rev 2 --max-create-rev 999 --keys-only",
        "del x y --range",
        "member list --consistency=s",
        "get w/2 --max-recv-bytes=1000000 --max-request-bytes=0",
        "watch -i --progress-notify",
    ] {
        script.run(line).row = Some("later-flags");
    }
}
