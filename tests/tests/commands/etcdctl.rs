//! Debian's etcdctl does its work against our members as against etcd's own.
//!
//! The same scenarios run three times: against one member of ours, against three, and against
//! Debian's etcd, which shows that the scenarios ask for nothing but what etcd does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use kvorum_tests::cluster::Cluster;
use kvorum_tests::etcdctl::Etcdctl;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd, real_etcdctl};
use kvorum_tests::wait::until;
use kvorum_tests::{binary, or_skip};
use serde_json::Value;

/// Seconds. A slow machine must manage to start four commands before such a lease ends.
const SHORT_LEASE: &str = "5";

/// How long something that must happen may take, the end of a short lease included.
const SOON: Duration = Duration::from_secs(20);

struct Session {
    etcdctl: Etcdctl,
    cluster: Cluster,
}

type Scenario = fn(&Session);

const SCENARIOS: &[(&str, Scenario)] = &[
    ("put and get", put_and_get),
    ("get of ranges", get_of_ranges),
    ("get at an old revision", get_at_an_old_revision),
    ("del counts what it deletes", del_counts_what_it_deletes),
    ("watch of two puts", watch_of_two_puts),
    ("watch from a revision ahead", watch_from_a_revision_ahead),
    ("txn takes the branch of its compares", txn_takes_the_branch_of_its_compares),
    ("json and fields", json_and_fields),
    ("leases end unless they are kept alive", leases_end_unless_they_are_kept_alive),
    ("a revoked lease takes its keys with it", a_revoked_lease_takes_its_keys_with_it),
    ("errors of single keys", errors_of_single_keys),
    ("member list", member_list),
    ("endpoint health", endpoint_health),
    ("endpoint status", endpoint_status),
    ("alarm list is empty", alarm_list_is_empty),
    ("move-leader", move_leader),
    // Last: it takes the old revisions away.
    ("compaction and the compacted error", compaction_and_the_compacted_error),
];

#[test]
fn debians_etcdctl_against_our_single_member() {
    against(&Names::of(binary!()).server(), 1);
}

#[test]
fn debians_etcdctl_against_our_three_members() {
    against(&Names::of(binary!()).server(), 3);
}

#[test]
fn debians_etcdctl_against_debians_etcd() {
    against(&or_skip!(real_etcd(), NO_ETCD), 1);
}

#[test]
fn debians_etcdctl_against_three_of_debians_etcd() {
    against(&or_skip!(real_etcd(), NO_ETCD), 3);
}

/// Runs every scenario, and then fails with the names of those that failed.
fn against(server: &Program, size: usize) {
    let etcdctl = or_skip!(real_etcdctl(), NO_ETCD);
    let cluster = Cluster::start(server, size);
    let session = Session { etcdctl: Etcdctl::new(&etcdctl, cluster.endpoints()), cluster };
    let failed: Vec<&str> = SCENARIOS
        .iter()
        .filter(|(_, scenario)| catch_unwind(AssertUnwindSafe(|| scenario(&session))).is_err())
        .map(|(name, _)| *name)
        .collect();
    assert!(failed.is_empty(), "these failed: {failed:#?}");
}

fn put_and_get(Session { etcdctl, .. }: &Session) {
    assert_eq!(etcdctl.say(&["put", "greeting", "hello"]), "OK\n");
    assert_eq!(etcdctl.say(&["get", "greeting"]), "greeting\nhello\n");
    assert_eq!(etcdctl.say(&["get", "greeting", "--print-value-only"]), "hello\n");
    everybody_catches_up(etcdctl);
    assert_eq!(etcdctl.say(&["get", "greeting", "--consistency=s"]), "greeting\nhello\n");
    assert_eq!(etcdctl.say(&["put", "greeting", "hi", "--prev-kv"]), "OK\ngreeting\nhello\n");
    assert_eq!(etcdctl.say(&["get", "nobody"]), "");

    let outcome = etcdctl.run_with(&["put", "piped"], "from standard input");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "OK\n"), "{outcome:?}");
    assert_eq!(etcdctl.say(&["get", "piped"]), "piped\nfrom standard input\n");

    assert_eq!(etcdctl.say(&["put", "greeting", "--ignore-value"]), "OK\n");
    let greeting = &etcdctl.json(&["get", "greeting"])["kvs"][0];
    assert_eq!(greeting["version"], 3, "three puts make version three: {greeting}");
    assert_eq!(greeting["value"], "aGk=", "a put that ignores the value keeps it: {greeting}");
}

