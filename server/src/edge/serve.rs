//! Listeners, and connections until the member stops.

use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::Request;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinSet;
use tokio::time;
use tower::Service;

use super::access::Secure;
use super::pings::Pinged;
use super::room::Room;
use super::welcome::{Door, Welcomed};
use crate::auth::Origin;
use crate::config::KeepAlive;
use crate::limits::{
    CONNECTION_FIRST_BYTES_TIMEOUT, CONNECTION_FIRST_REQUEST_TIMEOUT, HTTP1_HEAD_TIMEOUT,
    HTTP2_HEADER_LIST_BYTES, HTTP2_LOCAL_RESETS, HTTP2_PENDING_RESETS, HTTP2_SEND_BUFFER_BYTES,
    STOP_GRACE,
};
use crate::net::{Listener, Listening, Wire};
use crate::runtime::Stop;
use crate::tls::{CommonName, Role};

/// Listeners that serve the same.
pub(crate) struct Site {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) router: Router,
    pub(crate) tls: Arc<Role>,
    pub(crate) room: Room,
    /// HTTP/1 is served elsewhere.
    pub(crate) grpc_only: bool,
}

/// What is the same for all connections of one kind.
#[derive(Clone)]
pub(crate) struct Manners {
    pub(crate) max_concurrent_streams: u32,
    pub(crate) keep_alive: KeepAlive,
    /// Time for a handshake, and until it is clear what a client speaks.
    pub(crate) first_bytes_timeout: Duration,
    /// Time for the first request of a connection.
    pub(crate) first_request_timeout: Duration,
}

impl Manners {
    pub(crate) fn new(max_concurrent_streams: u32, keep_alive: KeepAlive) -> Manners {
        Manners {
            max_concurrent_streams,
            keep_alive,
            first_bytes_timeout: CONNECTION_FIRST_BYTES_TIMEOUT,
            first_request_timeout: CONNECTION_FIRST_REQUEST_TIMEOUT,
        }
    }
}

/// Serves HTTP/1 and HTTP/2, told apart by their first bytes, until the member stops; then open
/// requests have a moment to end.
pub(crate) async fn serve(site: Site, manners: Manners, stop: Stop) -> io::Result<()> {
    let Site { listeners, router, tls, room, grpc_only } = site;
    let http = http(&manners);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let shared = Arc::new(Shared {
            http: http.clone(),
            router: router.clone(),
            door: Door::new(&listener, Arc::clone(&tls), grpc_only),
            manners: manners.clone(),
            stop: stop.clone(),
        });
        let listening = listener.listen()?;
        let room = room.clone();
        accepting.spawn(async move {
            loop {
                let place = room.place().await;
                let wire = accept(&listening).await;
                let mut quiet = room.enter();
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let welcomed = tokio::select! {
                        welcomed = shared.welcome(wire) => welcomed,
                        () = quiet.gives_way() => None,
                        _ = shared.stop.wait() => None,
                    };
                    drop(quiet);
                    if let Some(welcomed) = welcomed {
                        // On the heap, so that those who say nothing do not take its place.
                        Box::pin(shared.connection(welcomed)).await;
                    }
                    drop(place);
                });
            }
        });
    }
    stop.wait().await;
    accepting.shutdown().await;
    room.empty(2 * STOP_GRACE).await;
    Ok(())
}

/// What the connections of one listener share.
struct Shared {
    http: Http,
    router: Router,
    door: Door,
    manners: Manners,
    stop: Stop,
}

impl Shared {
    async fn welcome(&self, wire: Wire) -> Option<Welcomed> {
        let welcome = self.door.welcome(wire);
        time::timeout(self.manners.first_bytes_timeout, welcome).await.ok().flatten()
    }

    /// One connection; how it ends is its client's affair.
    async fn connection(&self, welcomed: Welcomed) {
        let used = Arc::new(AtomicBool::new(false));
        let service = Marked {
            router: self.router.clone(),
            secure: welcomed.is_secure.then(|| Secure {
                common_name: welcomed.common_name.as_ref().map(|name| name.0.clone()),
            }),
            common_name: welcomed.common_name,
            origin: Origin::of(welcomed.wire.remote()),
            used: Arc::clone(&used),
        };
        let service = TowerToHyperService::new(service);
        let min_time = self.manners.keep_alive.min_time;
        let io = TokioIo::new(Pinged::new(welcomed.wire, welcomed.is_http2, min_time));
        let mut connection = pin!(self.http.serve_connection_with_upgrades(io, service));
        let unused = async {
            time::sleep(self.manners.first_request_timeout).await;
            if used.load(Ordering::Relaxed) {
                pending::<()>().await;
            }
        };
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = self.stop.wait() => {}
            () = unused => {}
        }
        connection.as_mut().graceful_shutdown();
        let ended = time::timeout(STOP_GRACE, connection.as_mut()).await.is_ok();
        // Whoever asked for something just then gets it.
        if !ended && used.load(Ordering::Relaxed) && !self.stop.is_set() {
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = self.stop.wait() => {}
            }
            let _ = time::timeout(STOP_GRACE, connection).await;
        }
    }
}

