//! Who is let in: a certificate of a trusted authority that is not revoked and meets the
//! conditions of the flags.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
};

use super::names::Names;
use super::revocation::Revoked;

/// What a certificate must meet besides being signed by a trusted authority. As in etcd, on both
/// sides of a connection.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) allowed_cns: Vec<String>,
    pub(super) allowed_hostnames: Vec<String>,
    pub(super) revoked: Revoked,
}

impl Conditions {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        let encoding = || Error::InvalidCertificate(CertificateError::BadEncoding);
        let names = Names::of(end_entity).ok_or_else(encoding)?;
        if !self.revoked.is_empty() {
            let mut revoked = self.revoked.contains(&names.serial);
            for certificate in intermediates {
                let above = Names::of(certificate).ok_or_else(encoding)?;
                revoked |= self.revoked.contains(&above.serial);
            }
            if revoked {
                return Err(Error::InvalidCertificate(CertificateError::Revoked));
            }
        }
        if !self.allows(&names, end_entity)? {
            return Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ));
        }
        Ok(())
    }

    fn allows(&self, names: &Names, certificate: &CertificateDer<'_>) -> Result<bool, Error> {
        if !self.allowed_cns.is_empty() {
            return Ok(self.allowed_cns.contains(&names.common_name));
        }
        if self.allowed_hostnames.is_empty() {
            return Ok(true);
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        let mut allowed = self.allowed_hostnames.iter();
        Ok(allowed.any(|name| {
            ServerName::try_from(name.as_str())
                .is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
        }))
    }
}

/// The verifier of clients, as which peers come too.
#[derive(Debug)]
pub(super) struct VerifyClient {
    pub(super) chain: Arc<dyn ClientCertVerifier>,
    pub(super) conditions: Arc<Conditions>,
}

impl ClientCertVerifier for VerifyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        self.conditions.check(end_entity, intermediates)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// The verifier of peers that are dialled.
#[derive(Debug)]
pub(super) struct VerifyServer {
    /// `None` for certificates the members made themselves, which nobody can verify.
    pub(super) chain: Option<Arc<dyn ServerCertVerifier>>,
    pub(super) conditions: Arc<Conditions>,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for VerifyServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        let verified =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        self.conditions.check(end_entity, intermediates)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
