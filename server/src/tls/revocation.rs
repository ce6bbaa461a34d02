//! Lists of revoked certificates.
//!
//! As in etcd (`checkCRL`), a certificate is revoked if its serial number stands in the file,
//! whoever issued either; the list's own signature and dates are not looked at, because who may
//! write the file may write the flags as well. Every certificate that a client sends is checked,
//! intermediate ones too. The file may be DER, as etcd 3.6 wants it, or PEM with any number of
//! lists, as 3.4 takes it too.

use std::collections::BTreeSet;

use tokio_rustls::rustls::pki_types::CertificateRevocationListDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::TlsError;
use super::files::File;
use super::names::significant;

/// Serial numbers without leading zeroes.
pub(super) type Revoked = BTreeSet<Vec<u8>>;

pub(super) fn read(file: &File) -> Result<Revoked, TlsError> {
    let mut revoked = Revoked::new();
    let lists: Result<Vec<_>, _> =
        CertificateRevocationListDer::pem_slice_iter(&file.bytes).collect();
    match lists {
        Ok(lists) if !lists.is_empty() => {
            for list in lists {
                add(&list, &mut revoked).map_err(|reason| file.unusable(&reason))?;
            }
        }
        _ => add(&file.bytes, &mut revoked).map_err(|reason| file.unusable(&reason))?,
    }
    Ok(revoked)
}

fn add(list: &[u8], revoked: &mut Revoked) -> Result<(), &'static str> {
    const NO_LIST: &str = "it is no list of revoked certificates, DER or PEM";
    let (rest, list) = CertificateRevocationList::from_der(list).map_err(|_| NO_LIST)?;
    if !rest.is_empty() {
        return Err("something follows the list of revoked certificates");
    }
    revoked.extend(
        list.iter_revoked_certificates().map(|entry| significant(entry.raw_serial()).to_vec()),
    );
    Ok(())
}
