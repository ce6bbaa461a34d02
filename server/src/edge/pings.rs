//! What hyper does not tell of an HTTP/2 connection: whether its client has settled in, and whether
//! it pings too often. The frames are looked at as they pass: only their heads, of nine bytes each.
//!
//! A client has settled in when it acknowledges our settings, as each does at once that speaks
//! HTTP/2 at all, also if it asks nothing for long.
//!
//! Clients that ping too often are told to be calm, as grpc-go's server tells them. A client whose pings come faster than `--grpc-keepalive-min-time` too many
//! times in a row, with nothing sent to it in between, gets GOAWAY with ENHANCE_YOUR_CALM and
//! `too_many_pings`, upon which grpc's clients ping half as often. Unlike grpc-go's, a client may
//! ping while it asks nothing, and a tenth of the time is forgiven: a busy machine delays one ping
//! and not the next.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Pings that come too early and are borne; grpc-go's figure.
const MAX_STRIKES: u32 = 2;

const HEAD_BYTES: usize = 9;
const PREFACE_BYTES: usize = 24;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const ACK: u8 = 0x1;

/// GOAWAY on no stream: the last stream there may be (so that all are finished with), the code
/// ENHANCE_YOUR_CALM, and the word grpc's clients look for.
const GOODBYE: &[u8] = b"\0\0\x16\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\x0btoo_many_pings";

/// A connection whose frames are looked at, if it is one of HTTP/2.
pub(super) struct Pinged<S> {
    stream: S,
    watch: Option<Watch>,
}

struct Watch {
    settled: Arc<AtomicBool>,
    /// The least time between two pings; zero bears all.
    min_time: Duration,
    heard: Frames,
    said: Frames,
    last: Option<Instant>,
    strikes: u32,
    /// Of the goodbye, once there is one, what has been sent.
    goodbye: Option<usize>,
}

impl<S> Pinged<S> {
    /// `settled` is set when the client has settled in.
    pub(super) fn new(
        stream: S,
        is_http2: bool,
        min_time: Duration,
        settled: Arc<AtomicBool>,
    ) -> Pinged<S> {
        let watch = is_http2.then(|| Watch {
            settled,
            min_time,
            heard: Frames { skip: PREFACE_BYTES, ..Frames::default() },
            said: Frames::default(),
            last: None,
            strikes: 0,
            goodbye: None,
        });
        Pinged { stream, watch }
    }
}

impl Watch {
    fn hear(&mut self, bytes: &[u8]) {
        let Watch { settled, min_time, heard, last, strikes, goodbye, .. } = self;
        heard.pass(bytes, |kind, flags| {
            if kind == SETTINGS && flags & ACK != 0 {
                settled.store(true, Ordering::Relaxed);
            }
            if kind != PING || flags & ACK != 0 || min_time.is_zero() {
                return;
            }
            let now = Instant::now();
            if last.is_some_and(|last| now.duration_since(last) < *min_time / 10 * 9) {
                *strikes += 1;
                if *strikes > MAX_STRIKES {
                    goodbye.get_or_insert(0);
                }
            }
            *last = Some(now);
        });
    }

    fn say(&mut self, bytes: &[u8]) {
        let strikes = &mut self.strikes;
        self.said.pass(bytes, |kind, _| {
            if kind == DATA || kind == HEADERS {
                *strikes = 0;
            }
        });
    }
}

/// Where one frame ends and the next begins.
#[derive(Default)]
struct Frames {
    head: [u8; HEAD_BYTES],
    /// Bytes of the head that have passed.
    filled: usize,
    /// Bytes of the payload that have not.
    skip: usize,
}

impl Frames {
    fn pass(&mut self, mut bytes: &[u8], mut frame: impl FnMut(u8, u8)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEAD_BYTES - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEAD_BYTES {
                let [a, b, c, kind, flags, ..] = self.head;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                self.filled = 0;
                frame(kind, flags);
            }
        }
    }

    fn is_between(&self) -> bool {
        self.filled == 0 && self.skip == 0
    }
}

