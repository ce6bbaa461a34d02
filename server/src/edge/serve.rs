//! Listeners, and connections until the member stops.

use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time;

use crate::limits::{
    CONNECTION_FIRST_BYTES_TIMEOUT, HTTP1_HEAD_TIMEOUT, MAX_CONNECTIONS, MIN_CONNECTIONS,
    OPEN_FILES_RESERVE, STOP_GRACE,
};
use crate::runtime::Stop;

/// Bound sockets of one kind, before anything is served on them.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listeners: Vec<TcpListener>,
    max_connections: usize,
    first_bytes_timeout: Duration,
}

impl Acceptor {
    pub(crate) fn new(listeners: Vec<TcpListener>) -> Acceptor {
        let max_connections = max_connections(getrlimit(Resource::Nofile).current);
        let first_bytes_timeout = CONNECTION_FIRST_BYTES_TIMEOUT;
        Acceptor { listeners, max_connections, first_bytes_timeout }
    }
}

/// Clients and peers have an acceptor each, and half of the files that may be open.
fn max_connections(open_files: Option<u64>) -> usize {
    let room = open_files.map_or(u64::MAX, |files| files.saturating_sub(OPEN_FILES_RESERVE) / 2);
    usize::try_from(room).unwrap_or(usize::MAX).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}

/// Serves HTTP/1 and HTTP/2, told apart by their first bytes, until the member stops; then open
/// requests have a moment to end.
pub(crate) async fn serve(
    acceptor: Acceptor,
    router: Router,
    max_concurrent_streams: u32,
    stop: Stop,
) -> io::Result<()> {
    let http = Arc::new(http(max_concurrent_streams));
    let room = Arc::new(Semaphore::new(acceptor.max_connections));
    let first_bytes_timeout = acceptor.first_bytes_timeout;
    let mut accepting = JoinSet::new();
    for listener in acceptor.listeners {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (http, room) = (Arc::clone(&http), Arc::clone(&room));
        let (router, stop) = (router.clone(), stop.clone());
        accepting.spawn(async move {
            while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
                let stream = accept(&listener).await;
                let (http, router, stop) = (Arc::clone(&http), router.clone(), stop.clone());
                tokio::spawn(async move {
                    let greeted = tokio::select! {
                        greeted = time::timeout(first_bytes_timeout, greets(&stream)) => greeted,
                        _ = stop.wait() => Ok(false),
                    };
                    if greeted == Ok(true) {
                        connection(stream, &http, router, &stop).await;
                    }
                    drop(permit);
                });
            }
        });
    }
    stop.wait().await;
    accepting.shutdown().await;
    // All permits are back when all connections have ended.
    let all = room.acquire_many(acceptor.max_connections as u32);
    let _ = time::timeout(2 * STOP_GRACE, all).await;
    Ok(())
}

/// Waits until the client has said enough to tell HTTP/1 from HTTP/2: hyper has no deadline for
/// that. False if the client is gone.
async fn greets(client: &TcpStream) -> bool {
    const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    /// What was peeked at is always there, so a part of the preface cannot be waited with.
    const PEEK_AGAIN: Duration = Duration::from_millis(50);
    let mut first = [0; HTTP2_PREFACE.len()];
    loop {
        match client.peek(&mut first).await {
            Ok(0) | Err(_) => return false,
            Ok(n) if n < first.len() && HTTP2_PREFACE.starts_with(&first[..n]) => {
                time::sleep(PEEK_AGAIN).await;
            }
            Ok(_) => return true,
        }
    }
}

/// One connection; how it ends is its client's affair.
async fn connection(stream: TcpStream, http: &Http, router: Router, stop: &Stop) {
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(http.serve_connection_with_upgrades(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait() => connection.as_mut().graceful_shutdown(),
    }
    let _ = time::timeout(STOP_GRACE, connection).await;
}

type Http = Builder<TokioExecutor>;

fn http(max_concurrent_streams: u32) -> Http {
    /// Room for a large request without a round trip for every 64 KiB.
    const WINDOW_BYTES: u32 = 1 << 20;
    /// A client that is gone without a word is noticed after this and the timeout, as by etcd.
    const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(2 * 60 * 60);
    const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HTTP1_HEAD_TIMEOUT);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(max_concurrent_streams)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    http
}

/// Between two tries to accept a connection that failed: often enough for nobody to notice, seldom
/// enough not to fill the log.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The next connection. Running out of files is waited out: connections end.
async fn accept(listener: &tokio::net::TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written whole; waiting for more would only delay them.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection");
                time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn connections_leave_room_for_other_files() {
        assert_eq!(max_connections(None), MAX_CONNECTIONS);
        assert_eq!(max_connections(Some(1 << 20)), MAX_CONNECTIONS);
        assert_eq!(max_connections(Some(1_024)), 480);
        assert_eq!(max_connections(Some(20)), MIN_CONNECTIONS);
    }

    #[tokio::test]
    async fn a_connection_that_does_not_say_what_it_speaks_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let first_bytes_timeout = Duration::from_millis(100);
        // With room for one, so that the next is served only when the place is free again.
        let acceptor =
            Acceptor { listeners: vec![listener], max_connections: 1, first_bytes_timeout };
        let stop = Stop::new();
        let serving = tokio::spawn(serve(acceptor, Router::new(), 1, stop.clone()));
        for said in ["", "P", "PRI * HTTP/2.0\r\n"] {
            let begun = Instant::now();
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(said.as_bytes()).await.unwrap();
            // Unread bytes make the end a reset.
            assert!(matches!(client.read(&mut [0; 8]).await, Ok(0) | Err(_)), "after {said:?}");
            assert!(begun.elapsed() >= first_bytes_timeout, "{said:?} was closed at once");
        }
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 404"), "{answer}");
        stop.ask();
        serving.await.unwrap().unwrap();
    }
}
