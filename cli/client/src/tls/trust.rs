//! Verifiers that do not look at who signed a certificate.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// Decides about every certificate alike, but still checks that the server holds the key of it.
#[derive(Debug)]
pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    whom: Whom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// `--insecure-skip-tls-verify`
    Anyone,
    /// There is no authority on this machine, and none was named.
    Nobody,
    /// Nobody either, but of every kind of certificate there is.
    LooksOnly,
}

impl Trust {
    pub(super) fn anyone(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, whom: Whom::Anyone }
    }

    pub(super) fn nobody(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, whom: Whom::Nobody }
    }

    pub(super) fn looking(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, whom: Whom::LooksOnly }
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.whom {
            Whom::Anyone => Ok(ServerCertVerified::assertion()),
            Whom::Nobody | Whom::LooksOnly => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self.whom {
            Whom::LooksOnly => super::all_schemes(),
            _ => self.provider.signature_verification_algorithms.supported_schemes(),
        }
    }
}