fn get_of_ranges(Session { etcdctl, .. }: &Session) {
    for (key, value) in [("r/a", "3"), ("r/b", "1"), ("r/c", "2"), ("s", "outside")] {
        etcdctl.say(&["put", key, value]);
    }
    let get = |args: &[&str]| etcdctl.say(&[&["get"], args].concat());
    assert_eq!(get(&["r/", "--prefix"]), "r/a\n3\nr/b\n1\nr/c\n2\n");
    assert_eq!(get(&["r/a", "r/c"]), "r/a\n3\nr/b\n1\n");
    assert_eq!(get(&["r/", "--prefix", "--keys-only"]), "r/a\n\nr/b\n\nr/c\n\n");
    assert_eq!(get(&["r/", "--prefix", "--limit=2"]), "r/a\n3\nr/b\n1\n");
    assert_eq!(get(&["r/", "--prefix", "--order=DESCEND"]), "r/c\n2\nr/b\n1\nr/a\n3\n");
    assert_eq!(get(&["r/", "--prefix", "--sort-by=VALUE"]), "r/b\n1\nr/c\n2\nr/a\n3\n");
    assert_eq!(get(&["r/c", "--from-key", "--limit=2"]), "r/c\n2\ns\noutside\n");
    let page = etcdctl.json(&["get", "r/", "--prefix", "--limit=1"]);
    assert_eq!((&page["count"], &page["more"]), (&3.into(), &true.into()), "{page}");
}

fn get_at_an_old_revision(Session { etcdctl, .. }: &Session) {
    let first = revision_of(&etcdctl.json(&["put", "old", "one"]));
    etcdctl.say(&["put", "old", "two"]);
    etcdctl.say(&["del", "old"]);
    let at = |revision: i64| etcdctl.say(&["get", "old", &format!("--rev={revision}")]);
    assert_eq!(at(first - 1), "");
    assert_eq!(at(first), "old\none\n");
    assert_eq!(at(first + 1), "old\ntwo\n");
    assert_eq!(at(first + 2), "");
    let future = etcdctl.run(&["get", "old", &format!("--rev={}", first + 1000)]);
    assert_ne!(future.code, 0);
    assert!(future.stderr.contains("mvcc: required revision is a future revision"), "{future:?}");
}

fn del_counts_what_it_deletes(Session { etcdctl, .. }: &Session) {
    etcdctl.say(&["put", "doomed", "1"]);
    assert_eq!(etcdctl.say(&["del", "doomed"]), "1\n");
    assert_eq!(etcdctl.say(&["del", "doomed"]), "0\n");
    for key in ["d/1", "d/2", "d/3"] {
        etcdctl.say(&["put", key, "x"]);
    }
    assert_eq!(etcdctl.say(&["del", "d/1", "--prev-kv"]), "1\nd/1\nx\n");
    assert_eq!(etcdctl.say(&["del", "d/", "--prefix"]), "2\n");
    assert_eq!(etcdctl.say(&["get", "d/", "--prefix"]), "");
}

fn watch_of_two_puts(Session { etcdctl, .. }: &Session) {
    let before = revision_of(&etcdctl.json(&["put", "elsewhere", "x"]));
    etcdctl.say(&["put", "watched", "one"]);
    // From a revision in the past on, so that it does not matter when the watch begins.
    let from = format!("--rev={}", before + 1);
    let mut watch = etcdctl.start(&["watch", "watched", &from]);
    assert_eq!(watch.lines(3), ["PUT", "watched", "one"]);
    etcdctl.say(&["put", "watched", "two"]);
    assert_eq!(watch.lines(3), ["PUT", "watched", "two"]);
    etcdctl.say(&["del", "watched"]);
    assert_eq!(watch.lines(3), ["DELETE", "watched", ""]);

    let mut with_previous = etcdctl.start(&["watch", "watch", "--prefix", "--prev-kv", &from]);
    assert_eq!(with_previous.lines(3), ["PUT", "watched", "one"]);
    assert_eq!(with_previous.lines(5), ["PUT", "watched", "one", "watched", "two"]);
    assert_eq!(with_previous.lines(5), ["DELETE", "watched", "two", "watched", ""]);
}

