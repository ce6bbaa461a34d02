//! What a certificate says of its holder.

use std::net::IpAddr;

use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The names of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Empty if there is none.
    pub(crate) common_name: String,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) hosts: Vec<String>,
    /// Without leading zeroes.
    pub(crate) serial: Vec<u8>,
}

impl Names {
    /// `None` for what is no certificate.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Names> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        // Of several the last one counts, as in Go: nobody must be able to add a second name and
        // be one user here and another there.
        let common_name = parsed.subject().iter_common_name().last();
        let common_name = common_name.and_then(|name| name.as_str().ok()).unwrap_or_default();
        let alternatives = parsed.subject_alternative_name().ok().flatten();
        let mut names = Names {
            common_name: common_name.to_owned(),
            serial: significant(parsed.raw_serial()).to_vec(),
            ..Names::default()
        };
        for name in alternatives.iter().flat_map(|found| &found.value.general_names) {
            match name {
                GeneralName::DNSName(name) => names.hosts.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        Some(names)
    }
}

/// A number's bytes without the zeroes before it.
pub(super) fn significant(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    &bytes[start..]
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
