//! What the flags say about TLS, checked as far as that needs no file.
//!
//! Clients and peers have the same flags, peers' with `peer-` before them. Names and texts are
//! etcd's.

use std::path::PathBuf;

use super::parse::{Settings, invalid};
use super::{Config, ConfigError, Url};

/// TLS for one kind of connection, on all its listeners.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// What to show when this member dials; without it, the server's certificate is shown.
    pub client_cert_file: Option<PathBuf>,
    pub client_key_file: Option<PathBuf>,
    pub trusted_ca_file: Option<PathBuf>,
    pub crl_file: Option<PathBuf>,
    /// Clients must show a certificate, and its common name is a user.
    pub client_cert_auth: bool,
    /// Common names that a certificate may have; none means any.
    pub allowed_cns: Vec<String>,
    /// Names of which a certificate must be valid for one; none means any.
    pub allowed_hostnames: Vec<String>,
    /// Whether a client may come from an address that its certificate does not name.
    pub skip_client_san_verification: bool,
    /// Make a certificate where none is given.
    pub auto: bool,
}

impl Tls {
    /// Whether neither a certificate nor a key is given.
    pub fn is_empty(&self) -> bool {
        self.cert_file.is_none() && self.key_file.is_none()
    }

    fn read(settings: &Settings, prefix: &str) -> Result<Tls, ConfigError> {
        let name = |flag: &str| format!("{prefix}{flag}");
        let path = |flag: &str| {
            settings.text(&name(flag)).filter(|text| !text.is_empty()).map(PathBuf::from)
        };
        let list = |flag: &str| {
            let text = settings.text(&name(flag)).unwrap_or_default();
            text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        let is_peer = !prefix.is_empty();
        let tls = Tls {
            cert_file: path("cert-file"),
            key_file: path("key-file"),
            client_cert_file: path("client-cert-file"),
            client_key_file: path("client-key-file"),
            trusted_ca_file: path("trusted-ca-file"),
            crl_file: path(if is_peer { "crl-file" } else { "client-crl-file" }),
            client_cert_auth: settings.switch(&name("client-cert-auth")) == Some(true),
            allowed_cns: if is_peer { list("cert-allowed-cn") } else { Vec::new() },
            allowed_hostnames: list(if is_peer {
                "cert-allowed-hostname"
            } else {
                "client-cert-allowed-hostname"
            }),
            // Clients come from anywhere; etcd compares addresses of peers only.
            skip_client_san_verification: !is_peer
                || settings.switch(&name("skip-client-san-verification")) == Some(true),
            auto: settings.switch(&name("auto-tls")) == Some(true),
        };
        tls.check_pairs()?;
        Ok(tls)
    }

    fn check_pairs(&self) -> Result<(), ConfigError> {
        let shown = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
        };
        if self.cert_file.is_some() != self.key_file.is_some() {
            return Err(invalid(format!(
                "KeyFile and CertFile must both be present[key: {}, cert: {}]",
                shown(&self.key_file),
                shown(&self.cert_file)
            )));
        }
        if self.client_cert_file.is_some() != self.client_key_file.is_some() {
            return Err(invalid(format!(
                "ClientKeyFile and ClientCertFile must both be present or both absent: \
                 key: {}, cert: {}]",
                shown(&self.client_key_file),
                shown(&self.client_cert_file)
            )));
        }
        if !self.allowed_cns.is_empty() && !self.allowed_hostnames.is_empty() {
            return Err(invalid(format!(
                "AllowedCNs and AllowedHostnames are mutually exclusive (cns={}, hostnames={})",
                quoted(&self.allowed_cns),
                quoted(&self.allowed_hostnames)
            )));
        }
        Ok(())
    }
}

/// What both kinds of connections have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsPolicy {
    pub min_version: TlsVersion,
    pub max_version: TlsVersion,
    /// Go's names, in the order of preference; none means all that are known. They say nothing
    /// about TLS 1.3, as in Go.
    pub cipher_suites: Vec<String>,
    /// Of certificates made here.
    pub self_signed_cert_validity_years: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

impl Default for TlsPolicy {
    fn default() -> TlsPolicy {
        TlsPolicy {
            min_version: TlsVersion::Tls12,
            max_version: TlsVersion::Tls13,
            cipher_suites: Vec::new(),
            self_signed_cert_validity_years: 1,
        }
    }
}

/// Reads what the flags say about clients, peers and both.
pub(super) fn read(settings: &Settings) -> Result<(Tls, Tls, TlsPolicy), ConfigError> {
    Ok((Tls::read(settings, "")?, Tls::read(settings, "peer-")?, policy(settings)?))
}

