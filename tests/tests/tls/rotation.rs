//! Certificates, authorities and revocations change under load: new handshakes see it within ten
//! seconds, and no request fails.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use kvorum_tests::certificates::{Authority, Certified, Paths, replace};
use kvorum_tests::cluster::Member;
use kvorum_tests::etcdctl::Etcdctl;
use kvorum_tests::https::HttpsClient;
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcdctl};
use kvorum_tests::wait::until;
use kvorum_tests::{binary, or_skip};

use crate::surroundings::{SECURE_CLIENTS, Surroundings, start};

/// How soon a change must be in force.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn files_change_under_load_and_no_request_fails() {
    let names = Names::of(binary!());
    let around = Surroundings::new();
    let (first, second) = (&around.authority, Authority::new("the next authority"));
    let both = format!("{}{}", first.pem, second.pem);
    let mut flags = around.server_flags("", "--client-cert-auth");
    flags.push("--listen-metrics-urls=https://127.0.0.1:{port}".to_owned());
    let cluster = start(&names, 1, SECURE_CLIENTS, &flags);
    let member = &cluster.members[0];
    let (port, metrics_port) = (member.client_port(), member.other_ports[0]);
    let real = or_skip!(real_etcdctl(), NO_ETCD);
    let programs = [real, names.kvorum()];
    let trusted = around.path().join("both.pem");
    replace(&trusted, both.as_bytes());
    let whom = |shown: &Certified, name: &str| Whom {
        https: HttpsClient::new(&both, Some(shown)),
        flags: flags_of(&shown.write(around.path(), name), &trusted),
    };
    let first_whom = whom(&around.client, "first");
    let mut watches = programs.each_ref().map(|program| {
        let ctl = Etcdctl::new(program, member.client_url()).with(&borrowed(&first_whom.flags));
        let mut watch = ctl.start(&["watch", "spanning", "--rev=1"]);
        ctl.say(&["put", "spanning", "begin"]);
        assert_eq!(watch.lines(3)[..2], ["PUT", "spanning"]);
        watch
    });
    let load = Load::start(member, &programs, options(&both, &around.client), first_whom);
    let as_whom =
        |shown: &Certified, port: u16| HttpsClient::new(&both, Some(shown)).get(port, "/health");

    let renewed = first.certify("server");
    let seen = changes(member, "client");
    renewed.write(around.path(), "server");
    in_force(member, "client", seen);
    let answer = as_whom(&around.client, port).expect("it is served");
    assert!(answer.certificate == renewed.der, "the new certificate is shown");

    let newcomer = second.certify("alice");
    assert!(as_whom(&newcomer, port).is_err(), "nobody knows the next authority yet");
    let seen = changes(member, "client");
    around.trust(&both);
    in_force(member, "client", seen);
    as_whom(&newcomer, port).expect("both authorities are trusted");

    let seen = changes(member, "client");
    second.certify("server").write(around.path(), "server");
    in_force(member, "client", seen);
    load.come_as(whom(&newcomer, "newcomer"));
    let seen = changes(member, "client");
    around.trust(&second.pem);
    in_force(member, "client", seen);
    assert!(as_whom(&around.client, port).is_err(), "the first authority is trusted no more");

    let leaver = second.certify("leaver");
    as_whom(&leaver, metrics_port).expect("nothing is wrong with it yet");
    let seen = changes(member, "client");
    replace(&around.path().join("revoked"), &second.revoke(&[&leaver]));
    in_force(member, "client", seen);
    for port in [port, metrics_port] {
        assert!(as_whom(&leaver, port).is_err(), "it is revoked");
        as_whom(&newcomer, port).expect("no other is");
    }

    replace(&around.path().join("server.pem"), b"no certificate");
    let said = until(IN_FORCE_WITHIN, || {
        member.log().contains("the old ones stay in force").then_some(())
    });
    assert!(said.is_some(), "it is said that a file is no good");
    as_whom(&newcomer, port).expect("the old certificate stays");

    for (requests, failures) in load.stop() {
        assert!(failures.is_empty(), "of {requests} requests failed: {failures:?}");
        assert!(requests > 10, "there was a load: {requests}");
    }
    // Whoever came in while the first authority was trusted has not been sent away.
    let flags = flags_of(&newcomer.write(around.path(), "last"), &trusted);
    let ctl = Etcdctl::new(&programs[0], member.client_url()).with(&borrowed(&flags));
    ctl.say(&["put", "spanning", "end"]);
    for (nth, watch) in watches.iter_mut().enumerate() {
        // The other's beginning may be the first it sees.
        let mut lines = watch.lines(3);
        while lines[2] == "begin" {
            lines = watch.lines(3);
        }
        assert_eq!(lines, ["PUT", "spanning", "end"], "watch {nth}");
    }
}

