//! One endpoint's channel. It connects when first used and again when it was lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use etcd_client::{Channel, Client, ConnectOptions};
use tokio::sync::OnceCell;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::transport;
use tower::service_fn;

use crate::config::Config;
use crate::connect::{ConnectError, Dialer, Phase};
use crate::endpoint::{Endpoint, Scheme};
use crate::failure::Failure;

pub(crate) struct Link {
    pub(crate) endpoint: Endpoint,
    pub(crate) channel: transport::Channel,
    options: ConnectOptions,
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
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, Failure> {
        let tls = match tls {
            Some(tls) if wants_tls(&endpoint, config) => {
                Some((tls.clone(), server_name(&endpoint)?))
            }
            _ => None,
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let authority = if endpoint.is_unix() { "localhost" } else { endpoint.address() };
        let origin: http::Uri = format!("{scheme}://{authority}")
            .parse()
            .map_err(|error| Failure::Config(format!("{endpoint} is not an endpoint: {error}")))?;
        // The dialer encrypts by itself, so that its failures have a phase; the transport is told
        // of a plain address and only says in its requests what the scheme really is.
        let dialer = Dialer::new(endpoint.clone(), tls, config.dial_timeout);
        let channel = transport::Endpoint::from_static("http://member")
            .origin(origin)
            .http2_keep_alive_interval(config.keepalive_time.max(MIN_KEEPALIVE))
            .keep_alive_timeout(config.keepalive_timeout)
            .connect_with_connector_lazy(service_fn(move |_| dialer.clone().dial()));
        let mut options = ConnectOptions::new().with_auto_token_refresh(true);
        if let Some(credentials) = &config.credentials {
            options = options.with_user(&credentials.user, &credentials.password);
        }
        Ok(Self {
            endpoint,
            channel,
            options,
            client: OnceCell::new(),
            leader_client: OnceCell::new(),
            heard: AtomicBool::new(false),
        })
    }

    /// The client, authenticated if there are credentials.
    pub(crate) async fn client(&self) -> Result<Client, etcd_client::Error> {
        self.client.get_or_try_init(|| self.make_client(self.options.clone())).await.cloned()
    }

    pub(crate) async fn leader_client(&self) -> Result<Client, etcd_client::Error> {
        let options = self.options.clone().with_require_leader(true);
        self.leader_client.get_or_try_init(|| self.make_client(options)).await.cloned()
    }

    async fn make_client(&self, options: ConnectOptions) -> Result<Client, etcd_client::Error> {
        Client::from_channel(Channel::Tonic(self.channel.clone()), Some(options)).await
    }

    /// Notes that the endpoint answered something, if only an error.
    pub(crate) fn note_heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    pub(crate) fn failure(&self, error: etcd_client::Error, write: bool) -> Failure {
        let heard = self.heard.load(Ordering::Relaxed);
        let failure = Failure::read(error, self.endpoint.as_str(), write, heard);
        if matches!(failure, Failure::Refused { .. }) {
            self.note_heard();
        }
        failure
    }
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
    ServerName::try_from(host).map_err(|error| {
        Failure::Unreachable(vec![ConnectError {
            endpoint: endpoint.to_string(),
            phase: Phase::Tls,
            cause: error.to_string(),
            refused: false,
        }])
    })
}
