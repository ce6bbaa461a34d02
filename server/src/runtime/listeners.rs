//! Sockets, bound before anything is written: a port in use leaves no trace.

use std::path::Path;

use super::StartError;
use crate::config::{Config, Url};
use crate::net::Listener;

/// The bound sockets of one member.
#[derive(Debug)]
pub struct Listeners {
    pub(super) peer: Vec<Listener>,
    pub(super) client: Vec<Listener>,
    pub(super) client_http: Vec<Listener>,
    pub(super) metrics: Vec<Listener>,
}

impl Listeners {
    /// Binds what a configuration says.
    pub fn bind(config: &Config) -> Result<Listeners, StartError> {
        let all = |urls: &[Url], flag: &'static str| {
            Listener::bind_all(urls, |url, source| StartError::Listen {
                url: url.to_string(),
                flag,
                source,
            })
        };
        Ok(Listeners {
            peer: all(&config.listen_peer_urls, "listen-peer-urls")?,
            client: all(&config.listen_client_urls, "listen-client-urls")?,
            client_http: all(&config.listen_client_http_urls, "listen-client-http-urls")?,
            metrics: all(&config.listen_metrics_urls, "listen-metrics-urls")?,
        })
    }
}

/// One of several members on this machine. Port 0 is any that is free.
#[derive(Clone, Debug)]
pub struct LocalMember {
    pub name: String,
    pub peer_port: u16,
    pub client_port: u16,
}

/// Configurations of a cluster on loopback, each member in a folder of `dir` of its own, with
/// their sockets bound already: so nobody else can take a port between choosing and starting.
pub fn local_cluster(
    dir: &Path,
    members: &[LocalMember],
) -> Result<Vec<(Config, Listeners)>, StartError> {
    let mut planned = Vec::new();
    let mut cluster = Vec::new();
    for member in members {
        let mut config = Config {
            name: member.name.clone(),
            data_dir: dir.join(&member.name),
            listen_peer_urls: vec![Url::http("127.0.0.1", member.peer_port)],
            listen_client_urls: vec![Url::http("127.0.0.1", member.client_port)],
            ..Config::default()
        };
        let listeners = Listeners::bind(&config)?;
        config.listen_peer_urls = bound(&listeners.peer);
        config.listen_client_urls = bound(&listeners.client);
        config.initial_advertise_peer_urls.clone_from(&config.listen_peer_urls);
        config.advertise_client_urls.clone_from(&config.listen_client_urls);
        cluster.extend(config.listen_peer_urls.iter().map(|url| format!("{}={url}", member.name)));
        planned.push((config, listeners));
    }
    for (config, _) in &mut planned {
        config.initial_cluster = Some(cluster.join(","));
    }
    Ok(planned)
}

/// Where sockets are really bound.
pub(super) fn bound(listeners: &[Listener]) -> Vec<Url> {
    listeners.iter().flat_map(Listener::urls).cloned().collect()
}
