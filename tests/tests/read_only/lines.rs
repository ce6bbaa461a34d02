//! One line for every verb.

/// A command line.
pub(crate) struct Line {
    pub(crate) verb: &'static str,
    pub(crate) text: &'static str,
    pub(crate) input: &'static str,
    /// Whether it sends something that writes, where it may.
    pub(crate) writes: bool,
    /// Whether it goes on until it is ended.
    pub(crate) goes_on: bool,
}

impl Line {
    /// `{ENDPOINT}` is the cluster itself.
    pub(crate) fn words(&self, endpoint: &str) -> Vec<String> {
        self.text.split(' ').map(|word| word.replace("{ENDPOINT}", endpoint)).collect()
    }
}

const fn reads(verb: &'static str, text: &'static str) -> Line {
    Line { verb, text, input: "", writes: false, goes_on: false }
}

const fn writes(verb: &'static str, text: &'static str) -> Line {
    Line { verb, text, input: "", writes: true, goes_on: false }
}

const fn with_input(verb: &'static str, text: &'static str, input: &'static str) -> Line {
    Line { verb, text, input, writes: true, goes_on: false }
}

/// As `export` makes it, without the sum.
const BUNDLE: &str = r#"{"kvorum_bundle":1,"cluster_id":"1","prefix":"","revision":9}
{"key":"c","value":"2","create_revision":7,"mod_revision":7,"version":1}
{"keys":1}
"#;

/// Verbs that never speak to a cluster.
pub(crate) const ASKS_NO_CLUSTER: &[&str] = &[
    "completion",
    "ctx add",
    "ctx import",
    "ctx list",
    "ctx remove",
    "ctx show",
    "ctx use",
    "explain",
    "hashkv",
    "man",
    "options",
    "playground",
    "server",
    "snapshot restore",
    "snapshot status",
    // The dashboard refuses to start without a terminal.
    "ui",
    "version",
];

pub(crate) const LINES: &[Line] = &[
    writes("put", "put a 1"),
    writes("put", "put a 2"),
    writes("restore", "restore a@2"),
    writes("undo", "undo"),
    writes("rollback", "rollback a --to 2"),
    reads("history", "history a --all"),
    reads("diff", "diff a@2"),
    writes("cp", "cp a b"),
    writes("mv", "mv b c"),
    writes("cas", "cas c --value 1 2"),
    reads("export", "export --to bundle"),
    writes("del", "del c"),
    with_input("import", "import -", BUNDLE),
    writes("put", "put d 1"),
    with_input("apply", "apply -", BUNDLE),
    writes("config push", "config push settings.env /settings/"),
    reads("config run", "config run /settings/ -- true"),
    reads("config render", "config render settings.env -o rendered --once"),
    Line { goes_on: true, ..reads("top", "top") },
    reads("get", "get a"),
    with_input("txn", "txn", "\nput t 1\n\n\n"),
    with_input("txn", "txn", "\n\nput t 1\n\n"),
    Line { writes: false, ..with_input("txn", "txn", "\nget t\n\nget t\n\n") },
    writes("lease grant", "lease grant 600"),
    writes("lease keep-alive", "lease keep-alive --once 1234"),
    writes("lease revoke", "lease revoke 1234"),
    reads("lease list", "lease list"),
    reads("lease timetolive", "lease timetolive 1234 --keys"),
    writes("compaction", "compaction 1"),
    reads("member list", "member list"),
    writes("member add", "member add n --peer-urls http://127.0.0.1:1"),
    writes("member remove", "member remove 1234"),
    writes("member update", "member update 1234 --peer-urls http://127.0.0.1:1"),
    writes("member promote", "member promote 1234"),
    reads("endpoint health", "endpoint health"),
    reads("endpoint status", "endpoint status"),
    reads("endpoint hashkv", "endpoint hashkv"),
    reads("alarm list", "alarm list"),
    // It asks which alarms there are, and there are none.
    reads("alarm disarm", "alarm disarm"),
    writes("defrag", "defrag"),
    writes("defrag", "defrag --rolling"),
    reads("backup", "backup backups"),
    reads("snapshot save", "snapshot save saved.db"),
    writes("move-leader", "move-leader 1234"),
    writes("downgrade validate", "downgrade validate 3.5"),
    writes("downgrade enable", "downgrade enable 3.5"),
    writes("downgrade cancel", "downgrade cancel"),
    writes("user add", "user add u:p"),
    reads("user get", "user get u"),
    reads("user list", "user list"),
    with_input("user passwd", "user passwd u --interactive=false", "q\n"),
    writes("role add", "role add r"),
    reads("role get", "role get r"),
    reads("role list", "role list"),
    writes("role grant-permission", "role grant-permission r readwrite a"),
    writes("user grant-role", "user grant-role u r"),
    writes("user revoke-role", "user revoke-role u r"),
    writes("role revoke-permission", "role revoke-permission r a"),
    writes("role delete", "role delete r"),
    writes("user delete", "user delete u"),
    reads("auth status", "auth status"),
    reads("ls", "ls"),
    reads("tree", "tree"),
    reads("du", "du"),
    reads("count", "count"),
    reads("grep", "grep a --values"),
    reads("leases", "leases --keys"),
    reads("locks", "locks"),
    reads("roles-for", "roles-for a"),
    reads("wait", "wait a --for exists --timeout 1s"),
    reads("show", "show a"),
    reads("doctor", "doctor"),
    writes("edit", "edit a"),
    writes("auth enable", "auth enable"),
    writes("auth disable", "auth disable"),
    writes("lock", "lock l true"),
    Line { goes_on: true, ..writes("make-mirror", "make-mirror {ENDPOINT} --dest-prefix m/") },
    Line { goes_on: true, ..writes("check perf", "check perf") },
    // It wants the metrics first, for which the proxy speaks the wrong protocol.
    Line { goes_on: true, ..reads("check datascale", "check datascale") },
    Line { goes_on: true, ..writes("elect", "elect e me") },
    Line { goes_on: true, ..reads("elect", "elect e --listen") },
    Line { goes_on: true, ..reads("watch", "watch a") },
    writes("service register", "service register web 127.0.0.1:1 -- true"),
    reads("service list", "service list"),
    reads("service list", "service list web"),
    reads("service resolve", "service resolve web"),
    Line { goes_on: true, ..reads("service watch", "service watch web") },
    writes("seq put", "seq put /jobs one"),
    reads("seq list", "seq list /jobs"),
    writes("del", "del a"),
    writes("del", "del --prefix a"),
];
