//! Services that come and go, and who looks for them.

use std::time::{Duration, Instant};

use kvorum_tests::etcdctl::{Etcdctl, Running};
use kvorum_tests::process::Process;
use rustix::process::Signal;
use serde_json::Value;

use crate::stage::{Stage, await_that, on_both};

/// The least that etcd grants.
const TTL: Duration = Duration::from_secs(2);

/// What a machine that is busy with other tests may take besides.
const SLACK: Duration = Duration::from_secs(2);

fn kvorum(stage: &Stage) -> Etcdctl {
    Etcdctl::new(&stage.names.kvorum(), stage.cluster.endpoints())
}

fn next(watch: &mut Running) -> Value {
    let line = watch.lines(1).remove(0);
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn register(stage: &Stage, address: &str, more: &[&str]) -> Process {
    let args = ["service", "register", "web", address, "--ttl", "2"];
    stage.start(address, &[&args, more].concat())
}

fn lease(stage: &Stage, key: &str) -> String {
    stage.say(&["get", key, "-o", "jsonpath={.kvs[0].lease}"]).trim().to_owned()
}

#[test]
fn a_resolver_sees_two_services_come_and_go_one_of_them_killed() {
    on_both(1, |stage| {
        let mut watch = kvorum(&stage).start(&["service", "watch", "web", "-o", "ndjson"]);
        let wait = ["--", "sh", "-c", ": > $0; until [ -e done ]; do sleep 0.02; done; exit 3"];
        let mut first = register(&stage, "127.0.0.1:1001", &[&wait[..], &["one"]].concat());
        let came = next(&mut watch);
        // Whether it came before the watch or after it is nobody's to say here.
        let event = came["event"].as_str().expect("it is told");
        assert!(["there", "added"].contains(&event), "{came}");
        assert_eq!(came["address"], "127.0.0.1:1001");
        let second = register(&stage, "127.0.0.1:1002", &[&wait[..], &["two"]].concat());
        let came = next(&mut watch);
        assert_eq!(came["event"], "added");
        assert_eq!(came["addresses"], serde_json::json!(["127.0.0.1:1001", "127.0.0.1:1002"]));
        assert_eq!(stage.say(&["service", "resolve", "web"]), "127.0.0.1:1001\n127.0.0.1:1002\n");
        let listed = stage.say(&["service", "list", "-o", "json"]);
        assert_eq!(listed, "[\n  {\"service\":\"web\",\"addresses\":2}\n]\n");

        let since = Instant::now();
        first.kill();
        let gone = next(&mut watch);
        assert_eq!(
            (&gone["event"], &gone["address"]),
            (&"removed".into(), &"127.0.0.1:1001".into())
        );
        assert!(since.elapsed() < TTL + Duration::from_secs(1) + SLACK, "{:?}", since.elapsed());
        assert_eq!(stage.say(&["service", "resolve", "web"]), "127.0.0.1:1002\n");

        // Who ends by itself is gone at once, and says how it ended.
        await_that("the second runs", || stage.path("two").exists());
        stage.write("done", "");
        assert_eq!(second.ended().code(), Some(3));
        assert_eq!(next(&mut watch)["addresses"], serde_json::json!([]));
        let none = stage.run(&["service", "resolve", "web"]);
        assert_eq!((none.code, none.stdout.as_str()), (1, ""), "{none:?}");
    });
}

#[test]
fn what_is_stored_is_what_etcds_resolver_reads_byte_for_byte() {
    on_both(1, |stage| {
        let meta = r#"{ "zone": "a<b>&c", "weight": 1.0 }"#;
        let mut process = register(&stage, "[::1]:80", &["--meta", meta]);
        await_that("it is registered", || stage.count("web/") == 1);
        assert_eq!(
            stage.value("web/[::1]:80"),
            r#"{"Op":0,"Addr":"[::1]:80","Metadata":{"zone":"a\u003cb\u003e\u0026c","weight":1.0}}"#
        );
        assert_ne!(lease(&stage, "web/[::1]:80"), "0000000000000000");
        // What Go's manager stores, and what a resolver leaves out.
        stage.say(&["put", "web/go", r#"{"Op":0,"Addr":"10.0.0.1:80","Metadata":null}"#]);
        stage.say(&["put", "web/text", "no JSON"]);
        assert_eq!(stage.say(&["service", "resolve", "web"]), "[::1]:80\n10.0.0.1:80\n");
        process.terminate();
        assert_eq!((process.ended().code(), stage.count("web/")), (Some(0), 2));
    });
}

#[test]
fn a_service_that_was_killed_is_registered_again_when_it_is_started_again() {
    on_both(1, |stage| {
        let address = "127.0.0.1:1001";
        let mut first = register(&stage, address, &[]);
        await_that("it is registered", || stage.count("web/") == 1);
        let before = lease(&stage, "web/127.0.0.1:1001");
        first.kill();
        let second = register(&stage, address, &[]);
        await_that("it says what it waits for", || second.log().contains("unless somebody keeps"));
        await_that("the new lease has it", || {
            stage.count("web/") == 1 && lease(&stage, "web/127.0.0.1:1001") != before
        });
    });
}

#[test]
fn an_address_that_somebody_has_is_taken_over_only_on_request() {
    on_both(1, |stage| {
        let address = "10.0.0.1:80";
        let mut first = register(&stage, address, &[]);
        await_that("it is registered", || stage.count("web/") == 1);
        let theirs = lease(&stage, "web/10.0.0.1:80");
        let again = ["service", "register", "web", address, "--", "true"];
        let refused = stage.run(&again);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains(&format!("under lease {theirs}")), "{refused:?}");
        let mut second =
            stage.start("second", &["service", "register", "web", address, "--replace"]);
        await_that("it is taken over", || lease(&stage, "web/10.0.0.1:80") != theirs);
        // Whoever was replaced takes nothing with it.
        first.terminate();
        assert_eq!((first.ended().code(), stage.count("web/")), (Some(0), 1));
        second.signal(Signal::INT);
        assert_eq!((second.ended().code(), stage.count("web/")), (Some(0), 0));

        for bad in
            [["web/", address], ["web", "10.0.0.1"], ["web", "http://10.0.0.1:80"], ["", address]]
        {
            let outcome = stage.run(&[&["service", "register"], &bad[..]].concat());
            assert_eq!(outcome.code, 128, "{outcome:?}");
        }
        let rehearsed = stage.say(&["service", "register", "web", address, "--dry-run"]);
        assert_eq!(rehearsed, "would register 10.0.0.1:80 for web, for 10 s at a time\n");
        assert_eq!(stage.run(&["service", "register", "web", address, "--read-only"]).code, 1);
    });
}

#[test]
fn after_an_outage_it_is_registered_again_under_a_new_lease() {
    on_both(1, |mut stage| {
        let address = "10.0.0.1:80";
        let process = register(&stage, address, &["--", "sleep", "600"]);
        await_that("it is registered", || stage.count("web/") == 1);
        let first = lease(&stage, "web/10.0.0.1:80");
        stage.say(&["lease", "revoke", &first]);
        await_that("it is registered again", || {
            stage.read(address).matches("is registered again").count() == 1
        });
        let second = lease(&stage, "web/10.0.0.1:80");
        assert_ne!(first, second);
        stage.cluster.members[0].kill();
        await_that("the lease is missed", || stage.read(address).matches("warning: ").count() == 2);
        stage.cluster.members[0].start();
        stage.cluster.await_serving();
        // The lease before may be there for a while yet, and what hangs on it is its own.
        await_that("it is registered again", || {
            stage.read(address).matches("is registered again").count() == 2
        });
        assert_ne!(lease(&stage, "web/10.0.0.1:80"), second);
        let mut process = process;
        process.terminate();
        assert_eq!((process.ended().code(), stage.count("web/")), (Some(143), 0));
    });
}

#[test]
fn a_registration_that_somebody_takes_away_comes_back_when_nobody_else_has_it() {
    on_both(1, |stage| {
        let address = "10.0.0.1:80";
        let mut process = register(&stage, address, &[]);
        await_that("it is registered", || stage.count("web/") == 1);
        stage.say(&["del", "web/10.0.0.1:80"]);
        await_that("it is registered again", || {
            process.log().contains("somebody deleted or took its key: registering again\n")
                && process.log().contains("is registered again")
        });
        let own = lease(&stage, "web/10.0.0.1:80");
        stage.say(&["put", "web/10.0.0.1:80", r#"{"Op":0,"Addr":"10.0.0.1:80"}"#]);
        await_that("it says who has it", || process.log().contains("is not registered yet: "));
        stage.say(&["del", "web/10.0.0.1:80"]);
        await_that("it is registered again", || {
            stage.count("web/") == 1 && lease(&stage, "web/10.0.0.1:80") != own
        });
        process.terminate();
        assert_eq!((process.ended().code(), stage.count("web/")), (Some(0), 0));
    });
}

#[test]
fn what_comes_and_goes_is_one_document_each() {
    let stage = Stage::ours(1);
    let watch = stage.start("watch", &["service", "watch", "web", "-o", "json"]);
    let mut service = register(&stage, "10.0.0.1:80", &[]);
    let said = || -> Vec<Value> {
        let log = watch.log();
        // The log begins with the command.
        let output = log.find("\n{").map_or("", |at| &log[at..]);
        let documents = serde_json::Deserializer::from_str(output).into_iter::<Value>();
        documents.filter_map(Result::ok).collect()
    };
    await_that("it is told", || said().len() == 1);
    service.terminate();
    await_that("both are told", || said().len() == 2);
    let events: Vec<_> = said().iter().map(|change| change["event"].clone()).collect();
    // It may have come before the watch.
    assert!(events == ["there", "removed"] || events == ["added", "removed"], "{events:?}");
}
