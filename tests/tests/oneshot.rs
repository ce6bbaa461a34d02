//! One command of `kvorum`, as a person or a script runs it: what goes wrong is named with the
//! phase it went wrong in and with what to do; ranges are not deleted unasked; bytes stay bytes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use kvorum_tests::binary;
use kvorum_tests::cluster::Cluster;
use kvorum_tests::http;
use kvorum_tests::ports;
use kvorum_tests::program::{Names, Program};
use kvorum_tests::terminal::Terminal;
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
fn where_nobody_listens_it_is_said_what_to_check() {
    let endpoint = format!("127.0.0.1:{}", ports::free(1)[0]);
    let outcome = get_from(&endpoint, PATIENT);
    let expected = format!(
        "error: nothing answers at {endpoint}\nhint: check that a member runs there, and that this is \
         its client port (2379 unless it was changed)\n"
    );
    assert_eq!((outcome.stderr, outcome.code), (expected, 1));
}

#[test]
fn an_address_without_a_port_is_told_with_the_port_that_was_tried() {
    let outcome = get_from("127.255.255.254", "300ms");
    let tried = "127.255.255.254 (no port was given, so the usual one was tried: 2379)";
    assert!(outcome.stderr.contains(tried), "{}", outcome.stderr);
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

/// A member, and a way to run `kvorum` at it.
struct Place {
    names: Names,
    cluster: Cluster,
}

impl Place {
    fn new() -> Place {
        let names = Names::of(binary!());
        let cluster = Cluster::start(&names.server(), 1);
        Place { names, cluster }
    }

    fn run(&self, line: &str) -> Outcome {
        let endpoint = self.cluster.endpoints();
        let args: Vec<&str> = line.split(' ').collect();
        run(&self.names.kvorum(), &args, &[("ETCDCTL_ENDPOINTS", &endpoint)], b"")
    }

    fn says(&self, line: &str) -> String {
        let outcome = self.run(line);
        assert_eq!(outcome.code, 0, "{line}: {}", outcome.stderr);
        String::from_utf8(outcome.stdout).expect("it is text")
    }
}

#[test]
fn authentication_is_enabled_looked_at_and_disabled() {
    let place = Place::new();
    let off = place.says("auth status");
    assert!(off.starts_with("Authentication Status: false\nAuthRevision: "), "{off}");
    let early = place.run("auth enable");
    assert!(early.stderr.contains("\nhint: authentication needs a user root"), "{}", early.stderr);

    place.says("user add root:secret");
    assert_eq!(place.says("auth enable"), "Authentication Enabled\n");
    let nobody = place.run("get a");
    assert!(nobody.stderr.contains("\nhint: this cluster wants a user"), "{}", nobody.stderr);
    let wrong = place.run("--user root:wrong get a");
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("\nhint: check --user and --password"), "{}", wrong.stderr);
    let on = place.says("--user root:secret auth status -w json");
    assert!(on.contains("\"enabled\":true"), "{on}");

    assert_eq!(place.says("--user root:secret auth disable"), "Authentication Disabled\n");
    assert_eq!(place.says("--user root:secret get a"), "", "credentials are not looked at");
}

#[test]
fn a_token_stands_in_for_a_user_and_a_password() {
    let place = Place::new();
    place.says("user add root:secret");
    place.says("put a 1");
    place.says("auth enable");
    let body = r#"{"name":"root","password":"secret"}"#;
    let endpoint = place.cluster.members[0].endpoint();
    let answer = http::request(&endpoint, "POST /v3/auth/authenticate", &[], body);
    let answer = answer.expect("the gateway answers").json();
    let token = answer["token"].as_str().expect("a token comes");

    assert_eq!(place.says(&format!("--auth-jwt-token={token} get a")), "a\n1\n");
    let with_user = format!("--auth-jwt-token {token} --user root:wrong auth status");
    assert!(place.says(&with_user).starts_with("Authentication Status: true\n"));
    let other = place.run("--auth-jwt-token other get a");
    assert!(other.stderr.contains("invalid auth token"), "{}", other.stderr);
    assert_eq!(other.code, 1);
}

#[test]
fn an_answer_in_parts_is_the_same_answer() {
    let place = Place::new();
    for key in ["a", "b", "c"] {
        place.says(&format!("put {key} 1"));
    }
    for flags in ["--prefix", "--prefix --limit 2", "--prefix --keys-only", "--from-key --rev 3"] {
        let line = |more: &str| format!("get -w json {flags} {more} a");
        assert_eq!(place.says(&line("--stream")), place.says(&line("--stream=false")), "{flags}");
    }
}

#[test]
fn what_only_one_member_can_do_is_asked_of_that_member() {
    let place = Place::new();
    let endpoint = place.cluster.endpoints();
    let defragmented = place.says("defrag");
    let expected = format!("Finished defragmenting etcd member[{endpoint}]. took ");
    assert!(defragmented.starts_with(&expected), "{defragmented}");
    let hashed = place.says("endpoint hashkv");
    assert!(hashed.starts_with(&format!("{endpoint}, ")), "{hashed}");
    let nobody = place.run("move-leader 1");
    assert_eq!(nobody.code, 1, "{}", nobody.stderr);
    assert_eq!(place.says("alarm list"), "");
}

