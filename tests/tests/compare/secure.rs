//! TLS: Debian's etcdctl and ours, with the same flags, at Debian's etcd.

use kvorum_tests::certificates::Authority;
use kvorum_tests::cluster::{Cluster, Schemes};
use kvorum_tests::etcdctl::Etcdctl;
use kvorum_tests::or_skip;
use kvorum_tests::program::{NO_ETCD, Program};
use kvorum_tests::wait::until;
use tempfile::TempDir;

use crate::programs::{Programs, WITHIN};

/// Who cannot come in gives up soon.
const BRIEFLY: [&str; 2] = ["--command-timeout=1s", "--dial-timeout=1s"];

/// A cluster that wants to be shown a certificate, and the flags of those who have one.
struct Secure {
    cluster: Cluster,
    folder: TempDir,
}

impl Secure {
    fn start(etcd: &Program) -> Secure {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = Authority::new("the authority");
        let path = |name: &str| folder.path().join(name).display().to_string();
        for (file, authority) in [("ca", &authority), ("other", &Authority::new("another"))] {
            std::fs::write(path(file), &authority.pem).expect("a file can be written");
        }
        for name in ["server", "client"] {
            authority.certify(name).write(folder.path(), name);
        }
        let flags = [
            format!("--cert-file={}", path("server.pem")),
            format!("--key-file={}", path("server.key")),
            format!("--trusted-ca-file={}", path("ca")),
            "--client-cert-auth".to_owned(),
        ];
        let schemes = Schemes { client: "https", peer: "http" };
        let cluster = Cluster::start_over(etcd, 1, schemes, &flags.each_ref().map(String::as_str));
        Secure { cluster, folder }
    }

    fn url(&self) -> String {
        self.cluster.members[0].client_url()
    }

    /// `{ca}` and the like in a flag become paths.
    fn flags(&self, flags: &[&str]) -> Vec<String> {
        let folder = self.folder.path().display();
        let whole = |flag: &&str| flag.replace('{', &format!("{folder}/")).replace('}', "");
        flags.iter().map(whole).collect()
    }
}

/// A command's standard output and exit code.
fn asked(program: &Program, endpoints: &str, flags: &[String], code: i32) -> (String, i32) {
    let patience = if code == 0 { &[][..] } else { &BRIEFLY };
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let outcome = Etcdctl::new(program, endpoints).run(&[patience, &flags].concat());
    (outcome.stdout, outcome.code)
}

#[test]
fn whoever_may_come_in_over_tls_is_the_same() {
    let programs = or_skip!(Programs::find(), NO_ETCD);
    let secure = Secure::start(&programs.etcd);
    let (url, bare) = (secure.url(), secure.cluster.endpoints());
    let mutual = ["--cacert={ca}", "--cert={client.pem}", "--key={client.key}"];
    for (endpoint, flags, code) in [
        (&url, &mutual[..], 0),
        (&bare, &mutual, 0),
        (&bare, &["--cacert", "{ca}", "--cert", "{client.pem}", "--key", "{client.key}"], 0),
        (&url, &["--insecure-skip-tls-verify", "--cert={client.pem}", "--key={client.key}"], 0),
        (&url, &["--cacert={ca}"], 1),
        (&url, &["--cacert={other}", "--cert={client.pem}", "--key={client.key}"], 1),
        (&url, &["--cacert={nowhere}"], 128),
        (&url, &["--cert={client.pem}"], 128),
        (&url, &["--cert={client.pem}", "--key={server.key}"], 128),
        (&url, &["--insecure-transport=false", "--insecure-skip-tls-verify"], 1),
        (&bare, &["--insecure-transport"], 1),
    ] {
        let words = [flags, &["put", "key", "value"]].concat();
        let both = programs.both(|program| asked(program, endpoint, &secure.flags(&words), code));
        assert_eq!(both.1, code, "{flags:?}");
    }
}

#[test]
fn where_a_cluster_is_looked_for_is_the_same() {
    let programs = or_skip!(Programs::find(), NO_ETCD);
    let cluster = programs.cluster();
    for (flags, code) in [
        (&["--debug"][..], 0),
        (&["--insecure-discovery"], 0),
        (&["--insecure-discovery=false"], 0),
        (&["--discovery-srv-name=main"], 0),
        // The domain's records are asked for only where no endpoint is given, which etcdctl tells by
        // its default.
        (&["--discovery-srv=nowhere.invalid"], 1),
        (&["--discovery-srv", "nowhere.invalid", "--discovery-srv-name", "main"], 1),
    ] {
        let flags: Vec<_> = [flags, &["put", "key", "value"]].concat();
        let flags: Vec<String> = flags.into_iter().map(str::to_owned).collect();
        let both = programs.both(|program| asked(program, &cluster.endpoints(), &flags, code));
        assert_eq!(both.1, code, "{flags:?}");
    }
}

#[test]
fn a_mirror_shows_its_destination_a_certificate() {
    let programs = or_skip!(Programs::find(), NO_ETCD);
    let source = programs.cluster();
    for program in [&programs.theirs, &programs.ours] {
        let destination = Secure::start(&programs.etcd);
        let there =
            destination.flags(&["--cacert={ca}", "--cert={client.pem}", "--key={client.key}"]);
        let there: Vec<&str> = there.iter().map(String::as_str).collect();
        let there = Etcdctl::new(program, destination.url()).with(&there);
        let flags = destination.flags(&[
            "--dest-cacert={ca}",
            "--dest-cert={client.pem}",
            "--dest-key={client.key}",
            "--dest-insecure-transport=false",
        ]);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let here = Etcdctl::new(program, source.endpoints());
        here.say(&["put", "key", "before"]);
        let _mirror = here.start(&[&["make-mirror"], &flags[..], &[&destination.url()]].concat());
        let arrives = |value| {
            let got = || there.say(&["get", "key", "--print-value-only"]);
            until(WITHIN, || (got().trim_end() == value).then_some(()))
        };
        arrives("before").expect("what there is, is copied");
        here.say(&["put", "key", "after"]);
        arrives("after").expect("what changes, is copied");
    }
}
