//! The command line and the environment, and what is refused in etcd's words.

use std::path::Path;
use std::time::Duration;

use kvorum_server::config::{
    AutoCompaction, ClusterState, Config, ConfigError, InitialCluster, LogFormat, LogLevel, Parsed,
    help, parse,
};

fn try_parse(args: &[&str], env: &[(&str, &str)]) -> Result<Parsed, ConfigError> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let env: Vec<(String, String)> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    parse(&args, &env)
}

fn config(args: &[&str]) -> Config {
    config_in(args, &[])
}

fn config_in(args: &[&str], env: &[(&str, &str)]) -> Config {
    match try_parse(args, env) {
        Ok(Parsed::Run(config)) => *config,
        other => panic!("{args:?} {env:?}: {other:?}"),
    }
}

fn refused(args: &[&str]) -> ConfigError {
    match try_parse(args, &[]) {
        Err(error) => error,
        Ok(parsed) => panic!("{args:?}: {parsed:?}"),
    }
}

fn texts(urls: &[kvorum_server::config::Url]) -> Vec<String> {
    urls.iter().map(ToString::to_string).collect()
}

#[test]
fn without_flags_everything_is_etcds_default() {
    let config = config(&[]);
    assert_eq!(config, Config::default());
    assert_eq!(config.name, "default");
    assert_eq!(config.data_dir, Path::new("default.etcd"));
    assert_eq!(texts(&config.listen_peer_urls), ["http://localhost:2380"]);
    assert_eq!(texts(&config.listen_client_urls), ["http://localhost:2379"]);
    assert_eq!(texts(&config.advertise_client_urls), ["http://localhost:2379"]);
    assert_eq!(texts(&config.initial_advertise_peer_urls), ["http://localhost:2380"]);
    assert_eq!((config.heartbeat_interval_ms, config.election_timeout_ms), (100, 1000));
    assert_eq!(config.initial_cluster_token, "etcd-cluster");
    assert_eq!(config.initial_cluster_state, ClusterState::New);
    assert_eq!(config.request_timeout(), Duration::from_secs(7));
    assert_eq!((config.max_request_bytes, config.max_txn_ops), (1_572_864, 128));
}

#[test]
fn flags_are_written_as_in_go() {
    for args in [
        &["--name=a", "--log-level", "debug"][..],
        &["-name=a", "-log-level", "debug"],
        &["-name", "a", "--log-level=debug", "--"],
        &["--name", "b", "--name", "a", "--log-level", "debug"],
    ] {
        let config = config(args);
        assert_eq!((config.name.as_str(), config.log.level), ("a", LogLevel::Debug), "{args:?}");
        assert_eq!(config.data_dir, Path::new("a.etcd"));
    }
    assert_eq!(config(&["--log-format", "console"]).log.format, LogFormat::Console);
    assert_eq!(config(&["--pre-vote"]), Config::default());
    assert_eq!(config(&["--pre-vote=T"]), Config::default());
}

