//! Certificates for `--auto-tls`, in the places and with the contents etcd gives them.
//!
//! Unlike etcd's, they are no authorities: rustls takes none as a server's own certificate, and a
//! client can name one as its trusted authority all the same. Their keys are on P-256, because
//! ring has no P-521.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType,
};
use x509_parser::prelude::{FromDer, Pem, X509Certificate};

use super::TlsError;
use crate::config::Url;

/// Where the certificate and its key are.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

/// Finds the certificate of an earlier start; if there is none, or it has expired, makes one that
/// is valid for the hosts of `urls`.
pub(super) fn make_or_find(folder: &Path, urls: &[&Url], years: u32) -> Result<Made, TlsError> {
    let made = Made { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    if made.key.exists() && is_good(&made.cert) {
        return Ok(made);
    }
    make(folder, &made, urls, years)
        .map_err(|reason| TlsError::SelfSigned { path: folder.to_owned(), reason })?;
    tracing::warn!(
        cert = %made.cert.display(),
        "automatically generated a certificate, valid for {years} years; nobody vouches for it"
    );
    Ok(made)
}

fn is_good(cert: &Path) -> bool {
    let Ok(pem) = fs::read(cert) else { return false };
    let Some(Ok(pem)) = Pem::iter_from_buffer(&pem).next() else { return false };
    X509Certificate::from_der(&pem.contents).is_ok_and(|(_, cert)| cert.validity().is_valid())
}

fn make(folder: &Path, made: &Made, urls: &[&Url], years: u32) -> Result<(), String> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    /// The calendar of certificates ends with the year 9999.
    const MAX_YEARS: u32 = 1_000;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "etcd");
    let now = SystemTime::now();
    params.not_before = now.into();
    if years > MAX_YEARS {
        return Err(format!("it would be valid for too long; {MAX_YEARS} years is the most"));
    }
    params.not_after = (now + YEAR * years).into();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for url in urls.iter().filter(|url| !url.is_unix()) {
        let name = match url.host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => {
                SanType::DnsName(url.host.as_str().try_into().map_err(|_| "a host is no name")?)
            }
        };
        if !params.subject_alt_names.contains(&name) {
            params.subject_alt_names.push(name);
        }
    }
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let cert = params.self_signed(&key).map_err(|error| error.to_string())?;
    let write = || {
        // The data directory may not be there yet; like it, these are the owner's alone.
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        write_private(&made.key, key.serialize_pem().as_bytes())?;
        write_private(&made.cert, cert.pem().as_bytes())
    };
    write().map_err(|error: io::Error| error.to_string())
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
