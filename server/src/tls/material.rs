//! Files as rustls wants them. Pure: bytes in, configurations or a complaint out.

use std::fmt::Display;
use std::sync::Arc;

use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion,
    WantsVerifier, version,
};

use super::TlsError;
use super::files::{Files, Pair, system_roots};
use super::revocation;
use super::verify::{Conditions, VerifyClient, VerifyServer};
use crate::config::{Tls, TlsPolicy, TlsVersion};

/// Everything one kind of connection needs, at one moment.
pub(super) struct Material {
    /// `None` without a certificate.
    pub(super) server: Option<Arc<ServerConfig>>,
    /// For dialling.
    pub(super) client: Arc<ClientConfig>,
}

/// How files become material.
pub(super) struct Recipe<'a> {
    pub(super) tls: &'a Tls,
    pub(super) policy: &'a TlsPolicy,
    /// The certificate was made by this member, as those of its peers were by them.
    pub(super) is_self_made: bool,
}

impl Recipe<'_> {
    pub(super) fn material(&self, files: &Files) -> Result<Material, TlsError> {
        let provider = Arc::new(provider(&self.policy.cipher_suites));
        let conditions = Arc::new(Conditions {
            allowed_cns: self.tls.allowed_cns.clone(),
            allowed_hostnames: self.tls.allowed_hostnames.clone(),
            revoked: files
                .revocations
                .as_ref()
                .map(revocation::read)
                .transpose()?
                .unwrap_or_default(),
        });
        let server = match &files.server {
            Some(pair) => Some(self.server(files, pair, &provider, &conditions)?),
            None => None,
        };
        let client = self.client(files, &provider, conditions)?;
        Ok(Material { server, client: Arc::new(client) })
    }

    fn server(
        &self,
        files: &Files,
        pair: &Pair,
        provider: &Arc<CryptoProvider>,
        conditions: &Arc<Conditions>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&self.versions())
            .map_err(|error| setup(&error))?;
        // As in etcd, naming the authorities is enough to demand a certificate.
        let builder = if self.tls.client_cert_auth || files.authorities.is_some() {
            let roots = Arc::new(files.roots()?);
            let chain =
                WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
            let chain = chain.map_err(|error| setup(&error))?;
            let conditions = Arc::clone(conditions);
            builder.with_client_cert_verifier(Arc::new(VerifyClient { chain, conditions }))
        } else {
            builder.with_no_client_auth()
        };
        let (chain, key) = pair.identity()?;
        let certified =
            CertifiedKey::from_der(chain, key, provider).map_err(|error| pair.unusable(&error))?;
        let mut config = builder.with_cert_resolver(Arc::new(Only(Arc::new(certified))));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn client(
        &self,
        files: &Files,
        provider: &Arc<CryptoProvider>,
        conditions: Arc<Conditions>,
    ) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&self.versions())
            .map_err(|error| setup(&error))?;
        let chain = if self.is_self_made { None } else { Some(files.roots()?) };
        let builder = verified(builder, chain, provider, conditions)?;
        let mut config = match files.client.as_ref().or(files.server.as_ref()) {
            Some(pair) => {
                let (chain, key) = pair.identity()?;
                builder.with_client_auth_cert(chain, key).map_err(|error| pair.unusable(&error))?
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let allowed = self.policy.min_version..=self.policy.max_version;
        let known = [(TlsVersion::Tls13, &version::TLS13), (TlsVersion::Tls12, &version::TLS12)];
        known.into_iter().filter(|(name, _)| allowed.contains(name)).map(|(_, it)| it).collect()
    }
}

/// For dialling where no flag says anything about TLS: whoever the system trusts.
pub(super) fn default_client() -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(&error))?;
    let mut config = builder.with_root_certificates(system_roots()?).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// One certificate for whatever name the client asks for, or for none: addresses are never asked
/// for by name.
#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

type ClientBuilder<Stage> = ConfigBuilder<ClientConfig, Stage>;

fn verified(
    builder: ClientBuilder<WantsVerifier>,
    roots: Option<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    conditions: Arc<Conditions>,
) -> Result<ClientBuilder<tokio_rustls::rustls::client::WantsClientCert>, TlsError> {
    let chain = match roots {
        // Nobody is trusted: dialling fails, which is said when it is tried.
        Some(roots) if roots.is_empty() => {
            return Ok(builder.with_root_certificates(roots));
        }
        Some(roots) => {
            let roots = Arc::new(roots);
            let chain =
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
            Some(chain.map_err(|error| setup(&error))? as Arc<_>)
        }
        None => None,
    };
    let provider = Arc::clone(provider);
    let verifier = Arc::new(VerifyServer { chain, conditions, provider });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
}

/// The suites of TLS 1.3, and of 1.2 those named, in that order; without names, all.
fn provider(names: &[String]) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if names.is_empty() {
        return provider;
    }
    let known = std::mem::take(&mut provider.cipher_suites);
    provider.cipher_suites.extend(known.iter().filter(|suite| suite.tls13().is_some()));
    for name in names {
        // rustls's names are Go's, but for the suites of TLS 1.3, which are there already.
        let full = match name.strip_suffix("_CHACHA20_POLY1305") {
            Some(_) => format!("{name}_SHA256"),
            None => name.clone(),
        };
        let named = known.iter().filter(|suite| suite.tls13().is_none());
        let found = named.filter(|suite| suite.suite().as_str() == Some(full.as_str()));
        for suite in found {
            if !provider.cipher_suites.contains(suite) {
                provider.cipher_suites.push(*suite);
            }
        }
    }
    provider
}

fn setup(error: &dyn Display) -> TlsError {
    TlsError::Setup(error.to_string())
}
