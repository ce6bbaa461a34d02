//! What a certificate says, as far as a person wants to know it.

use std::fmt;
use std::net::IpAddr;

use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

use crate::escape::printable;

/// The longest name of a host has 253 characters.
const MAX_NAME_CHARS: usize = 255;

/// One certificate, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The common name, or the whole distinguished name where there is none.
    pub subject: String,
    pub issuer: String,
    /// The names and addresses it is good for.
    pub names: Vec<String>,
    pub not_before: Moment,
    pub not_after: Moment,
    pub key: KeyKind,
}

/// Seconds since 1970. Displays as `2024-01-01 00:00 UTC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyKind {
    P256,
    P384,
    /// Which ring neither signs with nor verifies.
    P521,
    Rsa,
    Ed25519,
    /// Its object identifier.
    Other(String),
}

impl Certificate {
    /// `None` for what is no certificate.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let alternatives = parsed.subject_alternative_name().ok().flatten();
        let names = alternatives.iter().flat_map(|found| &found.value.general_names);
        let validity = parsed.validity();
        Some(Self {
            subject: name_of(parsed.subject()),
            issuer: name_of(parsed.issuer()),
            names: names.filter_map(name_text).collect(),
            not_before: Moment(validity.not_before.timestamp()),
            not_after: Moment(validity.not_after.timestamp()),
            key: KeyKind::of(&parsed),
        })
    }

    pub fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }
}

/// The name of an authority that a server asks a certificate of: a distinguished name, DER.
pub(crate) fn authority_name(der: &[u8]) -> Option<String> {
    let (_, name) = x509_parser::x509::X509Name::from_der(der).ok()?;
    Some(name_of(&name))
}

fn name_of(name: &x509_parser::x509::X509Name<'_>) -> String {
    let common = name.iter_common_name().last().and_then(|name| name.as_str().ok());
    printable(&common.map_or_else(|| name.to_string(), str::to_owned), MAX_NAME_CHARS)
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(printable(name, MAX_NAME_CHARS)),
        GeneralName::IPAddress(bytes) => {
            if let Ok(four) = <[u8; 4]>::try_from(*bytes) {
                return Some(IpAddr::from(four).to_string());
            }
            <[u8; 16]>::try_from(*bytes).ok().map(|sixteen| IpAddr::from(sixteen).to_string())
        }
        _ => None,
    }
}

impl KeyKind {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let algorithm = &certificate.public_key().algorithm;
        let id = algorithm.algorithm.to_id_string();
        // RFC 5480: the curve of an elliptic key stands in the parameters.
        let curve = algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        match (id.as_str(), curve.map(|oid| oid.to_id_string()).as_deref()) {
            ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => Self::P256,
            ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => Self::P384,
            ("1.2.840.10045.2.1", Some("1.3.132.0.35")) => Self::P521,
            ("1.2.840.10045.2.1", Some(curve)) => Self::Other(curve.to_owned()),
            ("1.2.840.113549.1.1.1", _) => Self::Rsa,
            ("1.3.101.112", _) => Self::Ed25519,
            _ => Self::Other(id),
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Rsa => "RSA",
            Self::Ed25519 => "Ed25519",
            Self::Other(id) => id,
        })
    }
}

impl Moment {
    pub fn now() -> Self {
        Self(ASN1Time::now().timestamp())
    }

    /// Whole days from here to `later`, negative if it is earlier.
    pub fn days_until(self, later: Self) -> i64 {
        const DAY_SECONDS: i64 = 24 * 60 * 60;
        later.0.saturating_sub(self.0) / DAY_SECONDS
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(time) = ASN1Time::from_timestamp(self.0) else {
            return write!(f, "second {} since 1970", self.0);
        };
        let time = time.to_datetime();
        let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
        write!(f, "{year}-{month:02}-{day:02} {:02}:{:02} UTC", time.hour(), time.minute())
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn a_moment_reads_as_a_date() {
        assert_eq!(Moment(0).to_string(), "1970-01-01 00:00 UTC");
        assert_eq!(Moment(1_704_067_200 + 3600).to_string(), "2024-01-01 01:00 UTC");
        assert!(Moment(i64::MAX).to_string().starts_with("second "));
    }

    #[test]
    fn days_are_counted_whole() {
        assert_eq!(Moment(0).days_until(Moment(2 * 86_400 - 1)), 1);
        assert_eq!(Moment(86_400).days_until(Moment(0)), -1);
    }
}
