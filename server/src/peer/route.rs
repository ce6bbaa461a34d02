//! The way to a peer: its URLs, and how its connections are set up.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Error};
use tower::service_fn;

use crate::config::Url;
use crate::limits::PEER_CONNECT_TIMEOUT;
use crate::net::Dialler;
use crate::tls::Role;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Route(Dialler);

impl Route {
    pub(super) fn new(urls: Vec<Url>, tls: Arc<Role>) -> Route {
        Route(Dialler::new(urls, tls, PEER_CONNECT_TIMEOUT))
    }

    /// Connects at whichever URL answers first.
    pub(super) async fn connect(&self) -> Result<Channel, Error> {
        let dialler = self.0.clone();
        let connect = move |_| {
            let dialler = dialler.clone();
            async move { dialler.dial().await.map(TokioIo::new) }
        };
        endpoint().connect_with_connector(service_fn(connect)).await
    }

    /// A channel that connects when it is used. Needs a runtime's context.
    pub(super) fn channel(&self) -> Channel {
        let dialler = self.0.clone();
        let connect = move |_| {
            let dialler = dialler.clone();
            async move { dialler.dial().await.map(TokioIo::new) }
        };
        endpoint().connect_with_connector_lazy(service_fn(connect))
    }
}

/// What connections to all peers have in common. The dialler knows the addresses and encrypts by
/// itself.
fn endpoint() -> Endpoint {
    /// A peer that went away without a word is noticed within two of these.
    const KEEP_ALIVE: Duration = Duration::from_secs(1);
    /// A full append message arrives without waiting for the window.
    const WINDOW_BYTES: u32 = 4 << 20;
    Endpoint::from_static("http://peer")
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
}
