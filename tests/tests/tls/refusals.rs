//! Who may not come in, may not on any listener (GHSA-3wh4-j44w-pg92).

use kvorum_tests::binary;
use kvorum_tests::certificates::{Authority, Certified, Wanted, replace};
use kvorum_tests::cluster::Schemes;
use kvorum_tests::https::HttpsClient;
use kvorum_tests::program::Names;

use crate::surroundings::{Surroundings, start};

const LOOPBACK: &[&str] = &["127.0.0.1", "localhost"];

#[test]
fn whoever_may_not_come_in_may_not_on_any_listener() {
    let names = Names::of(binary!());
    let around = Surroundings::new();
    let authority = &around.authority;
    let revoked = authority.certify("alice");
    replace(&around.path().join("revoked"), &authority.revoke(&[&revoked]));
    let as_wanted =
        |common_name, names, expired| authority.certify_as(Wanted { common_name, names, expired });
    let nobody: &[(&str, Option<Certified>)] = &[
        ("no certificate", None),
        ("another authority's", Some(Authority::new("the authority").certify("alice"))),
        ("an expired one", Some(as_wanted("alice", LOOPBACK, true))),
        ("a revoked one", Some(revoked)),
        ("one for another host", Some(as_wanted("alice", &["10.9.8.7"], false))),
    ];
    let mut flags = around.server_flags("", "--client-cert-auth");
    flags.push("--client-cert-allowed-hostname=localhost".to_owned());
    flags.push("--listen-client-http-urls=https://127.0.0.1:{port}".to_owned());
    flags.push("--listen-metrics-urls=https://127.0.0.1:{port}".to_owned());
    flags.extend(around.server_flags("peer-", "--peer-client-cert-auth"));
    flags.push("--peer-cert-allowed-cn=server,alice".to_owned());
    let schemes = Schemes { client: "https", peer: "https" };
    let cluster = start(&names, 1, schemes, &flags);
    let member = &cluster.members[0];
    let ports = &member.other_ports;
    // gRPC alone is served where HTTP has a listener of its own.
    let listeners = [("http", ports[0]), ("metrics", ports[1]), ("peer", member.peer_port())];
    for (listener, port) in listeners {
        let path = if listener == "metrics" { "/health" } else { "/version" };
        let get =
            |shown: Option<&Certified>| HttpsClient::new(&authority.pem, shown).get(port, path);
        let answer = get(Some(&around.client)).unwrap_or_else(|why| {
            panic!("alice is refused at {listener}: {why}\n{}", member.log())
        });
        assert!(answer.text.starts_with("HTTP/1.1 200"), "{listener}: {}", answer.text);
        for (what, shown) in nobody {
            let answer = get(shown.as_ref());
            assert!(answer.is_err(), "{what} is let in at {listener}: {answer:?}");
        }
    }
    // gRPC's own listener, with the same clients; what they lack is not HTTP.
    let program = names.etcdctl();
    let ctl = |flags: Vec<&str>| {
        kvorum_tests::etcdctl::Etcdctl::new(&program, member.client_url())
            .with(&flags)
            .with(&["--command-timeout=1s", "--dial-timeout=1s"])
            .run(&["put", "key", "value"])
    };
    let good = ctl(around.client_flags(&around.client));
    assert_eq!(good.code, 0, "{good:?}");
    let authority_flag = format!("--cacert={}", around.authority_file());
    for (what, shown) in nobody {
        let outcome = match shown {
            Some(shown) => ctl(around.client_flags(shown)),
            None => ctl(vec![&authority_flag]),
        };
        assert_ne!(outcome.code, 0, "{what}: {outcome:?}");
    }
    // Peers have conditions of their own.
    let mallory = authority.certify("mallory");
    let answer =
        HttpsClient::new(&authority.pem, Some(&mallory)).get(member.peer_port(), "/version");
    assert!(answer.is_err(), "a common name that is not allowed is let in: {answer:?}");
    assert!(HttpsClient::new(&authority.pem, Some(&mallory)).get(ports[0], "/version").is_ok());
}
