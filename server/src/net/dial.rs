//! Connections to a peer, at whichever of its URLs answers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::Wire;
use crate::config::Url;
use crate::tls::Role;

/// Opens connections to one peer; cheap to clone.
#[derive(Clone)]
pub(crate) struct Dialler {
    urls: Arc<[Url]>,
    tls: Arc<Role>,
    timeout: Duration,
}

impl Dialler {
    /// `timeout` is for each URL, its handshake included.
    pub(crate) fn new(urls: Vec<Url>, tls: Arc<Role>, timeout: Duration) -> Dialler {
        Dialler { urls: urls.into(), tls, timeout }
    }

    /// Tries one URL after the other.
    pub(crate) async fn dial(self) -> io::Result<Wire> {
        let mut reason = io::Error::other("it has no address");
        for url in self.urls.iter() {
            match timeout(self.timeout, connect(url, &self.tls)).await {
                Ok(Ok(wire)) => return Ok(wire),
                Ok(Err(error)) => reason = error,
                Err(_) => reason = io::ErrorKind::TimedOut.into(),
            }
            reason = io::Error::new(reason.kind(), format!("{url}: {reason}"));
        }
        Err(reason)
    }
}

async fn connect(url: &Url, tls: &Role) -> io::Result<Wire> {
    let wire = if url.is_unix() {
        Wire::unix(UnixStream::connect(&url.host).await?)
    } else {
        Wire::tcp(TcpStream::connect((url.host.as_str(), url.port)).await?)
    };
    if !url.is_secure() {
        return Ok(wire);
    }
    let host = if url.is_unix() { "localhost" } else { &url.host };
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let config = tls.client().map_err(io::Error::other)?;
    let stream = TlsConnector::from(config).connect(name, wire).await?;
    Ok(Wire::tls(stream))
}
