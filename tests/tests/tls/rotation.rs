//! Certificates, authorities and revocations change under load: new handshakes see it within ten
//! seconds, and no request fails.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use kvorum_tests::binary;
use kvorum_tests::certificates::{Authority, Certified, replace};
use kvorum_tests::cluster::Member;
use kvorum_tests::https::HttpsClient;
use kvorum_tests::ports;
use kvorum_tests::program::Names;
use kvorum_tests::wait::until;

use crate::surroundings::{SECURE_CLIENTS, Surroundings, start};

/// How soon a change must be in force.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn files_change_under_load_and_no_request_fails() {
    let names = Names::of(binary!());
    let around = Surroundings::new();
    let (first, second) = (&around.authority, Authority::new("the next authority"));
    let both = format!("{}{}", first.pem, second.pem);
    let metrics_port = ports::free(1)[0];
    let mut flags = around.server_flags("", "--client-cert-auth");
    flags.push(format!("--listen-metrics-urls=https://127.0.0.1:{metrics_port}"));
    let cluster = start(&names, 1, SECURE_CLIENTS, &flags);
    let member = &cluster.members[0];
    let port = member.client_port();
    let load = Load::start(member, &both, &around.client);
    let as_whom =
        |shown: &Certified, port: u16| HttpsClient::new(&both, Some(shown)).get(port, "/health");

    let renewed = first.certify("server");
    let seen = changes(member);
    renewed.write(around.path(), "server");
    in_force(member, seen);
    let answer = as_whom(&around.client, port).expect("it is served");
    assert!(answer.certificate == renewed.der, "the new certificate is shown");

    let newcomer = second.certify("alice");
    assert!(as_whom(&newcomer, port).is_err(), "nobody knows the next authority yet");
    let seen = changes(member);
    around.trust(&both);
    in_force(member, seen);
    as_whom(&newcomer, port).expect("both authorities are trusted");

    let seen = changes(member);
    second.certify("server").write(around.path(), "server");
    in_force(member, seen);
    load.come_as(&both, &newcomer);
    let seen = changes(member);
    around.trust(&second.pem);
    in_force(member, seen);
    assert!(as_whom(&around.client, port).is_err(), "the first authority is trusted no more");

    let leaver = second.certify("leaver");
    as_whom(&leaver, metrics_port).expect("nothing is wrong with it yet");
    let seen = changes(member);
    replace(&around.path().join("revoked"), &second.revoke(&[&leaver]));
    in_force(member, seen);
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

    let (requests, failures) = load.stop();
    assert!(failures.is_empty(), "of {requests} requests failed: {failures:?}");
    assert!(requests > 100, "there was a load: {requests}");
}

fn changes(member: &Member) -> usize {
    member.log().matches("new files for client TLS are in force").count()
}

fn in_force(member: &Member, before: usize) {
    let changed = until(IN_FORCE_WITHIN, || (changes(member) > before).then_some(()));
    assert!(changed.is_some(), "not in force after {IN_FORCE_WITHIN:?}:\n{}", member.log());
}

/// Requests without pause: some over one connection that stays, some each over a new one.
struct Load {
    stopped: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    /// As whom new connections come.
    current: Arc<Mutex<HttpsClient>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(member: &Member, authorities: &str, shown: &Certified) -> Load {
        let mut load = Load {
            stopped: Arc::default(),
            requests: Arc::default(),
            failures: Arc::default(),
            current: Arc::new(Mutex::new(HttpsClient::new(authorities, Some(shown)))),
            threads: Vec::new(),
        };
        let (url, port) = (member.client_url(), member.client_port());
        let options = options(authorities, shown);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let mut client = runtime
            .block_on(Client::connect([url], Some(options)))
            .expect("the member can be reached");
        load.spawn(move || {
            let put = runtime.block_on(client.put("key", "value", None));
            put.map(drop).map_err(|error| format!("put: {error}"))
        });
        let current = Arc::clone(&load.current);
        load.spawn(move || {
            let client = current.lock().expect("nobody panicked").clone();
            match client.get(port, "/health") {
                Ok(answer) if answer.text.starts_with("HTTP/1.1 200") => Ok(()),
                other => Err(format!("get: {other:?}")),
            }
        });
        load
    }

    fn spawn(&mut self, mut request: impl FnMut() -> Result<(), String> + Send + 'static) {
        let (stopped, requests) = (Arc::clone(&self.stopped), Arc::clone(&self.requests));
        let failures = Arc::clone(&self.failures);
        self.threads.push(thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                requests.fetch_add(1, Ordering::Relaxed);
                if let Err(failure) = request() {
                    failures.lock().expect("nobody panicked").push(failure);
                }
            }
        }));
    }

    fn come_as(&self, authorities: &str, shown: &Certified) {
        *self.current.lock().expect("nobody panicked") = HttpsClient::new(authorities, Some(shown));
    }

    /// How many requests there were, and what became of those that failed.
    fn stop(self) -> (u64, Vec<String>) {
        self.stopped.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a loop of requests ends");
        }
        let failures = self.failures.lock().expect("nobody panicked").clone();
        (self.requests.load(Ordering::Relaxed), failures)
    }
}

fn options(authorities: &str, shown: &Certified) -> ConnectOptions {
    let tls = TlsOptions::new()
        .ca_certificate(Certificate::from_pem(authorities))
        .identity(Identity::from_pem(&shown.cert, &shown.key));
    ConnectOptions::new().with_tls(tls)
}
