//! The bytes of one connection: over TCP or a unix socket, in TLS or not.
//!
//! A server hears what a client says first before it knows what to make of it ([`Wire::greeting`]);
//! what was heard is read again by whoever serves the connection.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

use crate::limits::TCP_KEEP_ALIVE;

/// A connection.
pub(crate) struct Wire {
    io: Io,
    /// What was heard already, and how much of it was read.
    heard: Vec<u8>,
    read: usize,
}

enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<Wire>>),
}

/// What a client begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    Tls,
    Http1,
    Http2,
}

impl Wire {
    pub(crate) fn tcp(stream: TcpStream) -> Wire {
        // Answers are written whole; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        // Who is gone without a word is to be noticed, also on a connection that is only listened on.
        let keep_alive =
            TcpKeepalive::new().with_time(TCP_KEEP_ALIVE).with_interval(TCP_KEEP_ALIVE);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keep_alive);
        Wire::over(Io::Tcp(stream))
    }

    pub(crate) fn unix(stream: UnixStream) -> Wire {
        Wire::over(Io::Unix(stream))
    }

    pub(crate) fn tls(stream: impl Into<TlsStream<Wire>>) -> Wire {
        Wire::over(Io::Tls(Box::new(stream.into())))
    }

    fn over(io: Io) -> Wire {
        Wire { io, heard: Vec::new(), read: 0 }
    }

    /// The other end's address, if it has one.
    pub(crate) fn remote(&self) -> Option<IpAddr> {
        match &self.io {
            Io::Tcp(stream) => stream.peer_addr().ok().map(|address| address.ip()),
            Io::Unix(_) => None,
            Io::Tls(stream) => stream.get_ref().0.remote(),
        }
    }

    /// Waits until the client has said enough to tell what it speaks; `None` if it is gone. Has no
    /// deadline of its own.
    pub(crate) async fn greeting(&mut self) -> Option<Greeting> {
        const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        /// The type of a TLS record that holds a handshake; no method of HTTP begins with it.
        const TLS_HANDSHAKE: u8 = 0x16;
        loop {
            match self.heard.as_slice() {
                [] => {}
                [TLS_HANDSHAKE, ..] => return Some(Greeting::Tls),
                heard if heard.starts_with(HTTP2_PREFACE) => return Some(Greeting::Http2),
                heard if HTTP2_PREFACE.starts_with(heard) => {}
                _ => return Some(Greeting::Http1),
            }
            let mut more = [0; HTTP2_PREFACE.len()];
            let read = match &mut self.io {
                Io::Tcp(stream) => stream.read(&mut more).await,
                Io::Unix(stream) => stream.read(&mut more).await,
                Io::Tls(stream) => Box::pin(stream.read(&mut more)).await,
            };
            match read {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.heard.extend_from_slice(&more[..n]),
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let unread = &this.heard[this.read..];
        if !unread.is_empty() {
            let n = unread.len().min(buf.remaining());
            buf.put_slice(&unread[..n]);
            this.read += n;
            if this.read == this.heard.len() {
                this.heard = Vec::new();
                this.read = 0;
            }
            return Poll::Ready(Ok(()));
        }
        match &mut this.io {
            Io::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Io::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Io::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Tcp(stream) => stream.is_write_vectored(),
            Io::Unix(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Io::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_system_looks_after_whoever_is_silent() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let accepted = listener.accept().await.unwrap().0;
        for stream in [dialled, accepted] {
            let Io::Tcp(stream) = Wire::tcp(stream).io else { panic!("it is TCP") };
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), TCP_KEEP_ALIVE);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), TCP_KEEP_ALIVE);
        }
    }
}