fn flags_of(shown: &Paths, trusted: &Path) -> Vec<String> {
    vec![
        format!("--cacert={}", trusted.display()),
        format!("--cert={}", shown.cert.display()),
        format!("--key={}", shown.key.display()),
    ]
}

fn borrowed(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

pub(crate) fn changes(member: &Member, kind: &str) -> usize {
    member.log().matches(&format!("new files for {kind} TLS are in force")).count()
}

pub(crate) fn in_force(member: &Member, kind: &str, before: usize) {
    let changed = until(IN_FORCE_WITHIN, || (changes(member, kind) > before).then_some(()));
    assert!(changed.is_some(), "not in force after {IN_FORCE_WITHIN:?}:\n{}", member.log());
}

/// Who new connections come as.
#[derive(Clone)]
struct Whom {
    https: HttpsClient,
    /// etcdctl's.
    flags: Vec<String>,
}

/// Requests without pause: some over one connection that stays, the others each over a new one.
struct Load {
    stopped: Arc<AtomicBool>,
    current: Arc<Mutex<Whom>>,
    loops: Vec<Loop>,
}

/// One after the other.
struct Loop {
    begun: Arc<AtomicU64>,
    thread: JoinHandle<Vec<String>>,
}

impl Load {
    fn start(member: &Member, programs: &[Program], options: ConnectOptions, whom: Whom) -> Load {
        let mut load = Load {
            stopped: Arc::default(),
            current: Arc::new(Mutex::new(whom)),
            loops: Vec::new(),
        };
        let (url, port) = (member.client_url(), member.client_port());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let mut client = runtime
            .block_on(Client::connect([&url], Some(options)))
            .expect("the member can be reached");
        load.spawn(move |_| {
            let put = runtime.block_on(client.put("key", "value", None));
            put.map(drop).map_err(|error| format!("put: {error}"))
        });
        load.spawn(move |whom| match whom.https.get(port, "/health") {
            Ok(answer) if answer.text.starts_with("HTTP/1.1 200") => Ok(()),
            other => Err(format!("get: {other:?}")),
        });
        for program in programs {
            let (program, url) = (program.clone(), url.clone());
            let mut nth = 0;
            load.spawn(move |whom| {
                nth += 1;
                let ctl = Etcdctl::new(&program, &url).with(&borrowed(&whom.flags));
                let command: &[&str] =
                    if nth % 2 == 0 { &["get", "key"] } else { &["put", "key", "value"] };
                let outcome = ctl.run(command);
                if outcome.code == 0 { Ok(()) } else { Err(format!("{command:?}: {outcome:?}")) }
            });
        }
        load
    }

    fn spawn(&mut self, mut request: impl FnMut(Whom) -> Result<(), String> + Send + 'static) {
        let (stopped, current) = (Arc::clone(&self.stopped), Arc::clone(&self.current));
        let begun = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&begun);
        let thread = thread::spawn(move || {
            let mut failures = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                counted.fetch_add(1, Ordering::Relaxed);
                let whom = current.lock().expect("nobody panicked").clone();
                failures.extend(request(whom).err());
            }
            failures
        });
        self.loops.push(Loop { begun, thread });
    }

    /// From now on; nobody comes as before when this returns.
    fn come_as(&self, whom: Whom) {
        *self.current.lock().expect("nobody panicked") = whom;
        for each in &self.loops {
            let before = each.begun.load(Ordering::Relaxed);
            let anew = || (each.begun.load(Ordering::Relaxed) > before).then_some(());
            assert!(until(IN_FORCE_WITHIN, anew).is_some(), "a request does not end");
        }
    }

    /// How many requests there were in each loop, and what became of those that failed.
    fn stop(self) -> Vec<(u64, Vec<String>)> {
        self.stopped.store(true, Ordering::Relaxed);
        let ended = self.loops.into_iter().map(|each| {
            let failures = each.thread.join().expect("a loop of requests ends");
            (each.begun.load(Ordering::Relaxed), failures)
        });
        ended.collect()
    }
}

fn options(authorities: &str, shown: &Certified) -> ConnectOptions {
    let tls = TlsOptions::new()
        .ca_certificate(Certificate::from_pem(authorities))
        .identity(Identity::from_pem(&shown.cert, &shown.key));
    ConnectOptions::new().with_tls(tls)
}
