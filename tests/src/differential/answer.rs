//! What a server answers, as one JSON value whatever the transport.
//!
//! gRPC: `{"status": "OK", "body": …}` or `{"status": "NotFound: etcdserver: …"}`. A stream has
//! its messages as a list in `body`. HTTP: `{"http": 200, "body": …}`.

use bytes::Bytes;
use serde_json::{Value, json};
use tonic::Status;

use super::contract::Method;

pub fn of_message(method: &Method, answer: Result<Bytes, Status>) -> Value {
    match answer.map(|bytes| method.decode(bytes)) {
        Ok(Ok(body)) => json!({"status": "OK", "body": body}),
        Ok(Err(error)) => json!({"status": format!("an answer that is no message: {error}")}),
        Err(status) => of_status(&status),
    }
}

pub fn of_stream(method: &Method, messages: Vec<Bytes>, end: Option<&Status>) -> Value {
    let body: Vec<Value> = messages
        .into_iter()
        .map(|bytes| method.decode(bytes).unwrap_or_else(Value::from))
        .collect();
    let mut answer = end.map_or_else(|| json!({"status": "OK"}), of_status);
    answer["body"] = body.into();
    answer
}

pub fn of_status(status: &Status) -> Value {
    json!({"status": format!("{:?}: {}", status.code(), status.message())})
}

/// The text with which a request was refused, whatever the transport; none if it was not.
pub fn refusal(answer: &Value) -> Option<&str> {
    if let Some(status) = answer["status"].as_str() {
        return (status != "OK").then_some(status);
    }
    let body = &answer["body"];
    body["message"].as_str().or_else(|| body["error"].as_str())
}

pub fn is_ok(answer: &Value) -> bool {
    answer["status"] == "OK" || answer["http"] == 200
}
