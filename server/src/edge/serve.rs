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
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time;

use crate::limits::{MAX_CONNECTIONS, STOP_GRACE};
use crate::runtime::Stop;

/// Bound sockets of one kind, before anything is served on them.
#[derive(Debug)]
pub(crate) struct Acceptor(Vec<TcpListener>);

impl Acceptor {
    pub(crate) fn new(listeners: Vec<TcpListener>) -> Acceptor {
        Acceptor(listeners)
    }
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
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut accepting = JoinSet::new();
    for listener in acceptor.0 {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (http, room) = (Arc::clone(&http), Arc::clone(&room));
        let (router, stop) = (router.clone(), stop.clone());
        accepting.spawn(async move {
            while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
                let stream = accept(&listener).await;
                let (http, router, stop) = (Arc::clone(&http), router.clone(), stop.clone());
                tokio::spawn(async move {
                    connection(stream, &http, router, &stop).await;
                    drop(permit);
                });
            }
        });
    }
    stop.wait().await;
    accepting.shutdown().await;
    // All permits are back when all connections have ended.
    let _ = time::timeout(2 * STOP_GRACE, room.acquire_many(MAX_CONNECTIONS as u32)).await;
    Ok(())
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
    http.http1().timer(TokioTimer::new());
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