impl<S: AsyncWrite + Unpin> Pinged<S> {
    /// Sends the goodbye, unless that would be in the midst of a frame; then fails for good.
    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let stream = Pin::new(&mut self.stream);
        if let Some(Watch { said, goodbye: Some(sent), .. }) = &mut self.watch
            && said.is_between()
        {
            let mut stream = stream;
            while *sent < GOODBYE.len() {
                match ready!(stream.as_mut().poll_write(cx, &GOODBYE[*sent..])) {
                    Ok(0) | Err(_) => break,
                    Ok(n) => *sent += n,
                }
            }
            let _ = ready!(stream.poll_flush(cx));
        }
        Poll::Ready(io::Error::other("too_many_pings"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Pinged<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !matches!(&this.watch, Some(Watch { goodbye: Some(_), .. })) {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let Some(watch) = &mut this.watch else { return Poll::Ready(Ok(())) };
            watch.hear(&buf.filled()[before..]);
            if watch.goodbye.is_none() {
                return Poll::Ready(Ok(()));
            }
            buf.set_filled(before);
        }
        this.poll_goodbye(cx).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Pinged<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let n = ready!(Pin::new(&mut this.stream).poll_write(cx, buf))?;
        if let Some(watch) = &mut this.watch {
            watch.say(&buf[..n]);
        }
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let n = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, bufs))?;
        if let Some(watch) = &mut this.watch {
            let mut left = n;
            for buf in bufs {
                let part = left.min(buf.len());
                watch.say(&buf[..part]);
                left -= part;
            }
        }
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const A_PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingping";
    const AN_ACK: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0pingping";
    const SOME_DATA: &[u8] = b"\0\0\x02\x00\0\0\0\0\x01ok";
    const HOUR: Duration = Duration::from_secs(3_600);

    fn pair(min_time: Duration) -> (DuplexStream, Pinged<DuplexStream>) {
        let (client, server) = duplex(1 << 16);
        (client, Pinged::new(server, true, min_time, Arc::default()))
    }

    /// What the server reads of `said`, in pieces of three bytes so that frames are cut anywhere.
    async fn read(
        client: &mut DuplexStream,
        server: &mut Pinged<DuplexStream>,
        said: &[u8],
    ) -> io::Result<()> {
        for piece in said.chunks(3) {
            client.write_all(piece).await?;
            let mut heard = vec![0; piece.len()];
            server.read_exact(&mut heard).await?;
            assert_eq!(heard, piece);
        }
        Ok(())
    }

    #[tokio::test]
    async fn too_many_pings_are_answered_with_a_request_for_calm() {
        let (mut client, mut server) = pair(HOUR);
        read(&mut client, &mut server, PREFACE).await.unwrap();
        for _ in 0..=MAX_STRIKES {
            read(&mut client, &mut server, A_PING).await.unwrap();
        }
        let error = read(&mut client, &mut server, A_PING).await.unwrap_err();
        assert_eq!(error.to_string(), "too_many_pings");
        drop(server);
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, GOODBYE);
    }

    #[tokio::test]
    async fn pings_are_borne_that_are_rare_or_answers_or_between_answers() {
        let (mut client, mut server) = pair(HOUR);
        read(&mut client, &mut server, PREFACE).await.unwrap();
        for _ in 0..20 {
            read(&mut client, &mut server, A_PING).await.unwrap();
            server.write_all(SOME_DATA).await.unwrap();
            read(&mut client, &mut server, AN_ACK).await.unwrap();
        }
        for min_time in [Duration::ZERO, Duration::from_nanos(1)] {
            let (mut client, mut server) = pair(min_time);
            read(&mut client, &mut server, PREFACE).await.unwrap();
            for _ in 0..20 {
                read(&mut client, &mut server, A_PING).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_client_has_settled_in_when_it_acknowledges_settings() {
        let (mut client, server) = duplex(1 << 16);
        let settled = Arc::new(AtomicBool::new(false));
        let mut server = Pinged::new(server, true, Duration::ZERO, Arc::clone(&settled));
        read(&mut client, &mut server, PREFACE).await.unwrap();
        read(&mut client, &mut server, b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        read(&mut client, &mut server, AN_ACK).await.unwrap();
        assert!(!settled.load(Ordering::Relaxed), "it has only said what it wants");
        read(&mut client, &mut server, b"\0\0\0\x04\x01\0\0\0\0").await.unwrap();
        assert!(settled.load(Ordering::Relaxed));
    }

    #[test]
    fn the_goodbye_is_a_frame() {
        let mut frames = Frames::default();
        let mut kinds = Vec::new();
        frames.pass(GOODBYE, |kind, _| kinds.push(kind));
        assert_eq!(kinds, [0x7]);
        assert!(frames.is_between());
    }
}