#[test]
fn variables_set_what_flags_do_not() {
    let env = [("ETCD_NAME", "a"), ("ETCD_HEARTBEAT_INTERVAL", "50"), ("PATH", "/bin")];
    let config = config_in(&["--election-timeout", "500"], &env);
    assert_eq!((config.name.as_str(), config.heartbeat_interval_ms), ("a", 50));
    assert_eq!(config.election_timeout_ms, 500);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn a_variable_may_have_the_spelling_of_older_releases() {
    let env = [
        ("ETCD_EXPERIMENTAL_SNAPSHOT_CATCHUP_ENTRIES", "7"),
        ("ETCD_EXPERIMENTAL_PEER_SKIP_CLIENT_SAN_VERIFICATION", "true"),
    ];
    let read = config_in(&[], &env);
    assert_eq!(read.snapshot_catchup_entries, 7);
    assert!(read.peer_tls.skip_client_san_verification);
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    let tracing = ("ETCD_EXPERIMENTAL_ENABLE_DISTRIBUTED_TRACING", "true");
    assert!(matches!(try_parse(&[], &[tracing]), Err(ConfigError::NotSupported { .. })));
    let shadowed = try_parse(&["--snapshot-catchup-entries=5"], &env);
    assert!(matches!(shadowed, Err(ConfigError::Shadowed(_))), "{shadowed:?}");
    assert!(matches!(refused(&["--experimental-name=a"]), ConfigError::UnknownFlag { .. }));
}

#[test]
fn a_variable_that_a_flag_shadows_is_refused() {
    let error = try_parse(&["--name", "a"], &[("ETCD_NAME", "b")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "conflicting environment variable is shadowed by corresponding command-line flag (either \
         unset environment variable or disable flag)): ETCD_NAME"
    );
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn what_has_no_effect_is_said() {
    let env = [("ETCD_FOO", "x"), ("ETCD_VERSION", "3")];
    let config = config_in(&["--max-wals", "7"], &env);
    assert_eq!(
        config.warnings,
        [
            "--max-wals: the storage engine here is another one, so this has no effect",
            "unrecognized environment variable ETCD_FOO",
            "unrecognized environment variable ETCD_VERSION",
        ]
    );
}

#[test]
fn no_limit_of_streams_is_written_as_nought() {
    assert_eq!(config(&["--max-concurrent-streams=0"]).max_concurrent_streams, u32::MAX);
    assert_eq!(config(&["--max-concurrent-streams=7"]).max_concurrent_streams, 7);
}

#[test]
fn the_log_is_cut_when_the_flags_of_either_version_say() {
    let config =
        config_in(&["--snapshot-count", "500", "--experimental-snapshot-catchup-entries=0"], &[]);
    assert_eq!((config.snapshot_count, config.snapshot_catchup_entries), (500, 0));
    assert_eq!(config_in(&["--snapshot-count=0"], &[]).snapshot_count, 10_000);
}

#[test]
fn auth_is_configured_as_in_etcd() {
    let auth =
        config(&["--auth-token", "jwt,sign-method=HS256,priv-key=x", "--bcrypt-cost=12"]).auth;
    assert_eq!((auth.token.as_str(), auth.bcrypt_cost), ("jwt,sign-method=HS256,priv-key=x", 12));
    assert_eq!(config(&["--auth-token-ttl=10"]).auth.simple_token_ttl, Duration::from_secs(10));
    assert_eq!(config(&["--auth-token-ttl=0"]).auth, Config::default().auth);
    assert_eq!(config(&["--auth-token="]).auth.token, "");
    // etcd too starts with its default when the cost is none that bcrypt has.
    for cost in ["3", "32", "99999999999"] {
        let config = config(&["--bcrypt-cost", cost]);
        assert_eq!(config.auth.bcrypt_cost, 10);
        assert!(config.warnings[0].contains("use default bcrypt cost"), "{:?}", config.warnings);
    }
    let error = refused(&["--bcrypt-cost=-1"]);
    assert_eq!(error.to_string(), "invalid value \"-1\" for flag -bcrypt-cost: parse error");
}

#[test]
fn a_bad_command_line_is_refused_in_gos_words() {
    for (args, message, code) in [
        (&["--nmae", "a"][..], "flag provided but not defined: -nmae", 2),
        (&["---name"], "bad flag syntax: ---name", 2),
        (&["--=a"], "bad flag syntax: --=a", 2),
        (&["--name"], "flag needs an argument: -name", 2),
        (
            &["--heartbeat-interval", "soon"],
            "invalid value \"soon\" for flag -heartbeat-interval: parse error",
            2,
        ),
        (&["--pre-vote=maybe"], "invalid value \"maybe\" for flag -pre-vote: parse error", 2),
        (&["x"], "\"x\" is not a valid flag", 1),
        (&["--pre-vote", "false"], "\"false\" is not a valid flag", 1),
        (
            &["--initial-cluster-state", "foo"],
            "invalid value \"foo\" for flag -initial-cluster-state: invalid value",
            2,
        ),
        (
            &["--listen-client-urls", "localhost:2379"],
            "invalid value \"localhost:2379\" for flag -listen-client-urls: URL scheme must be \
             http, https, unix, or unixs: localhost:2379",
            2,
        ),
    ] {
        let error = refused(args);
        assert_eq!(error.to_string(), message, "{args:?}");
        assert_eq!(error.exit_code(), code, "{args:?}");
    }
    assert_eq!(
        refused(&["--nmae", "a"]).hint().as_deref(),
        Some("did you mean --name? --help lists the flags")
    );
}

#[test]
fn a_bad_variable_is_refused_by_its_name() {
    let error = try_parse(&[], &[("ETCD_ELECTION_TIMEOUT", "x")]).unwrap_err();
    assert_eq!(error.to_string(), "invalid value \"x\" for ETCD_ELECTION_TIMEOUT: parse error");
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn values_that_do_not_go_together_are_refused_in_etcds_words() {
    for (args, message) in [
        (
            &["--listen-client-urls", "http://127.0.0.1:1"][..],
            "--advertise-client-urls is required when --listen-client-urls is set explicitly",
        ),
        (
            &["--listen-peer-urls", "http://name:2380"],
            "expected IP in URL for binding (http://name:2380)",
        ),
        (
            &["--initial-advertise-peer-urls", "http://:2380"],
            "--initial-advertise-peer-urls \"http://:2380\" must be \"host:port\" (unexpected \
             empty host (http://:2380))",
        ),
        (&["--heartbeat-interval", "0"], "--heartbeat-interval must be >0 (set to 0ms)"),
        (&["--election-timeout", "0"], "--election-timeout must be >0 (set to 0ms)"),
        (
            &["--election-timeout", "400"],
            "--election-timeout[400ms] should be at least as 5 times as \
             --heartbeat-interval[100ms]",
        ),
        (
            &["--election-timeout", "50001"],
            "--election-timeout[50001ms] is too long, and should be set less than 50000ms",
        ),
        (
            &["--max-request-bytes", "20000000"],
            "--max-request-bytes[20000000] is too large, and should be at most 16777216",
        ),
        (&["--auto-compaction-mode", "foo"], "unknown auto-compaction-mode \"foo\""),
        (&["--auto-compaction-mode", ""], "undefined auto-compaction-mode"),
        (
            &["--auto-compaction-retention", "-1h"],
            "error parsing CompactionRetention: --auto-compaction-retention must not be \
             negative: \"-1h\"",
        ),
    ] {
        let error = refused(args);
        assert_eq!(error.to_string(), message, "{args:?}");
        assert_eq!(error.exit_code(), 1, "{args:?}");
    }
}

#[test]
fn what_is_not_done_yet_is_refused_with_a_sentence() {
    for (args, message) in [
        (&["--unsafe-no-fsync"][..], "--unsafe-no-fsync: an acknowledged write is always on disk"),
        (&["--pre-vote=false"], "--pre-vote: pre-vote is always on"),
        (
            &["--config-file", "a.yml"],
            "--config-file: a configuration file is not supported yet; use flags or ETCD_* \
             variables",
        ),
        (&["--log-outputs", "stderr,a.log"], "--log-outputs: logs go to stderr only, yet"),
    ] {
        assert_eq!(refused(args).to_string(), message);
    }
    assert_eq!(config(&["--unsafe-no-fsync=false"]), Config::default());
}

#[test]
fn quota_and_compaction_are_taken_from_the_flags() {
    let given = config(&[
        "--quota-backend-bytes=-1",
        "--auto-compaction-mode=revision",
        "--auto-compaction-retention=1000",
    ]);
    assert_eq!(given.quota_backend_bytes, -1);
    assert_eq!(given.auto_compaction, AutoCompaction::Revision(1000));
    assert!(given.warnings.is_empty());
}

#[test]
fn tls_that_cannot_be_meant_is_refused_in_etcds_words() {
    const HTTPS: &str = "https://127.0.0.1:1";
    for (args, message) in [
        (
            &["--listen-client-urls", HTTPS, "--advertise-client-urls", HTTPS][..],
            "TLS key/cert (--cert-file, --key-file) must be provided for client url \
             https://127.0.0.1:1 with HTTPS scheme",
        ),
        (
            &["--listen-metrics-urls", HTTPS],
            "client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url",
        ),
        (
            &["--listen-peer-urls", HTTPS],
            "cannot listen on TLS for 127.0.0.1:1: KeyFile and CertFile are not presented",
        ),
        (&["--cert-file", "a"], "KeyFile and CertFile must both be present[key: , cert: a]"),
        (
            &["--peer-client-key-file", "a"],
            "ClientKeyFile and ClientCertFile must both be present or both absent: key: a, cert: ]",
        ),
        (
            &["--peer-cert-allowed-cn", "a,b", "--peer-cert-allowed-hostname", "c"],
            "AllowedCNs and AllowedHostnames are mutually exclusive (cns=[\"a\" \"b\"], \
             hostnames=[\"c\"])",
        ),
        (
            &["--tls-min-version", "TLS1.3", "--tls-max-version", "TLS1.2"],
            "min version (TLS1.3) is greater than max version (TLS1.2)",
        ),
        (
            &["--tls-min-version", "TLS1.3", "--cipher-suites", "TLS_AES_128_GCM_SHA256"],
            "cipher suites cannot be configured when only TLS1.3 is enabled",
        ),
        (
            &["--tls-max-version", "TLS1.1"],
            "unexpected TLS version \"TLS1.1\" (must be one of: TLS1.2, TLS1.3)",
        ),
        (&["--cipher-suites", "TLS_NONE"], "unexpected TLS cipher suite \"TLS_NONE\""),
        (
            &["--cipher-suites", "TLS_RSA_WITH_AES_128_CBC_SHA"],
            "--cipher-suites: TLS_RSA_WITH_AES_128_CBC_SHA is not supported: it has no forward \
             secrecy, or a broken cipher or mode; take one with ECDHE and GCM or CHACHA20",
        ),
        (
            &["--listen-client-http-urls", "http://localhost:2379"],
            "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url \
             http://localhost:2379",
        ),
    ] {
        assert_eq!(refused(args).to_string(), message, "{args:?}");
    }
}

#[test]
fn a_certificate_that_no_listener_shows_is_a_warning() {
    let args = ["--cert-file", "a", "--key-file", "b", "--client-cert-auth", "--peer-auto-tls"];
    let warnings = config(&args).warnings;
    for (wanted, listener) in [
        ("ignoring key and cert files", "client-url http://localhost:2379"),
        ("ignoring client cert auth for this URL", "client-url http://localhost:2379"),
        ("ignoring key and cert files", "peer-url http://localhost:2380"),
    ] {
        let says = |warning: &&String| warning.contains(wanted) && warning.contains(listener);
        assert!(warnings.iter().any(|warning| says(&warning)), "{wanted}: {warnings:?}");
    }
}

#[test]
fn who_may_ask_by_http_is_a_list() {
    let default = config(&[]).http;
    assert!(default.gateway && !default.extensive_metrics);
    assert!(default.cors.allows("http://any:1") && default.host_whitelist.allows("any"));
    let http = config(&[
        "--cors=http://a:80, https://b",
        "--host-whitelist=a,b",
        "--enable-grpc-gateway=false",
        "--metrics=extensive",
    ])
    .http;
    assert!(!http.gateway && http.extensive_metrics);
    assert!(http.cors.allows("http://a:80") && http.cors.allows("https://b"));
    assert!(!http.cors.allows("http://b") && !http.cors.allows_all());
    assert!(http.host_whitelist.allows("b") && !http.host_whitelist.allows("c"));
    for (args, reason) in [
        (&["--cors=a"][..], "URL scheme must be http, https, unix, or unixs: a"),
        (&["--cors=http://a/b"], "URL must not contain a path: http://a/b"),
        (&["--metrics=all"], "it is basic or extensive"),
        (&["--enable-grpc-gateway=maybe"], "parse error"),
    ] {
        let refused = refused(args).to_string();
        assert!(refused.ends_with(reason), "{refused}");
    }
}

#[test]
fn version_and_help_come_before_everything_else() {
    assert!(matches!(try_parse(&["--version"], &[("ETCD_NAME", "a")]), Ok(Parsed::Version)));
    assert!(matches!(try_parse(&["-h"], &[]), Ok(Parsed::Help)));
    let help = help("kvorum server");
    assert!(help.contains("kvorum server [flags]"));
    for flag in ["--name", "--initial-cluster-token", "--log-format", "--snapshot-count"] {
        assert!(help.contains(flag), "{flag}");
    }
}

#[test]
fn a_member_alone_needs_no_initial_cluster() {
    for args in [
        &["--name", "a"][..],
        &["--name", "a", "--initial-advertise-peer-urls", "http://10.0.0.1:2380"],
    ] {
        let config = config(args);
        let cluster = InitialCluster::of_new_member(&config).unwrap();
        let members: Vec<_> = cluster.members().collect();
        assert_eq!(members, [("a", &config.initial_advertise_peer_urls[..])]);
    }
}

#[test]
fn an_initial_cluster_must_agree_with_the_member() {
    let advertise = "--initial-advertise-peer-urls=http://10.0.0.1:2380";
    for (cluster, message) in [
        (
            "a",
            "error setting up initial cluster: URL scheme must be http, https, unix, or unixs:  \
             (in \"a\")",
        ),
        (
            "a=10.0.0.1",
            "error setting up initial cluster: URL scheme must be http, https, unix, or unixs: \
             10.0.0.1 (in \"a=10.0.0.1\")",
        ),
        (
            "b=http://10.0.0.1:2380",
            "couldn't find local name \"a\" in the initial cluster configuration",
        ),
        (
            "a=http://10.0.0.2:2380",
            "--initial-cluster has a=http://10.0.0.2:2380 but missing from \
             --initial-advertise-peer-urls=http://10.0.0.1:2380",
        ),
        (
            "a=http://10.0.0.1:2380,b=http://10.0.0.1:2380",
            "initial cluster a=http://10.0.0.1:2380,b=http://10.0.0.1:2380 has duplicate url",
        ),
        (",", "initial cluster unset and no discovery endpoints found"),
    ] {
        let config = config(&["--name", "a", advertise, "--initial-cluster", cluster]);
        let error = InitialCluster::of_new_member(&config).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.exit_code(), 1);
    }
    let good = "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,c=http://10.0.0.3:2380";
    let config = config(&["--name", "a", advertise, "--initial-cluster", good]);
    assert_eq!(InitialCluster::of_new_member(&config).unwrap().len(), 3);
}
