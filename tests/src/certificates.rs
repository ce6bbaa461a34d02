//! Authorities and certificates for tests, made on the spot.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};

/// Somebody who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub pem: String,
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct Certified {
    pub cert: String,
    pub key: String,
    /// The certificate alone.
    pub der: Vec<u8>,
    serial: SerialNumber,
}

/// What a certificate is to say.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    pub common_name: &'a str,
    /// Addresses and names.
    pub names: &'a [&'a str],
    pub expired: bool,
}

/// Where a certificate and its key were written.
#[derive(Clone)]
pub struct Paths {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let pem = params.self_signed(&key).expect("an authority signs itself").pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate of this machine's loopback, good for both ends of a connection.
    pub fn certify(&self, common_name: &str) -> Certified {
        let names = ["127.0.0.1", "::1", "localhost"];
        self.certify_as(Wanted { common_name, names: &names, expired: false })
    }

    pub fn certify_as(&self, wanted: Wanted<'_>) -> Certified {
        let mut params = params(wanted.common_name, wanted.names);
        let serial = SerialNumber::from(rand::random::<u64>() >> 1);
        params.serial_number = Some(serial.clone());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if wanted.expired {
            params.not_after = date_time_ymd(2024, 1, 1);
        }
        self.sign(&params, serial)
    }

    /// A certificate of this machine's loopback that nobody can use in our days.
    pub fn certify_too_early(&self, common_name: &str) -> Certified {
        let mut params = params(common_name, &["127.0.0.1", "localhost"]);
        let serial = SerialNumber::from(rand::random::<u64>() >> 1);
        params.serial_number = Some(serial.clone());
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2091, 1, 1);
        self.sign(&params, serial)
    }

    /// A certificate of this machine's loopback that expires in so many days.
    pub fn certify_for_days(&self, common_name: &str, days: u64) -> Certified {
        let mut params = params(common_name, &["127.0.0.1", "localhost"]);
        let serial = SerialNumber::from(rand::random::<u64>() >> 1);
        params.serial_number = Some(serial.clone());
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let left = std::time::Duration::from_secs(days * 24 * 60 * 60 + 60);
        params.not_after = (std::time::SystemTime::now() + left).into();
        self.sign(&params, serial)
    }

    fn sign(&self, params: &CertificateParams, serial: SerialNumber) -> Certified {
        let key = KeyPair::generate().expect("a key can be made");
        let cert = params.signed_by(&key, &self.issuer).expect("an authority signs");
        let der = cert.der().to_vec();
        Certified { cert: cert.pem(), key: key.serialize_pem(), der, serial }
    }

    /// A list of revoked certificates, DER as etcd wants it.
    pub fn revoke(&self, certificates: &[&Certified]) -> Vec<u8> {
        let revoked = |certified: &&Certified| RevokedCertParams {
            serial_number: certified.serial.clone(),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: certificates.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("an authority signs").der().to_vec()
    }
}

impl Certified {
    /// Writes `<name>.pem` and `<name>.key`, replacing each as a whole.
    pub fn write(&self, folder: &Path, name: &str) -> Paths {
        let paths = Paths {
            cert: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        replace(&paths.cert, self.cert.as_bytes());
        replace(&paths.key, self.key.as_bytes());
        paths
    }
}

/// Nobody ever sees half of the file.
pub fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).expect("a file can be written");
    std::fs::rename(&new, path).expect("a file can be renamed");
}

fn params(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names of tests are names");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2023, 1, 1);
    params
}
