//! From words and variables to a [`Config`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::go_flags::{self, Words};
use super::table::{self, Flag, Stand};
use super::url::{self, Url};
use super::{
    AllowList, AuthConfig, AutoCompaction, ClusterState, Config, ConfigError, DEFAULT_NAME,
    HttpConfig, KeepAlive, LogFormat, LogLevel, Parsed, tls,
};
use crate::limits;

/// Reads a command line without the program's name, and the environment.
pub fn parse(args: &[String], env: &[(String, String)]) -> Result<Parsed, ConfigError> {
    let given = match go_flags::split(args)? {
        Words::Help => return Ok(Parsed::Help),
        Words::Flags(given) => given,
    };
    let mut warnings = Vec::new();
    let mut settings = Settings::default();
    let mut by_flag = BTreeSet::new();
    for given in given {
        by_flag.insert(given.flag.name);
        settings.set(given.flag, given.value, Source::Flag, &mut warnings)?;
    }
    if settings.switch("version") == Some(true) {
        return Ok(Parsed::Version);
    }
    for (variable, value) in env.iter().filter(|(variable, _)| variable.starts_with("ETCD_")) {
        let flag = table::of_variable(variable);
        if flag.is_some_and(|flag| by_flag.contains(flag.name)) {
            return Err(ConfigError::Shadowed(variable.clone()));
        }
        if value.is_empty() {
            continue;
        }
        match flag {
            Some(flag) if flag.name != "version" => {
                settings.set(flag, value.clone(), Source::Variable, &mut warnings)?;
            }
            _ => warnings.push(format!("unrecognized environment variable {variable}")),
        }
    }
    let mut config = settings.config()?;
    config.warnings = warnings;
    check(&mut config, settings.is_set("listen-client-urls"))?;
    Ok(Parsed::Run(Box::new(config)))
}

#[derive(Clone, Copy)]
enum Source {
    Flag,
    Variable,
}

impl Source {
    fn refuse(self, flag: &Flag, value: &str, reason: &str) -> ConfigError {
        let (value, reason) = (value.to_owned(), reason.to_owned());
        match self {
            Source::Flag => ConfigError::BadFlagValue { flag: flag.name.to_owned(), value, reason },
            Source::Variable => {
                ConfigError::BadVariable { variable: flag.variable(), value, reason }
            }
        }
    }
}

