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

    /// The whole answer. Its body is JSON if it can be read as such.
    pub(super) async fn ask(&self, request: Asked) -> Value {
        answered(async {
            let answer = self.0.request(request.built()?).await?;
            let mut found = head(&answer);
            let body = answer.into_body().collect().await?.to_bytes();
            found["body"] = body_of(&String::from_utf8_lossy(&body));
            Ok(found)
        })
        .await
    }

    /// The first `count` lines of an answer that may have no end; all of them if it ends before.
    pub(super) async fn ask_lines(&self, request: Asked, count: usize) -> Value {
        answered(async {
            let answer = self.0.request(request.built()?).await?;
            let mut found = head(&answer);
            let mut body = answer.into_body();
            let (mut text, mut ends) = (Vec::new(), 0);
            while ends < count {
                let Some(frame) = body.frame().await else { break };
                let data = frame?.into_data().unwrap_or_default();
                ends += data.split(|byte| *byte == b'\n').count() - 1;
                text.extend(data);
            }
            let text = String::from_utf8_lossy(&text);
            let lines = text.lines().take(count);
            let lines =
                lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| line.into()));
            found["body"] = Value::Array(lines.collect());
            Ok(found)
        })
        .await
    }
}

/// A request to make.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Asked {
    fn built(self) -> Result<Request<Full<Bytes>>, Failed> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.url.parse()?;
        *request.headers_mut() = self.headers;
        Ok(request)
    }
}

async fn answered(asking: impl Future<Output = Result<Value, Failed>>) -> Value {
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => json!({"http": format!("differential: {error}")}),
        Err(_) => json!({"http": "differential: no answer in time"}),
    }
}

fn head<Body>(answer: &http::Response<Body>) -> Value {
    let mut found = json!({"http": answer.status().as_u16()});
    for (header, name) in [("content-type", "type"), ("allow", "allow")] {
        if let Some(value) = answer.headers().get(header) {
            found[name] = String::from_utf8_lossy(value.as_bytes()).into();
        }
    }
    found
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
