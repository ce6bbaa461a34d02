//! Opening one connection, phase by phase, so that a failure can say which phase it was.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::endpoint::Endpoint;

/// How far a connection came before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Turning the host's name into addresses.
    Name,
    /// Reaching the address.
    Connect,
    /// Agreeing on encryption and on who is who.
    Tls,
    /// Speaking HTTP/2: something listens there, but not a gRPC server.
    Http2,
}

/// One endpoint that could not be reached. Nothing was sent to it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", self.sentence())]
pub struct ConnectError {
    pub endpoint: String,
    pub phase: Phase,
    /// The system's or the protocol's own words.
    pub cause: String,
    /// The address answered that nobody listens there.
    pub refused: bool,
}

/// What to look at when what listens there is no gRPC server, or not a plain one.
pub(crate) const WRONG_PROTOCOL: &str =
    "check that this is a client port, and whether it wants https://";

impl ConnectError {
    fn sentence(&self) -> String {
        let Self { endpoint, cause, .. } = self;
        match self.phase {
            Phase::Name => format!("the name of {endpoint} cannot be resolved: {cause}"),
            Phase::Connect if self.refused => format!("nothing answers at {endpoint}"),
            Phase::Connect => format!("no connection to {endpoint}: {cause}"),
            Phase::Tls => format!("TLS with {endpoint} failed: {cause}"),
            Phase::Http2 => format!("{endpoint} does not speak HTTP/2: {cause}"),
        }
    }

    /// What to do about it, if something can be said.
    pub fn hint(&self) -> Option<String> {
        let hint = match self.phase {
            Phase::Name => "check the spelling, or give the address itself to --endpoints",
            Phase::Connect if self.refused => return None,
            Phase::Connect => "check the address, a firewall, or a longer --dial-timeout",
            // ring signs and verifies no P-521, which the --auto-tls of etcd before 3.5 uses.
            Phase::Tls if self.cause.contains("HandshakeFailure") => {
                "the server has no certificate or cipher known here; one with a P-521 key, as \
                 etcd's --auto-tls may make, is not"
            }
            Phase::Tls => {
                "check --cacert, --cert and --key, or whether the endpoint is http:// after all"
            }
            // A server that misses a certificate says so only after the handshake.
            Phase::Http2 if self.endpoint.starts_with("https://") => {
                "check that this is a client port, and whether it wants --cert and --key"
            }
            Phase::Http2 => WRONG_PROTOCOL,
        };
        Some(hint.to_owned())
    }
}

/// A byte stream to a member, whatever it runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) type Io = TokioIo<Box<dyn Stream>>;

/// Opens connections to one endpoint; cheap to clone.
#[derive(Clone)]
pub(crate) struct Dialer {
    endpoint: Arc<Endpoint>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    timeout: Duration,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Dialer {
    pub(crate) fn new(
        endpoint: Endpoint,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        timeout: Duration,
    ) -> Self {
        Self { endpoint: Arc::new(endpoint), tls, timeout }
    }

    pub(crate) async fn dial(self) -> Result<Io, ConnectError> {
        let deadline = Instant::now() + self.timeout;
        let stream = self.connect(deadline).await?;
        let stream = match self.tls.clone() {
            None => stream,
            Some((config, name)) => {
                let handshake = TlsConnector::from(config).connect(name, stream);
                Box::new(self.phase(Phase::Tls, deadline, handshake).await?)
            }
        };
        Ok(TokioIo::new(stream))
    }

    async fn connect(&self, deadline: Instant) -> Result<Box<dyn Stream>, ConnectError> {
        if self.endpoint.is_unix() {
            let connect = UnixStream::connect(self.endpoint.address());
            return Ok(Box::new(self.phase(Phase::Connect, deadline, connect).await?));
        }
        let (host, port) = self.endpoint.host_port();
        let lookup = async { Ok(lookup_host((host, port)).await?.collect::<Vec<_>>()) };
        let addresses = self.phase(Phase::Name, deadline, lookup).await?;
        let mut failed = self.error(Phase::Name, &io::Error::other("it has no address"));
        for address in addresses {
            match self.phase(Phase::Connect, deadline, TcpStream::connect(address)).await {
                Ok(stream) => {
                    // Requests are small and answered one by one: waiting to fill a packet only
                    // costs time. A socket that refuses the option still works.
                    let _ = stream.set_nodelay(true);
                    return Ok(Box::new(stream));
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn phase<T>(
        &self,
        phase: Phase,
        deadline: Instant,
        step: impl Future<Output = io::Result<T>>,
    ) -> Result<T, ConnectError> {
        match timeout_at(deadline, step).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.error(phase, &error)),
            Err(_) => {
                let late = io::Error::other(format!("no answer within {:?}", self.timeout));
                Err(self.error(phase, &late))
            }
        }
    }

    fn error(&self, phase: Phase, error: &io::Error) -> ConnectError {
        let refused =
            matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound);
        ConnectError {
            endpoint: self.endpoint.to_string(),
            phase,
            cause: error.to_string(),
            refused: phase == Phase::Connect && refused,
        }
    }
}
