//! One of the two servers, with what a client of it remembers.

use std::collections::BTreeMap;
use std::io::Write;

use http::HeaderMap;
use serde_json::json;
use tempfile::NamedTempFile;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use super::contract::method;
use super::http::Http;
use super::mask::Identity;
use super::step::{Call, Who};
use super::watching::Watches;
use super::{answer, wire};
use crate::cluster::Cluster;
use crate::program::Program;

/// How the servers of a seed are started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Tokens are JWT, which say of which auth revision they are.
    pub jwt: bool,
    /// Only `allowed.example` and the loopback address may be asked for.
    pub hosts: bool,
}

/// What both sides sign JWT tokens with (HS256).
pub const SIGNING_KEY: &[u8] = b"a key that both sides sign their tokens with";

/// A server that runs, before anybody has asked it anything.
pub struct Started {
    cluster: Cluster,
    _key: NamedTempFile,
}

/// Starts one member on loopback, with data in the folder for temporary files.
pub fn start(program: &Program, how: Start) -> Started {
    let mut key = NamedTempFile::new().expect("a temporary file can be made");
    key.write_all(SIGNING_KEY).expect("it can be written");
    // The cheapest hash that both accept: how dear it is, is no answer.
    let mut flags = vec!["--bcrypt-cost=4".to_owned(), "--log-level=error".to_owned()];
    if how.jwt {
        let path = key.path().display();
        flags.push(format!("--auth-token=jwt,priv-key={path},sign-method=HS256,ttl=10m"));
    }
    if how.hosts {
        flags.push("--host-whitelist=allowed.example,127.0.0.1".to_owned());
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Started { cluster: Cluster::start_with(program, 1, &flags), _key: key }
}

pub struct Side {
    started: Started,
    pub(super) channel: Channel,
    pub(super) http: Http,
    pub(super) identity: Identity,
    version: String,
    /// The last token each user was given.
    pub(super) tokens: BTreeMap<String, String>,
    pub(super) watches: Watches,
}

impl Side {
    /// Connects, and asks who it is that masks are made of.
    pub async fn connect(started: Started) -> Result<Side, String> {
        let member = &started.cluster.members[0];
        let (client_url, peer_url) = (member.client_url(), member.peer_url());
        let endpoint = Endpoint::from_shared(client_url.clone()).map_err(|e| e.to_string())?;
        let channel =
            endpoint.connect().await.map_err(|error| format!("no connection: {error}"))?;
        let status = method("Maintenance/Status");
        let message = status.encode(&json!({}));
        let found = wire::unary(&channel, status, MetadataMap::new(), message).await;
        let found = answer::of_message(status, found);
        let id = |name: &str| found["body"]["header"][name].as_str().map(str::to_owned);
        let (Some(cluster_id), Some(member_id)) = (id("cluster_id"), id("member_id")) else {
            return Err(format!("a status without ids: {found}"));
        };
        let version = found["body"]["version"].as_str().unwrap_or_default().to_owned();
        let identity = Identity { cluster_id, member_id, client_url, peer_url };
        let (http, watches) = (Http::new(), Watches::default());
        Ok(Side { started, channel, http, identity, version, tokens: BTreeMap::new(), watches })
    }

    /// Whether this is the old etcd, which lacks some methods.
    pub fn is_etcd_3_4(&self) -> bool {
        self.version.starts_with("3.4.")
    }

    /// What the server has printed.
    pub fn log(&self) -> String {
        self.started.cluster.members[0].log()
    }

    /// Host and port of its clients.
    pub fn address(&self) -> String {
        self.started.cluster.members[0].endpoint()
    }

    /// The token that `who` asks with.
    pub fn token(&self, who: &Who) -> Option<String> {
        match who {
            Who::Nobody => None,
            Who::User(name) => self.tokens.get(name).cloned(),
            Who::Token(token) => Some(token.clone()),
        }
    }

    pub(super) fn metadata(&self, who: &Who) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        if let Some(token) = self.token(who) {
            let token = MetadataValue::try_from(token).expect("a token is printable");
            metadata.insert("token", token);
        }
        metadata
    }

    /// The metadata of a call. A value that is no text is sent all the same.
    pub(super) fn metadata_of(&self, call: &Call) -> MetadataMap {
        let mut headers = self.metadata(&call.who).into_headers();
        add(&mut headers, &call.metadata);
        MetadataMap::from_headers(headers)
    }

    /// The same as headers of a request to the gateway.
    pub(super) fn headers_of(&self, call: &Call) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(token) = self.token(&call.who) {
            let token = token.parse().expect("a token is printable");
            headers.insert("authorization", token);
        }
        add(&mut headers, &call.metadata);
        headers
    }
}

fn add(headers: &mut HeaderMap, metadata: &[(&'static str, &'static [u8])]) {
    for (name, value) in metadata {
        let value = http::HeaderValue::from_bytes(value).expect("no control characters");
        headers.insert(*name, value);
    }
}