fn watch_from_a_revision_ahead(Session { etcdctl, .. }: &Session) {
    let now = revision_of(&etcdctl.json(&["put", "elsewhere", "x"]));
    // Whether it begins before the puts or after them, it shows the same. That a watch waits for
    // its revision is shown in `server.rs`: etcdctl does not say when it has begun.
    let mut watch = etcdctl.start(&["watch", "future/", "--prefix", &format!("--rev={}", now + 2)]);
    etcdctl.say(&["put", "future/a", "too early"]);
    etcdctl.say(&["put", "future/b", "in time"]);
    etcdctl.say(&["put", "future/a", "later"]);
    assert_eq!(watch.lines(6), ["PUT", "future/b", "in time", "PUT", "future/a", "later"]);
}

fn txn_takes_the_branch_of_its_compares(Session { etcdctl, .. }: &Session) {
    etcdctl.say(&["put", "stock", "5"]);
    let txn = |input: &str| {
        let outcome = etcdctl.run_with(&["txn"], input);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.stdout
    };
    // Compares, then what to do if they hold, then what to do if not; empty lines between.
    let take = "value(\"stock\") = \"5\"\n\nput stock 4\nget stock\n\nget stock\n\n";
    assert_eq!(txn(take), "SUCCESS\n\nOK\n\nstock\n4\n");
    assert_eq!(txn(take), "FAILURE\n\nstock\n4\n");

    let absent = "create(\"lock\") = \"0\"\n\nput lock mine\n\nget lock\n\n";
    assert_eq!(txn(absent), "SUCCESS\n\nOK\n");
    assert_eq!(txn(absent), "FAILURE\n\nlock\nmine\n");
    let release = "version(\"lock\") = \"1\"\nmod(\"lock\") > \"1\"\n\ndel lock\n\n\n";
    assert_eq!(txn(release), "SUCCESS\n\n1\n");

    let twice = etcdctl.run_with(&["txn"], "\nput twice 1\nput twice 2\n\n\n");
    assert_ne!(twice.code, 0);
    assert!(twice.stderr.contains("duplicate key given in txn request"), "{twice:?}");
    assert_eq!(etcdctl.say(&["get", "twice"]), "", "a refused transaction does nothing");
}

fn json_and_fields(Session { etcdctl, .. }: &Session) {
    let put = etcdctl.json(&["put", "j", "value"]);
    let header = &put["header"];
    for field in ["cluster_id", "member_id", "revision", "raft_term"] {
        assert!(header[field].as_u64().is_some_and(|value| value > 0), "{field}: {put}");
    }
    let got = etcdctl.json(&["get", "j"]);
    assert_eq!(got["count"], 1, "{got}");
    let kv = &got["kvs"][0];
    assert_eq!((&kv["key"], &kv["value"]), (&"ag==".into(), &"dmFsdWU=".into()), "{got}");
    assert_eq!((&kv["mod_revision"], &kv["version"]), (&header["revision"], &1.into()), "{got}");
    assert_eq!(got["header"]["cluster_id"], header["cluster_id"]);

    let fields = etcdctl.say(&["get", "j", "-w", "fields"]);
    let expected = ["\"Key\" : \"j\"", "\"Value\" : \"value\"", "\"Version\" : 1", "\"Count\" : 1"];
    for line in expected {
        assert!(fields.lines().any(|found| found == line), "no {line} in {fields}");
    }
}

/// Both at once, as most of their time is waiting.
fn leases_end_unless_they_are_kept_alive(session: &Session) {
    thread::scope(|scope| {
        scope.spawn(|| a_lease_takes_its_keys_with_it(session));
        a_lease_that_is_kept_alive_stays(session);
    });
}

