//! Calls that etcd-client does not have, over its channels and with its credentials.

use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataValue};
use tonic_prost::ProstCodec;

use crate::config::Credentials;
use crate::connection::{Connection, Effect};
use crate::failure::Failure;
use crate::link::{Link, TOKEN, is_auth_disabled};

impl Connection {
    /// One request and its answer; `method` is `/package.Service/Method`.
    pub(crate) async fn unary<Request, Answer>(
        &self,
        effect: Effect,
        method: &'static str,
        request: Request,
    ) -> Result<Answer, Failure>
    where
        Request: Message + Clone + 'static,
        Answer: Message + Default + 'static,
    {
        let (credentials, request) = (self.config().credentials.as_ref(), &request);
        self.on_any(effect, |link| async move {
            let mut request = tonic::Request::new(request.clone());
            if let Some(token) = token(&link, credentials).await? {
                request.metadata_mut().insert(TOKEN, token);
            }
            let mut grpc = Grpc::new(link.gate.clone());
            grpc.ready().await.map_err(tonic::Status::from_error)?;
            let path = PathAndQuery::from_static(method);
            Ok(grpc.unary(request, path, ProstCodec::default()).await?.into_inner())
        })
        .await
    }
}

/// The token of the configuration, or a fresh one: etcd-client does not show the one that it has.
async fn token(
    link: &Link,
    credentials: Option<&Credentials>,
) -> Result<Option<MetadataValue<Ascii>>, etcd_client::Error> {
    if let Some(token) = &link.token {
        return Ok(MetadataValue::try_from(token.as_bytes()).ok());
    }
    let Some(Credentials { user, password }) = credentials.cloned() else { return Ok(None) };
    match link.client().await?.auth_client().authenticate(user, password).await {
        Ok(answer) => Ok(Some(answer.token().parse()?)),
        Err(error) if is_auth_disabled(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
