//! An authority, certificates of it for a server and a client, and the flags that name them.

use std::path::Path;

use kvorum_tests::certificates::{Authority, Certified, Paths, replace};
use kvorum_tests::cluster::{Cluster, Schemes};
use kvorum_tests::program::Names;
use tempfile::TempDir;

pub(crate) const SECURE_CLIENTS: Schemes = Schemes { client: "https", peer: "http" };

pub(crate) struct Surroundings {
    pub(crate) authority: Authority,
    pub(crate) server: Paths,
    pub(crate) client: Certified,
    folder: TempDir,
}

impl Surroundings {
    pub(crate) fn new() -> Surroundings {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = Authority::new("the authority");
        let server = authority.certify("server").write(folder.path(), "server");
        let client = authority.certify("alice");
        client.write(folder.path(), "alice");
        let around = Surroundings { authority, server, client, folder };
        around.trust(&around.authority.pem);
        replace(&around.path().join("revoked"), &around.authority.revoke(&[]));
        around
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What the server trusts from now on.
    pub(crate) fn trust(&self, authorities: &str) {
        replace(&self.path().join("ca.pem"), authorities.as_bytes());
    }

    pub(crate) fn authority_file(&self) -> String {
        self.path().join("ca.pem").display().to_string()
    }

    pub(crate) fn revocation_file(&self) -> String {
        self.path().join("revoked").display().to_string()
    }

    /// For clients, or with `peer-` for peers.
    pub(crate) fn server_flags(&self, prefix: &str, auth: &str) -> Vec<String> {
        let crl = if prefix.is_empty() { "client-crl-file" } else { "peer-crl-file" };
        vec![
            format!("--{prefix}cert-file={}", self.server.cert.display()),
            format!("--{prefix}key-file={}", self.server.key.display()),
            format!("--{prefix}trusted-ca-file={}", self.authority_file()),
            format!("--{crl}={}", self.revocation_file()),
            auth.to_owned(),
        ]
    }

    /// etcdctl's flags for whoever trusts the authority and shows this certificate.
    pub(crate) fn client_flags(&self, shown: &Certified) -> Vec<&'static str> {
        let mut flags = self.shown_flags(shown);
        flags.push(leak(format!("--cacert={}", self.authority_file())));
        flags
    }

    pub(crate) fn shown_flags(&self, shown: &Certified) -> Vec<&'static str> {
        let paths = shown.write(self.path(), "shown");
        let flags =
            [format!("--cert={}", paths.cert.display()), format!("--key={}", paths.key.display())];
        flags.map(leak).to_vec()
    }
}

pub(crate) fn start(names: &Names, size: usize, schemes: Schemes, flags: &[String]) -> Cluster {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Cluster::start_over(&names.server(), size, schemes, &flags)
}

/// A handful of flags per test may live as long as it does.
fn leak(text: String) -> &'static str {
    text.leak()
}
