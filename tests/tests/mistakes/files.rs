//! Files that cannot be used. Nothing is dialled, so no server is needed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use kvorum_tests::binary;
use kvorum_tests::program::Names;

use super::site::{Site, run};

/// What `kvorum` and `etcdctl` say to these flags; both end with 128, as etcdctl does.
fn told(flags: &[&str]) -> (String, String) {
    let names = Names::of(binary!());
    let args = [&["get", "key", "--endpoints", "https://127.0.0.1:1"], flags].concat();
    let [kvorum, etcdctl] = [names.kvorum(), names.etcdctl()].map(|program| run(&program, &args));
    assert_eq!((kvorum.code, etcdctl.code), (128, 128), "{flags:?}: {kvorum:?} {etcdctl:?}");
    (kvorum.stderr, etcdctl.stderr)
}

#[test]
fn a_key_of_another_certificate() {
    let site = Site::new();
    let alice = site.authority.certify("alice").write(site.folder(), "alice");
    let bob = site.authority.certify("bob").write(site.folder(), "bob");
    let (cert, key) = (alice.cert.display().to_string(), bob.key.display().to_string());
    let (kvorum, etcdctl) = told(&["--cert", &cert, "--key", &key]);
    let expected = format!(
        "error: the key {key} is not that of the certificate {cert}, which is of alice\nhint: these \
         two print the same for a pair: openssl x509 -noout -pubkey -in {cert}; openssl pkey \
         -pubout -in {key}\n"
    );
    assert_eq!(kvorum, expected);
    assert_eq!(etcdctl, "Error: tls: private key does not match public key\n");
}

#[test]
fn a_file_that_is_missing_or_may_not_be_read() {
    let site = Site::new();
    let alice = site.authority.certify("alice").write(site.folder(), "alice");
    let (cert, key) = (alice.cert.display().to_string(), alice.key.display().to_string());
    let gone = site.path("gone.pem");
    for (flag, flags) in [
        ("--cacert", vec!["--cacert", &gone]),
        ("--cert", vec!["--cert", &gone, "--key", &key]),
        ("--key", vec!["--cert", &cert, "--key", &gone]),
    ] {
        let (kvorum, etcdctl) = told(&flags);
        let expected = format!(
            "error: {flag} {gone} cannot be read: no such file or directory\nhint: check the path: \
             ls -l {gone}\n"
        );
        assert_eq!(kvorum, expected);
        assert_eq!(etcdctl, format!("Error: open {gone}: no such file or directory\n"));
    }
    fs::set_permissions(&alice.key, Permissions::from_mode(0o000)).expect("it can be set");
    if fs::read(&alice.key).is_ok() {
        // Whoever may read everything is refused by a folder instead.
        let folder = site.folder().display().to_string();
        let (kvorum, _) = told(&["--cert", &cert, "--key", &folder]);
        let expected = format!("error: --key {folder} cannot be read: is a directory\n");
        assert!(kvorum.starts_with(&expected), "{kvorum}");
        return;
    }
    let (kvorum, etcdctl) = told(&["--cert", &cert, "--key", &key]);
    let expected = format!(
        "error: --key {key} cannot be read: permission denied\nhint: let this user read it, or run \
         as one who may: ls -l {key}\n"
    );
    assert_eq!(kvorum, expected);
    assert_eq!(etcdctl, format!("Error: open {key}: permission denied\n"));
}

#[test]
fn a_file_that_holds_something_else() {
    let site = Site::new();
    let certified = site.authority.certify("alice");
    let alice = certified.write(site.folder(), "alice");
    let (cert, key) = (alice.cert.display().to_string(), alice.key.display().to_string());
    let der = site.path("alice.der");
    fs::write(&der, &certified.der).expect("a file can be written");
    let text = site.write("text", "hello\n");
    let empty = site.write("empty", "\n");
    let half = site.write("half", &certified.cert[..certified.cert.len() / 2]);
    let locked = site.write(
        "locked",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    for (flags, said, hint) in [
        (
            vec!["--cert", key.as_str(), "--key", &key],
            format!("--cert {key} holds a private key, not a certificate"),
            "check that --cacert, --cert and --key are not mixed up",
        ),
        (
            vec!["--cert", &cert, "--key", &cert],
            format!("--key {cert} holds a certificate, not a private key"),
            "check that --cacert, --cert and --key are not mixed up",
        ),
        (
            vec!["--cert", &cert, "--key", &locked],
            format!("--key {locked} holds an encrypted private key, not a private key"),
            "the key must be without a passphrase: openssl pkey -in KEY -out PLAIN",
        ),
        (vec!["--cacert", &der], format!("--cacert {der} holds no PEM, but DER"), "convert it: "),
        (
            vec!["--cacert", &text],
            format!("--cacert {text} holds no PEM, but something else"),
            "it must be a PEM file, ",
        ),
        (
            vec!["--cacert", &empty],
            format!("--cacert {empty} holds no PEM, but is empty"),
            "it must be a PEM file, ",
        ),
        (
            vec!["--cacert", &half],
            format!("--cacert {half} is damaged: an END line is missing"),
            "it must be a PEM file, ",
        ),
        (
            vec!["--cert", &cert],
            "--cert needs --key as well: a certificate and its key go together".to_owned(),
            "add --key",
        ),
    ] {
        let (kvorum, _) = told(&flags);
        let begins = format!("error: {said}\nhint: {hint}");
        assert!(kvorum.starts_with(&begins), "{flags:?}: {kvorum}");
    }
}
