//! One endpoint's channel. It connects when first used and again when it was lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use etcd_client::{Channel, Client, ConnectOptions};
use tokio::sync::OnceCell;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::transport;
use tower::service_fn;
use tower::util::BoxCloneSyncService;

use crate::config::{Config, Patience, Token};
use crate::connect::{Cause, ConnectError, Dialer};
use crate::endpoint::{Endpoint, Scheme};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::http;
use crate::tls::Setup;

pub(crate) struct Link {
    pub(crate) endpoint: Endpoint,
    /// The way to the member, for clients that etcd-client lacks.
    pub(crate) gate: Gate,
    dialer: Dialer,
    options: ConnectOptions,
    /// Put into every request.
    pub(crate) token: Option<::http::HeaderValue>,
    client: OnceCell<Client>,
    /// Requests over this one are refused by a member without a leader.
    leader_client: OnceCell<Client>,
    heard: AtomicBool,
}

impl Link {
    /// Does no I/O. Must be called within a runtime, which drives the channel.
    pub(crate) fn new(
        endpoint: Endpoint,
        config: &Config,
        tls: Option<&Setup>,
        read_only: &Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let tls = match tls {
            Some(tls) if wants_tls(&endpoint, config) => {
                Some((tls.clone(), server_name(&endpoint)?))
            }
            _ => None,
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let authority = if endpoint.is_unix() { "localhost" } else { endpoint.address() };
        let origin: ::http::Uri = format!("{scheme}://{authority}")
            .parse()
            .map_err(|error| Failure::Config(format!("{endpoint} is not an endpoint: {error}")))?;
        // The dialer encrypts by itself, so that its failures have a phase; the transport is told
        // of a plain address and only says in its requests what the scheme really is.
        let curious = config.patience == Patience::FailAtOnce;
        let dialer = Dialer::new(endpoint.clone(), tls, config.dial_timeout, curious);
        let dialling = dialer.clone();
        let channel = transport::Endpoint::from_static("http://member")
            .origin(origin)
            .http2_keep_alive_interval(config.keepalive_time.max(MIN_KEEPALIVE))
            .keep_alive_timeout(config.keepalive_timeout)
            .connect_with_connector_lazy(service_fn(move |_| dialling.clone().dial()));
        let token = config.token.as_ref().map(token_value).transpose()?;
        let gate = Gate {
            channel,
            endpoint: endpoint.to_string(),
            read_only: read_only.clone(),
            max_request_bytes: config.max_request_bytes,
            notes: config.notes.clone(),
            token: token.clone(),
        };
        let mut options = ConnectOptions::new().with_auto_token_refresh(true);
        if let Some(credentials) = config.credentials.as_ref().filter(|_| token.is_none()) {
            options = options.with_user(&credentials.user, &credentials.password);
        }
        Ok(Self {
            endpoint,
            gate,
            dialer,
            options,
            token,
            client: OnceCell::new(),
            leader_client: OnceCell::new(),
            heard: AtomicBool::new(false),
        })
    }

    /// The client, authenticated if there are credentials and the cluster looks at them.
    pub(crate) async fn client(&self) -> Result<Client, etcd_client::Error> {
        match self.client.get_or_try_init(|| self.make_client(self.options.clone())).await {
            // Not kept: authentication may be enabled before the next operation.
            Err(error) if is_auth_disabled(&error) => self.make_client(ConnectOptions::new()).await,
            client => client.cloned(),
        }
    }

    pub(crate) async fn leader_client(&self) -> Result<Client, etcd_client::Error> {
        let options = self.options.clone().with_require_leader(true);
        self.leader_client.get_or_try_init(|| self.make_client(options)).await.cloned()
    }

    /// What opens its connections, for what is not gRPC.
    pub(crate) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    async fn make_client(&self, options: ConnectOptions) -> Result<Client, etcd_client::Error> {
        let gate = BoxCloneSyncService::new(self.gate.clone());
        Client::from_channel(Channel::Custom(gate), Some(options)).await
    }

    /// Notes that the endpoint answered something, if only an error.
    pub(crate) fn note_heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Looks closer at a failure before the endpoint ever answered: what was heard on the
    /// connection may tell that the request was not even understood, and why.
    pub(crate) async fn explained(&self, failure: Failure) -> Failure {
        if self.heard.load(Ordering::Relaxed) {
            return failure;
        }
        if failure.is_not_served() {
            let found = self.is_peer_port().await.or_else(|| self.is_no_grpc(&failure));
            return found.unwrap_or(failure);
        }
        let reason = match &failure {
            Failure::Broken { cause, .. } => cause,
            Failure::Unreachable(errors) => match errors.as_slice() {
                [ConnectError { cause: Cause::Silent { reason }, .. }] => reason,
                _ => return failure,
            },
            _ => return failure,
        };
        let Some(finding) = self.dialer.why_silent(reason).await else { return failure };
        let error = self.dialer.error(finding.cause);
        match failure {
            // A write that may have been read is not called unsent.
            Failure::Broken { endpoint, write: true, answered, .. } if !finding.is_sure => {
                Failure::Broken { endpoint, cause: error.to_string(), write: true, answered }
            }
            _ => Failure::Unreachable(vec![error]),
        }
    }

    /// What answers HTTP/2 without being etcd's API may be a port for members.
    async fn is_peer_port(&self) -> Option<Failure> {
        let answer = http::get(&self.dialer, "/members").await.ok()?;
        let client_urls = http::client_urls(&answer.body).filter(|_| answer.status == 200)?;
        Some(Failure::Unreachable(vec![self.dialer.error(Cause::PeerPort { client_urls })]))
    }

    /// Another server's HTTP status, of which tonic makes a sentence.
    fn is_no_grpc(&self, failure: &Failure) -> Option<Failure> {
        let Failure::Refused { message, .. } = failure else { return None };
        let said = message.strip_prefix("grpc-status header missing, mapped from ")?.to_owned();
        Some(Failure::Unreachable(vec![self.dialer.error(Cause::NoGrpc { said })]))
    }

    pub(crate) fn failure(&self, error: etcd_client::Error, write: bool) -> Failure {
        let heard = self.heard.load(Ordering::Relaxed);
        let failure = Failure::read(error, self.endpoint.as_str(), write, heard);
        if matches!(failure, Failure::Refused { .. }) && !failure.is_not_served() {
            self.note_heard();
        }
        failure
    }
}

/// Whether credentials were refused only because the cluster does without. As etcd's own client,
/// ours then does without as well.
pub(crate) fn is_auth_disabled(error: &etcd_client::Error) -> bool {
    matches!(error, etcd_client::Error::GRpcStatus(status)
        if status.message() == "etcdserver: authentication is not enabled")
}

/// The name under which a server looks for it.
pub(crate) const TOKEN: &str = "token";

fn token_value(token: &Token) -> Result<::http::HeaderValue, Failure> {
    let mut value = ::http::HeaderValue::from_str(&token.0)
        .map_err(|_| Failure::Config("the token has characters that no token has".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// grpc-go closes a connection that pings more often than its enforcement policy allows, and
/// etcd's allows one in five seconds.
const MIN_KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(5);

pub(crate) fn wants_tls(endpoint: &Endpoint, config: &Config) -> bool {
    match endpoint.scheme() {
        Scheme::Https | Scheme::Unixs => true,
        Scheme::Http | Scheme::Unix => false,
        Scheme::Unspecified => config.tls.is_wanted(),
    }
}

fn server_name(endpoint: &Endpoint) -> Result<ServerName<'static>, Failure> {
    let host = if endpoint.is_unix() { "localhost".to_owned() } else { endpoint.host_port().0 };
    // Names from DNS end in a dot, and those in certificates do not.
    let host = host.strip_suffix('.').map_or(host.clone(), str::to_owned);
    ServerName::try_from(host).map_err(|error| {
        Failure::Unreachable(vec![ConnectError {
            endpoint: endpoint.to_string(),
            cause: Cause::Tls { reason: error.to_string() },
        }])
    })
}