fn a_lease_takes_its_keys_with_it(Session { etcdctl, .. }: &Session) {
    let said = etcdctl.say(&["lease", "grant", SHORT_LEASE]);
    let id = lease_id(&said);
    assert_eq!(said, format!("lease {id} granted with TTL({SHORT_LEASE}s)\n"));
    etcdctl.say(&["put", "leased", "x", &format!("--lease={id}")]);
    assert_eq!(etcdctl.say(&["get", "leased"]), "leased\nx\n");
    everybody_catches_up(etcdctl);
    assert!(etcdctl.say(&["lease", "list"]).lines().any(|line| line == id), "{id} is not listed");

    let gone = until(SOON, || etcdctl.say(&["get", "leased"]).is_empty().then_some(()));
    gone.expect("the key is gone with its lease");
    everybody_catches_up(etcdctl);
    let left = etcdctl.say(&["lease", "timetolive", &id]);
    assert_eq!(left, format!("lease {id} already expired\n"));
    assert!(!etcdctl.say(&["lease", "list"]).contains(&id), "{id} is still listed");
}

fn a_lease_that_is_kept_alive_stays(Session { etcdctl, .. }: &Session) {
    let id = lease_id(&etcdctl.say(&["lease", "grant", SHORT_LEASE]));
    etcdctl.say(&["put", "kept", "x", &format!("--lease={id}")]);
    let renewed = format!("lease {id} keepalived with TTL({SHORT_LEASE})");
    let once = etcdctl.say(&["lease", "keep-alive", "--once", &id]);
    assert_eq!(once.trim_end(), renewed);

    let mut keeper = etcdctl.start(&["lease", "keep-alive", &id]);
    // At once, then each time a third of the lease has passed: the fifth is past its end.
    assert_eq!(keeper.lines(5), vec![renewed; 5]);
    assert_eq!(etcdctl.say(&["get", "kept"]), "kept\nx\n");
    drop(keeper);
    let gone = until(SOON, || etcdctl.say(&["get", "kept"]).is_empty().then_some(()));
    gone.expect("a lease that is no longer kept alive ends");
}

fn a_revoked_lease_takes_its_keys_with_it(Session { etcdctl, .. }: &Session) {
    let id = lease_id(&etcdctl.say(&["lease", "grant", "600"]));
    let attach = format!("--lease={id}");
    etcdctl.say(&["put", "revoked/1", "x", &attach]);
    etcdctl.say(&["put", "revoked/2", "x", &attach]);
    let left = etcdctl.say(&["lease", "timetolive", &id, "--keys"]);
    assert!(left.starts_with(&format!("lease {id} granted with TTL(600s), remaining(")), "{left}");
    assert!(left.contains("revoked/1") && left.contains("revoked/2"), "{left}");
    assert_eq!(etcdctl.say(&["lease", "revoke", &id]), format!("lease {id} revoked\n"));
    assert_eq!(etcdctl.say(&["get", "revoked/", "--prefix"]), "");

    let again = etcdctl.run(&["lease", "revoke", &id]);
    assert_ne!(again.code, 0);
    assert!(again.stderr.contains("etcdserver: requested lease not found"), "{again:?}");
    let unknown = etcdctl.run(&["put", "orphan", "x", &attach]);
    assert_ne!(unknown.code, 0);
    assert!(unknown.stderr.contains("etcdserver: requested lease not found"), "{unknown:?}");
}

fn errors_of_single_keys(Session { etcdctl, .. }: &Session) {
    let no_key = etcdctl.run(&["put", "", "x"]);
    assert_ne!(no_key.code, 0);
    assert!(no_key.stderr.contains("etcdserver: key is not provided"), "{no_key:?}");
    let absent = etcdctl.run(&["put", "absent", "--ignore-value"]);
    assert_ne!(absent.code, 0);
    assert!(absent.stderr.contains("etcdserver: key not found"), "{absent:?}");
}