/// What a command leaves on a terminal of this width, and whether it is coloured.
fn on_terminal(program: &Program, args: &[&str], columns: u16, colours: bool) -> (String, bool) {
    let mut command = program.command();
    command.args(args);
    if colours {
        command.env_remove("NO_COLOR");
    }
    let mut terminal = Terminal::start(command, columns, 60);
    terminal.ended();
    (terminal.screen(), terminal.is_coloured())
}

#[test]
fn a_terminal_is_coloured_for_kvorum_alone_and_a_pipe_only_if_it_is_asked_for() {
    let names = Names::of(binary!());
    let cluster = Cluster::start(&names.server(), 1);
    let (kvorum, etcdctl) = (names.kvorum(), names.etcdctl());
    let endpoints = format!("--endpoints={}", cluster.endpoints());
    let get = ["get", "/a", &endpoints];
    assert_eq!(run(&kvorum, &["put", "/a", "1", &endpoints], &[], b"").code, 0);
    let colour = |args: &[&str]| on_terminal(&kvorum, args, 80, true).1;
    assert!(colour(&get), "a key has a colour");
    assert!(colour(&["get", "--rev=99", "/a", &endpoints]), "an error has a colour");
    assert!(colour(&["nonsense"]), "and so has a usage error");
    for more in ["--color=never", "--plain"] {
        assert!(!colour(&[&get[..], &[more]].concat()), "{more}");
    }
    assert!(!on_terminal(&kvorum, &get, 80, false).1, "NO_COLOR");
    for args in [&get[..], &["get", "--rev=99", "/a", &endpoints]] {
        assert!(!on_terminal(&etcdctl, args, 80, true).1, "as etcdctl {args:?}");
    }
    assert_eq!(run(&kvorum, &get, &[("NO_COLOR", "")], b"").stdout, b"/a\n1\n");
    let always = run(&kvorum, &[&get[..], &["--color=always"]].concat(), &[], b"");
    assert_eq!(always.stdout, b"\x1b[35m/a\x1b[0m\n1\n");
}

#[test]
fn what_does_not_fit_a_terminal_is_made_to_fit_and_a_pipe_gets_all_of_it() {
    let names = Names::of(binary!());
    let cluster = Cluster::start(&names.server(), 1);
    let kvorum = names.kvorum();
    let endpoints = format!("--endpoints={}", cluster.endpoints());
    let status = ["endpoint", "status", "-o", "table", &endpoints];
    let (list, _) = on_terminal(&kvorum, &status, 80, false);
    assert!(list.starts_with("ENDPOINT                  127.0.0.1:"), "{list}");
    assert!(list.contains("\nRAFT APPLIED INDEX        "), "{list}");
    let piped = String::from_utf8(run(&kvorum, &status, &[], b"").stdout).expect("it is text");
    assert!(piped.lines().all(|line| line.len() > 200), "{piped}");

    let sentence = "a member's database has reached its quota, and the whole cluster takes";
    let (explained, _) = on_terminal(&kvorum, &["explain", "NOSPACE"], 80, false);
    let broken = format!("means  {sentence}\n       only reads");
    assert!(explained.contains(&broken), "{explained}");
    let piped = run(&kvorum, &["explain", "NOSPACE"], &[], b"").stdout;
    assert!(String::from_utf8_lossy(&piped).contains(&format!("{sentence} only reads")));
}

#[test]
fn a_key_with_a_revision_behind_it_is_told_how_to_be_asked_for() {
    let names = Names::of(binary!());
    let cluster = Cluster::start(&names.server(), 1);
    let endpoints = format!("--endpoints={}", cluster.endpoints());
    let told = |program: &Program, args: &[&str]| {
        let outcome = run(program, &[args, &[&endpoints]].concat(), &[], b"");
        (outcome.stdout, outcome.stderr, outcome.code)
    };
    let hint =
        "hint: there is no key of this name; as /a was at revision 9: kvorum get /a --rev 9\n";
    let kvorum = names.kvorum();
    assert_eq!(told(&kvorum, &["get", "/a@9"]), (vec![], hint.to_owned(), 0));
    assert_eq!(told(&kvorum, &["get", "/a@9", "-q"]), (vec![], String::new(), 0));
    assert_eq!(told(&names.etcdctl(), &["get", "/a@9"]), (vec![], String::new(), 0));
    assert_eq!(told(&kvorum, &["put", "/a@9", "v"]).2, 0);
    assert_eq!(told(&kvorum, &["get", "/a@9"]), (b"/a@9\nv\n".to_vec(), String::new(), 0));
    let (_, refused, code) = told(&kvorum, &["show", "/a@-1"]);
    assert!(refused.contains("\nhint: behind @ stands a revision, as in /a@12; "), "{refused}");
    assert_eq!(code, 1);
}
