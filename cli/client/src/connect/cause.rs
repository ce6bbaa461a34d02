//! Why an endpoint could not be reached, with the facts; and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use super::greeting::Greeting;
use crate::endpoint::Endpoint;
use crate::tls::{Certificate, KeyKind, Moment};

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The host's name has no address.
    Unresolvable {
        reason: String,
    },
    /// The address answered that nobody listens there.
    Refused,
    /// Nothing came in time, at this point.
    Late {
        phase: Phase,
        after: Duration,
    },
    /// The system does not get there: no route, no permission.
    Unreachable {
        reason: String,
    },
    /// It was spoken to in plain text, but it speaks TLS.
    SpeaksTls,
    /// It was spoken to by TLS, but it does not speak it.
    SpeaksPlain {
        greeting: Greeting,
    },
    /// It speaks, but something else.
    NotHttp2 {
        said: String,
    },
    /// It speaks TLS, but has no HTTP/2 to offer.
    NoHttp2Offered,
    /// It speaks HTTP/2, and knows nothing of gRPC.
    NoGrpc {
        said: String,
    },
    /// A port for other members; these are the client URLs of its cluster.
    PeerPort {
        client_urls: Vec<String>,
    },
    /// Nobody who is trusted vouches for the server.
    UnknownAuthority {
        issuer: String,
        self_signed: bool,
        cacert: Option<PathBuf>,
    },
    /// The certificate is for others; these are its names.
    WrongName {
        wanted: String,
        names: Vec<String>,
    },
    Expired {
        not_after: Moment,
        now: Moment,
    },
    NotYetValid {
        not_before: Moment,
        now: Moment,
    },
    /// The server asks for a certificate and was shown none.
    WantsCertificate {
        authorities: Vec<String>,
    },
    /// The server was shown one and does not take it; `why` as far as it says.
    RefusesCertificate {
        own: Option<Certificate>,
        why: String,
        now: Moment,
    },
    /// The certificate of the server is of a kind that cannot be checked here.
    UnknownKind {
        key: KeyKind,
    },
    /// No protocol version or cipher is known to both.
    NothingInCommon,
    /// Another failure of TLS.
    Tls {
        reason: String,
    },
    /// The connection was made, and ended without a word.
    Silent {
        reason: String,
    },
}

/// How far a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Turning the host's name into addresses.
    Name,
    /// Reaching the address.
    Connect,
    /// Agreeing on encryption and on who is who.
    Tls,
}

/// What to look at when what listens there is no gRPC server, or not a plain one.
pub(crate) const WRONG_PROTOCOL: &str =
    "check that this is a client port, and whether it wants https://";

const NO_CLIENT_PORT: &str =
    "this is no client port of etcd, which is 2379 unless it was changed: check --endpoints";

impl Cause {
    /// A sentence about `endpoint`, lower case and without a full stop.
    pub(crate) fn sentence(&self, endpoint: &str) -> String {
        match self {
            Self::Unresolvable { reason } => {
                format!("the name of {endpoint} cannot be resolved: {reason}")
            }
            Self::Refused => format!("nothing answers at {}", Endpoint::explained(endpoint)),
            Self::Late { phase: Phase::Name, after } => {
                format!("the name of {endpoint} cannot be resolved: no answer within {after:?}")
            }
            Self::Late { phase: Phase::Connect, after } => {
                let endpoint = Endpoint::explained(endpoint);
                format!("no connection to {endpoint}: no answer within {after:?}")
            }
            Self::Late { phase: Phase::Tls, after } => {
                format!("TLS with {endpoint} failed: no answer within {after:?}")
            }
            Self::Unreachable { reason } => format!("no connection to {endpoint}: {reason}"),
            Self::SpeaksTls => format!("{endpoint} speaks TLS, and was spoken to in plain text"),
            Self::SpeaksPlain { greeting: Greeting::Http1(line) | Greeting::Other(line) } => {
                format!("{endpoint} does not speak TLS: it answers {line:?}")
            }
            Self::SpeaksPlain { .. } => format!("{endpoint} does not speak TLS, but plain HTTP/2"),
            Self::NotHttp2 { said } => {
                format!("{endpoint} does not speak HTTP/2: it answers {said:?}")
            }
            Self::NoHttp2Offered => format!("{endpoint} speaks TLS, but does not offer HTTP/2"),
            Self::NoGrpc { said } => format!("{endpoint} does not speak gRPC: it answers {said}"),
            Self::PeerPort { .. } => format!("{endpoint} is for members, not for clients"),
            Self::Tls { reason } => format!("TLS with {endpoint} failed: {reason}"),
            Self::NothingInCommon => format!(
                "TLS with {endpoint} failed: no protocol version, cipher or kind of certificate is \
                 known to both"
            ),
            Self::Silent { reason } => format!("{endpoint} does not speak HTTP/2: {reason}"),
            _ => self.certificate_sentence(endpoint),
        }
    }