fn member_list(Session { etcdctl, cluster }: &Session) {
    let simple = etcdctl.say(&["member", "list"]);
    let mut lines: Vec<Vec<&str>> = simple.lines().map(|l| l.split(", ").collect()).collect();
    lines.sort_by_key(|fields| fields.get(2).copied().unwrap_or_default().to_owned());
    assert_eq!(lines.len(), cluster.members.len(), "{simple}");
    for (fields, member) in lines.iter().zip(&cluster.members) {
        let (peer, client) = (member.peer_url(), member.client_url());
        assert_eq!(fields[1..], ["started", &member.name, &peer, &client, "false"], "{simple}");
        let id = u64::from_str_radix(fields[0], 16);
        assert!(id.is_ok_and(|id| id > 0), "an id in hexadecimal: {simple}");
    }

    let json = etcdctl.json(&["member", "list"]);
    let members = json["members"].as_array().expect("members are a list");
    for member in &cluster.members {
        let found = members.iter().find(|found| found["name"] == *member.name);
        let found = found.unwrap_or_else(|| panic!("{} is not in {json}", member.name));
        assert_eq!(found["clientURLs"][0], member.client_url(), "{json}");
        assert_eq!(found["peerURLs"][0], member.peer_url(), "{json}");
        let id = format!("{:x}", found["ID"].as_u64().expect("an id is a number"));
        assert!(lines.iter().any(|fields| fields[0] == id), "{id} is not in {simple}");
    }

    let table = etcdctl.say(&["member", "list", "-w", "table"]);
    let columns = ["ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"];
    assert_eq!(columns_of(&table), columns, "{table}");
    assert_eq!(table.lines().count(), 4 + cluster.members.len(), "{table}");
}

fn endpoint_health(Session { etcdctl, cluster }: &Session) {
    // etcdctl 3.4 says it on standard error, later ones on standard output.
    for args in [&["endpoint", "health"][..], &["endpoint", "health", "--cluster"]] {
        let outcome = etcdctl.run(args);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let said = outcome.stdout + &outcome.stderr;
        for member in &cluster.members {
            let healthy = format!("{} is healthy: successfully committed", member.endpoint());
            assert!(said.contains(&healthy), "{said}");
        }
    }
    let json = etcdctl.json(&["endpoint", "health"]);
    let all = json.as_array().expect("health is a list");
    assert_eq!(all.len(), cluster.members.len(), "{json}");
    assert!(all.iter().all(|one| one["health"] == true), "{json}");
    let table = etcdctl.say(&["endpoint", "health", "-w", "table"]);
    assert_eq!(table.matches(" true ").count(), cluster.members.len(), "{table}");
}

fn endpoint_status(Session { etcdctl, cluster }: &Session) {
    let simple = etcdctl.say(&["endpoint", "status"]);
    assert_eq!(simple.lines().count(), cluster.members.len(), "{simple}");
    for line in simple.lines() {
        let fields: Vec<&str> = line.split(", ").collect();
        // Endpoint, id, version, size, leader, learner, term, index, applied, errors.
        assert_eq!(fields.len(), 10, "{line}");
        assert_eq!(fields[2].split('.').count(), 3, "a version has three parts: {line}");
        assert_eq!(fields[5], "false", "nobody is a learner: {line}");
        assert!(fields[6..9].iter().all(|number| number.parse::<u64>().is_ok()), "{line}");
    }
    assert_eq!(simple.matches(", true, false, ").count(), 1, "one is the leader: {simple}");

    let json = etcdctl.json(&["endpoint", "status"]);
    let all = json.as_array().expect("status is a list");
    let leader = &all[0]["Status"]["leader"];
    for one in all {
        let status = &one["Status"];
        assert_eq!(&status["leader"], leader, "all know the same leader: {json}");
        assert!(status["dbSize"].as_u64().is_some_and(|size| size > 0), "{json}");
        assert!(status["raftIndex"].as_u64() >= status["raftAppliedIndex"].as_u64(), "{json}");
        assert!(status["raftTerm"].as_u64().is_some_and(|term| term > 0), "{json}");
        assert!(status["header"]["member_id"].as_u64().is_some_and(|id| id > 0), "{json}");
    }
    let table = etcdctl.say(&["endpoint", "status", "-w", "table"]);
    let columns = columns_of(&table);
    assert!(columns.contains(&"ENDPOINT") && columns.contains(&"RAFT TERM"), "{table}");
    assert_eq!(table.lines().count(), 4 + cluster.members.len(), "{table}");
}

