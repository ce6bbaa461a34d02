//! Where a connection comes from.

use std::ffi::OsString;
use std::time::Duration;

use clap::Parser;

use kvorum_client::contexts::{Context, Contexts, Places};

use super::{Origin, PasswordWanted, Settings};
use crate::args::{Global, Preferences};
use crate::mode::Mode;

#[derive(Parser)]
#[command(args_override_self = true)]
struct Flags {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    preferences: Preferences,
}

fn resolve(words: &[&str], mode: Mode, set: &[(&str, &str)]) -> Result<Settings, String> {
    let line = Flags::try_parse_from([&["kvorum"], words].concat()).unwrap();
    let variables = |name: &str| {
        set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
    };
    Settings::resolve(&line.global, &line.preferences, mode, &variables)
        .map_err(|error| error.to_string())
}

/// A home with two contexts, of which `prod` is the default.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().to_owned();
    let places = Places::find(&|name| (name == "HOME").then(|| folder.clone())).unwrap();
    let mut contexts = Contexts::default();
    let prod = Context {
        endpoints: vec!["https://p:1".to_owned()],
        cacert: Some("/ca".into()),
        cert: Some("/cert".into()),
        key: Some("/key".into()),
        user: Some("ops".to_owned()),
        password_command: Some("echo secret".to_owned()),
        read_only: true,
        separator: Some(":".to_owned()),
        ..Context::default()
    };
    contexts.put("prod", prod).unwrap();
    let dev = Context { endpoints: vec!["d:1".to_owned()], ..Context::default() };
    contexts.put("dev", dev).unwrap();
    contexts.choose("prod").unwrap();
    contexts.write(&places).unwrap();
    home
}

fn endpoint(settings: &Settings) -> &str {
    settings.client.endpoints[0].as_str()
}

#[test]
fn a_connection_comes_whole_from_one_source() {
    let home = home();
    let home = home.path().to_str().unwrap();
    let set = [("HOME", home), ("ETCDCTL_ENDPOINTS", "v:1")];
    let by_default = resolve(&[], Mode::Kvorum, &set[..1]).unwrap();
    assert_eq!(endpoint(&by_default), "https://p:1");
    assert!(by_default.client.read_only && by_default.client.tls.cert.is_some());
    assert_eq!(by_default.manner.separator, b':');
    let wanted = PasswordWanted { user: "ops".into(), command: Some("echo secret".into()) };
    assert_eq!(by_default.password_wanted, Some(wanted));

    let by_variable = resolve(&[], Mode::Kvorum, &set).unwrap();
    assert_eq!(endpoint(&by_variable), "v:1");
    assert!(!by_variable.client.read_only && by_variable.client.tls.cert.is_none());

    let by_name = resolve(&["--context", "dev"], Mode::Kvorum, &set).unwrap();
    assert_eq!(endpoint(&by_name), "d:1");
    assert_eq!(by_name.fields[0].origin, Origin::Context("dev".to_owned()));

    let unknown = resolve(&["--context", "qa"], Mode::Kvorum, &set).unwrap_err();
    assert_eq!(unknown, "there is no context \"qa\": those there are: dev, prod");
    let as_etcdctl = resolve(&[], Mode::Etcdctl, &set[..1]).unwrap();
    assert_eq!(endpoint(&as_etcdctl), "127.0.0.1:2379");
}

#[test]
fn other_endpoints_are_not_told_the_credentials_of_a_context() {
    let home = home();
    let set = [("HOME", home.path().to_str().unwrap())];
    let elsewhere = resolve(&["--endpoints", "x:1"], Mode::Kvorum, &set).unwrap();
    assert_eq!(endpoint(&elsewhere), "x:1");
    assert_eq!(elsewhere.password_wanted, None);
    assert!(elsewhere.client.tls.cert.is_none() && elsewhere.client.tls.cacert.is_some());
    assert!(elsewhere.client.read_only, "care is kept");
    let words = ["--endpoints", "x:1", "--context", "prod"];
    let meant = resolve(&words, Mode::Kvorum, &set).unwrap();
    assert!(meant.password_wanted.is_some() && meant.client.tls.cert.is_some());
}

#[test]
fn no_field_shows_a_password() {
    let settings = resolve(&["--user=root:hush", "--password=hush"], Mode::Kvorum, &[]).unwrap();
    assert!(!format!("{:?}", settings.fields).contains("hush"), "{:?}", settings.fields);
}

#[test]
fn a_variable_stands_in_for_a_flag() {
    let set = [("ETCDCTL_ENDPOINTS", "a:1,b:2"), ("ETCDCTL_DIAL_TIMEOUT", "3s")];
    let settings = resolve(&[], Mode::Etcdctl, &set).unwrap();
    assert_eq!(settings.client.endpoints.len(), 2);
    assert_eq!(settings.client.dial_timeout, Duration::from_secs(3));
}

#[test]
fn a_flag_wins_over_its_variable_except_as_etcdctl() {
    let set = [("ETCDCTL_ENDPOINTS", "a:1")];
    let settings = resolve(&["--endpoints", "b:2"], Mode::Kvorum, &set).unwrap();
    assert_eq!(settings.client.endpoints[0].as_str(), "b:2");
    let error = resolve(&["--endpoints", "b:2"], Mode::Etcdctl, &set).unwrap_err();
    assert!(error.contains("\"ETCDCTL_ENDPOINTS\" is shadowed"), "{error}");
}

#[test]
fn a_user_without_a_password_is_asked_for_one() {
    let settings = resolve(&["--user", "root"], Mode::Kvorum, &[]).unwrap();
    let wanted = PasswordWanted { user: "root".to_owned(), command: None };
    assert_eq!(settings.password_wanted, Some(wanted));
    let settings = resolve(&["--user=root:p:q"], Mode::Kvorum, &[]).unwrap();
    assert_eq!(settings.client.credentials.unwrap().password, "p:q");
}

#[test]
fn repeated_endpoints_add_up_and_other_flags_take_the_last() {
    let settings = resolve(
        &["--endpoints=a:1", "--endpoints=b:2", "-w=json", "-w", "fields"],
        Mode::Kvorum,
        &[],
    )
    .unwrap();
    assert_eq!(settings.client.endpoints.len(), 2);
    assert_eq!(settings.style.format, crate::output::Format::Fields);
}
