//! Certificates that do not fit: of the server and of the client.

use kvorum_tests::certificates::{Authority, Wanted};
use kvorum_tests::cluster::{Cluster, Schemes};
use kvorum_tests::or_skip;
use kvorum_tests::program::{NO_ETCD, real_etcd};

use super::site::{QUICKLY, Site, as_kvorum, etcdctl_says_nothing_else, is_told, run, servers};

const LOOPBACK: &[&str] = &["127.0.0.1", "localhost"];

#[test]
fn an_authority_that_is_not_known() {
    let site = Site::new();
    site.write("other.pem", &Authority::new("another").pem);
    for program in servers() {
        let cluster = site.member(&program, &site.authority.certify("server"), &[]);
        let url = cluster.members[0].client_url();
        let address = cluster.members[0].endpoint();
        let other = site.path("other.pem");
        let error = format!(
            "the certificate of {url} is not trusted: it is issued by \"the authority\", which is \
             not in {other}"
        );
        let hint = format!(
            "name a file with the certificate of \"the authority\"; openssl s_client -showcerts \
             -connect {address} shows what the server sends"
        );
        is_told(&url, &[&format!("--cacert={other}")], &error, &hint);
        let error = format!(
            "the certificate of {url} is not trusted: it is issued by \"the authority\", which this \
             system does not know"
        );
        let hint = "name the certificate of \"the authority\" with --cacert FILE";
        is_told(&url, &[], &error, hint);
    }
}

#[test]
fn a_name_that_the_certificate_does_not_have() {
    let site = Site::new();
    let elsewhere = site.authority.certify_as(Wanted {
        common_name: "127.0.0.1",
        names: &["etcd.example", "10.9.8.7"],
        expired: false,
    });
    for program in servers() {
        let cluster = site.member(&program, &elsewhere, &[]);
        let url = cluster.members[0].client_url();
        let error = format!(
            "the certificate of {url} is not for \"127.0.0.1\", but for etcd.example, 10.9.8.7"
        );
        let hint = "use one of its names in --endpoints, or have it made anew with this one";
        is_told(&url, &[&site.cacert()], &error, hint);
    }
}

#[test]
fn a_certificate_out_of_its_time() {
    let site = Site::new();
    let expired =
        site.authority.certify_as(Wanted { common_name: "old", names: LOOPBACK, expired: true });
    for (shown, said) in [
        (expired, "expired on 2024-01-01 00:00 UTC"),
        (site.authority.certify_too_early("early"), "is not valid before 2090-01-01 00:00 UTC"),
    ] {
        for program in servers() {
            let cluster = site.member(&program, &shown, &[]);
            let url = cluster.members[0].client_url();
            let told = as_kvorum(&url, &[&site.cacert()]);
            let begins =
                format!("error: the certificate of {url} {said}; this machine's clock says 20");
            assert!(told.stderr.starts_with(&begins), "{}", told.stderr);
            let ends = "\nhint: renew the server's certificate; if the clock is wrong, set it\n";
            assert!(told.stderr.ends_with(ends), "{}", told.stderr);
            assert!(told.took < QUICKLY, "{:?}", told.took);
            etcdctl_says_nothing_else(&url, &[&site.cacert()]);
        }
    }
}

#[test]
fn a_client_certificate_that_is_missing() {
    let site = Site::new();
    for program in servers() {
        let cluster = site.demanding_member(&program, &site.authority.certify("server"));
        let url = cluster.members[0].client_url();
        let error = format!("{url} wants to be shown a client certificate");
        let hint = "show one that is issued by the authority: --cert FILE --key FILE";
        for flag in [&site.cacert(), "--insecure-skip-tls-verify"] {
            is_told(&url, &[flag], &error, hint);
        }
    }
}

#[test]
fn a_client_certificate_that_is_refused() {
    let site = Site::new();
    let stranger = Authority::new("strangers").certify("mallory");
    let expired =
        site.authority.certify_as(Wanted { common_name: "old", names: LOOPBACK, expired: true });
    for program in servers() {
        let cluster = site.demanding_member(&program, &site.authority.certify("server"));
        let url = cluster.members[0].client_url();
        let [cert, key] = site.shown(&stranger);
        let told = as_kvorum(&url, &[&site.cacert(), &cert, &key]);
        let begins = format!("error: {url} does not take the client certificate \"mallory\": ");
        assert!(told.stderr.starts_with(&begins), "{}", told.stderr);
        let ends = "\nhint: the server's --trusted-ca-file must hold its authority, \"strangers\", \
                    and it must be meant for clients (clientAuth)\n";
        assert!(told.stderr.ends_with(ends), "{}", told.stderr);
        assert!(told.took < QUICKLY, "{:?}", told.took);
        etcdctl_says_nothing_else(&url, &[&site.cacert(), &cert, &key]);
        let [cert, key] = site.shown(&expired);
        let told = as_kvorum(&url, &[&site.cacert(), &cert, &key]);
        let begins = format!(
            "error: {url} does not take the client certificate \"old\": it expired on 2024-01-01 \
             00:00 UTC; this machine's clock says 20"
        );
        assert!(told.stderr.starts_with(&begins), "{}", told.stderr);
    }
}

#[test]
fn a_kind_of_certificate_that_cannot_be_checked() {
    // etcd 3.4 makes itself a certificate with a P-521 key.
    let etcd = or_skip!(real_etcd(), NO_ETCD);
    let schemes = Schemes { client: "https", peer: "http" };
    let cluster = Cluster::start_over(&etcd, 1, schemes, &["--auto-tls"]);
    let member = &cluster.members[0];
    let url = member.client_url();
    let error =
        format!("the certificate of {url} has a key of a kind that cannot be checked here: P-521");
    let hint = "the server needs one with P-256, P-384, RSA or Ed25519; --auto-tls of etcd before \
                3.5 makes P-521";
    for flag in ["--insecure-skip-tls-verify", "--insecure-transport=false"] {
        is_told(&url, &[flag], &error, hint);
    }
    // And the same as a client's.
    let folder = member.data_dir().join("fixtures").join("client");
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let names = kvorum_tests::program::Names::of(kvorum_tests::binary!());
    let (cert_text, key_text) = (cert.display().to_string(), key.display().to_string());
    let told = run(
        &names.kvorum(),
        &["get", "key", "--endpoints", &url, "--cert", &cert_text, "--key", &key_text],
    );
    let expected = format!(
        "error: {cert_text} has a key of a kind that cannot be used here: P-521\nhint: make one \
         with a key that is P-256, P-384, RSA (2048 bits or more) or Ed25519\n"
    );
    assert_eq!((told.stderr, told.code), (expected, 128));
}
