//! What can go wrong with an operation, said so that a person knows what to do.

use std::error::Error as _;
use std::time::Duration;

use thiserror::Error;
use tonic::Code;

use crate::connect::{Cause, ConnectError, WRONG_PROTOCOL};
use crate::endpoint::Endpoint;
use crate::gate::ReadOnly;
use crate::tls::FileTrouble;

#[derive(Debug, Clone, Error)]
pub enum Failure {
    /// No endpoint could be reached; nothing was sent.
    #[error("{}", unreachable(.0))]
    Unreachable(Vec<ConnectError>),
    /// The connection stands, but the answer did not come in time.
    #[error("{endpoint} did not answer within {after:?}{}", unknown_outcome(*write))]
    NoAnswer { endpoint: String, after: Duration, write: bool },
    /// The member answers, but it knows no leader, so what needs one is not answered in time.
    #[error(
        "no leader: {endpoint} is there, but its cluster has no quorum, so no answer came \
         within {after:?}{}",
        unknown_outcome(*write)
    )]
    NoLeader { endpoint: String, after: Duration, write: bool },
    /// The connection broke after the request may have been sent. `answered`: the endpoint had
    /// answered something before.
    #[error("the connection to {endpoint} broke: {cause}{}", unknown_outcome(*write))]
    Broken { endpoint: String, cause: String, write: bool, answered: bool },
    /// The cluster answered, and the answer is no.
    #[error("{message}")]
    Refused { code: Code, message: String },
    /// A file that is to make TLS cannot be used; nothing was tried.
    #[error(transparent)]
    File(#[from] FileTrouble),
    /// The connection is read-only; the request was not sent.
    #[error(transparent)]
    ReadOnly(#[from] ReadOnly),
    /// The configuration cannot be used; nothing was tried.
    #[error("{0}")]
    Config(String),
}

/// What etcd answers when there is no leader to ask.
const NO_LEADER: [&str; 5] = [
    "etcdserver: no leader",
    "etcdserver: request timed out",
    "etcdserver: leader changed",
    "etcdserver: request timed out, possibly due to previous leader failure",
    "etcdserver: request timed out, possibly due to connection lost",
];

pub(crate) const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";

const LEASE_NOT_FOUND: &str = "etcdserver: requested lease not found";

const BAD_CREDENTIALS: &str = "etcdserver: authentication failed, invalid user ID or password";

const NO_ROOT_ROLE: &str = "etcdserver: root user does not have root role";

impl Failure {
    /// Whether nobody could be reached, or the connection was lost: worth connecting again.
    pub fn is_connection(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NoAnswer { .. } | Self::Broken { .. })
    }

    /// Whether the member answers but has no leader to work with.
    pub fn is_no_leader(&self) -> bool {
        match self {
            Self::NoLeader { .. } => true,
            Self::Refused { message, .. } => NO_LEADER.contains(&message.as_str()),
            _ => false,
        }
    }

    /// Whether what was named is not there: a lease, a member, a role.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(Code::NotFound)
    }

    /// Whether the cluster does not know the user, or not by this password.
    pub fn is_bad_credentials(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message == BAD_CREDENTIALS)
    }

    /// Whether authentication cannot be enabled because `root` has no role of this name.
    pub fn lacks_root_role(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message == NO_ROOT_ROLE)
    }

    /// Whether a revision was asked for that the cluster has forgotten.
    pub fn is_compacted(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message == COMPACTED)
    }

    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether every endpoint refused the connection: most likely no server runs there.
    pub fn nothing_listens(&self) -> bool {
        matches!(self, Self::Unreachable(errors) if errors.iter().all(ConnectError::is_refused))
    }

    /// Whether it came over HTTP/2, but from somebody who does not know the service: a gRPC server
    /// says so, and of another server's HTTP status tonic makes an error of its own.
    pub(crate) fn is_not_served(&self) -> bool {
        matches!(self, Self::Refused { message, .. }
            if message.starts_with("unknown service")
                || message.starts_with("grpc-status header missing"))
    }

    /// What to do about it, if something can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable(errors) => errors.iter().find_map(ConnectError::hint),
            Self::NoAnswer { .. } => Some("try a longer --command-timeout".to_owned()),
            // A member that gave up waiting does not know what becomes of the request either.
            Self::Refused { message, .. }
                if message.starts_with("etcdserver: request timed out") =>
            {
                Some(
                    "there was no quorum in time, and whether a write happened is unknown: \
                     endpoint status --cluster shows who answers, get --consistency=s still reads"
                        .to_owned(),
                )
            }
            _ if self.is_no_leader() => Some(
                "the cluster has no quorum at the moment: endpoint status --cluster shows who \
                 answers, get --consistency=s still reads"
                    .to_owned(),
            ),
            Self::Refused { code: Code::Unauthenticated, .. } => {
                Some("check --user and --password".to_owned())
            }
            Self::Refused { message, .. } => match message.as_str() {
                "etcdserver: user name is empty" => {
                    Some("this cluster wants a user: --user name:password".to_owned())
                }
                BAD_CREDENTIALS => Some("check --user and --password".to_owned()),
                "etcdserver: root user does not exist" => {
                    Some("authentication needs a user root: user add root".to_owned())
                }
                "etcdserver: permission denied" => Some(
                    "this user may not do that: user get NAME --detail shows what is allowed"
                        .to_owned(),
                ),
                "etcdserver: mvcc: database space exceeded" => {
                    Some("compact, defragment, then disarm the alarm".to_owned())
                }
                _ => None,
            },
            Self::Broken { answered: false, .. } => Some(WRONG_PROTOCOL.to_owned()),
            Self::File(trouble) => Some(trouble.hint()),
            Self::ReadOnly(_) | Self::Broken { .. } | Self::NoLeader { .. } | Self::Config(_) => {
                None
            }
        }
    }

    /// The words etcdctl has for it.
    pub fn etcdctl_text(&self) -> String {
        match self {
            Self::Unreachable(_)
            | Self::NoAnswer { .. }
            | Self::NoLeader { .. }
            // etcdctl sends nothing before the other side has spoken, and waits for that.
            | Self::Broken { answered: false, .. } => {
                "context deadline exceeded".to_owned()
            }
            Self::Refused { message, .. } if is_known_text(message) => message.clone(),
            Self::Refused { code, message } => {
                let name = match code {
                    Code::Cancelled => "Canceled".to_owned(),
                    other => format!("{other:?}"),
                };
                format!("rpc error: code = {name} desc = {message}")
            }
            Self::Broken { cause, .. } => format!("rpc error: code = Unavailable desc = {cause}"),
            Self::File(trouble) => trouble.etcdctl_text(),
            Self::ReadOnly(refused) => refused.to_string(),
            Self::Config(message) => message.clone(),
        }
    }

    /// The words for it, fit for others to read: who this client is does not stand in them.
    pub fn public_text(&self) -> String {
        match self {
            Self::Unreachable(errors) => {
                let sentences: Vec<_> = errors.iter().map(ConnectError::public_text).collect();
                sentences.join("; ")
            }
            other => other.to_string(),
        }
    }

    pub(crate) fn lease_not_found() -> Self {
        Self::Refused { code: Code::NotFound, message: LEASE_NOT_FOUND.to_owned() }
    }

    /// Reads an error of etcd-client. `heard` says whether the endpoint ever answered anything on
    /// this link: a transport error before the first answer is a phase of connecting.
    pub(crate) fn read(
        error: etcd_client::Error,
        endpoint: &str,
        write: bool,
        heard: bool,
    ) -> Self {
        let status = match error {
            etcd_client::Error::GRpcStatus(status) => status,
            etcd_client::Error::LeaseKeepAliveError(_) => return Self::lease_not_found(),
            etcd_client::Error::TransportError(error) => tonic::Status::from_error(error.into()),
            other => return Self::Config(other.to_string()),
        };
        let mut source = status.source();
        let mut cause = None;
        while let Some(inner) = source {
            if let Some(connect) = inner.downcast_ref::<ConnectError>() {
                return Self::Unreachable(vec![connect.clone()]);
            }
            if let Some(refused) = inner.downcast_ref::<ReadOnly>() {
                return Self::ReadOnly(refused.clone());
            }
            cause = Some(inner.to_string());
            source = inner.source();
        }
        match cause {
            // A status without a source came over the wire.
            None => Self::Refused { code: status.code(), message: status.message().to_owned() },
            Some(reason) if !heard && !write => Self::Unreachable(vec![ConnectError {
                endpoint: endpoint.to_owned(),
                cause: Cause::Silent { reason },
            }]),
            Some(cause) => {
                Self::Broken { endpoint: endpoint.to_owned(), cause, write, answered: heard }
            }
        }
    }
}

/// Texts that etcd's own client recognises and shows bare.
fn is_known_text(message: &str) -> bool {
    message.starts_with("etcdserver: ") || message.starts_with("auth: ")
}

fn unreachable(errors: &[ConnectError]) -> String {
    if !errors.is_empty() && errors.iter().all(ConnectError::is_refused) {
        let endpoints: Vec<_> =
            errors.iter().map(|error| Endpoint::explained(&error.endpoint)).collect();
        return format!("nothing answers at {}", endpoints.join(", "));
    }
    let sentences: Vec<_> = errors.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}

fn unknown_outcome(write: bool) -> &'static str {
    if write { "; whether the write happened is unknown" } else { "" }
}
