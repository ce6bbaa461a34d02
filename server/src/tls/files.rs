//! The bytes behind the flags, read as one so that changes can be seen by comparing.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use crate::config::Tls;

/// What was read of each file that a flag names. Holds private keys: never printed.
#[derive(PartialEq)]
pub(super) struct Files {
    pub(super) server: Option<Pair>,
    /// What is shown when dialling, if that is another certificate.
    pub(super) client: Option<Pair>,
    pub(super) authorities: Option<File>,
    pub(super) revocations: Option<File>,
}

#[derive(PartialEq)]
pub(super) struct Pair {
    cert: File,
    key: File,
}

#[derive(PartialEq)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// Where Linux distributions and BSDs keep the authorities everyone trusts; Go looks there too.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

impl Files {
    pub(super) fn read(tls: &Tls) -> Result<Files, TlsError> {
        let file = |path: &Option<PathBuf>| path.as_deref().map(File::read).transpose();
        let pair = |cert: &Option<PathBuf>, key: &Option<PathBuf>| match (cert, key) {
            (Some(cert), Some(key)) => {
                Ok(Some(Pair { cert: File::read(cert)?, key: File::read(key)? }))
            }
            _ => Ok::<_, TlsError>(None),
        };
        Ok(Files {
            server: pair(&tls.cert_file, &tls.key_file)?,
            client: pair(&tls.client_cert_file, &tls.client_key_file)?,
            authorities: file(&tls.trusted_ca_file)?,
            revocations: file(&tls.crl_file)?,
        })
    }

    /// The authorities of the file, or the system's where there is none.
    pub(super) fn roots(&self) -> Result<RootCertStore, TlsError> {
        let Some(file) = &self.authorities else { return system_roots() };
        let mut roots = RootCertStore::empty();
        for certificate in file.certificates()? {
            roots.add(certificate).map_err(|error| file.unusable(&error))?;
        }
        Ok(roots)
    }
}

pub(super) fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let given = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let bundles = SYSTEM_BUNDLES.iter().map(PathBuf::from);
    if let Some(path) = given.or_else(|| bundles.into_iter().find(|path| path.exists())) {
        // A system's bundle may hold certificates of kinds rustls does not know.
        roots.add_parsable_certificates(File::read(&path)?.certificates()?);
    }
    Ok(roots)
}

impl File {
    pub(super) fn read(path: &Path) -> Result<File, TlsError> {
        let bytes =
            fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
        Ok(File { path: path.to_owned(), bytes })
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        let read = read.map_err(|error| self.unusable(&error))?;
        if read.is_empty() {
            return Err(self.unusable(&"it holds no PEM certificate"));
        }
        Ok(read)
    }

    pub(super) fn unusable(&self, reason: &dyn Display) -> TlsError {
        TlsError::File { path: self.path.clone(), reason: reason.to_string() }
    }
}

/// A certificate with those above it, and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Pair {
    pub(super) fn identity(&self) -> Result<Identity, TlsError> {
        let chain = self.cert.certificates()?;
        let key = PrivateKeyDer::from_pem_slice(&self.key.bytes)
            .map_err(|error| self.key.unusable(&error))?;
        Ok((chain, key))
    }

    /// What rustls thinks of the two.
    pub(super) fn unusable(&self, reason: &dyn Display) -> TlsError {
        self.cert.unusable(&format!("{reason} (with key {})", self.key.path.display()))
    }
}