fn alarm_list_is_empty(Session { etcdctl, .. }: &Session) {
    assert_eq!(etcdctl.say(&["alarm", "list"]), "");
}

fn move_leader(Session { etcdctl, cluster }: &Session) {
    if cluster.members.len() < 2 {
        return;
    }
    let (from, to) = leader_and_another(&etcdctl.json(&["endpoint", "status"]));
    let said = etcdctl.say(&["move-leader", &format!("{to:x}")]);
    assert_eq!(said, format!("Leadership transferred from {from:x} to {to:x}\n"));
    let moved = until(SOON, || {
        let status = etcdctl.json(&["endpoint", "status"]);
        let all = status.as_array().expect("status is a list");
        all.iter().all(|one| one["Status"]["leader"].as_u64() == Some(to)).then_some(())
    });
    moved.expect("everybody knows the new leader");
    assert_eq!(etcdctl.say(&["put", "after", "the move"]), "OK\n");
}

fn compaction_and_the_compacted_error(Session { etcdctl, .. }: &Session) {
    let first = revision_of(&etcdctl.json(&["put", "c", "1"]));
    etcdctl.say(&["put", "c", "2"]);
    etcdctl.say(&["put", "c", "3"]);
    let last = (first + 2).to_string();
    let said = etcdctl.say(&["compaction", &last]);
    assert_eq!(said, format!("compacted revision {last}\n"));
    assert_eq!(etcdctl.say(&["get", "c"]), "c\n3\n");
    assert_eq!(etcdctl.say(&["get", "c", "--rev", &last]), "c\n3\n");

    // A member that does not know of the compaction yet would take the watch, and serve it for ever.
    everybody_catches_up(etcdctl);
    let compacted = "etcdserver: mvcc: required revision has been compacted";
    let old = first.to_string();
    let watch_from = format!("--rev={first}");
    let refused: [&[&str]; 4] = [
        &["get", "c", "--rev", &old],
        &["compaction", &old],
        &["compaction", &last],
        &["watch", "c", &watch_from],
    ];
    for args in refused {
        let outcome = etcdctl.run(args);
        assert_ne!(outcome.code, 0, "{args:?}: {outcome:?}");
        assert!(outcome.stderr.contains(compacted), "{args:?}: {outcome:?}");
    }
    let future = etcdctl.run(&["compaction", &(first + 1000).to_string()]);
    assert_ne!(future.code, 0);
    assert!(future.stderr.contains("mvcc: required revision is a future revision"), "{future:?}");
}

/// Health is a linearizable read of each member, which waits until the member has applied all that
/// was acknowledged before. What members answer by themselves is up to date after that.
fn everybody_catches_up(etcdctl: &Etcdctl) {
    etcdctl.say(&["endpoint", "health"]);
}

fn revision_of(answer: &Value) -> i64 {
    answer["header"]["revision"].as_i64().expect("an answer has a revision")
}

/// The titles of a table, from the line below its first rule.
fn columns_of(table: &str) -> Vec<&str> {
    let titles = table.lines().nth(1).expect("a table has titles");
    titles.trim_matches('|').split('|').map(str::trim).collect()
}

/// The id in `lease 32695410dcc0ca06 granted with TTL(60s)`.
fn lease_id(said: &str) -> String {
    said.split_whitespace().nth(1).expect("a granted lease has an id").to_owned()
}

fn leader_and_another(status: &Value) -> (u64, u64) {
    let all = status.as_array().expect("status is a list");
    let leader = all[0]["Status"]["leader"].as_u64().expect("there is a leader");
    let ids = all.iter().filter_map(|one| one["Status"]["header"]["member_id"].as_u64());
    let another = ids.into_iter().find(|id| *id != leader);
    (leader, another.expect("there is a member that does not lead"))
}
