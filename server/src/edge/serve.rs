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
use tokio::task::{JoinSet, yield_now};
use tokio::time::{self, Instant};
use tower::Service;

use super::access::Secure;
use super::pings::Pinged;
use super::room::{Quiet, Room};
use super::welcome::{Door, Welcomed};
use crate::auth::Origin;
use crate::config::KeepAlive;
use crate::limits::{
    CONNECTION_FIRST_REQUEST_TIMEOUT, CONNECTION_OPENING_TIMEOUT, HTTP_HEAD_BYTES,
    HTTP1_HEAD_TIMEOUT, HTTP2_LOCAL_RESETS, HTTP2_PENDING_RESETS, HTTP2_SEND_BUFFER_BYTES,
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
    /// Time for a handshake and the head of the first request; in HTTP/2 for settling in.
    pub(crate) opening_timeout: Duration,
    /// Time for the first request of a client that has settled in.
    pub(crate) first_request_timeout: Duration,
}

impl Manners {
    pub(crate) fn new(max_concurrent_streams: u32, keep_alive: KeepAlive) -> Manners {
        Manners {
            max_concurrent_streams,
            keep_alive,
            opening_timeout: CONNECTION_OPENING_TIMEOUT,
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
                let (quiet, give_way) = room.enter();
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    tokio::select! {
                        () = shared.attend(wire, quiet) => {}
                        () = give_way.told() => {}
                    }
                    drop(place);
                });
                // What it has said already is heard before the next may have it give way.
                yield_now().await;
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
    async fn attend(&self, wire: Wire, quiet: Quiet) {
        let opened = Instant::now();
        let welcome = time::timeout(self.manners.opening_timeout, self.door.welcome(wire));
        let welcomed = tokio::select! {
            welcomed = welcome => welcomed.ok().flatten(),
            _ = self.stop.wait() => None,
        };
        if let Some(welcomed) = welcomed {
            // On the heap, so that those who say nothing do not take its place.
            Box::pin(self.connection(welcomed, quiet, opened)).await;
        }
    }

    /// One connection; how it ends is its client's affair.
    async fn connection(&self, welcomed: Welcomed, quiet: Quiet, opened: Instant) {
        let settled = Arc::new(AtomicBool::new(false));
        let first = Arc::new(FirstRequest { quiet, was_made: AtomicBool::new(false) });
        let service = Marked {
            router: self.router.clone(),
            secure: welcomed.is_secure.then(|| Secure {
                common_name: welcomed.common_name.as_ref().map(|name| name.0.clone()),
            }),
            common_name: welcomed.common_name,
            origin: Origin::of(welcomed.wire.remote()),
            first: Arc::clone(&first),
        };
        let service = TowerToHyperService::new(service);
        let min_time = self.manners.keep_alive.min_time;
        let wire = Pinged::new(welcomed.wire, welcomed.is_http2, min_time, Arc::clone(&settled));
        let mut connection =
            pin!(self.http.serve_connection_with_upgrades(TokioIo::new(wire), service));
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = self.stop.wait() => {}
            () = self.unused(opened, &first, &settled) => {
                if !settled.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
        connection.as_mut().graceful_shutdown();
        let ended = time::timeout(STOP_GRACE, connection.as_mut()).await.is_ok();
        // Whoever asked for something just then gets it.
        if !ended && first.was_made() && !self.stop.is_set() {
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = self.stop.wait() => {}
            }
            let _ = time::timeout(STOP_GRACE, connection).await;
        }
    }

    /// Resolves when a client that has asked nothing has had its time: little, or more if it has
    /// settled in.
    async fn unused(&self, opened: Instant, first: &FirstRequest, settled: &AtomicBool) {
        let Manners { opening_timeout, first_request_timeout, .. } = self.manners;
        time::sleep_until(opened + opening_timeout).await;
        if settled.load(Ordering::Relaxed) {
            time::sleep_until(opened + first_request_timeout).await;
        }
        if first.was_made() {
            pending::<()>().await;
        }
    }
}

/// The first request of a connection, by which its client stops being one that asks nothing.
struct FirstRequest {
    quiet: Quiet,
    was_made: AtomicBool,
}

