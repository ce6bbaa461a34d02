//! From an accepted socket to a client that is known and has begun to speak HTTP.
//!
//! All of it is under one deadline, so that nobody holds a connection by a handshake that is never
//! finished (GHSA-6vch-q96h-7gc3).

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_rustls::TlsAcceptor;

use crate::net::{Greeting, Listener, Wire};
use crate::tls::{CommonName, Names, Role, comes_from_its_place};

/// What is asked of whoever comes to one listener.
pub(super) struct Door {
    address: String,
    is_plain: bool,
    is_secure: bool,
    /// HTTP/1 is served elsewhere.
    grpc_only: bool,
    tls: Arc<Role>,
    complaints: Complaints,
}

/// A client that has begun to speak HTTP.
pub(super) struct Welcomed {
    pub(super) wire: Wire,
    pub(super) is_http2: bool,
    pub(super) is_secure: bool,
    pub(super) common_name: Option<CommonName>,
}

impl Door {
    pub(super) fn new(listener: &Listener, tls: Arc<Role>, grpc_only: bool) -> Door {
        let urls: Vec<String> = listener.urls().iter().map(ToString::to_string).collect();
        Door {
            address: urls.join(","),
            is_plain: listener.is_plain(),
            is_secure: listener.is_secure(),
            grpc_only,
            tls,
            complaints: Complaints::default(),
        }
    }

    /// `None` for whoever is not let in, or has gone.
    pub(super) async fn welcome(&self, mut wire: Wire) -> Option<Welcomed> {
        let remote = wire.remote();
        let spoken = match wire.greeting().await? {
            Greeting::Tls if self.is_secure => {
                // On the heap: it is large, and most of a connection's life is after it.
                match Box::pin(self.handshake(wire)).await {
                    Ok(spoken) => spoken?,
                    Err(reason) => {
                        let from = remote.map(|address| address.to_string()).unwrap_or_default();
                        self.complain(&from, &reason);
                        return None;
                    }
                }
            }
            Greeting::Http1 | Greeting::Http2 if !self.is_plain => {
                let from = remote.map(|address| address.to_string()).unwrap_or_default();
                self.complain(&from, "tls: first record does not look like a TLS handshake");
                return None;
            }
            Greeting::Tls => return None,
            greeting => Spoken { greeting, wire, is_secure: false, common_name: None },
        };
        if self.grpc_only && spoken.greeting == Greeting::Http1 {
            return None;
        }
        let is_http2 = spoken.greeting == Greeting::Http2;
        let Spoken { wire, is_secure, common_name, .. } = spoken;
        Some(Welcomed { wire, is_http2, is_secure, common_name })
    }

    async fn handshake(&self, wire: Wire) -> Result<Option<Spoken>, String> {
        let Some(config) = self.tls.server() else {
            return Err("there is no certificate to show".to_owned());
        };
        let accepted = TlsAcceptor::from(config).accept(wire).await;
        let stream = accepted.map_err(|error| explained(error.to_string()))?;
        let (wire, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let names = shown.and_then(Names::of);
        if self.tls.checks_origin()
            && let (Some(names), Some(from)) = (&names, wire.remote())
        {
            comes_from_its_place(names, from).await?;
        }
        let common_name = match names {
            Some(names) if self.tls.names_users() => Some(CommonName(names.common_name)),
            _ => None,
        };
        let mut wire = Wire::tls(stream);
        let Some(greeting) = wire.greeting().await else { return Ok(None) };
        Ok(Some(Spoken { greeting, wire, is_secure: true, common_name }))
    }

    fn complain(&self, remote: &str, reason: &str) {
        let Some(unsaid) = self.complaints.may_say() else { return };
        tracing::warn!(
            remote_addr = remote,
            listener = self.address,
            error = reason,
            unsaid,
            "rejected connection on {} endpoint",
            self.tls.kind().name()
        );
    }
}

/// rustls' words, and a sentence where they do not say what is wrong with a certificate.
fn explained(error: String) -> String {
    let sentence = if error.contains("UnsupportedCertVersion") {
        "a certificate must be of X.509 version 3, and one of these is older"
    } else if error.contains("UnsupportedSignatureAlgorithm") {
        "keys may be RSA, Ed25519, P-256 or P-384, and one of these is another"
    } else if error.contains("peer sent no certificates") {
        "the client has no certificate, or none with a key that is RSA, Ed25519, P-256 or P-384"
    } else {
        return error;
    };
    format!("{sentence} ({error})")
}

struct Spoken {
    greeting: Greeting,
    wire: Wire,
    is_secure: bool,
    common_name: Option<CommonName>,
}

/// Whoever is turned away may come again at once, and must not fill the log by that.
#[derive(Default)]
struct Complaints(Mutex<Said>);

#[derive(Default)]
struct Said {
    since: Option<Instant>,
    lines: u32,
    unsaid: u64,
}

impl Complaints {
    /// How many were not said before this one, if this one may be said.
    fn may_say(&self) -> Option<u64> {
        const PERIOD: Duration = Duration::from_secs(1);
        const LINES_PER_PERIOD: u32 = 10;
        let mut said = self.0.lock();
        if said.since.is_none_or(|since| since.elapsed() > PERIOD) {
            said.since = Some(Instant::now());
            said.lines = 0;
        }
        if said.lines == LINES_PER_PERIOD {
            said.unsaid += 1;
            return None;
        }
        said.lines += 1;
        Some(std::mem::take(&mut said.unsaid))
    }
}
