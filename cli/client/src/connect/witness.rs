//! What was heard on a connection before it failed: the first bytes of the other side and how it
//! ended. It passes everything through.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls;

/// Enough to see a protocol's greeting in full.
const FIRST_BYTES: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Heard {
    first: OnceLock<Vec<u8>>,
    alert: OnceLock<rustls::Error>,
}

impl Heard {
    /// The beginning of the first bytes that came; empty if none did.
    pub(crate) fn first(&self) -> &[u8] {
        self.first.get().map_or(&[], Vec::as_slice)
    }

    /// How TLS ended the connection, if it did.
    pub(crate) fn alert(&self) -> Option<&rustls::Error> {
        self.alert.get()
    }
}

/// A stream that remembers.
pub(crate) struct Witness<S> {
    inner: S,
    heard: Arc<Heard>,
}

impl<S> Witness<S> {
    pub(crate) fn new(inner: S) -> (Self, Arc<Heard>) {
        let heard = Arc::new(Heard::default());
        (Self { inner, heard: heard.clone() }, heard)
    }
}

/// rustls's own error, if that is what broke a stream.
pub(crate) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

impl<S: AsyncRead + Unpin> AsyncRead for Witness<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        match &polled {
            Poll::Ready(Ok(())) if self.heard.first.get().is_none() => {
                let new = &buffer.filled()[before..];
                if !new.is_empty() {
                    let _ = self.heard.first.set(new[..new.len().min(FIRST_BYTES)].to_vec());
                }
            }
            Poll::Ready(Err(error)) => {
                if let Some(error) = tls_error(error) {
                    let _ = self.heard.alert.set(error.clone());
                }
            }
            _ => {}
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Witness<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
