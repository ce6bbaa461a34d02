//! What one handshake has shown: rustls decides, this looks on, so that a failure can say which
//! certificate it was about.

use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::{Certificate, authority_name};

/// What has been seen of one handshake.
#[derive(Debug, Default)]
pub(crate) struct Handshake {
    server: OnceLock<Certificate>,
    asked: OnceLock<Asked>,
}

/// The server asked for a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// One was shown.
    pub(crate) answered: bool,
    /// Whose certificates it takes, if it says so.
    pub(crate) authorities: Vec<String>,
}

/// Authorities named in a message; a server may trust hundreds.
const MAX_AUTHORITIES: usize = 5;

impl Handshake {
    /// The server's certificate, if it came that far and can be read.
    pub(crate) fn server(&self) -> Option<&Certificate> {
        self.server.get()
    }

    pub(crate) fn asked(&self) -> Option<&Asked> {
        self.asked.get()
    }
}

/// Has everything that `config` is asked written down in `seen`.
pub(super) fn observe(
    config: &mut ClientConfig,
    verifier: Arc<dyn ServerCertVerifier>,
    seen: &Arc<Handshake>,
) {
    let resolver = config.client_auth_cert_resolver.clone();
    config.client_auth_cert_resolver = Arc::new(Observer { inner: resolver, seen: seen.clone() });
    let verifier = Observer { inner: verifier, seen: seen.clone() };
    config.dangerous().set_certificate_verifier(Arc::new(verifier));
}

#[derive(Debug)]
struct Observer<T> {
    inner: T,
    seen: Arc<Handshake>,
}

impl ServerCertVerifier for Observer<Arc<dyn ServerCertVerifier>> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(certificate) = Certificate::read(end_entity) {
            let _ = self.seen.server.set(certificate);
        }
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl ResolvesClientCert for Observer<Arc<dyn ResolvesClientCert>> {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let key = self.inner.resolve(root_hint_subjects, sigschemes);
        let answered = key.as_ref().is_some_and(|key| key.key.choose_scheme(sigschemes).is_some());
        let hints = root_hint_subjects.iter().filter_map(|der| authority_name(der));
        let authorities = hints.take(MAX_AUTHORITIES).collect();
        let _ = self.seen.asked.set(Asked { answered, authorities });
        key
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}