/// Values by flag, each with where it came from.
#[derive(Default)]
pub(super) struct Settings(BTreeMap<&'static str, (String, Source)>);

impl Settings {
    /// Takes a value, or says why not; a flag that is only tuning leaves a warning.
    fn set(
        &mut self,
        flag: &'static Flag,
        value: String,
        source: Source,
        warnings: &mut Vec<String>,
    ) -> Result<(), ConfigError> {
        let not_supported = |sentence: &str| ConfigError::NotSupported {
            flag: flag.name.to_owned(),
            sentence: sentence.to_owned(),
        };
        let switch = go_flags::parse_bool(&value);
        if flag.is_switch() && switch.is_none() {
            return Err(source.refuse(flag, &value, "parse error"));
        }
        match flag.stand {
            Stand::Honoured | Stand::Switch => {}
            Stand::Tuning(why) | Stand::TuningSwitch(why) => {
                warnings.push(format!("--{}: {why}", flag.name));
            }
            Stand::Only(values, sentence) => {
                if !value.split(',').all(|value| values.contains(&value)) {
                    return Err(not_supported(sentence));
                }
            }
            Stand::OnlySwitch(wanted, sentence) => {
                if switch != Some(wanted) {
                    return Err(not_supported(sentence));
                }
            }
            Stand::Refused(sentence) => {
                if !value.is_empty() {
                    return Err(not_supported(sentence));
                }
            }
            Stand::RefusedSwitch(sentence) => {
                if switch == Some(true) {
                    return Err(not_supported(sentence));
                }
            }
        }
        self.0.insert(flag.name, (value, source));
        Ok(())
    }

    fn is_set(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(|(value, _)| go_flags::parse_bool(value))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|(value, _)| value.clone())
    }

    /// A value read by `read`, or the default; what cannot be read is refused.
    fn read<T>(
        &self,
        name: &'static str,
        default: T,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let Some((value, source)) = self.0.get(name) else { return Ok(default) };
        let flag = table::find(name).expect("only names of the table are read");
        read(value).map_err(|reason| source.refuse(flag, value, &reason))
    }

    fn config(&self) -> Result<Config, ConfigError> {
        let default = Config::default();
        let name = self.text("name").unwrap_or_else(|| DEFAULT_NAME.to_owned());
        let data_dir = match self.text("data-dir") {
            Some(dir) if !dir.is_empty() => PathBuf::from(dir),
            _ => PathBuf::from(format!("{name}.etcd")),
        };
        let missing_advertise =
            self.is_set("listen-client-urls") && !self.is_set("advertise-client-urls");
        let advertise_default =
            if missing_advertise { Vec::new() } else { default.advertise_client_urls };
        let mode = self.text("auto-compaction-mode").unwrap_or_else(|| "periodic".to_owned());
        let retention = self.text("auto-compaction-retention").unwrap_or_default();
        let (client_tls, peer_tls, tls_policy) = tls::read(self)?;
        let mut config = Config {
            name,
            data_dir,
            listen_peer_urls: self.urls("listen-peer-urls", default.listen_peer_urls)?,
            listen_client_urls: self.urls("listen-client-urls", default.listen_client_urls)?,
            listen_client_http_urls: self.urls_if_any("listen-client-http-urls")?,
            listen_metrics_urls: self.urls_if_any("listen-metrics-urls")?,
            client_tls,
            peer_tls,
            tls_policy,
            advertise_client_urls: self.urls("advertise-client-urls", advertise_default)?,
            initial_advertise_peer_urls: self
                .urls("initial-advertise-peer-urls", default.initial_advertise_peer_urls)?,
            initial_cluster: self.text("initial-cluster").filter(|text| !text.is_empty()),
            initial_cluster_state: self.read(
                "initial-cluster-state",
                ClusterState::New,
                cluster_state,
            )?,
            initial_cluster_token: self
                .text("initial-cluster-token")
                .unwrap_or(default.initial_cluster_token),
            heartbeat_interval_ms: self
                .uint("heartbeat-interval", default.heartbeat_interval_ms)?,
            election_timeout_ms: self.uint("election-timeout", default.election_timeout_ms)?,
            // etcd takes 0 for its default.
            snapshot_count: Some(self.uint("snapshot-count", default.snapshot_count)?)
                .filter(|count| *count > 0)
                .unwrap_or(default.snapshot_count),
            snapshot_catchup_entries: self
                .uint("snapshot-catchup-entries", default.snapshot_catchup_entries)?,
            max_request_bytes: self
                .uint("max-request-bytes", default.max_request_bytes as u64)?
                .try_into()
                .unwrap_or(usize::MAX),
            max_txn_ops: self
                .uint("max-txn-ops", default.max_txn_ops as u64)?
                .try_into()
                .unwrap_or(usize::MAX),
            max_concurrent_streams: self.read(
                "max-concurrent-streams",
                default.max_concurrent_streams,
                streams,
            )?,
            grpc_keep_alive: self.keep_alive(default.grpc_keep_alive)?,
            watch_progress_notify_interval: self.duration(
                "watch-progress-notify-interval",
                default.watch_progress_notify_interval,
            )?,
            quota_backend_bytes: self.read(
                "quota-backend-bytes",
                default.quota_backend_bytes,
                |text| go_flags::parse_int(text).ok_or_else(|| "parse error".to_owned()),
            )?,
            auto_compaction: AutoCompaction::parse(&mode, &retention).map_err(invalid)?,
            lease_checkpoint_interval: default.lease_checkpoint_interval,
            snapshot_stall_timeout: default.snapshot_stall_timeout,
            http: self.http()?,
            auth: self.auth(default.auth)?,
            log: default.log,
            warnings: Vec::new(),
        };
        config.log.level = self.read("log-level", LogLevel::default(), log_level)?;
        config.log.format = self.read("log-format", LogFormat::default(), log_format)?;
        Ok(config)
    }

    fn http(&self) -> Result<HttpConfig, ConfigError> {
        let default = HttpConfig::default();
        let list = |text: &str| Ok(AllowList::parse(text));
        Ok(HttpConfig {
            gateway: self.switch("enable-grpc-gateway").unwrap_or(default.gateway),
            cors: self.read("cors", default.cors, origins)?,
            host_whitelist: self.read("host-whitelist", default.host_whitelist, list)?,
            extensive_metrics: self.read("metrics", default.extensive_metrics, metrics_level)?,
        })
    }

    fn auth(&self, default: AuthConfig) -> Result<AuthConfig, ConfigError> {
        // etcd takes 0 for its default.
        let ttl_s = self.uint("auth-token-ttl", 0)?;
        let simple_token_ttl = match ttl_s {
            0 => default.simple_token_ttl,
            ttl_s => Duration::from_secs(ttl_s),
        };
        let bcrypt_cost = self.uint("bcrypt-cost", default.bcrypt_cost.into())?;
        Ok(AuthConfig {
            token: self.text("auth-token").unwrap_or(default.token),
            simple_token_ttl,
            bcrypt_cost: bcrypt_cost.try_into().unwrap_or(u32::MAX),
        })
    }

    fn urls(&self, name: &'static str, default: Vec<Url>) -> Result<Vec<Url>, ConfigError> {
        self.read(name, default, Url::parse_list)
    }

    /// As `urls`, where nothing is the default.
    fn urls_if_any(&self, name: &'static str) -> Result<Vec<Url>, ConfigError> {
        self.read(name, Vec::new(), |text| match text {
            "" => Ok(Vec::new()),
            text => Url::parse_list(text),
        })
    }

    fn keep_alive(&self, default: KeepAlive) -> Result<KeepAlive, ConfigError> {
        Ok(KeepAlive {
            min_time: self.duration("grpc-keepalive-min-time", default.min_time)?,
            interval: self.duration("grpc-keepalive-interval", default.interval)?,
            timeout: self.duration("grpc-keepalive-timeout", default.timeout)?,
        })
    }

    fn duration(&self, name: &'static str, default: Duration) -> Result<Duration, ConfigError> {
        self.read(name, default, |text| {
            go_flags::parse_duration(text).ok_or_else(|| "parse error".to_owned())
        })
    }

    pub(super) fn uint(&self, name: &'static str, default: u64) -> Result<u64, ConfigError> {
        self.read(name, default, |text| {
            go_flags::parse_uint(text).ok_or_else(|| "parse error".to_owned())
        })
    }
}

