//! Connections on which nothing is asked (GHSA-6vch-q96h-7gc3), be it that nothing is said or the
//! beginning of something: others are served meanwhile, and after a while nothing is left of them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use kvorum_tests::binary;
use kvorum_tests::http::request;
use kvorum_tests::https::HttpsClient;
use kvorum_tests::program::Names;
use kvorum_tests::wait::until;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::surroundings::{SECURE_CLIENTS, Surroundings, start};

/// How many, unless `KVORUM_SILENT_CONNECTIONS` says otherwise; the promise is for 10,000.
const CONNECTIONS: usize = 2_000;

/// Threads that open them: all must be there before the first is closed.
const OPENERS: usize = 8;

/// How long anything may be left of them.
const FREED_WITHIN: Duration = Duration::from_secs(15);

/// How long anyone else may wait meanwhile, on two busy cores: not until the silent are gone, which
/// takes ten seconds.
const SERVED_WITHIN: Duration = Duration::from_secs(5);

/// Most memory they may cost together.
const MAX_EXTRA_KIB: u64 = 200 << 10;

#[derive(Clone, Copy)]
enum Port {
    Secure,
    /// That of peers.
    Plain,
    Metrics,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What they say, in turn: nothing, a handshake that goes no further, a request that does not end,
/// HTTP/2 without a word after its preface.
const BEGINNINGS: &[(Port, &[u8])] = &[
    (Port::Secure, b""),
    (Port::Secure, &[0x16]),
    (Port::Plain, b""),
    (Port::Plain, b"G"),
    (Port::Plain, PREFACE),
    (Port::Metrics, b"G"),
    (Port::Metrics, PREFACE),
    (Port::Secure, b""),
];

#[test]
fn silent_connections_keep_nobody_out_and_do_not_last() {
    let wanted = std::env::var("KVORUM_SILENT_CONNECTIONS").ok();
    let connections = wanted.and_then(|text| text.parse().ok()).unwrap_or(CONNECTIONS);
    raise_open_files(connections);
    let around = Surroundings::new();
    let mut flags = around.server_flags("", "--client-cert-auth");
    flags.push("--listen-metrics-urls=http://127.0.0.1:{port}".to_owned());
    let names = Names::of(binary!());
    let mut cluster = start(&names, 1, SECURE_CLIENTS, &flags);
    let member = &mut cluster.members[0];
    let (secure, plain) = (member.client_port(), member.peer_port());
    let process = member.running().id();
    let before = (open_files(process), resident_kib(process));
    let begun = Instant::now();
    let metrics = member.other_ports[0];
    let open = |nth: usize| {
        let (port, said) = BEGINNINGS[nth % BEGINNINGS.len()];
        let port = match port {
            Port::Secure => secure,
            Port::Plain => plain,
            Port::Metrics => metrics,
        };
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it is accepted");
        // It may have had to give way already.
        let _ = stream.write_all(said);
        stream
    };
    let silent: Vec<TcpStream> = thread::scope(|scope| {
        let each = |first| move || (first..connections).step_by(OPENERS).map(open).collect();
        let opening: Vec<_> = (0..OPENERS).map(|first| scope.spawn(each(first))).collect();
        let opened = opening.into_iter().map(|opener| opener.join().expect("all are opened"));
        opened.flat_map(|streams: Vec<TcpStream>| streams).collect()
    });
    let opened = begun.elapsed();
    let alice = HttpsClient::new(&around.authority.pem, Some(&around.client));
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let asked = Instant::now();
        alice.get(secure, "/health").expect("others are served");
        for (port, path) in [(plain, "/version"), (metrics, "/health")] {
            let address = format!("127.0.0.1:{port}");
            let answer = request(&address, &format!("GET {path}"), &[], "");
            assert_eq!(answer.expect("others are served").status, 200);
        }
        slowest = slowest.max(asked.elapsed());
    }
    let during = (open_files(process), resident_kib(process));
    for mut stream in silent {
        let left = (begun + opened + FREED_WITHIN).saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).expect("it can be set");
        let ended = match stream.read_to_end(&mut Vec::new()) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        };
        assert!(ended, "a connection lasts after {:?}", begun.elapsed());
    }
    let freed = begun.elapsed();
    let files = until(Duration::from_secs(5), || {
        (open_files(process) <= before.0 + 2).then_some(open_files(process))
    });
    let after = resident_kib(process);
    let _ = writeln!(
        std::io::stderr(),
        "{connections} silent connections: opened in {opened:?}, files {} -> {} -> {files:?}, \
         resident KiB {} -> {} -> {after}, slowest request meanwhile {slowest:?}, \
         freed after {freed:?}",
        before.0,
        during.0,
        before.1,
        during.1
    );
    assert!(files.is_some(), "files are left: {} of {}", open_files(process), before.0);
    assert!(slowest < SERVED_WITHIN, "others waited {slowest:?}");
    assert!(during.1 < before.1 + MAX_EXTRA_KIB, "{} KiB, then {}", before.1, during.1);
}

fn raise_open_files(connections: usize) {
    /// What the test needs besides.
    const OTHERS: u64 = 100;
    let limits = getrlimit(Resource::Nofile);
    let wanted = connections as u64 + OTHERS;
    if limits.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limits.maximum };
        setrlimit(Resource::Nofile, raised).expect("so many files may be open");
    }
}

fn open_files(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).expect("the member runs").count()
}

fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the member runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.expect("the kernel tells the resident size")
}
