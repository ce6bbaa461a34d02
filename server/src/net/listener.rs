//! Bound sockets. Port 0 is any that is free; a name other than `localhost` is never bound.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, Type};

use super::Wire;
use crate::config::{Scheme, Url};

/// A bound socket. One address may be given with and without TLS: what a client begins with tells
/// which it wants.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    urls: Vec<Url>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The name of a unix socket, which goes when the socket does.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Listener {
    /// Binds every address of `urls` once; `failed` says of which URL an error is.
    pub(crate) fn bind_all<E>(
        urls: &[Url],
        failed: impl Fn(&Url, io::Error) -> E,
    ) -> Result<Vec<Listener>, E> {
        let mut bound: Vec<(String, Listener)> = Vec::new();
        for url in urls {
            let address = url.authority();
            let any_port = !url.is_unix() && url.port == 0;
            let mut taken = bound.iter_mut().filter(|_| !any_port);
            if let Some((_, listener)) = taken.find(|(taken, _)| *taken == address) {
                let url = listener.really(url.scheme).map_err(|error| failed(url, error))?;
                listener.urls.push(url);
            } else {
                let listener = Listener::bind(url).map_err(|error| failed(url, error))?;
                bound.push((address, listener));
            }
        }
        Ok(bound.into_iter().map(|(_, listener)| listener).collect())
    }

    fn bind(url: &Url) -> io::Result<Listener> {
        let socket = if url.is_unix() { unix(Path::new(&url.host))? } else { tcp(url)? };
        let mut listener = Listener { socket, urls: Vec::new() };
        listener.urls.push(listener.really(url.scheme)?);
        Ok(listener)
    }

    /// Where it is bound, with this scheme.
    fn really(&self, scheme: Scheme) -> io::Result<Url> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let address = listener.local_addr()?;
                Ok(Url { scheme, host: address.ip().to_string(), port: address.port() })
            }
            Socket::Unix(_, SocketFile(path)) => {
                Ok(Url { scheme, host: path.display().to_string(), port: 0 })
            }
        }
    }

    /// Its URLs, as really bound.
    pub(crate) fn urls(&self) -> &[Url] {
        &self.urls
    }

    /// Whether it is for clients with TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.urls.iter().any(Url::is_secure)
    }

    /// Whether it is for clients without TLS.
    pub(crate) fn is_plain(&self) -> bool {
        !self.urls.iter().all(Url::is_secure)
    }

    /// Needs a runtime's context.
    pub(crate) fn listen(self) -> io::Result<Listening> {
        let (accepting, file) = match self.socket {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                (Accepting::Tcp(tokio::net::TcpListener::from_std(listener)?), None)
            }
            Socket::Unix(listener, file) => {
                listener.set_nonblocking(true)?;
                (Accepting::Unix(tokio::net::UnixListener::from_std(listener)?), Some(file))
            }
        };
        Ok(Listening { accepting, _file: file })
    }
}

/// A socket from which connections are taken.
pub(crate) struct Listening {
    accepting: Accepting,
    _file: Option<SocketFile>,
}

enum Accepting {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Listening {
    pub(crate) async fn accept(&self) -> io::Result<Wire> {
        match &self.accepting {
            Accepting::Tcp(listener) => Ok(Wire::tcp(listener.accept().await?.0)),
            Accepting::Unix(listener) => Ok(Wire::unix(listener.accept().await?.0)),
        }
    }
}

/// Connections that the system keeps until they are accepted, as far as it lets us
/// (`net.core.somaxconn`, which Go takes too): enough for all clients of a member that starts
/// again. With the 128 of Rust's own listeners, others wait a second and more to be let in.
const BACKLOG: i32 = 4_096;

/// `localhost` is IPv4's, unless there is none: trying both would hide that a port is taken.
fn tcp(url: &Url) -> io::Result<Socket> {
    if url.host != "localhost" {
        let address = url.host.parse::<IpAddr>().map_err(io::Error::other)?;
        return bind(SocketAddr::new(address, url.port));
    }
    match bind(SocketAddr::from((Ipv4Addr::LOCALHOST, url.port))) {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            bind(SocketAddr::from((Ipv6Addr::LOCALHOST, url.port)))
        }
        bound => bound,
    }
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A member that starts again finds its port free, also while old connections linger.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Socket::Tcp(socket.into()))
}

/// A socket of an earlier process, which left its name, is replaced; any other file stays.
fn unix(path: &Path) -> io::Result<Socket> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    Ok(Socket::Unix(listener, SocketFile(path.to_owned())))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = fs::remove_file(&self.0);
    }
}
