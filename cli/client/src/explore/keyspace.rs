//! The requests of a scan, sent over the endpoints' own channels: messages of the wire contract
//! share the bytes of the answer they came in, and a page of keys costs no allocation for each.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use kvorum_proto::etcdserverpb::auth_client::AuthClient;
use kvorum_proto::etcdserverpb::kv_client::KvClient;
use kvorum_proto::etcdserverpb::{
    AuthenticateRequest, RangeRequest, RangeResponse, RangeStreamResponse,
};
use tokio::time::timeout;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status, Streaming};

use crate::config::Credentials;
use crate::connection::{Connection, Effect};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::link::Link;

/// Where a scan reads from: a cluster, or the keys of a test.
pub(super) trait Keyspace: Clone + Send + Sync + 'static {
    /// One page; an answer of more than `most_bytes` fails with [`Failure::Refused`].
    fn range(
        &self,
        request: RangeRequest,
        most_bytes: usize,
    ) -> impl Future<Output = Result<RangeResponse, Failure>> + Send;

    /// The whole range in chunks of the server's choosing; `Unimplemented` up to etcd 3.6.
    fn stream(&self, request: RangeRequest)
    -> impl Future<Output = Result<Chunks, Failure>> + Send;
}

pub(super) type Chunks = BoxStream<'static, Result<RangeResponse, Failure>>;

/// A cluster, with the token that its user is known by.
#[derive(Clone)]
pub(super) struct Wire {
    connection: Connection,
    /// Members accept each other's tokens.
    token: Arc<Mutex<Option<MetadataValue<Ascii>>>>,
}

impl Wire {
    pub(super) fn new(connection: &Connection) -> Self {
        Self { connection: connection.clone(), token: Arc::default() }
    }

    /// Sends a request that only reads. `send` gets the way to the member and the request with its token.
    pub(super) async fn ask<M, T, F, Fut>(&self, message: M, send: F) -> Result<T, Failure>
    where
        M: Clone,
        F: Fn(Gate, Request<M>) -> Fut,
        Fut: Future<Output = Result<T, Status>>,
    {
        self.asked(message, send).await.map(|(answer, _)| answer)
    }

    async fn asked<M, T, F, Fut>(&self, message: M, send: F) -> Result<(T, Arc<Link>), Failure>
    where
        M: Clone,
        F: Fn(Gate, Request<M>) -> Fut,
        Fut: Future<Output = Result<T, Status>>,
    {
        let (message, send) = (&message, &send);
        self.connection
            .on_any(Effect::Reads, |link| async move {
                let request = self.signed(&link, message.clone()).await?;
                let answer = match send(link.gate.clone(), request).await {
                    Err(status) if self.wants_new_token(&status) => {
                        let request = self.signed(&link, message.clone()).await?;
                        send(link.gate.clone(), request).await?
                    }
                    answer => answer?,
                };
                Ok((answer, link))
            })
            .await
    }

    async fn signed<M>(&self, link: &Link, message: M) -> Result<Request<M>, etcd_client::Error> {
        let mut request = Request::new(message);
        let Some(credentials) = &self.connection.config().credentials else { return Ok(request) };
        let known = self.token().clone();
        let token = match known {
            Some(token) => token,
            None => self.authenticate(link, credentials).await?,
        };
        request.metadata_mut().insert("token", token);
        Ok(request)
    }

    async fn authenticate(
        &self,
        link: &Link,
        credentials: &Credentials,
    ) -> Result<MetadataValue<Ascii>, etcd_client::Error> {
        let Credentials { user, password } = credentials.clone();
        let request = AuthenticateRequest { name: user, password };
        let mut client = AuthClient::new(link.gate.clone());
        let answer = client.authenticate(request).await?.into_inner();
        let token: MetadataValue<_> = answer.token.parse()?;
        *self.token() = Some(token.clone());
        Ok(token)
    }

    /// Whether the token is no longer good: it has expired, or rights have changed since.
    fn wants_new_token(&self, status: &Status) -> bool {
        let outdated = status.message() == "etcdserver: revision of auth store is old";
        let expired = status.code() == Code::Unauthenticated || outdated;
        expired && self.token().take().is_some()
    }

    fn token(&self) -> std::sync::MutexGuard<'_, Option<MetadataValue<Ascii>>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keyspace for Wire {
    async fn range(
        &self,
        request: RangeRequest,
        most_bytes: usize,
    ) -> Result<RangeResponse, Failure> {
        let most_bytes = most_bytes.min(self.connection.config().max_recv_bytes);
        self.ask(request, |gate, request| async move {
            let mut client = KvClient::new(gate).max_decoding_message_size(most_bytes);
            Ok(client.range(request).await?.into_inner())
        })
        .await
    }

    async fn stream(&self, request: RangeRequest) -> Result<Chunks, Failure> {
        let most_bytes = self.connection.config().max_recv_bytes;
        let (streaming, link) = self
            .asked(request, |gate, request| async move {
                let mut client = KvClient::new(gate).max_decoding_message_size(most_bytes);
                Ok(client.range_stream(request).await?.into_inner())
            })
            .await?;
        let patience = self.connection.config().command_timeout;
        Ok(stream::unfold((streaming, link), move |(mut streaming, link)| async move {
            let chunk = next_chunk(&mut streaming, &link, patience).await.transpose()?;
            Some((chunk, (streaming, link)))
        })
        .boxed())
    }
}

async fn next_chunk(
    streaming: &mut Streaming<RangeStreamResponse>,
    link: &Link,
    patience: Duration,
) -> Result<Option<RangeResponse>, Failure> {
    match timeout(patience, streaming.message()).await {
        Ok(Ok(Some(chunk))) => Ok(Some(chunk.range_response.unwrap_or_default())),
        Ok(Ok(None)) => Ok(None),
        Ok(Err(status)) => Err(link.failure(status.into(), false)),
        Err(_) => Err(Failure::NoAnswer {
            endpoint: link.endpoint.to_string(),
            after: patience,
            write: false,
        }),
    }
}
