//! Plain HTTP requests to a server's client port.

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::wire::PATIENCE;

/// A client that keeps its connections.
#[derive(Clone)]
pub(super) struct Http(Client<HttpConnector, Full<Bytes>>);

impl Http {
    pub(super) fn new() -> Http {
        Http(Client::builder(TokioExecutor::new()).build_http())
    }

    /// The status and the body, which is JSON if it can be read as such.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Value, String> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = url.parse().map_err(|error| format!("{url}: {error}"))?;
        *request.headers_mut() = headers;
        let asking = async {
            let answer = self.0.request(request).await.map_err(|error| error.to_string())?;
            let status = answer.status().as_u16();
            let allow = answer.headers().get("allow").cloned();
            let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            let mut found = json!({"http": status, "body": body_of(&text)});
            if let Some(allow) = allow {
                found["allow"] = String::from_utf8_lossy(allow.as_bytes()).into();
            }
            Ok(found)
        };
        tokio::time::timeout(PATIENCE, asking)
            .await
            .map_err(|_| "differential: no answer in time".to_owned())?
    }
}

/// One JSON value, or one per line as streams are answered, or text.
fn body_of(text: &str) -> Value {
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    match lines {
        Ok(lines) if !lines.is_empty() => Value::Array(lines),
        _ => text.into(),
    }
}
