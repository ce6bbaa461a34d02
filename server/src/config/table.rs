//! Every flag of etcd's server by name, and where we stand on it.
//!
//! None is silently ignored: it is honoured, or accepted with a warning where it only tunes a
//! mechanism that works differently here, or refused with a sentence.

#[derive(Debug, PartialEq)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) stand: Stand,
}

#[derive(Debug, PartialEq)]
pub(super) enum Stand {
    Honoured,
    /// A switch that is honoured.
    Switch,
    /// Only tuning; accepted with this warning.
    Tuning(&'static str),
    /// A switch that is only tuning.
    TuningSwitch(&'static str),
    /// Accepted with one of these values, which is what we do anyway.
    Only(&'static [&'static str], &'static str),
    /// The same for a switch.
    OnlySwitch(bool, &'static str),
    Refused(&'static str),
    RefusedSwitch(&'static str),
}

impl Flag {
    pub(super) fn is_switch(&self) -> bool {
        matches!(
            self.stand,
            Stand::Switch
                | Stand::TuningSwitch(_)
                | Stand::OnlySwitch(..)
                | Stand::RefusedSwitch(_)
        )
    }

    /// The environment variable that sets the flag.
    pub(super) fn variable(&self) -> String {
        format!("ETCD_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }
}

/// Flags that some release from 3.4 to 3.6 has under this name with `experimental-` in front.
const ONCE_EXPERIMENTAL: &[&str] = &[
    "backend-bbolt-freelist-type",
    "bootstrap-defrag-threshold-megabytes",
    "compact-hash-check-enabled",
    "compact-hash-check-time",
    "compaction-batch-limit",
    "compaction-sleep-interval",
    "corrupt-check-time",
    "distributed-tracing-address",
    "distributed-tracing-instance-id",
    "distributed-tracing-sampling-rate",
    "distributed-tracing-service-name",
    "downgrade-check-time",
    "enable-distributed-tracing",
    "enable-lease-checkpoint",
    "enable-lease-checkpoint-persist",
    "initial-corrupt-check",
    "memory-mlock",
    "peer-skip-client-san-verification",
    "snapshot-catchup-entries",
    "txn-mode-write-with-shared-buffer",
    "warning-apply-duration",
    "warning-unary-request-duration",
    "watch-progress-notify-interval",
];

/// Finds a flag by its name, or by the `experimental-` spelling it had.
pub(super) fn find(name: &str) -> Option<&'static Flag> {
    let by_name = |name: &str| FLAGS.iter().find(|flag| flag.name == name);
    by_name(name).or_else(|| {
        let name = name.strip_prefix("experimental-")?;
        by_name(name).filter(|_| ONCE_EXPERIMENTAL.contains(&name))
    })
}

/// Finds the flag that an environment variable sets, in either spelling.
pub(super) fn of_variable(variable: &str) -> Option<&'static Flag> {
    let name = variable.strip_prefix("ETCD_")?;
    if name.contains(|letter: char| letter.is_ascii_lowercase() || letter == '-') {
        return None;
    }
    find(&name.to_ascii_lowercase().replace('_', "-"))
}

/// The closest honoured flag, for a hint at a misspelling.
pub(super) fn closest(name: &str) -> Option<&'static str> {
    FLAGS
        .iter()
        .filter(|flag| matches!(flag.stand, Stand::Honoured | Stand::Switch))
        .map(|flag| (distance(name, flag.name), flag.name))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substitution = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

const DISCOVERY: &str = "discovery is not supported yet; list the members in --initial-cluster";
const TRACING: &str = "distributed tracing is not supported yet";
const OBSOLETE: &str = "etcd 3.6 no longer has this flag; it has no effect";
const STORAGE: &str = "the storage engine here is another one, so this has no effect";
const CHECKPOINTS: &str = "what is left of leases is always written down; this has no effect";
const LATER: &str = "not done yet; this has no effect";

const fn flag(name: &'static str, stand: Stand) -> Flag {
    Flag { name, stand }
}

use Stand::{Honoured, Only, OnlySwitch, Refused, RefusedSwitch, Switch, Tuning, TuningSwitch};

pub(super) const FLAGS: &[Flag] = &[
    flag("name", Honoured),
    flag("data-dir", Honoured),
    flag("snapshot-count", Honoured),
    flag("snapshot-catchup-entries", Honoured),
    flag("heartbeat-interval", Honoured),
    flag("election-timeout", Honoured),
    flag("listen-peer-urls", Honoured),
    flag("listen-client-urls", Honoured),
    flag("advertise-client-urls", Honoured),
    flag("initial-advertise-peer-urls", Honoured),
    flag("initial-cluster", Honoured),
    flag("initial-cluster-state", Honoured),
    flag("initial-cluster-token", Honoured),
    flag("max-request-bytes", Honoured),
    flag("max-txn-ops", Honoured),
    flag("max-concurrent-streams", Honoured),
    flag("watch-progress-notify-interval", Honoured),
    flag("quota-backend-bytes", Honoured),
    flag("auto-compaction-mode", Honoured),
    flag("auto-compaction-retention", Honoured),
    flag("auth-token", Honoured),
    flag("auth-token-ttl", Honoured),
    flag("bcrypt-cost", Honoured),
    flag("log-level", Honoured),
    flag("log-format", Honoured),
    flag("listen-client-http-urls", Honoured),
    flag("listen-metrics-urls", Honoured),
    flag("cert-file", Honoured),
    flag("key-file", Honoured),
    flag("client-cert-file", Honoured),
    flag("client-key-file", Honoured),
    flag("client-cert-auth", Switch),
    flag("client-crl-file", Honoured),
    flag("client-cert-allowed-hostname", Honoured),
    flag("trusted-ca-file", Honoured),
    flag("auto-tls", Switch),
    flag("peer-cert-file", Honoured),
    flag("peer-key-file", Honoured),
    flag("peer-client-cert-file", Honoured),
    flag("peer-client-key-file", Honoured),
    flag("peer-client-cert-auth", Switch),
    flag("peer-trusted-ca-file", Honoured),
    flag("peer-auto-tls", Switch),
    flag("peer-crl-file", Honoured),
    flag("peer-cert-allowed-cn", Honoured),
    flag("peer-cert-allowed-hostname", Honoured),
    flag("peer-skip-client-san-verification", Switch),
    flag("cipher-suites", Honoured),
    flag("tls-min-version", Honoured),
    flag("tls-max-version", Honoured),
    flag("self-signed-cert-validity", Honoured),
    flag("grpc-keepalive-min-time", Honoured),
    flag("grpc-keepalive-interval", Honoured),
    flag("grpc-keepalive-timeout", Honoured),
    flag("version", Switch),
    // Accepted where the value says what happens anyway.
    flag("logger", Only(&["zap"], "the only value is zap")),
    flag("log-outputs", Only(&["default", "stderr"], "logs go to stderr only, yet")),
    flag("pre-vote", OnlySwitch(true, "pre-vote is always on")),
    flag("host-whitelist", Honoured),
    flag("cors", Honoured),
    flag("enable-grpc-gateway", Switch),
    flag("metrics", Honoured),
    flag("enable-v2", OnlySwitch(false, "the v2 API is not supported")),
    flag(
        "v2-deprecation",
        Only(
            &["", "not-yet", "write-only", "write-only-drop-data", "gone"],
            "it is one of not-yet, write-only, write-only-drop-data, gone",
        ),
    ),
    flag("discovery-fallback", Only(&["exit"], "v2 proxy is not supported")),
    flag("proxy", Only(&["off"], "v2 proxy is not supported")),
    flag("feature-gates", Only(&[""], "feature gates are not supported yet")),
    // Only tuning.
    flag("max-snapshots", Tuning(STORAGE)),
    flag("max-wals", Tuning(STORAGE)),
    flag("backend-batch-interval", Tuning(STORAGE)),
    flag("backend-batch-limit", Tuning(STORAGE)),
    flag("backend-bbolt-freelist-type", Tuning(STORAGE)),
    flag("bootstrap-defrag-threshold-megabytes", Tuning(STORAGE)),
    flag("compaction-batch-limit", Tuning(STORAGE)),
    flag("compaction-sleep-interval", Tuning(STORAGE)),
    flag("memory-mlock", TuningSwitch(STORAGE)),
    flag("txn-mode-write-with-shared-buffer", TuningSwitch(STORAGE)),
    flag(
        "experimental-stop-grpc-service-on-defrag",
        TuningSwitch("clients are served throughout a defragmentation; this has no effect"),
    ),
    flag("initial-election-tick-advance", TuningSwitch(LATER)),
    flag(
        "strict-reconfig-check",
        TuningSwitch("members cannot be changed yet; this has no effect"),
    ),
    flag("max-learners", Tuning("members cannot be changed yet; this has no effect")),
    flag("raft-read-timeout", Tuning(LATER)),
    flag("raft-write-timeout", Tuning(LATER)),
    flag("socket-reuse-address", TuningSwitch("addresses in TIME_WAIT can always be bound")),
    flag("warning-apply-duration", Tuning(LATER)),
    flag("warning-unary-request-duration", Tuning(LATER)),
    flag("downgrade-check-time", Tuning(LATER)),
    flag("corrupt-check-time", Tuning(LATER)),
    flag("compact-hash-check-time", Tuning(LATER)),
    flag("initial-corrupt-check", TuningSwitch(LATER)),
    flag("compact-hash-check-enabled", TuningSwitch(LATER)),
    flag("enable-lease-checkpoint", TuningSwitch(CHECKPOINTS)),
    flag("enable-lease-checkpoint-persist", TuningSwitch(CHECKPOINTS)),
    // What changes the behaviour and cannot be done yet.
    flag(
        "config-file",
        Refused("a configuration file is not supported yet; use flags or ETCD_* variables"),
    ),
    flag("wal-dir", Refused("a separate folder for the log is not supported yet")),
    flag("enable-pprof", RefusedSwitch("profiling over HTTP is not supported")),
    flag("unsafe-no-fsync", RefusedSwitch("an acknowledged write is always on disk")),
    flag("force-new-cluster", RefusedSwitch("recovery from a lost quorum is not supported yet")),
    flag("socket-reuse-port", RefusedSwitch("two processes on one port are not supported")),
    flag("enable-log-rotation", RefusedSwitch("logs go to stderr only, yet")),
    flag("log-rotation-config-json", Tuning("logs go to stderr only, yet")),
    flag("enable-distributed-tracing", RefusedSwitch(TRACING)),
    flag("distributed-tracing-address", Tuning(TRACING)),
    flag("distributed-tracing-service-name", Tuning(TRACING)),
    flag("distributed-tracing-instance-id", Tuning(TRACING)),
    flag("distributed-tracing-sampling-rate", Tuning(TRACING)),
    flag("discovery", Refused(DISCOVERY)),
    flag("discovery-proxy", Refused(DISCOVERY)),
    flag("discovery-srv", Refused(DISCOVERY)),
    flag("discovery-srv-name", Refused(DISCOVERY)),
    flag("discovery-token", Refused(DISCOVERY)),
    flag("discovery-endpoints", Refused(DISCOVERY)),
    flag("discovery-dial-timeout", Tuning(DISCOVERY)),
    flag("discovery-request-timeout", Tuning(DISCOVERY)),
    flag("discovery-keepalive-time", Tuning(DISCOVERY)),
    flag("discovery-keepalive-timeout", Tuning(DISCOVERY)),
    flag("discovery-insecure-transport", TuningSwitch(DISCOVERY)),
    flag("discovery-insecure-skip-tls-verify", TuningSwitch(DISCOVERY)),
    flag("discovery-cert", Refused(DISCOVERY)),
    flag("discovery-key", Refused(DISCOVERY)),
    flag("discovery-cacert", Refused(DISCOVERY)),
    flag("discovery-user", Refused(DISCOVERY)),
    flag("discovery-password", Refused(DISCOVERY)),
    // Of older releases.
    flag("enable-v2v3", Refused("the v2 API is not supported")),
    flag("debug", RefusedSwitch("use --log-level debug")),
    flag("log-output", Refused("use --log-outputs")),
    flag("log-package-levels", Tuning(OBSOLETE)),
    flag("proxy-dial-timeout", Tuning(OBSOLETE)),
    flag("proxy-failure-wait", Tuning(OBSOLETE)),
    flag("proxy-read-timeout", Tuning(OBSOLETE)),
    flag("proxy-refresh-interval", Tuning(OBSOLETE)),
    flag("proxy-write-timeout", Tuning(OBSOLETE)),
    flag("cluster-active-size", TuningSwitch(OBSOLETE)),
    flag("cluster-remove-delay", TuningSwitch(OBSOLETE)),
    flag("cluster-sync-interval", TuningSwitch(OBSOLETE)),
    flag("config", TuningSwitch(OBSOLETE)),
    flag("force", TuningSwitch(OBSOLETE)),
    flag("max-result-buffer", TuningSwitch(OBSOLETE)),
    flag("max-retry-attempts", TuningSwitch(OBSOLETE)),
    flag("peer-heartbeat-interval", TuningSwitch(OBSOLETE)),
    flag("peer-election-timeout", TuningSwitch(OBSOLETE)),
    flag("retry-interval", TuningSwitch(OBSOLETE)),
    flag("snapshot", TuningSwitch(OBSOLETE)),
    flag("v", TuningSwitch(OBSOLETE)),
    flag("vv", TuningSwitch(OBSOLETE)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flag_is_listed_twice() {
        for (i, flag) in FLAGS.iter().enumerate() {
            assert!(FLAGS[i + 1..].iter().all(|other| other.name != flag.name), "{}", flag.name);
        }
    }

    #[test]
    fn a_misspelling_finds_its_flag() {
        assert_eq!(closest("nmae"), Some("name"));
        assert_eq!(closest("listen-client-url"), Some("listen-client-urls"));
        assert_eq!(closest("something-else-entirely"), None);
    }

    #[test]
    fn every_flag_is_found_by_its_names_and_its_variables() {
        for flag in FLAGS {
            assert_eq!(find(flag.name), Some(flag));
            assert_eq!(of_variable(&flag.variable()), Some(flag), "{}", flag.name);
            let is_once_experimental = ONCE_EXPERIMENTAL.contains(&flag.name);
            let old = Some(flag).filter(|_| is_once_experimental);
            assert_eq!(find(&format!("experimental-{}", flag.name)), old, "{}", flag.name);
            let variable = flag.variable().replace("ETCD_", "ETCD_EXPERIMENTAL_");
            assert_eq!(of_variable(&variable), old, "{variable}");
        }
        for name in ONCE_EXPERIMENTAL {
            assert!(find(name).is_some(), "{name}");
        }
        for variable in ["ETCD_name", "ETCD_LOG-LEVEL", "ETCD_", "NAME", "ETCD_NOTHING"] {
            assert_eq!(of_variable(variable), None, "{variable}");
        }
    }
}
