//! One command of `kvorum`, as a person or a script runs it: what goes wrong is named with the
//! phase it went wrong in and with what to do; ranges are not deleted unasked; bytes stay bytes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::ports;
use kvorum_tests::program::{Names, Program};
use kvorum_tests::wait::until;

struct Outcome {
    stdout: Vec<u8>,
    stderr: String,
    code: i32,
}

fn run(program: &Program, args: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Outcome {
    let mut command = program.command();
    command.args(args).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("kvorum runs");
    // A command that does not read its input may have closed it.
    let _ = child.stdin.take().expect("the input is a pipe").write_all(input);
    let output = child.wait_with_output().expect("kvorum ends");
    Outcome {
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().expect("kvorum is not killed"),
    }
}

/// Far above the two seconds that a connection may take to be made, so that what is told is how
/// that ended.
const PATIENT: &str = "10s";

fn get_from(endpoint: &str, command_timeout: &str) -> Outcome {
    let names = Names::of(binary!());
    let args = ["get", "a", "--endpoints", endpoint, "--command-timeout", command_timeout];
    run(&names.kvorum(), &args, &[], b"")
}

/// A listener that does `answer` with every connection, for as long as the test runs.
fn listener(answer: fn(std::net::TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address").to_string();
    thread::spawn(move || listener.incoming().flatten().for_each(answer));
    address
}

#[test]
fn where_nobody_listens_the_playground_is_named() {
    let endpoint = format!("127.0.0.1:{}", ports::free(1)[0]);
    let outcome = get_from(&endpoint, PATIENT);
    let expected = format!("error: nothing answers at {endpoint}\nhint: kvorum playground\n");
    assert_eq!((outcome.stderr, outcome.code), (expected, 1));
}

#[test]
fn a_name_that_does_not_exist_is_named() {
    let outcome = get_from("name.invalid:2379", PATIENT);
    let expected = "error: the name of name.invalid:2379 cannot be resolved: ";
    assert!(outcome.stderr.starts_with(expected), "{}", outcome.stderr);
    assert_eq!(outcome.code, 1);
}

#[test]
fn a_server_without_tls_is_told_from_one_that_is_not_there() {
    let address = listener(drop);
    let outcome = get_from(&format!("https://{address}"), PATIENT);
    let expected = format!("error: TLS with https://{address} failed: ");
    assert!(outcome.stderr.starts_with(&expected), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("\nhint: check --cacert"), "{}", outcome.stderr);
}

#[test]
fn a_server_of_something_else_does_not_speak_http2() {
    let address = listener(|mut stream| {
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    let outcome = get_from(&address, PATIENT);
    let expected = format!("error: {address} does not speak HTTP/2: ");
    assert!(outcome.stderr.starts_with(&expected), "{}", outcome.stderr);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let address =
        listener(|mut stream| while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {});
    let outcome = get_from(&address, "2s");
    let expected = format!("error: {address} did not answer within 2s\n");
    assert!(outcome.stderr.starts_with(&expected), "{}", outcome.stderr);
}

#[test]
fn a_cluster_without_a_leader_is_told_from_one_that_is_slow() {
    let names = Names::of(binary!());
    let mut cluster = Cluster::start(&names.server(), 3);
    cluster.members[1].kill();
    cluster.members[2].kill();
    let endpoint = cluster.members[0].endpoint();
    // Until its election timeout has passed, the member still hopes.
    let told = until(Duration::from_secs(30), || {
        let outcome = get_from(&endpoint, "2s");
        outcome.stderr.starts_with("error: no leader: ").then_some(outcome)
    });
    let outcome = told.expect("the reason is named");
    assert!(outcome.stderr.contains("\nhint: the cluster has no quorum"), "{}", outcome.stderr);
    assert_eq!(outcome.code, 1);
}

#[test]
fn as_etcdctl_a_dead_endpoint_is_tried_until_the_time_is_up() {
    let names = Names::of(binary!());
    let endpoint = format!("127.0.0.1:{}", ports::free(1)[0]);
    let args = ["get", "a", "--endpoints", &endpoint, "--command-timeout=300ms"];
    let outcome = run(&names.etcdctl(), &args, &[], b"");
    assert_eq!(outcome.stderr, "Error: context deadline exceeded\n");
    assert_eq!((outcome.stdout, outcome.code), (Vec::new(), 1));
}

#[test]
fn commands_and_flags_that_do_not_exist_are_named() {
    let kvorum = Names::of(binary!());
    for (args, named) in [
        (&["ge", "a"][..], "'ge'"),
        (&["get", "a", "--bad"], "'--bad'"),
        (&["get", "a", "--limit", "x"], "'x'"),
        (&["get", "a", "-w", "yaml"], "unsupported output format"),
    ] {
        let outcome = run(&kvorum.kvorum(), args, &[], b"");
        assert!(outcome.stderr.contains(named), "{args:?}: {}", outcome.stderr);
        assert_ne!(outcome.code, 0, "{args:?}");
    }
}

#[test]
fn against_a_member() {
    let names = Names::of(binary!());
    let cluster = Cluster::start(&names.server(), 1);
    let endpoint = cluster.endpoints();
    let kvorum = names.kvorum();
    let variables = [("ETCDCTL_ENDPOINTS", endpoint.as_str())];
    let run = |args: &[&str], input: &[u8]| run(&kvorum, args, &variables, input);

    let bytes = b"\x00\x1b[31m\xff\r\n\xe2\x80\xae";
    assert_eq!(run(&["put", "k"], bytes).code, 0);
    let printed = run(&["get", "k", "--print-value-only"], b"").stdout;
    assert_eq!(printed, [&bytes[..], b"\n"].concat(), "bytes are exact in a pipe");

    assert_eq!(run(&["get", "k", "--count-only"], b"").stdout, b"1\n");
    let elsewhere = run(&["get", "k", "--endpoints", "127.0.0.1:1"], b"");
    assert!(elsewhere.stderr.contains("127.0.0.1:1"), "a flag wins over its variable");
    let both = format!("127.0.0.1:1,{endpoint}");
    assert_eq!(run(&["put", "k", "v", "--endpoints", &both], b"").code, 0, "the next one is tried");

    for range in [&["del", "--prefix", "k"][..], &["del", "k", "l"], &["del", "--from-key", "k"]] {
        let refused = run(range, b"y\n");
        assert_eq!(refused.code, 128, "{range:?}");
        assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    }
    assert_eq!(run(&["del", "--prefix", "k", "--yes"], b"").stdout, b"1\n");
    assert_eq!(run(&["del", "k"], b"").stdout, b"0\n", "one key is deleted without a question");
}
