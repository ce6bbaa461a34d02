//! Opening one connection, phase by phase, so that a failure can say what it was.

mod cause;
mod greeting;
mod judge;
mod probe;
mod witness;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::Error as TlsError;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::endpoint::Endpoint;
use crate::tls::{Handshake, KeyKind, Setup, Speaks};

pub(crate) use cause::WRONG_PROTOCOL;
pub use cause::{Cause, Phase};
pub use greeting::Greeting;
use witness::{Heard, Witness, tls_error};

/// One endpoint that could not be reached. Nothing was sent to it that it could understand.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .cause.sentence(.endpoint))]
pub struct ConnectError {
    pub endpoint: String,
    pub cause: Cause,
}

impl ConnectError {
    /// What to do about it, if something can be said.
    pub fn hint(&self) -> Option<String> {
        self.cause.hint(&self.endpoint)
    }

    /// The sentence without whose certificate this client has shown.
    pub fn public_text(&self) -> String {
        let mut cause = self.cause.clone();
        if let Cause::RefusesCertificate { own, .. } = &mut cause {
            *own = None;
        }
        cause.sentence(&self.endpoint)
    }

    /// Whether the address answered that nobody listens there.
    pub fn is_refused(&self) -> bool {
        self.cause == Cause::Refused
    }
}

/// A byte stream to a member, whatever it runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) type Io = TokioIo<Box<dyn Stream>>;

/// A server that has not answered a handshake for so long may be one that waits for the end of a
/// line of plain text: it is worth a look while the handshake goes on.
const HESITATION: Duration = Duration::from_millis(400);

