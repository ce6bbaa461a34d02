//! TLS by rustls, from the files etcdctl's flags name.

mod certificate;
mod files;
mod handshake;
mod trust;

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SignatureScheme};

use crate::config::Tls;
use crate::failure::Failure;

pub use certificate::{Certificate, KeyKind, Moment};
pub use files::{FileTrouble, Role};
pub(crate) use handshake::{Asked, Handshake};

use trust::Trust;

/// Where Linux distributions and BSDs keep the authorities everyone trusts.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

/// What is offered to a server in the handshake: which protocol will be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    Http2,
}

/// TLS of one configuration, for any number of connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Setup {
    config: Arc<ClientConfig>,
    verifier: Arc<dyn ServerCertVerifier>,
    /// Whose authorities are trusted; `None` is the system's.
    pub(crate) cacert: Option<PathBuf>,
    /// The certificate that a server is shown if it asks for one.
    pub(crate) own: Option<Arc<Certificate>>,
}

impl Setup {
    /// Reads the files.
    pub(crate) fn new(tls: &Tls) -> Result<Self, Failure> {
        let provider = Arc::new(ring::default_provider());
        let verifier = verifier(tls, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::Config(format!("TLS cannot be set up: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone());
        let mut own = None;
        let config = match (&tls.cert, &tls.key) {
            (Some(cert), Some(key)) => {
                let chain = files::certificates(Role::Certificate, cert)?;
                let der = files::key(key)?;
                own = chain.first().and_then(|der| Certificate::read(der)).map(Arc::new);
                builder
                    .with_client_auth_cert(chain.clone(), der)
                    .map_err(|error| files::pair_trouble(&error, &chain, (cert, key)))?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) => {
                return Err(FileTrouble::Half { given: "--cert", missing: "--key" }.into());
            }
            (None, Some(_)) => {
                return Err(FileTrouble::Half { given: "--key", missing: "--cert" }.into());
            }
        };
        Ok(Self { config: Arc::new(config), verifier, cacert: tls.cacert.clone(), own })
    }

    /// A configuration for one handshake, and what will have been seen of it.
    pub(crate) fn observed(&self, speaks: Speaks) -> (Arc<ClientConfig>, Arc<Handshake>) {
        let seen = Arc::new(Handshake::default());
        let mut config = ClientConfig::clone(&self.config);
        handshake::observe(&mut config, self.verifier.clone(), &seen);
        config.alpn_protocols = match speaks {
            Speaks::Http1 => vec![b"http/1.1".to_vec()],
            Speaks::Http2 => vec![b"h2".to_vec()],
        };
        (Arc::new(config), seen)
    }

    /// For looking at a server and never for talking to it: takes any certificate, of any kind a
    /// server may have, to see which one it is.
    pub(crate) fn curious() -> Option<(Arc<ClientConfig>, Arc<Handshake>)> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = Arc::new(Trust::looking(provider.clone()));
        let seen = Arc::new(Handshake::default());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_no_client_auth();
        handshake::observe(&mut config, verifier, &seen);
        Some((Arc::new(config), seen))
    }
}

fn verifier(
    tls: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Failure> {
    if tls.insecure_skip_verify {
        return Ok(Arc::new(Trust::anyone(provider.clone())));
    }
    let roots = roots(tls)?;
    if roots.is_empty() {
        return Ok(Arc::new(Trust::nobody(provider.clone())));
    }
    let builder =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let built = builder.build();
    Ok(built.map_err(|error| Failure::Config(format!("TLS cannot be set up: {error}")))?)
}

fn roots(tls: &Tls) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &tls.cacert {
        for certificate in files::certificates(Role::Authorities, path)? {
            roots.add(certificate).map_err(|error| FileTrouble::Damaged {
                role: Role::Authorities,
                path: path.clone(),
                reason: error.to_string(),
            })?;
        }
        return Ok(roots);
    }
    let bundle = std::env::var_os("SSL_CERT_FILE")
        .map(PathBuf::from)
        .or_else(|| SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.exists()));
    if let Some(path) = bundle {
        // A system's bundle may hold certificates of kinds rustls does not know.
        roots.add_parsable_certificates(files::certificates(Role::Authorities, &path)?);
    }
    Ok(roots)
}

/// Every kind of signature a server may use, those we cannot check included.
fn all_schemes() -> Vec<SignatureScheme> {
    vec![
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::ECDSA_NISTP384_SHA384,
        SignatureScheme::ECDSA_NISTP521_SHA512,
        SignatureScheme::ED25519,
        SignatureScheme::ED448,
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::RSA_PSS_SHA384,
        SignatureScheme::RSA_PSS_SHA512,
        SignatureScheme::RSA_PKCS1_SHA256,
        SignatureScheme::RSA_PKCS1_SHA384,
        SignatureScheme::RSA_PKCS1_SHA512,
        SignatureScheme::RSA_PKCS1_SHA1,
        SignatureScheme::ECDSA_SHA1_Legacy,
    ]
}
