//! TLS, by rustls: for clients and for peers, on every listener, and where peers are dialled.
//!
//! Each kind of connection has one [`Role`]: its certificate, authorities, revocations and
//! conditions. All listeners of a kind share it, so that none can be laxer than another
//! (GHSA-3wh4-j44w-pg92). Files are read again when they change ([`Role::keep_current`]); what is
//! found wrong with new ones leaves the old in force. Sessions are never resumed: a resumed one
//! would get around a revocation.
//!
//! - `files`: the bytes behind the flags. `material`: those as rustls wants them.
//! - `verify`: who is let in. `names`: what a certificate says of its holder. `origin`: whether a
//!   client comes from where its certificate says. `revocation`: lists of revoked certificates.
//! - `self_signed`: certificates for `--auto-tls`.

mod files;
mod material;
mod names;
mod origin;
mod revocation;
mod role;
mod self_signed;
#[cfg(test)]
mod tests;
mod verify;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub(crate) use names::Names;
pub(crate) use origin::comes_from_its_place;
pub(crate) use role::{Kind, Role};

/// The common name of the client's certificate, in the extensions of each of its requests, where
/// that was verified and `--client-cert-auth` is on. May be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonName(pub String);

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot use {}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("cannot make a certificate in {}: {reason}", path.display())]
    SelfSigned { path: PathBuf, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}
