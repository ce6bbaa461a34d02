//! A place to make mistakes at: an authority, servers with certificates of it, and a client that is
//! listened to.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kvorum_tests::binary;
use kvorum_tests::certificates::{Authority, Certified, replace};
use kvorum_tests::cluster::{Cluster, Schemes};
use kvorum_tests::program::{NO_ETCD, Names, Program, real_etcd};
use kvorum_tests::skip::skip;
use tempfile::TempDir;

/// Far above what naming a cause may take, and within the command timeout of five seconds.
pub(crate) const QUICKLY: Duration = Duration::from_secs(4);

/// What `kvorum` or `etcdctl` said and did.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
    pub(crate) took: Duration,
}

pub(crate) fn run(program: &Program, args: &[&str]) -> Told {
    let mut command = program.command();
    command.args(args).stdin(Stdio::null());
    let begun = Instant::now();
    let output = command.output().expect("the program runs");
    Told {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().expect("the program is not killed"),
        took: begun.elapsed(),
    }
}

/// The servers that mistakes are made against: ours and, where it is there, etcd.
pub(crate) fn servers() -> Vec<Program> {
    let ours = Names::of(binary!()).server();
    if let Some(etcd) = real_etcd() {
        return vec![ours, etcd];
    }
    skip(NO_ETCD);
    vec![ours]
}

/// Runs `kvorum get key` and checks that both lines are told, quickly; then that `etcdctl` says
/// what etcdctl always says.
pub(crate) fn is_told(endpoint: &str, flags: &[&str], error: &str, hint: &str) {
    let told = as_kvorum(endpoint, flags);
    let expected = format!("error: {error}\nhint: {hint}\n");
    assert_eq!(told.stderr, expected, "{endpoint} {flags:?}");
    assert_eq!((told.code, told.stdout.as_str()), (1, ""), "{endpoint} {flags:?}");
    assert!(told.took < QUICKLY, "{endpoint} {flags:?} took {:?}", told.took);
    etcdctl_says_nothing_else(endpoint, flags);
}

pub(crate) fn as_kvorum(endpoint: &str, flags: &[&str]) -> Told {
    let names = Names::of(binary!());
    run(&names.kvorum(), &[&["get", "key", "--endpoints", endpoint], flags].concat())
}

pub(crate) fn etcdctl_says_nothing_else(endpoint: &str, flags: &[&str]) {
    let names = Names::of(binary!());
    let quick = ["--command-timeout=700ms", "--dial-timeout=500ms"];
    for verb in [&["get", "key"][..], &["put", "key", "value"]] {
        let args = [verb, &["--endpoints", endpoint], flags, &quick].concat();
        let told = run(&names.etcdctl(), &args);
        assert_eq!(told.stderr, "Error: context deadline exceeded\n", "{args:?}");
        assert_eq!((told.code, told.stdout.as_str()), (1, ""), "{args:?}");
    }
}

/// An authority and a folder for its files.
pub(crate) struct Site {
    pub(crate) authority: Authority,
    folder: TempDir,
}

impl Site {
    pub(crate) fn new() -> Site {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = Authority::new("the authority");
        replace(&folder.path().join("ca.pem"), authority.pem.as_bytes());
        Site { authority, folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        replace(&self.folder.path().join(name), text.as_bytes());
        self.path(name)
    }

    pub(crate) fn cacert(&self) -> String {
        format!("--cacert={}", self.path("ca.pem"))
    }

    /// `--cert` and `--key` for this certificate.
    pub(crate) fn shown(&self, certified: &Certified) -> [String; 2] {
        let paths = certified.write(self.folder(), "shown");
        [format!("--cert={}", paths.cert.display()), format!("--key={}", paths.key.display())]
    }

    /// A member that shows this certificate to its clients.
    pub(crate) fn member(&self, program: &Program, shown: &Certified, more: &[&str]) -> Cluster {
        let paths = shown.write(self.folder(), "server");
        let cert = format!("--cert-file={}", paths.cert.display());
        let key = format!("--key-file={}", paths.key.display());
        let schemes = Schemes { client: "https", peer: "http" };
        Cluster::start_over(program, 1, schemes, &[&[cert.as_str(), &key], more].concat())
    }

    /// One that also wants to see a certificate of the authority.
    pub(crate) fn demanding_member(&self, program: &Program, shown: &Certified) -> Cluster {
        let trusted = format!("--trusted-ca-file={}", self.path("ca.pem"));
        self.member(program, shown, &["--client-cert-auth", &trusted])
    }
}