/// What listeners and certificates must have to do with each other.
pub(super) fn check(config: &mut Config) -> Result<(), ConfigError> {
    let mut warnings = Vec::new();
    for (kind, tls) in [("client", &config.client_tls), ("peer", &config.peer_tls)] {
        if tls.auto && !tls.is_empty() {
            warnings.push(format!("ignoring {kind} auto TLS since certs given"));
        }
        if tls.auto && config.tls_policy.self_signed_cert_validity_years == 0 {
            return Err(invalid("selfSignedCertValidity is invalid,it should be greater than 0"));
        }
    }
    let (client, peer) = (&config.client_tls, &config.peer_tls);
    let has_none = |tls: &Tls| tls.is_empty() && !tls.auto;
    if let Some(url) = config.listen_peer_urls.iter().find(|url| url.is_secure())
        && has_none(peer)
    {
        return Err(invalid(format!(
            "cannot listen on TLS for {}: KeyFile and CertFile are not presented",
            url.authority()
        )));
    }
    let clients = || config.listen_client_urls.iter().chain(&config.listen_client_http_urls);
    if let Some(url) = clients().find(|url| url.is_secure())
        && has_none(client)
    {
        return Err(invalid(format!(
            "TLS key/cert (--cert-file, --key-file) must be provided for client url {url} with \
             HTTPS scheme"
        )));
    }
    if config.listen_metrics_urls.iter().any(Url::is_secure) && has_none(client) {
        return Err(invalid(
            "client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url",
        ));
    }
    for url in clients().filter(|url| !url.is_secure()) {
        warnings.extend(unused(client, "http or unix", "--client-cert-auth", "client-url", url));
    }
    for url in config.listen_peer_urls.iter().filter(|url| !url.is_secure()) {
        warnings.extend(unused(peer, "HTTP", "--peer-client-cert-auth", "peer-url", url));
    }
    config.warnings.extend(warnings);
    Ok(())
}

/// What has no effect on a listener without TLS.
fn unused(tls: &Tls, scheme: &str, auth_flag: &str, kind: &str, url: &Url) -> Vec<String> {
    let mut warnings = Vec::new();
    if !tls.is_empty() || tls.auto {
        warnings.push(format!(
            "scheme is {scheme} while key and cert files are present; ignoring key and cert files: \
             {kind} {url}"
        ));
    }
    if tls.client_cert_auth {
        warnings.push(format!(
            "scheme is {scheme} while {auth_flag} is enabled; ignoring client cert auth for this \
             URL: {kind} {url}"
        ));
    }
    warnings
}

fn policy(settings: &Settings) -> Result<TlsPolicy, ConfigError> {
    let min = settings.text("tls-min-version").unwrap_or_else(|| "TLS1.2".to_owned());
    let max = settings.text("tls-max-version").unwrap_or_default();
    let min_version = version(&min)?.unwrap_or(TlsVersion::Tls12);
    let max_version = version(&max)?.unwrap_or(TlsVersion::Tls13);
    if min_version > max_version {
        return Err(invalid(format!("min version ({min}) is greater than max version ({max})")));
    }
    let names = settings.text("cipher-suites").unwrap_or_default();
    let cipher_suites: Vec<String> =
        names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if min_version == TlsVersion::Tls13 && !cipher_suites.is_empty() {
        return Err(invalid("cipher suites cannot be configured when only TLS1.3 is enabled"));
    }
    for name in &cipher_suites {
        check_suite(name)?;
    }
    let years = settings.uint("self-signed-cert-validity", 1)?;
    Ok(TlsPolicy {
        min_version,
        max_version,
        cipher_suites,
        self_signed_cert_validity_years: u32::try_from(years).unwrap_or(u32::MAX),
    })
}

/// Nothing leaves the choice to the library.
fn version(text: &str) -> Result<Option<TlsVersion>, ConfigError> {
    match text {
        "" => Ok(None),
        "TLS1.2" => Ok(Some(TlsVersion::Tls12)),
        "TLS1.3" => Ok(Some(TlsVersion::Tls13)),
        _ => Err(invalid(format!(
            "unexpected TLS version {text:?} (must be one of: TLS1.2, TLS1.3)"
        ))),
    }
}

fn check_suite(name: &str) -> Result<(), ConfigError> {
    if KNOWN_SUITES.contains(&name) {
        return Ok(());
    }
    if GO_ONLY_SUITES.contains(&name) {
        return Err(ConfigError::NotSupported {
            flag: "cipher-suites".to_owned(),
            sentence: format!(
                "{name} is not supported: it has no forward secrecy, or a broken cipher or mode; \
                 take one with ECDHE and GCM or CHACHA20"
            ),
        });
    }
    Err(invalid(format!("unexpected TLS cipher suite {name:?}")))
}

fn quoted(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", items.join(" "))
}

/// Those that rustls has, by Go's names for them and etcd's two aliases.
const KNOWN_SUITES: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

const GO_ONLY_SUITES: &[&str] = &[
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
];