/// As for etcd, 0 is no limit.
fn streams(text: &str) -> Result<u32, String> {
    let streams = text.parse().map_err(|_| "parse error".to_owned())?;
    Ok(if streams == 0 { u32::MAX } else { streams })
}

fn cluster_state(text: &str) -> Result<ClusterState, String> {
    match text {
        "new" => Ok(ClusterState::New),
        "existing" => Ok(ClusterState::Existing),
        _ => Err("invalid value".to_owned()),
    }
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    match text.to_ascii_lowercase().as_str() {
        "debug" => Ok(LogLevel::Debug),
        "info" | "" => Ok(LogLevel::Info),
        "warn" => Ok(LogLevel::Warn),
        "error" => Ok(LogLevel::Error),
        "panic" | "fatal" | "dpanic" => Ok(LogLevel::Fatal),
        _ => Err(format!("unrecognized level: {text:?}")),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "json" => Ok(LogFormat::Json),
        "console" => Ok(LogFormat::Console),
        _ => Err(format!("unknown log format: {text}, supported values json, console")),
    }
}

/// An origin is a URL without a path, as a browser writes it.
fn origins(text: &str) -> Result<AllowList, String> {
    let list = AllowList::parse(text);
    for origin in text.split(',').map(str::trim).filter(|origin| !origin.is_empty()) {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        match host {
            _ if origin == "*" => {}
            None => {
                return Err(format!("URL scheme must be http, https, unix, or unixs: {origin}"));
            }
            Some(host) if host.contains('/') => {
                return Err(format!("URL must not contain a path: {origin}"));
            }
            Some(_) => {}
        }
    }
    Ok(list)
}

fn metrics_level(text: &str) -> Result<bool, String> {
    match text {
        "basic" | "" => Ok(false),
        "extensive" => Ok(true),
        _ => Err("it is basic or extensive".to_owned()),
    }
}

pub(super) fn invalid(message: impl Into<String>) -> ConfigError {
    ConfigError::Invalid(message.into())
}

