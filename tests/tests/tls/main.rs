//! TLS as clients and peers meet it: who gets in, on every listener; files that change under load;
//! connections on which nothing is said.

mod common_name;
mod members;
mod refusals;
mod rotation;
mod silent;
mod surroundings;

use std::fs;
use std::path::Path;

use kvorum_tests::cluster::{Cluster, Schemes};
use kvorum_tests::etcdctl::Etcdctl;
use kvorum_tests::https::HttpsClient;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcdctl};
use kvorum_tests::{binary, or_skip};
use tempfile::tempdir;

use surroundings::{SECURE_CLIENTS, Surroundings, start};

#[test]
fn etcdctl_and_our_own_commands_come_in_with_a_certificate() {
    let names = Names::of(binary!());
    let around = Surroundings::new();
    let flags = around.server_flags("", "--client-cert-auth");
    let cluster = start(&names, 1, SECURE_CLIENTS, &flags);
    let url = cluster.members[0].client_url();
    let programs = [names.etcdctl(), names.kvorum(), or_skip!(real_etcdctl(), NO_ETCD)];
    for (nth, program) in programs.iter().enumerate() {
        let mutual = Etcdctl::new(program, &url).with(&around.client_flags(&around.client));
        let value = nth.to_string();
        mutual.say(&["put", "key", &value]);
        let got = mutual.say(&["get", "key", "--print-value-only"]);
        assert_eq!(got.trim_end(), value, "{program:?}");
        streams_work(&mutual, &around.path().join(format!("{value}.db")));
        // Who the server is is not asked; it asks all the same.
        let trusting = Etcdctl::new(program, &url)
            .with(&around.shown_flags(&around.client))
            .with(&["--insecure-skip-tls-verify"]);
        trusting.say(&["get", "key"]);
        refused(program, &url, &["--cacert", &around.authority_file()]);
        refused(program, &url, &["--insecure-skip-tls-verify"]);
    }
    let why = "the client has no certificate, or none with a key that is RSA";
    assert!(cluster.members[0].log().contains(why), "it is said why");
}

/// What goes on for longer than a question and its answer.
fn streams_work(ctl: &Etcdctl, snapshot: &Path) {
    let mut watch = ctl.start(&["watch", "watched", "--rev=1"]);
    ctl.say(&["put", "watched", "value"]);
    assert_eq!(watch.lines(3), ["PUT", "watched", "value"]);
    let granted = ctl.json(&["lease", "grant", "60"]);
    let lease = granted["ID"].as_i64().expect("a lease has an ID");
    let lease = format!("{lease:016x}");
    let kept = ctl.say(&["lease", "keep-alive", "--once", &lease]);
    assert_eq!(kept.trim_end(), format!("lease {lease} keepalived with TTL(60)"));
    ctl.say(&["del", "watched"]);
    let path = snapshot.display().to_string();
    ctl.say(&["snapshot", "save", &path]);
    assert!(fs::metadata(snapshot).expect("the snapshot is there").len() > 0);
}

/// A command that fails fast, and fails because the server ends the connection.
fn refused(program: &Program, url: &str, flags: &[&str]) {
    let quick = ["--command-timeout=1s", "--dial-timeout=1s"];
    let outcome = Etcdctl::new(program, url).with(flags).with(&quick).run(&["get", "key"]);
    assert_ne!(outcome.code, 0, "{program:?} {flags:?}: {outcome:?}");
    let texts = ["context deadline exceeded", "wants to be shown a client certificate"];
    let is_said = texts.iter().any(|text| outcome.stderr.contains(text));
    assert!(is_said, "{program:?} {flags:?}: {outcome:?}");
}

#[test]
fn three_members_speak_tls_with_each_other_and_their_clients() {
    let names = Names::of(binary!());
    let around = Surroundings::new();
    let mut flags = around.server_flags("", "--client-cert-auth");
    flags.extend(around.server_flags("peer-", "--peer-client-cert-auth"));
    let schemes = Schemes { client: "https", peer: "https" };
    let mut cluster = start(&names, 3, schemes, &flags);
    let shown = around.client_flags(&around.client);
    let program = names.etcdctl();
    let ctl = |url: String| Etcdctl::new(&program, url).with(&shown);
    for member in &cluster.members {
        ctl(member.client_url()).say(&["put", "by", &member.name]);
    }
    cluster.members[0].kill();
    ctl(cluster.members[1].client_url()).say(&["put", "by", "two"]);
    cluster.members[0].start();
    cluster.members[0].await_serving();
    let got = ctl(cluster.members[0].client_url()).say(&["get", "by", "--print-value-only"]);
    assert_eq!(got.trim_end(), "two");
    // What is served to peers by HTTP is there too.
    let peer = HttpsClient::new(&around.authority.pem, Some(&around.client));
    for path in ["/version", "/members"] {
        let answer = peer.get(cluster.members[0].peer_port(), path).expect("a peer is answered");
        assert!(answer.text.starts_with("HTTP/1.1 200"), "{path}: {}", answer.text);
    }
}