/// The router of one connection: it tells of each request who sent it, and that there was one.
#[derive(Clone)]
struct Marked {
    router: Router,
    secure: Option<Secure>,
    common_name: Option<CommonName>,
    origin: Origin,
    used: Arc<AtomicBool>,
}

impl<B> Service<Request<B>> for Marked
where
    Router: Service<Request<B>>,
{
    type Response = <Router as Service<Request<B>>>::Response;
    type Error = <Router as Service<Request<B>>>::Error;
    type Future = <Router as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.router.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        self.used.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(self.origin);
        if let Some(secure) = &self.secure {
            request.extensions_mut().insert(secure.clone());
        }
        if let Some(common_name) = &self.common_name {
            request.extensions_mut().insert(common_name.clone());
        }
        self.router.call(request)
    }
}

type Http = Builder<TokioExecutor>;

fn http(manners: &Manners) -> Http {
    /// Room for a large request without a round trip for every 64 KiB.
    const WINDOW_BYTES: u32 = 1 << 20;
    let KeepAlive { interval, timeout, .. } = manners.keep_alive;
    // As in etcd, both must be set for either to have an effect.
    let interval = Some(interval).filter(|interval| !interval.is_zero() && !timeout.is_zero());
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HTTP1_HEAD_TIMEOUT);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(manners.max_concurrent_streams)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .max_pending_accept_reset_streams(HTTP2_PENDING_RESETS)
        .max_local_error_reset_streams(HTTP2_LOCAL_RESETS)
        .max_header_list_size(HTTP2_HEADER_LIST_BYTES)
        .max_send_buf_size(HTTP2_SEND_BUFFER_BYTES)
        .keep_alive_interval(interval)
        .keep_alive_timeout(timeout);
    http
}

/// Between two tries to accept a connection that failed: often enough for nobody to notice, seldom
/// enough not to fill the log.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The next connection. Running out of files is waited out: connections end.
async fn accept(listening: &Listening) -> Wire {
    loop {
        match listening.accept().await {
            Ok(wire) => return wire,
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
    use tokio::net::TcpStream;

    use super::*;
    use crate::config::{Config, Url};
    use crate::tls::Kind;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

    /// A site with room for one, so that the next is served only when the place is free again.
    fn site() -> (Site, String) {
        let bound = Listener::bind_all(&[Url::http("127.0.0.1", 0)], |_, error| error);
        let listeners = bound.unwrap();
        let address = listeners[0].urls()[0].authority();
        let tls = Arc::new(Role::load(&Config::default(), Kind::Client).unwrap());
        let room = Room::new(1);
        (Site { listeners, router: Router::new(), tls, room, grpc_only: false }, address)
    }

    fn manners(first_bytes_timeout: Duration, first_request_timeout: Duration) -> Manners {
        let manners = Manners::new(1, KeepAlive::default());
        Manners { first_bytes_timeout, first_request_timeout, ..manners }
    }

    #[tokio::test]
    async fn a_connection_that_does_not_say_what_it_speaks_is_closed() {
        let (site, address) = site();
        let patience = Duration::from_millis(100);
        let stop = Stop::new();
        let manners = manners(patience, 100 * patience);
        let serving = tokio::spawn(serve(site, manners, stop.clone()));
        for said in ["", "P", "PRI * HTTP/2.0\r\n"] {
            let begun = Instant::now();
            let mut client = TcpStream::connect(&address).await.unwrap();
            client.write_all(said.as_bytes()).await.unwrap();
            // Unread bytes make the end a reset.
            assert!(matches!(client.read(&mut [0; 8]).await, Ok(0) | Err(_)), "after {said:?}");
            assert!(begun.elapsed() >= patience, "{said:?} was closed at once");
        }
        let mut client = TcpStream::connect(&address).await.unwrap();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 404"), "{answer}");
        stop.ask();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_is_asked_is_closed() {
        let (site, address) = site();
        let patience = Duration::from_millis(200);
        let stop = Stop::new();
        let manners = manners(100 * patience, patience);
        let serving = tokio::spawn(serve(site, manners, stop.clone()));
        let begun = Instant::now();
        let mut client = TcpStream::connect(&address).await.unwrap();
        client.write_all(&[PREFACE, EMPTY_SETTINGS].concat()).await.unwrap();
        let mut heard = Vec::new();
        // It answers nothing more, not even to the goodbye.
        client.read_to_end(&mut heard).await.unwrap();
        assert!(begun.elapsed() >= patience, "it was closed at once");
        stop.ask();
        serving.await.unwrap().unwrap();
    }
}