/// Opens connections to one endpoint; clones share what was seen.
#[derive(Clone)]
pub(crate) struct Dialer {
    endpoint: Arc<Endpoint>,
    tls: Option<(Setup, ServerName<'static>)>,
    timeout: Duration,
    /// Somebody wants to know why: a second look may be taken.
    curious: bool,
    last: Arc<Mutex<Option<Evidence>>>,
}

/// What is known of the connection dialled last.
#[derive(Clone)]
struct Evidence {
    /// On the wire.
    wire: Arc<Heard>,
    /// Within TLS.
    within: Option<(Arc<Heard>, Arc<Handshake>)>,
}

/// Why a connection that was made came to nothing.
pub(crate) struct Finding {
    pub(crate) cause: Cause,
    /// A request cannot have been understood.
    pub(crate) is_sure: bool,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Dialer {
    pub(crate) fn new(
        endpoint: Endpoint,
        tls: Option<(Setup, ServerName<'static>)>,
        timeout: Duration,
        curious: bool,
    ) -> Self {
        Self { endpoint: Arc::new(endpoint), tls, timeout, curious, last: Arc::default() }
    }

    /// A connection for gRPC.
    pub(crate) async fn dial(self) -> Result<Io, ConnectError> {
        Ok(TokioIo::new(self.open(Speaks::Http2).await?))
    }

    pub(crate) async fn open(&self, speaks: Speaks) -> Result<Box<dyn Stream>, ConnectError> {
        let deadline = Instant::now() + self.timeout;
        let (stream, wire) = Witness::new(self.connect(deadline).await?);
        let Some((setup, name)) = &self.tls else {
            self.remember(Evidence { wire, within: None });
            return Ok(Box::new(stream));
        };
        let (config, seen) = setup.observed(speaks);
        let handshake = TlsConnector::from(config).connect(name.clone(), stream);
        let outcome = tokio::select! {
            outcome = timeout_at(deadline, handshake) => outcome,
            cause = self.looks_plain(&wire) => return Err(self.error(cause)),
        };
        let cause = match outcome {
            Ok(Ok(stream)) => {
                let (stream, inner) = Witness::new(stream);
                self.remember(Evidence { wire, within: Some((inner, seen)) });
                return Ok(Box::new(stream));
            }
            Ok(Err(error)) => self.handshake_cause(&error, &wire, &seen).await,
            Err(_) => Cause::Late { phase: Phase::Tls, after: self.timeout },
        };
        Err(self.error(cause))
    }

    /// The server's certificate of the connection dialled last.
    pub(crate) fn server_certificate(&self) -> Option<crate::tls::Certificate> {
        let (_, seen) = self.evidence()?.within?;
        seen.server().cloned()
    }

    /// Why the connection dialled last came to nothing, if what was heard on it tells; `None` if
    /// HTTP/2 was spoken, or nothing is known.
    pub(crate) async fn why_silent(&self, reason: &str) -> Option<Finding> {
        let sure = |cause| Some(Finding { cause, is_sure: true });
        let likely = |cause| Some(Finding { cause, is_sure: false });
        let Evidence { wire, within } = self.evidence()?;
        let heard = within.as_ref().map_or(&wire, |(heard, _)| heard);
        match Greeting::of(heard.first()) {
            Some(Greeting::Http2) => return None,
            Some(Greeting::Tls) => return sure(Cause::SpeaksTls),
            Some(Greeting::Http1(said) | Greeting::Other(said)) => {
                return sure(Cause::NotHttp2 { said });
            }
            None => {}
        }
        let silent = || likely(Cause::Silent { reason: reason.to_owned() });
        match (&within, &self.tls) {
            (Some((heard, seen)), Some((setup, _))) => {
                let mut alert = heard.alert().cloned();
                if alert.is_none() && self.curious && seen.asked().is_some() {
                    alert = probe::after_handshake(self).await;
                }
                match (alert, seen.asked()) {
                    (Some(TlsError::AlertReceived(alert)), asked) => {
                        sure(judge::alerted(alert, asked, setup))
                    }
                    (_, Some(asked)) => likely(judge::ended(asked, setup)),
                    _ => silent(),
                }
            }
            _ if self.curious => match probe::in_plain_text(self).await {
                Some(Greeting::Tls) => sure(Cause::SpeaksTls),
                Some(Greeting::Http1(said) | Greeting::Other(said)) => {
                    sure(Cause::NotHttp2 { said })
                }
                Some(Greeting::Http2) => None,
                None if probe::by_tls(self).await.speaks_tls => sure(Cause::SpeaksTls),
                None => silent(),
            },
            _ => silent(),
        }
    }

    /// How TLS ended the connection opened last, if it did.
    fn alert(&self) -> Option<TlsError> {
        let (heard, _) = self.evidence()?.within?;
        heard.alert().cloned()
    }

    pub(crate) fn error(&self, cause: Cause) -> ConnectError {
        ConnectError { endpoint: self.endpoint.to_string(), cause }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn host(&self) -> String {
        if self.endpoint.is_unix() { "localhost".to_owned() } else { self.endpoint.host_port().0 }
    }

    async fn handshake_cause(&self, error: &io::Error, wire: &Heard, seen: &Handshake) -> Cause {
        let Some((setup, _)) = &self.tls else {
            return Cause::Tls { reason: system_words(error) };
        };
        match Greeting::of(wire.first()) {
            Some(Greeting::Tls) => {}
            Some(greeting) => return Cause::SpeaksPlain { greeting },
            None if self.curious => {
                if let Some(greeting) = probe::in_plain_text(self).await {
                    return Cause::SpeaksPlain { greeting };
                }
            }
            None => {}
        }
        let cause = match tls_error(error) {
            Some(error) => judge::handshake(error, seen, setup),
            None => match seen.asked() {
                Some(asked) => judge::ended(asked, setup),
                None => Cause::Tls { reason: system_words(error) },
            },
        };
        if cause == Cause::NothingInCommon && self.curious {
            // A server whose only certificate is of a kind that was not offered says no more.
            let shown = probe::by_tls(self).await.certificate;
            if let Some(key) = shown.map(|shown| shown.key)
                && matches!(key, KeyKind::P521 | KeyKind::Other(_))
            {
                return Cause::UnknownKind { key };
            }
        }
        cause
    }

    /// Ends if the server has been silent and turns out to speak plain text.
    async fn looks_plain(&self, wire: &Heard) -> Cause {
        sleep(HESITATION).await;
        if self.curious
            && wire.first().is_empty()
            && let Some(greeting) = probe::in_plain_text(self).await
            && greeting != Greeting::Tls
        {
            return Cause::SpeaksPlain { greeting };
        }
        std::future::pending().await
    }

    async fn connect_once(&self) -> Option<Box<dyn Stream>> {
        self.connect(Instant::now() + self.timeout).await.ok()
    }

    async fn connect(&self, deadline: Instant) -> Result<Box<dyn Stream>, ConnectError> {
        if self.endpoint.is_unix() {
            let connect = UnixStream::connect(self.endpoint.address());
            return Ok(Box::new(self.phase(Phase::Connect, deadline, connect).await?));
        }
        let (host, port) = self.endpoint.host_port();
        let lookup = async { Ok(lookup_host((host, port)).await?.collect::<Vec<_>>()) };
        let addresses = self.phase(Phase::Name, deadline, lookup).await?;
        let mut failed = self.error(Cause::Unresolvable { reason: "it has no address".to_owned() });
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
        let cause = match timeout_at(deadline, step).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) if phase == Phase::Name => {
                Cause::Unresolvable { reason: system_words(&error) }
            }
            // No socket of that name is as good as nobody at a port.
            Ok(Err(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
                ) =>
            {
                Cause::Refused
            }
            Ok(Err(error)) => Cause::Unreachable { reason: system_words(&error) },
            Err(_) => Cause::Late { phase, after: self.timeout },
        };
        Err(self.error(cause))
    }

    fn remember(&self, evidence: Evidence) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(evidence);
    }

    fn evidence(&self) -> Option<Evidence> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the system says, in lower case and without its number.
pub(crate) fn system_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    // A word in capitals, such as TLS, stays one.
    if letters.clone().next().is_some_and(char::is_uppercase) {
        return text.to_owned();
    }
    first.to_lowercase().chain(letters).collect()
}