#[test]
fn without_certificates_members_make_their_own_and_keep_them() {
    let names = Names::of(binary!());
    let schemes = Schemes { client: "https", peer: "https" };
    let flags = ["--auto-tls", "--peer-auto-tls"];
    let mut cluster = Cluster::start_over(&names.server(), 3, schemes, &flags);
    let member = &mut cluster.members[0];
    let made = member.data_dir().join("fixtures/client/cert.pem");
    let trusted = made.display().to_string();
    let programs = [names.etcdctl(), or_skip!(real_etcdctl(), NO_ETCD)];
    for program in &programs {
        let url = member.client_url();
        Etcdctl::new(program, &url).with(&["--cacert", &trusted]).say(&["put", "key", "a"]);
        // By itself, etcdctl 3.4 takes the first for a flag of a plain connection.
        let trusting = ["--insecure-skip-tls-verify", "--insecure-transport=false"];
        Etcdctl::new(program, &url).with(&trusting).say(&["get", "key"]);
    }
    let before = std::fs::read(&made).expect("the certificate is there");
    member.kill();
    member.start();
    member.await_serving();
    assert_eq!(std::fs::read(&made).expect("it still is"), before);
}

#[test]
fn versions_and_suites_are_those_of_the_flags() {
    let names = Names::of(binary!());
    let around = Surroundings::new();
    const SUITE: &str = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let mut flags = around.server_flags("", "--client-cert-auth");
    flags.push(format!("--cipher-suites={SUITE}"));
    let mut cluster = start(&names, 1, SECURE_CLIENTS, &flags);
    let newest = HttpsClient::new(&around.authority.pem, Some(&around.client));
    let older = HttpsClient::of_tls12(&around.authority.pem, Some(&around.client));
    let member = &mut cluster.members[0];
    let port = member.client_port();
    let version = |client: &HttpsClient| client.get(port, "/version");
    assert_eq!(version(&newest).expect("it is served").version, "TLSv1_3");
    let answer = version(&older).expect("it is served");
    assert_eq!((answer.version.as_str(), answer.suite.as_str()), ("TLSv1_2", SUITE));
    for (flag, newest_speaks) in
        [("--tls-max-version=TLS1.2", Some("TLSv1_2")), ("--tls-min-version=TLS1.3", None)]
    {
        member.kill();
        member.flags.retain(|flag| !flag.starts_with("--cipher"));
        member.flags.push(flag.to_owned());
        member.start();
        member.await_serving();
        match newest_speaks {
            Some(spoken) => {
                assert_eq!(version(&newest).expect("it is served").version, spoken);
                member.flags.pop();
            }
            None => assert!(version(&older).is_err(), "TLS 1.2 is refused"),
        }
    }
}

#[test]
fn a_unix_socket_is_as_good_as_a_port() {
    let names = Names::of(binary!());
    let around = Surroundings::new();
    let folder = tempdir().expect("a temporary folder can be made");
    let plain = folder.path().join("plain").display().to_string();
    let secure = folder.path().join("secure").display().to_string();
    let mut flags = around.server_flags("", "--client-cert-auth");
    flags.push(format!("--listen-client-urls=unix://{plain},unixs://{secure}"));
    let _cluster = start(&names, 1, SECURE_CLIENTS, &flags);
    // Not etcdctl 3.4, whose grpc sends the path as the authority of a request: h2 refuses that as
    // malformed.
    for program in &[names.etcdctl(), names.kvorum()] {
        Etcdctl::new(program, format!("unix://{plain}")).say(&["put", "key", "value"]);
        let ctl = Etcdctl::new(program, format!("unixs://{secure}"));
        ctl.with(&around.client_flags(&around.client)).say(&["get", "key"]);
    }
}
