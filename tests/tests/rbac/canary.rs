//! Passwords and tokens are in no log line, data file, snapshot, page or error.

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use etcd_client::{Client, ConnectOptions, PutOptions};
use kvorum_tests::binary;
use kvorum_tests::cluster::{Cluster, contents_of};
use kvorum_tests::http::request;
use kvorum_tests::program::Names;
use memchr::memmem;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const PASSWORD: &str = "canary-password-4b1d9e";
const NEXT_PASSWORD: &str = "canary-password-next-77c2";
const WRONG_PASSWORD: &str = "canary-password-wrong-0aa5";
/// No secret: the search must find it where it is written.
const USER: &str = "planted-user-5e1f";

#[tokio::test(flavor = "multi_thread")]
async fn no_password_and_no_simple_token_is_found_anywhere() {
    Box::pin(search(&[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_and_no_jwt_is_found_anywhere() {
    let mut key = NamedTempFile::new().expect("a temporary file can be made");
    key.write_all(b"canary-signing-key-51ab").expect("it can be written");
    let token = format!("--auth-token=jwt,priv-key={},sign-method=HS256", key.path().display());
    let secrets = Box::pin(search(&[&token])).await;
    assert!(secrets.iter().any(|secret| secret.starts_with("ey")), "a JWT was given: {secrets:?}");
}

/// Where bytes came from, and the bytes.
type Places = BTreeMap<String, Vec<u8>>;

/// Uses every secret in every way, then looks for it; what the secrets were.
async fn search(flags: &[&str]) -> Vec<String> {
    let server = Names::of(binary!()).server();
    let flags = [&["--bcrypt-cost=4", "--log-level=debug"], flags].concat();
    let mut cluster = Cluster::start_with(&server, 3, &flags);
    let address = cluster.members[0].endpoint();
    let mut places = Places::new();
    let mut tokens = Box::pin(work(&address)).await;
    refusals(&address, &tokens[1], &mut places);
    collect(&cluster, "running", &mut places);
    cluster.members[0].terminate();
    collect(&cluster, "ended", &mut places);
    cluster.members[0].start();
    cluster.await_serving();
    tokens.push(log_in(&address, "root", NEXT_PASSWORD).expect("the password outlives a restart"));
    ask(&address, "/v3/kv/put", &tokens[1], r#"{"key":"aw=="}"#, "put", &mut places);
    // Of any member, and after the last token was given.
    for member in &cluster.members {
        let (address, name) = (member.endpoint(), &member.name);
        places.insert(format!("snapshot of {name}"), Box::pin(snapshot(&address)).await);
        let metrics = request(&address, "GET /metrics", &[], "").expect("an answer");
        places.insert(format!("metrics of {name}"), metrics.body.into_bytes());
    }
    collect(&cluster, "again", &mut places);

    let mut secrets: Vec<String> =
        [PASSWORD, NEXT_PASSWORD, WRONG_PASSWORD, "canary-signing-key-51ab"]
            .map(str::to_owned)
            .into();
    secrets.extend(tokens.iter().flat_map(|token| parts(token)));
    for secret in &secrets {
        let found = found_in(&places, secret);
        assert!(found.is_empty(), "{secret:?} is in {found:?}");
    }
    // The search finds what is there.
    let found = found_in(&places, USER);
    let is_searched = |found: &[&str], place: &str| {
        assert!(found.iter().any(|name| name.starts_with(place)), "{place} is searched: {found:?}");
    };
    is_searched(&found_in(&places, "etcdserver"), "error");
    let (logged, measured) = (
        found_in(&places, "\"level\":\"debug\""),
        found_in(&places, "etcd_debugging_auth_revision"),
    );
    for member in cluster.members.iter().map(|member| &member.name) {
        is_searched(&found, &format!("snapshot of {member}"));
        for when in ["running", "ended", "again"] {
            is_searched(&found, &format!("{when} data of {member}"));
        }
        is_searched(&logged, &format!("again log of {member}"));
        is_searched(&measured, &format!("metrics of {member}"));
    }
    secrets
}

/// What of a token is a secret: of a simple one its random part, of a JWT its signature; and all.
fn parts(token: &str) -> Vec<String> {
    let mut parts: Vec<String> =
        token.split('.').filter(|part| part.len() >= 16).map(str::to_owned).collect();
    if token.starts_with("ey") {
        parts.remove(0);
    }
    parts.push(token.to_owned());
    parts
}

fn found_in<'a>(places: &'a Places, secret: &str) -> Vec<&'a str> {
    let mut needles = encoded(secret).to_vec();
    needles.push(secret.to_owned());
    let holds = |bytes: &[u8]| {
        needles.iter().any(|needle| memmem::find(bytes, needle.as_bytes()).is_some())
    };
    places.iter().filter(|(_, bytes)| holds(bytes)).map(|(name, _)| name.as_str()).collect()
}

/// As base64 has it behind any number of other bytes: three forms there are, without the characters
/// at both ends that hold bits of its neighbours.
fn encoded(secret: &str) -> [String; 3] {
    [0, 1, 2].map(|before| {
        let text = BASE64_STANDARD.encode([&[0; 2][..before], secret.as_bytes()].concat());
        let text = text.trim_end_matches('=');
        let last = text.len() - usize::from(!(before + secret.len()).is_multiple_of(3));
        let first = [0, 2, 3][before];
        text[first..last].to_owned()
    })
}

#[test]
fn a_secret_is_found_in_base64_wherever_it_begins() {
    for around in ["", "x", "xy", "xyz"] {
        for behind in ["", "x", "xy"] {
            let text = BASE64_STANDARD.encode(format!("{around}{PASSWORD}{behind}"));
            let places = Places::from([("there".to_owned(), text.clone().into_bytes())]);
            assert_eq!(found_in(&places, PASSWORD), ["there"], "{text}");
        }
    }
}

/// The log of every member, and every file of its data.
fn collect(cluster: &Cluster, when: &str, places: &mut Places) {
    for member in &cluster.members {
        let name = &member.name;
        places.insert(format!("{when} log of {name}"), member.log().into_bytes());
        for (path, mut bytes) in contents_of(&member.data_dir()) {
            // Segments of the log are made longer than what is written.
            let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(written);
            places.insert(format!("{when} data of {name} {}", path.display()), bytes);
        }
    }
}

/// What a member streams of itself.
async fn snapshot(address: &str) -> Vec<u8> {
    let options = ConnectOptions::new().with_user("root", NEXT_PASSWORD);
    let mut root = Client::connect([address], Some(options)).await.expect("root may");
    let mut parts = root.snapshot().await.expect("root may");
    let mut snapshot = Vec::new();
    while let Some(part) = parts.message().await.expect("it is whole") {
        snapshot.extend_from_slice(part.blob());
    }
    snapshot
}

/// The tokens that were given.
async fn work(address: &str) -> Vec<String> {
    let mut client = Client::connect([address], None).await.expect("the member answers");
    client.role_add("root").await.expect("a role");
    client.user_add("root", PASSWORD, None).await.expect("a user");
    client.user_grant_role("root", "root").await.expect("a role is granted");
    client.user_add(USER, PASSWORD, None).await.expect("a user");
    client.auth_enable().await.expect("auth is enabled");

    let options = ConnectOptions::new().with_user("root", PASSWORD);
    let mut root = Client::connect([address], Some(options)).await.expect("root may");
    let first = log_in(address, "root", PASSWORD).expect("it is the password");
    root.user_change_password("root", NEXT_PASSWORD).await.expect("root may");
    let second = log_in(address, "root", NEXT_PASSWORD).expect("it is the password");
    let options = ConnectOptions::new().with_user("root", NEXT_PASSWORD);
    let mut root = Client::connect([address], Some(options)).await.expect("root may");
    let lease = root.lease_grant(600, None).await.expect("a lease").id();
    let put = PutOptions::new().with_lease(lease).with_prev_key();
    let put = root.put("k", "v", Some(put)).await.expect("root may");
    let revision = put.header().expect("it has one").revision();
    root.compact(revision, None).await.expect("root may");
    vec![first, second]
}

/// Errors about secrets do not repeat them.
fn refusals(address: &str, token: &str, places: &mut Places) {
    let named = |name: &str| json!({"name": name, "password": WRONG_PASSWORD}).to_string();
    let authenticate = "/v3/auth/authenticate";
    for (what, body) in [
        ("wrong", named("root")),
        ("nobody", named("nobody")),
        ("no JSON", format!("{{\"name\":\"root\",\"password\":{PASSWORD}}}")),
        ("no string", format!("{{\"name\":[\"{PASSWORD}\"]}}")),
        ("cut off", format!("{{\"name\":\"root\",\"password\":\"{PASSWORD}")),
        ("a number", format!("{{\"name\":5,\"password\":\"{PASSWORD}\"}}")),
        ("unknown field", format!("{{\"name\":\"\",\"passwort\":\"{PASSWORD}\"}}")),
    ] {
        ask(address, authenticate, "", &body, what, places);
    }
    let added = json!({"name": USER, "password": PASSWORD}).to_string();
    ask(address, "/v3/auth/user/add", token, &added, "a user that is there", places);
    ask(address, "/v3/auth/user/add", "", &added, "a user by nobody", places);
    ask(address, "/v3/kv/range", &format!("{token}x"), "{\"key\":\"aw==\"}", "another", places);
    ask(address, "/v3/kv/range", &format!("Bearer {token}"), "{\"key\":5}", "bearer", places);
    ask(address, "/v3/nothing", token, "{}", "no path", places);
}

fn ask(address: &str, path: &str, token: &str, body: &str, what: &str, places: &mut Places) {
    let headers = [("Authorization", token)];
    let headers = if token.is_empty() { &[][..] } else { &headers[..] };
    let answer = request(address, &format!("POST {path}"), headers, body).expect("an answer");
    places.insert(format!("error {what}"), format!("{answer:?}").into_bytes());
}

fn log_in(address: &str, name: &str, password: &str) -> Option<String> {
    let body = json!({"name": name, "password": password}).to_string();
    let answer = request(address, "POST /v3/auth/authenticate", &[], &body).ok()?;
    let answer: Value = answer.json();
    answer["token"].as_str().map(str::to_owned)
}
