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
    #[error("{}", refused(*code, message))]
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

pub(crate) const FUTURE_REVISION: &str = "etcdserver: mvcc: required revision is a future revision";

const LEASE_NOT_FOUND: &str = "etcdserver: requested lease not found";

const BAD_CREDENTIALS: &str = "etcdserver: authentication failed, invalid user ID or password";

const LARGER_THAN_MAX: &str = "trying to send message larger than max";

const NO_ROOT_ROLE: &str = "etcdserver: root user does not have root role";

/// What can still be asked.
const WITHOUT_QUORUM: &str = "kvorum endpoint status --cluster shows who answers, get and member \
                              list still read, with --consistency=s";

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

    /// A server may be set to take fewer operations in a transaction than others do.
    pub(crate) fn is_too_many_ops(&self) -> bool {
        matches!(self, Self::Refused { message, .. }
            if message == "etcdserver: too many operations in txn request")
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
                Some(format!(
                    "there was no quorum in time, and whether a write happened is unknown: \
                     {WITHOUT_QUORUM}"
                ))
            }
            _ if self.is_no_leader() => {
                Some(format!("the cluster has no quorum at the moment: {WITHOUT_QUORUM}"))
            }
            Self::Refused { code: Code::Unauthenticated, .. } => {
                Some("check --user and --password".to_owned())
            }
            Self::Refused { code: Code::Unimplemented, message }
                if method_of(message).is_some() =>
            {
                Some("kvorum endpoint status shows the version that it runs".to_owned())
            }
            Self::Refused { message, .. } => remedy(message).map(str::to_owned),
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

    /// A refusal that came in words alone, as the reason why a watch is over.
    pub fn of_reason(reason: &str) -> Self {
        let parts =
            reason.strip_prefix("rpc error: code = ").and_then(|text| text.split_once(" desc = "));
        let (code, message) = parts.unwrap_or(("Unknown", reason));
        let codes = [Code::PermissionDenied, Code::Unauthenticated, Code::InvalidArgument];
        let code = codes.into_iter().find(|known| format!("{known:?}") == code);
        Self::Refused { code: code.unwrap_or(Code::Unknown), message: message.to_owned() }
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
            // A status without a source came over the wire, or the request was not sent.
            None => too_large(&status).unwrap_or_else(|| Self::Refused {
                code: status.code(),
                message: status.message().to_owned(),
            }),
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

/// tonic's words for a request that is larger than it may be, in those of Go's gRPC.
fn too_large(status: &tonic::Status) -> Option<Failure> {
    let sizes = status.message().strip_prefix("Error, encoded message length too large: found ")?;
    let (found, limit) = sizes.strip_suffix(" bytes")?.split_once(" bytes, the limit is: ")?;
    let message = format!("{LARGER_THAN_MAX} ({found} vs. {limit})");
    Some(Failure::Refused { code: Code::ResourceExhausted, message })
}

/// A server that is older than a method names it and its service.
fn method_of(message: &str) -> Option<&str> {
    let (method, _) = message.strip_prefix("unknown method ")?.split_once(" for service ")?;
    Some(method)
}

fn refused(code: Code, message: &str) -> String {
    match method_of(message) {
        Some(method) if code == Code::Unimplemented => {
            format!("the server does not know {method}: its version of etcd does not have it")
        }
        _ => message.to_owned(),
    }
}

/// What to do about an answer of etcd's. etcd 3.4 says `auth:` of some that its successors say
/// `etcdserver:` of.
fn remedy(message: &str) -> Option<&'static str> {
    if message.starts_with(LARGER_THAN_MAX) {
        return Some(
            "nothing was sent; etcd takes 1.5 MiB in a request, unless its --max-request-bytes says \
             more, and then this takes more with --max-request-bytes, too",
        );
    }
    let message =
        message.strip_prefix("etcdserver: ").or_else(|| message.strip_prefix("auth: "))?;
    Some(match message {
        "user name is empty" => "this cluster wants a user: --user name:password",
        "authentication failed, invalid user ID or password" => "check --user and --password",
        "root user does not exist" => "authentication needs a user root: kvorum user add root",
        "root user does not have root role" => {
            "authentication needs it: kvorum role add root, then kvorum user grant-role root root"
        }
        "permission denied" => {
            "this user may not do that: kvorum user get NAME --detail shows what is allowed"
        }
        "key not found" => "without --ignore-value and --ignore-lease, put creates the key",
        "requested lease not found" => {
            "it expired or was revoked: kvorum lease list shows those there are"
        }
        "member not found" | "bad leader transferee" => {
            "kvorum member list shows the IDs there are"
        }
        "role name not found" => "kvorum role list shows those there are",
        "user name not found" => "kvorum user list shows those there are",
        "role is not granted to the user" => "kvorum user get NAME shows the roles of a user",
        "permission is not granted to the role" => {
            "kvorum role get NAME shows what is granted, as it is"
        }
        "mvcc: required revision is a future revision" => {
            "kvorum endpoint status -o fields shows the revision there is"
        }
        "mvcc: required revision has been compacted" => {
            "the history before that revision is given up: ask for a newer one, or for none"
        }
        "mvcc: database space exceeded" => "compact, defragment, then disarm the alarm",
        "unhealthy cluster" => "it would cost the quorum: kvorum doctor shows which member is down",
        _ => return None,
    })
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

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::{Failure, too_large};

    fn refused(code: Code, message: &str) -> Failure {
        Failure::Refused { code, message: message.to_owned() }
    }

    #[test]
    fn what_an_older_server_does_not_know_is_no_grpc_text() {
        let failure =
            refused(Code::Unimplemented, "unknown method AuthStatus for service etcdserverpb.Auth");
        let text = failure.to_string();
        assert_eq!(
            text,
            "the server does not know AuthStatus: its version of etcd does not have it"
        );
        assert!(failure.hint().is_some_and(|hint| hint.contains("endpoint status")));
        assert!(failure.etcdctl_text().contains("unknown method AuthStatus"));
    }

    #[test]
    fn the_remedy_is_the_same_for_the_words_of_every_version() {
        let hint = |message| refused(Code::Unknown, message).hint();
        assert!(hint("auth: permission denied").is_some());
        assert_eq!(hint("auth: permission denied"), hint("etcdserver: permission denied"));
        assert_eq!(hint("something else"), None);
    }

    #[test]
    fn a_request_that_is_too_large_is_refused_in_the_words_of_gos_grpc() {
        let text = "Error, encoded message length too large: found 20 bytes, the limit is: 8 bytes";
        let failure = too_large(&tonic::Status::out_of_range(text)).unwrap();
        assert_eq!(
            failure.etcdctl_text(),
            "rpc error: code = ResourceExhausted desc = trying to send message larger than max (20 \
             vs. 8)"
        );
        assert!(failure.hint().is_some_and(|hint| hint.starts_with("nothing was sent")));
    }

    #[test]
    fn a_reason_in_words_is_taken_apart() {
        let said = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
        let failure = Failure::of_reason(said);
        assert_eq!(failure.to_string(), "etcdserver: permission denied");
        assert_eq!(failure.code(), Some(Code::PermissionDenied));
        assert_eq!(Failure::of_reason("etcdserver: no").to_string(), "etcdserver: no");
    }
}
