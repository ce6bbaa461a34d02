use std::time::Duration;

use kvorum_client::{Cause, ConnectError, Greeting, KeyKind, Moment, Phase};

use super::{Found, Topic, find, topics};

fn name(words: &str) -> &'static str {
    match find(words) {
        Found::Topic(topic) => topic.name,
        Found::Near(near) => panic!("{words:?} is not known, but near {near:?}"),
    }
}

#[test]
fn the_table_is_whole() {
    let kinds = ["topic", "also", "means", "why", "next"];
    for line in include_str!("topics.txt").lines() {
        let kind = line.split(' ').next().unwrap();
        assert!(line.is_empty() || line.starts_with('#') || kinds.contains(&kind), "{line}");
    }
    let mut names: Vec<&str> = topics().iter().map(|topic| topic.name).collect();
    for Topic { name, means, next, .. } in topics() {
        assert!(!means.is_empty() && !next.is_empty(), "{name} says what it means and what to do");
    }
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "no name twice");
}

#[test]
fn a_topic_is_found_by_name_alarm_code_and_message() {
    for (words, topic) in [
        ("NOSPACE", "NOSPACE"),
        ("nospace", "NOSPACE"),
        ("128", "exit 128"),
        ("exit 3", "exit 3"),
        ("75", "exit 75"),
        ("130", "exit 130"),
        ("etcdserver: too many requests", "too many requests"),
        ("Error: etcdserver: mvcc: database space exceeded", "NOSPACE"),
        (
            "rpc error: code = OutOfRange desc = etcdserver: mvcc: required revision has been \
             compacted",
            "compacted",
        ),
        ("memberID:10501334649042878790 alarm:CORRUPT", "CORRUPT"),
        ("error: nothing answers at 127.0.0.1:2379", "nothing answers"),
        ("required revision is a future", "future revision"),
        ("context deadline exceeded", "context deadline exceeded"),
    ] {
        assert_eq!(name(words), topic, "{words}");
    }
}

#[test]
fn every_message_of_etcd_is_known_whole() {
    // The texts of api/v3rpc/rpctypes/error.go, of which these are all.
    let messages = include_str!("etcd_messages.txt").lines();
    let unknown: Vec<&str> = messages
        .filter(|message| !topics().iter().any(|topic| topic.also.contains(message)))
        .collect();
    assert_eq!(unknown, [] as [&str; 0]);
}

#[test]
fn what_is_near_is_offered_and_what_is_far_is_not() {
    for (words, topic) in [("NOSPCE", "NOSPACE"), ("lease nt foud", "lease not found")] {
        let Found::Near(near) = find(words) else { panic!("{words} is known") };
        assert!(near.contains(&topic), "{words}: {near:?}");
    }
    assert_eq!(find("xyzzy"), Found::Near(vec![]));
    assert_eq!(find(""), Found::Near(vec![]));
}

#[test]
fn every_cause_of_a_connection_that_fails_is_known() {
    let now = Moment(1_800_000_000);
    let text = |text: &str| text.to_owned();
    let greeting = || Greeting::Other(text("SSH-2.0"));
    for (cause, topic) in [
        (Cause::Unresolvable { reason: text("?") }, "name cannot be resolved"),
        (Cause::Refused, "nothing answers"),
        (
            Cause::Late { phase: Phase::Connect, after: Duration::from_secs(2) },
            "context deadline exceeded",
        ),
        (Cause::SpeaksTls, "speaks TLS"),
        (Cause::SpeaksPlain { greeting: Greeting::Http2 }, "does not speak TLS"),
        (Cause::SpeaksPlain { greeting: greeting() }, "does not speak TLS"),
        (Cause::NotHttp2 { said: text("SSH-2.0") }, "does not speak HTTP/2"),
        (Cause::NoHttp2Offered, "does not speak HTTP/2"),
        (Cause::NoGrpc { said: text("HTTP status code 404") }, "does not speak HTTP/2"),
        (Cause::PeerPort { client_urls: vec![] }, "peer port"),
        (
            Cause::UnknownAuthority { issuer: text("ca"), self_signed: false, cacert: None },
            "unknown authority",
        ),
        (Cause::WrongName { wanted: text("a"), names: vec![text("b")] }, "wrong name"),
        (Cause::WrongName { wanted: text("a"), names: vec![] }, "wrong name"),
        (Cause::Expired { not_after: now, now }, "certificate expired"),
        (Cause::NotYetValid { not_before: now, now }, "certificate not yet valid"),
        (Cause::WantsCertificate { authorities: vec![] }, "client certificate"),
        (Cause::RefusesCertificate { own: None, why: text("?"), now }, "client certificate"),
        (Cause::UnknownKind { key: KeyKind::P521 }, "kind of certificate"),
        (Cause::NothingInCommon, "kind of certificate"),
        (Cause::Tls { reason: text("?") }, "TLS failed"),
    ] {
        let error = ConnectError { endpoint: text("https://10.0.0.1:2379"), cause };
        assert_eq!(name(&format!("error: {error}")), topic, "{error}");
    }
}
