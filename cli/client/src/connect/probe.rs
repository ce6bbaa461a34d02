//! A second look at an endpoint that could not be spoken to, to say what it does speak. One more
//! connection, a greeting, and nothing that could be taken for a request.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::Error;
use tokio_rustls::rustls::pki_types::ServerName;

use super::greeting::Greeting;
use super::witness::Witness;
use super::{Dialer, Stream};
use crate::tls::{Certificate, Setup, Speaks};

/// Time for one look; who answers at all answers in a round trip or two.
const LOOK: Duration = Duration::from_secs(1);

/// RFC 9113, 3.4: what a client begins with, and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// What it says to HTTP/2 in plain text; `None` if it says nothing.
pub(super) async fn in_plain_text(dialer: &Dialer) -> Option<Greeting> {
    let look = async {
        let mut stream = dialer.connect_once().await?;
        stream.write_all(PREFACE).await.ok()?;
        let mut said = [0; 256];
        let length = stream.read(&mut said).await.ok()?;
        Greeting::of(&said[..length])
    };
    timeout(LOOK, look).await.ok().flatten()
}

/// How a server ends a connection on which nothing is said after the handshake: one that does not
/// take whoever comes says so by itself.
pub(super) async fn after_handshake(dialer: &Dialer) -> Option<Error> {
    let look = async {
        let mut stream = dialer.open(Speaks::Http2).await.ok()?;
        let _ = stream.read(&mut [0; 1]).await;
        dialer.alert()
    };
    timeout(LOOK, look).await.ok().flatten()
}

/// What it shows of itself by TLS.
pub(super) struct Shown {
    pub(super) speaks_tls: bool,
    pub(super) certificate: Option<Certificate>,
}

pub(super) async fn by_tls(dialer: &Dialer) -> Shown {
    let nothing = Shown { speaks_tls: false, certificate: None };
    let Some((config, seen)) = Setup::curious() else { return nothing };
    let Ok(name) = ServerName::try_from(dialer.host()) else { return nothing };
    let Some(stream) = dialer.connect_once().await else { return nothing };
    let (stream, heard) = Witness::new(stream);
    let stream: Box<dyn Stream> = Box::new(stream);
    // It is meant to fail: nobody is trusted.
    let _ = timeout(LOOK, TlsConnector::from(config).connect(name, stream)).await;
    Shown {
        speaks_tls: Greeting::of(heard.first()) == Some(Greeting::Tls),
        certificate: seen.server().cloned(),
    }
}
