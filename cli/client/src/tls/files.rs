//! The files that `--cacert`, `--cert` and `--key` name, and what can be wrong with them.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate::{Certificate, KeyKind};

/// What a file is meant to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `--cacert`, or the system's own bundle.
    Authorities,
    /// `--cert`
    Certificate,
    /// `--key`
    Key,
}

/// Why TLS cannot be set up with the files that were named.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FileTrouble {
    #[error("{} {} cannot be read: {reason}", .role.flag(), .path.display())]
    Unreadable { role: Role, path: PathBuf, kind: io::ErrorKind, reason: String },
    #[error("{} {} holds no PEM, but {}", .role.flag(), .path.display(), content(*.der, *.empty))]
    NoPem { role: Role, path: PathBuf, der: bool, empty: bool },
    /// It is PEM, but of something else.
    #[error("{} {} holds {found}, not {}", .role.flag(), .path.display(), .role.wanted())]
    WrongPem { role: Role, path: PathBuf, found: String },
    #[error("{} {} is damaged: {reason}", .role.flag(), .path.display())]
    Damaged { role: Role, path: PathBuf, reason: String },
    #[error("the key {} is not that of the certificate {}, which is of {subject}", .key.display(),
            .cert.display())]
    Mismatch { cert: PathBuf, key: PathBuf, subject: String },
    #[error("{} has a key of a kind that cannot be used here: {kind}", .cert.display())]
    UnknownKind { cert: PathBuf, kind: KeyKind },
    /// One of `--cert` and `--key` alone.
    #[error("{given} needs {missing} as well: a certificate and its key go together")]
    Half { given: &'static str, missing: &'static str },
}

impl Role {
    fn flag(self) -> &'static str {
        match self {
            Self::Authorities => "--cacert",
            Self::Certificate => "--cert",
            Self::Key => "--key",
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Authorities | Self::Certificate => "a certificate",
            Self::Key => "a private key",
        }
    }
}

fn content(der: bool, empty: bool) -> &'static str {
    match (empty, der) {
        (true, _) => "is empty",
        (_, true) => "DER",
        (..) => "something else",
    }
}

impl FileTrouble {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { kind: io::ErrorKind::PermissionDenied, path, .. } => {
                format!("let this user read it, or run as one who may: ls -l {}", path.display())
            }
            Self::Unreadable { path, .. } => format!("check the path: ls -l {}", path.display()),
            Self::NoPem { der: true, path, role, .. } => {
                let kind = if *role == Role::Key { "pkey" } else { "x509" };
                let path = path.display();
                format!("convert it: openssl {kind} -inform der -in {path} -out {path}.pem")
            }
            Self::NoPem { .. } | Self::Damaged { .. } => {
                "it must be a PEM file, with lines -----BEGIN …----- and -----END …-----".to_owned()
            }
            Self::WrongPem { found, .. } if found.contains("encrypted") => {
                "the key must be without a passphrase: openssl pkey -in KEY -out PLAIN".to_owned()
            }
            Self::WrongPem { .. } => {
                "check that --cacert, --cert and --key are not mixed up".to_owned()
            }
            Self::Mismatch { cert, key, .. } => format!(
                "these two print the same for a pair: openssl x509 -noout -pubkey -in {}; openssl \
                 pkey -pubout -in {}",
                cert.display(),
                key.display()
            ),
            Self::UnknownKind { .. } => {
                "make one with a key that is P-256, P-384, RSA (2048 bits or more) or Ed25519"
                    .to_owned()
            }
            Self::Half { missing, .. } => format!("add {missing}"),
        }
    }

    /// What etcdctl, and so Go, says of it.
    pub fn etcdctl_text(&self) -> String {
        match self {
            Self::Unreadable { path, kind, reason, .. } => {
                let reason = match kind {
                    io::ErrorKind::NotFound => "no such file or directory",
                    io::ErrorKind::PermissionDenied => "permission denied",
                    _ => reason,
                };
                format!("open {}: {reason}", path.display())
            }
            Self::NoPem { role: Role::Key, .. } => {
                "tls: failed to find any PEM data in key input".to_owned()
            }
            Self::NoPem { .. } => {
                "tls: failed to find any PEM data in certificate input".to_owned()
            }
            Self::Mismatch { .. } => "tls: private key does not match public key".to_owned(),
            other => other.to_string(),
        }
    }
}