    fn certificate_sentence(&self, endpoint: &str) -> String {
        match self {
            Self::UnknownAuthority { issuer, self_signed, cacert } => {
                let issuer = if *self_signed {
                    format!("it is signed by itself, {issuer:?}, which")
                } else {
                    format!("it is issued by {issuer:?}, which")
                };
                let place = match cacert {
                    Some(path) => format!("is not in {}", path.display()),
                    None => "this system does not know".to_owned(),
                };
                format!("the certificate of {endpoint} is not trusted: {issuer} {place}")
            }
            Self::WrongName { wanted, names } if names.is_empty() => format!(
                "the certificate of {endpoint} is not for {wanted:?}: it has no name that counts"
            ),
            Self::WrongName { wanted, names } => format!(
                "the certificate of {endpoint} is not for {wanted:?}, but for {}",
                shortened(names)
            ),
            Self::Expired { not_after, now } => format!(
                "the certificate of {endpoint} expired on {not_after}; this machine's clock says \
                 {now}"
            ),
            Self::NotYetValid { not_before, now } => format!(
                "the certificate of {endpoint} is not valid before {not_before}; this machine's \
                 clock says {now}"
            ),
            Self::WantsCertificate { .. } => {
                format!("{endpoint} wants to be shown a client certificate")
            }
            Self::RefusesCertificate { own: Some(own), why, now } => {
                let why = if own.not_after < *now {
                    format!("it expired on {}; this machine's clock says {now}", own.not_after)
                } else {
                    why.clone()
                };
                format!("{endpoint} does not take the client certificate {:?}: {why}", own.subject)
            }
            Self::RefusesCertificate { own: None, why, .. } => {
                format!("{endpoint} does not take the client certificate: {why}")
            }
            Self::UnknownKind { key } => format!(
                "the certificate of {endpoint} has a key of a kind that cannot be checked here: \
                 {key}"
            ),
            _ => format!("no connection to {endpoint}"),
        }
    }

    /// What to do about it, if something can be said.
    pub(crate) fn hint(&self, endpoint: &str) -> Option<String> {
        let address = endpoint.split_once("://").map_or(endpoint, |(_, address)| address);
        Some(match self {
            Self::Refused => return None,
            Self::Unresolvable { .. } | Self::Late { phase: Phase::Name, .. } => {
                "check the spelling, or give the address itself to --endpoints".to_owned()
            }
            Self::Late { phase: Phase::Connect, .. } | Self::Unreachable { .. } => {
                "check the address, a firewall, or a longer --dial-timeout".to_owned()
            }
            Self::SpeaksTls => format!(
                "write https://{address}, and name its authority with --cacert FILE unless this \
                 system knows it"
            ),
            Self::SpeaksPlain { greeting: Greeting::Http1(_) | Greeting::Other(_) }
            | Self::NotHttp2 { .. }
            | Self::NoGrpc { .. }
            | Self::NoHttp2Offered => NO_CLIENT_PORT.to_owned(),
            Self::SpeaksPlain { .. } if endpoint.contains("://") => {
                format!("write http://{address}")
            }
            Self::SpeaksPlain { .. } => format!(
                "write http://{address}, or leave out --cacert, --cert and --key, which ask for TLS"
            ),
            Self::PeerPort { client_urls } if client_urls.is_empty() => NO_CLIENT_PORT.to_owned(),
            Self::PeerPort { client_urls } => {
                format!("its cluster serves clients here: --endpoints {}", client_urls.join(","))
            }
            Self::Late { phase: Phase::Tls, .. } | Self::Tls { .. } | Self::NothingInCommon => {
                "check --cacert, --cert and --key, or whether the endpoint is http:// after all"
                    .to_owned()
            }
            Self::Silent { .. } if endpoint.starts_with("https://") => {
                "check that this is a client port, and whether it wants --cert and --key".to_owned()
            }
            Self::Silent { .. } => WRONG_PROTOCOL.to_owned(),
            _ => return self.certificate_hint(address),
        })
    }

    fn certificate_hint(&self, address: &str) -> Option<String> {
        Some(match self {
            Self::UnknownAuthority { self_signed: true, .. } => format!(
                "if you trust it, save it and name it with --cacert FILE: openssl s_client -connect \
                 {address}"
            ),
            Self::UnknownAuthority { issuer, cacert: None, .. } => {
                format!("name the certificate of {issuer:?} with --cacert FILE")
            }
            Self::UnknownAuthority { issuer, cacert: Some(_), .. } => format!(
                "name a file with the certificate of {issuer:?}; openssl s_client -showcerts \
                 -connect {address} shows what the server sends"
            ),
            Self::WrongName { names, .. } if names.is_empty() => {
                "the server's certificate must be made anew, with a subject alternative name"
                    .to_owned()
            }
            Self::WrongName { .. } => {
                "use one of its names in --endpoints, or have it made anew with this one".to_owned()
            }
            Self::Expired { .. } | Self::NotYetValid { .. } => {
                "renew the server's certificate; if the clock is wrong, set it".to_owned()
            }
            Self::WantsCertificate { authorities } if authorities.is_empty() => {
                "show one: --cert FILE --key FILE".to_owned()
            }
            Self::WantsCertificate { authorities } => format!(
                "show one that is issued by {}: --cert FILE --key FILE",
                authorities.join(" or ")
            ),
            Self::RefusesCertificate { own: Some(own), now, .. } if own.not_after < *now => {
                "have it renewed; if the clock is wrong, set it".to_owned()
            }
            Self::RefusesCertificate { own: Some(own), .. } => format!(
                "the server's --trusted-ca-file must hold its authority, {:?}, and it must be meant \
                 for clients (clientAuth)",
                own.issuer
            ),
            Self::RefusesCertificate { .. } => "check --cert and --key".to_owned(),
            Self::UnknownKind { .. } => {
                "the server needs one with P-256, P-384, RSA or Ed25519; --auto-tls of etcd before \
                 3.5 makes P-521"
                    .to_owned()
            }
            _ => return None,
        })
    }
}

/// A certificate may have hundreds of names.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let text = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("{text} and {more} more"),
        _ => text,
    }
}