impl FirstRequest {
    fn note(&self) {
        if !self.was_made.swap(true, Ordering::Relaxed) {
            self.quiet.asks();
        }
    }

    fn was_made(&self) -> bool {
        self.was_made.load(Ordering::Relaxed)
    }
}

/// The router of one connection: it tells of each request who sent it, and that there was one.
#[derive(Clone)]
struct Marked {
    router: Router,
    secure: Option<Secure>,
    common_name: Option<CommonName>,
    origin: Origin,
    first: Arc<FirstRequest>,
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
        self.first.note();
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
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP1_HEAD_TIMEOUT)
        .max_buf_size(HTTP_HEAD_BYTES);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(manners.max_concurrent_streams)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .max_pending_accept_reset_streams(HTTP2_PENDING_RESETS)
        .max_local_error_reset_streams(HTTP2_LOCAL_RESETS)
        .max_header_list_size(HTTP_HEAD_BYTES as u32)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::config::{Config, Url};
    use crate::tls::Kind;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS_ACK: &[u8] = &[0, 0, 0, 4, 1, 0, 0, 0, 0];
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

    fn manners(opening_timeout: Duration, first_request_timeout: Duration) -> Manners {
        let manners = Manners::new(1, KeepAlive::default());
        Manners { opening_timeout, first_request_timeout, ..manners }
    }

    /// What is heard until the connection ends, and after how long.
    async fn heard(address: &str, said: &[u8]) -> (Vec<u8>, Duration) {
        let begun = Instant::now();
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(said).await.unwrap();
        let mut heard = Vec::new();
        // Unread bytes make the end a reset.
        let _ = client.read_to_end(&mut heard).await;
        (heard, begun.elapsed())
    }

    #[tokio::test]
    async fn a_connection_that_does_not_begin_to_ask_is_closed() {
        let (site, address) = site();
        let patience = Duration::from_millis(100);
        let stop = Stop::new();
        let manners = manners(patience, 1_000 * patience);
        let serving = tokio::spawn(serve(site, manners, stop.clone()));
        let unsettled = [PREFACE, EMPTY_SETTINGS].concat();
        let said = [&b""[..], b"P", b"G", b"GET / HTTP/1.1\r\n", PREFACE, &unsettled];
        for said in said {
            let (_, lasted) = heard(&address, said).await;
            assert!(lasted >= patience, "{said:?} was closed at once");
        }
        let (answer, _) = heard(&address, b"GET / HTTP/1.0\r\n\r\n").await;
        assert!(answer.starts_with(b"HTTP/1.0 404"), "{answer:?}");
        stop.ask();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_has_settled_in_may_be_quiet_for_longer() {
        let (site, address) = site();
        let patience = Duration::from_millis(200);
        let stop = Stop::new();
        let manners = manners(patience / 4, patience);
        let serving = tokio::spawn(serve(site, manners, stop.clone()));
        // It answers nothing more, not even to the goodbye.
        let (_, lasted) = heard(&address, &[PREFACE, EMPTY_SETTINGS, SETTINGS_ACK].concat()).await;
        assert!(lasted >= patience, "it was closed after {lasted:?}");
        stop.ask();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_asks_nothing_gives_way_to_others() {
        let (mut site, address) = site();
        site.room = Room::new(2);
        let hour = Duration::from_secs(3_600);
        let stop = Stop::new();
        let serving = tokio::spawn(serve(site, manners(hour, hour), stop.clone()));
        let settled = [PREFACE, EMPTY_SETTINGS, SETTINGS_ACK].concat();
        for said in [&b"G"[..], PREFACE, &settled] {
            let mut quiet = TcpStream::connect(&address).await.unwrap();
            quiet.write_all(said).await.unwrap();
            let (answer, _) = heard(&address, b"GET / HTTP/1.0\r\n\r\n").await;
            assert!(answer.starts_with(b"HTTP/1.0 404"), "{answer:?} beside {said:?}");
            let _ = quiet.read_to_end(&mut Vec::new()).await;
        }
        stop.ask();
        serving.await.unwrap().unwrap();
    }
}