/// All certificates of a file, at least one.
pub(super) fn certificates(
    role: Role,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, FileTrouble> {
    let bytes = read(role, path)?;
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| damaged(role, path, &error))?;
    if found.is_empty() { Err(nothing(role, path, &bytes)) } else { Ok(found) }
}

/// The first private key of a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, FileTrouble> {
    let bytes = read(Role::Key, path)?;
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(nothing(Role::Key, path, &bytes)),
        Err(error) => Err(damaged(Role::Key, path, &error)),
    }
}

fn read(role: Role, path: &Path) -> Result<Vec<u8>, FileTrouble> {
    std::fs::read(path).map_err(|error| FileTrouble::Unreadable {
        role,
        path: path.to_owned(),
        kind: error.kind(),
        reason: crate::connect::system_words(&error),
    })
}

fn damaged(role: Role, path: &Path, error: &pem::Error) -> FileTrouble {
    let reason = match error {
        pem::Error::MissingSectionEnd { .. } => "an END line is missing".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is not one".to_owned(),
        other => other.to_string(),
    };
    FileTrouble::Damaged { role, path: path.to_owned(), reason }
}

/// What a file without the wanted thing holds instead.
fn nothing(role: Role, path: &Path, bytes: &[u8]) -> FileTrouble {
    let label = labels(bytes).next();
    let path = path.to_owned();
    let Some(label) = label else {
        // ASN.1: a sequence whose length takes two bytes.
        let der = bytes.starts_with(&[0x30, 0x82]);
        return FileTrouble::NoPem { role, path, der, empty: bytes.trim_ascii().is_empty() };
    };
    let found = match label.as_str() {
        "CERTIFICATE" => "a certificate".to_owned(),
        "ENCRYPTED PRIVATE KEY" => "an encrypted private key".to_owned(),
        "PUBLIC KEY" => "a public key".to_owned(),
        "CERTIFICATE REQUEST" => "a request for a certificate".to_owned(),
        key if key.ends_with("PRIVATE KEY") => "a private key".to_owned(),
        other => format!("{other:?}"),
    };
    FileTrouble::WrongPem { role, path, found }
}

/// The words between `-----BEGIN ` and `-----`.
fn labels(bytes: &[u8]) -> impl Iterator<Item = String> {
    /// Longer ones are no label.
    const MAX_LABEL: usize = 64;
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut found = Vec::new();
    for line in text.lines() {
        let label = line.trim().strip_prefix("-----BEGIN ");
        let label = label.and_then(|rest| rest.strip_suffix("-----"));
        found.extend(label.filter(|label| label.len() <= MAX_LABEL).map(str::to_owned));
    }
    found.into_iter()
}

/// Why rustls does not take a pair that could be read.
pub(super) fn pair_trouble(
    error: &tokio_rustls::rustls::Error,
    chain: &[CertificateDer<'_>],
    (cert, key): (&Path, &Path),
) -> FileTrouble {
    use tokio_rustls::rustls::{Error, InconsistentKeys};
    let shown = chain.first().and_then(|der| Certificate::read(der));
    match (error, shown) {
        (Error::InconsistentKeys(InconsistentKeys::KeyMismatch), Some(shown)) => {
            FileTrouble::Mismatch {
                cert: cert.to_owned(),
                key: key.to_owned(),
                subject: shown.subject,
            }
        }
        (_, Some(Certificate { key: kind @ (KeyKind::P521 | KeyKind::Other(_)), .. })) => {
            FileTrouble::UnknownKind { cert: cert.to_owned(), kind }
        }
        (error, Some(_)) => FileTrouble::Damaged {
            role: Role::Key,
            path: key.to_owned(),
            reason: error.to_string(),
        },
        (_, None) => FileTrouble::Damaged {
            role: Role::Certificate,
            path: cert.to_owned(),
            reason: "its first certificate cannot be read".to_owned(),
        },
    }
}
