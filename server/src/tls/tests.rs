//! What is taken from files, and what is not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use rcgen::{CertificateParams, DnType, KeyPair};
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::role::{Kind, Role};
use super::{CommonName, Names, comes_from_its_place, self_signed};
use crate::config::{Config, KeepAlive, Scheme, Tls, Url};
use crate::edge::{Manners, Room, Site, serve};
use crate::net::{Dialler, Listener};
use crate::runtime::Stop;

/// A certificate that signs itself, with these names.
fn write_pair(folder: &Path, names: &[&str]) -> CertificateDer<'static> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "somebody");
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    fs::write(folder.join("cert"), cert.pem()).unwrap();
    fs::write(folder.join("key"), key.serialize_pem()).unwrap();
    cert.der().clone()
}

fn role(folder: &Path, change: impl FnOnce(&mut Tls)) -> Result<Role, String> {
    let mut client_tls = Tls {
        cert_file: Some(folder.join("cert")),
        key_file: Some(folder.join("key")),
        ..Tls::default()
    };
    change(&mut client_tls);
    let config = Config { client_tls, ..Config::default() };
    Role::load(&config, Kind::Client).map_err(|error| error.to_string())
}

fn folder_with_pair() -> TempDir {
    let folder = tempdir().unwrap();
    write_pair(folder.path(), &["localhost"]);
    folder
}

#[test]
fn changed_files_are_taken_once_they_stay_and_only_if_they_are_good() {
    let folder = folder_with_pair();
    let role = role(folder.path(), |_| {}).unwrap();
    let shown = || role.server().unwrap();
    let first = shown();
    assert!(role.look(None).is_none(), "nothing has changed");

    fs::write(folder.path().join("cert"), "no certificate").unwrap();
    let seen = role.look(None);
    let seen = role.look(seen);
    assert!(Arc::ptr_eq(&shown(), &first), "what is no good is not taken");
    let seen = role.look(seen);

    fs::remove_file(folder.path().join("key")).unwrap();
    let seen = role.look(seen);
    assert!(Arc::ptr_eq(&shown(), &first), "nor is what is not there");

    write_pair(folder.path(), &["localhost"]);
    let seen = role.look(seen);
    assert!(Arc::ptr_eq(&shown(), &first), "it may still be being written");
    assert!(role.look(seen).is_none());
    assert!(!Arc::ptr_eq(&shown(), &first), "it stays, so it is taken");
}

type Change<'a> = Box<dyn FnOnce(&mut Tls) + 'a>;

#[test]
fn files_that_are_no_good_are_named_at_the_start() {
    let folder = folder_with_pair();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("empty"), "").unwrap();
    let other = folder_with_pair();
    let other_key = other.path().join("key");
    let cases: [(&str, Change<'_>, &str); 5] = [
        ("missing", Box::new(|tls| tls.trusted_ca_file = Some(path("missing"))), "cannot read"),
        ("empty", Box::new(|tls| tls.trusted_ca_file = Some(path("empty"))), "no PEM certificate"),
        ("key", Box::new(|tls| tls.trusted_ca_file = Some(path("key"))), "no PEM certificate"),
        ("empty", Box::new(|tls| tls.crl_file = Some(path("empty"))), "no list of revoked"),
        ("cert", Box::new(|tls| tls.key_file = Some(other_key)), "with key"),
    ];
    for (file, change, reason) in cases {
        let Err(error) = role(folder.path(), change) else { panic!("{file} is taken") };
        assert!(error.contains(file) && error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_peer_comes_from_where_its_certificate_says() {
    let folder = tempdir().unwrap();
    let from = |text: &str| text.parse::<IpAddr>().unwrap();
    let by_address = Names::of(&write_pair(folder.path(), &["127.0.0.1", "10.0.0.7"])).unwrap();
    assert_eq!(by_address.common_name, "somebody");
    comes_from_its_place(&by_address, from("10.0.0.7")).await.unwrap();
    comes_from_its_place(&by_address, from("::ffff:10.0.0.7")).await.unwrap();
    assert_eq!(
        comes_from_its_place(&by_address, from("10.0.0.8")).await.unwrap_err(),
        "x509: certificate is valid for 127.0.0.1, 10.0.0.7, not 10.0.0.8"
    );
    let by_name = Names::of(&write_pair(folder.path(), &["localhost"])).unwrap();
    comes_from_its_place(&by_name, from("127.0.0.1")).await.unwrap();
    assert!(comes_from_its_place(&by_name, from("192.0.2.1")).await.is_err());
    let unnamed = Names::of(&write_pair(folder.path(), &[])).unwrap();
    comes_from_its_place(&unnamed, from("192.0.2.1")).await.unwrap();
}

/// What a router learns of a client with a certificate, asked over TLS.
async fn name_heard(client_cert_auth: bool) -> String {
    let folder = tempdir().unwrap();
    write_pair(folder.path(), &["127.0.0.1"]);
    let role = role(folder.path(), |tls| {
        tls.trusted_ca_file = tls.cert_file.clone();
        tls.client_cert_auth = client_cert_auth;
    });
    let tls = Arc::new(role.unwrap());
    let heard = |request: Request<Body>| async move {
        let name = request.extensions().get::<CommonName>();
        name.map_or_else(|| "nobody".to_owned(), |name| name.0.clone())
    };
    let url = Url { scheme: Scheme::Https, ..Url::http("127.0.0.1", 0) };
    let listeners = Listener::bind_all(&[url], |_, error| error).unwrap();
    let urls = listeners[0].urls().to_vec();
    let router = Router::new().route("/", get(heard));
    let room = Room::for_metrics();
    let site = Site { listeners, router, tls: Arc::clone(&tls), room, grpc_only: false };
    let stop = Stop::new();
    let manners = Manners::new(1, KeepAlive::default());
    let serving = tokio::spawn(serve(site, manners, stop.clone()));
    let dialler = Dialler::new(urls, tls, Duration::from_secs(10));
    let mut client = dialler.dial().await.unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    stop.ask();
    serving.await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    answer.lines().last().unwrap().to_owned()
}

#[tokio::test]
async fn a_request_tells_the_common_name_of_its_client_if_that_is_a_user() {
    assert_eq!(name_heard(true).await, "somebody");
    assert_eq!(name_heard(false).await, "nobody");
}

#[test]
fn a_certificate_made_here_is_kept_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempdir().unwrap();
    let folder = data.path().join("fixtures/client");
    let urls = [Url::http("127.0.0.1", 1), Url::http("localhost", 2)];
    let urls: Vec<&Url> = urls.iter().collect();
    let made = self_signed::make_or_find(&folder, &urls, 1).unwrap();
    let (cert, key) = (fs::read(&made.cert).unwrap(), fs::read(&made.key).unwrap());
    assert_eq!(fs::metadata(&made.key).unwrap().permissions().mode() & 0o077, 0);
    self_signed::make_or_find(&folder, &urls, 1).unwrap();
    assert_eq!(fs::read(&made.key).unwrap(), key);
    let change = |tls: &mut Tls| {
        tls.cert_file = Some(made.cert.clone());
        tls.key_file = Some(made.key.clone());
    };
    assert!(role(&folder, change).unwrap().server().is_some());
    assert!(self_signed::make_or_find(&data.path().join("long"), &urls, u32::MAX).is_err());
    assert!(!cert.is_empty());
}