/// Longest election timeout etcd takes: more would be an outage by configuration.
const MAX_ELECTION_TIMEOUT_MS: u64 = 50_000;
/// Progress more often than this would be load without use.
const MIN_PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// etcd's checks over all values, in its order.
fn check(config: &mut Config, listen_client_is_set: bool) -> Result<(), ConfigError> {
    let listened = [
        &config.listen_peer_urls,
        &config.listen_client_urls,
        &config.listen_client_http_urls,
        &config.listen_metrics_urls,
    ];
    for url in listened.into_iter().flatten() {
        if !url.is_bindable() {
            return Err(invalid(format!("expected IP in URL for binding ({url})")));
        }
    }
    let empty_host = |urls: &[Url]| urls.iter().find(|url| url.host.is_empty()).cloned();
    if let Some(url) = empty_host(&config.initial_advertise_peer_urls) {
        return Err(invalid(format!(
            "--initial-advertise-peer-urls {:?} must be \"host:port\" (unexpected empty host ({url}))",
            url::join(&config.initial_advertise_peer_urls)
        )));
    }
    if let Some(url) = empty_host(&config.advertise_client_urls) {
        return Err(invalid(format!(
            "--advertise-client-urls {:?} must be in the format \"host:port\", \
             \"unix:/path/to/socket\" or \"unixs:/path/to/socket\" (unexpected empty host ({url}))",
            url::join(&config.advertise_client_urls)
        )));
    }
    check_times(config)?;
    if listen_client_is_set && config.advertise_client_urls.is_empty() {
        return Err(invalid(
            "--advertise-client-urls is required when --listen-client-urls is set explicitly",
        ));
    }
    if config.max_request_bytes > limits::HIGHEST_MAX_REQUEST_BYTES {
        return Err(invalid(format!(
            "--max-request-bytes[{}] is too large, and should be at most {}",
            config.max_request_bytes,
            limits::HIGHEST_MAX_REQUEST_BYTES
        )));
    }
    if !limits::BCRYPT_COSTS.contains(&config.auth.bcrypt_cost) {
        config.warnings.push(format!(
            "--bcrypt-cost: {} is not from {} to {}; use default bcrypt cost instead of the invalid \
             given cost: {}",
            config.auth.bcrypt_cost,
            limits::BCRYPT_COSTS.start(),
            limits::BCRYPT_COSTS.end(),
            limits::DEFAULT_BCRYPT_COST
        ));
        config.auth.bcrypt_cost = limits::DEFAULT_BCRYPT_COST;
    }
    if config.watch_progress_notify_interval < MIN_PROGRESS_INTERVAL {
        config.warnings.push(format!(
            "--watch-progress-notify-interval: raised to {} ms",
            MIN_PROGRESS_INTERVAL.as_millis()
        ));
        config.watch_progress_notify_interval = MIN_PROGRESS_INTERVAL;
    }
    check_http(config)?;
    tls::check(config)
}

/// HTTP of its own must have a listener of its own.
fn check_http(config: &Config) -> Result<(), ConfigError> {
    let taken = |url: &&Url| {
        config.listen_client_urls.iter().any(|other| other.authority() == url.authority())
    };
    match config.listen_client_http_urls.iter().find(taken) {
        Some(url) => Err(invalid(format!(
            "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url \
             {url}"
        ))),
        None => Ok(()),
    }
}

fn check_times(config: &Config) -> Result<(), ConfigError> {
    let (heartbeat, election) = (config.heartbeat_interval_ms, config.election_timeout_ms);
    if heartbeat == 0 {
        return Err(invalid("--heartbeat-interval must be >0 (set to 0ms)"));
    }
    if election == 0 {
        return Err(invalid("--election-timeout must be >0 (set to 0ms)"));
    }
    if heartbeat.saturating_mul(5) > election {
        return Err(invalid(format!(
            "--election-timeout[{election}ms] should be at least as 5 times as \
             --heartbeat-interval[{heartbeat}ms]"
        )));
    }
    if election > MAX_ELECTION_TIMEOUT_MS {
        return Err(invalid(format!(
            "--election-timeout[{election}ms] is too long, and should be set less than \
             {MAX_ELECTION_TIMEOUT_MS}ms"
        )));
    }
    Ok(())
}
