//! What a server answers, as one JSON value whatever the transport.
//!
//! gRPC: `{"status": "OK", "body": …}` or `{"status": "NotFound: etcdserver: …"}`. A stream has
//! its messages as a list in `body`. HTTP: `{"http": 200, "type": "application/json", "body": …}`.

use bytes::Bytes;
use ring::digest::{Context, SHA256};
use serde_json::{Map, Value, json};
use tonic::{Code, Status};

use super::contract::{Method, bytes_of, number};

/// How an answer begins that is none of the method's.
const NO_MESSAGE: &str = "differential: an answer that is no message";

pub fn of_message(method: &Method, answer: Result<Bytes, Status>) -> Value {
    match answer.map(|bytes| method.decode(bytes)) {
        Ok(Ok(body)) => json!({"status": "OK", "body": body}),
        Ok(Err(error)) => json!({"status": no_message(&error)}),
        Err(status) => of_status(&status),
    }
}

pub fn of_stream(method: &Method, messages: Vec<Bytes>, end: Option<&Status>) -> Value {
    let body: Vec<Value> = messages
        .into_iter()
        .map(|bytes| method.decode(bytes).unwrap_or_else(|error| no_message(&error)))
        .collect();
    let mut answer = end.map_or_else(|| json!({"status": "OK"}), of_status);
    answer["body"] = body.into();
    answer
}

fn no_message(error: &str) -> Value {
    format!("{NO_MESSAGE}: {error}").into()
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
    body["message"].as_str().or_else(|| body["error"]["message"].as_str())
}

/// An answer of 3.4's gateway as the gateway of its successors gives it, which is version 2 of
/// grpc-gateway: the text of an error is there once, and `FailedPrecondition` is 400, not 412. An
/// answer that is not exactly of the old form stays as it is, and so differs.
pub fn by_later_gateway(answer: &mut Value) {
    if let Some(Value::Array(parts)) = answer.get_mut("body") {
        parts.iter_mut().for_each(by_later_gateway);
    }
    if answer["http"].is_null() {
        return;
    }
    let Some(body) = answer["body"].as_object_mut() else { return };
    let code = later_error(body).or_else(|| {
        let error = body.get_mut("error")?.as_object_mut()?;
        later_error_of_stream(error)
    });
    if code == Some(Code::FailedPrecondition as i64) && answer["http"] == 412 {
        answer["http"] = 400.into();
    }
}

/// The code of an error that was translated.
fn later_error(body: &mut Map<String, Value>) -> Option<i64> {
    let code = body.get("code")?.as_i64()?;
    if body.get("error")? != body.get("message")? {
        return None;
    }
    body.remove("error");
    Some(code)
}

/// The same of a stream, which has more names for one thing.
fn later_error_of_stream(error: &mut Map<String, Value>) -> Option<i64> {
    let code = error.remove("grpc_code")?;
    error.remove("http_code");
    error.remove("http_status");
    error.insert("code".to_owned(), code.clone());
    code.as_i64()
}

pub fn is_ok(answer: &Value) -> bool {
    answer["status"] == "OK" || answer["http"] == 200
}

/// The framing of a snapshot's parts, in whole: the file itself is a server's own. The last part is
/// the digest of all others, and each says what remains after it.
pub fn framing(parts: &[Value]) -> Value {
    let of = |part: &Value| {
        (bytes_of(&part["blob"]).unwrap_or_default(), number(&part["remaining_bytes"]))
    };
    let parts: Vec<(Vec<u8>, i64)> = parts.iter().map(of).collect();
    let Some(((digest, 0), content)) = parts.split_last() else {
        return json!("the last part does not say that nothing remains");
    };
    let mut left: i64 = content.iter().map(|(blob, _)| blob.len() as i64).sum();
    let mut hash = Context::new(&SHA256);
    for (blob, remaining) in content {
        left -= blob.len() as i64;
        if *remaining != left {
            return json!(format!("{remaining} bytes are said to remain, not {left}"));
        }
        hash.update(blob);
    }
    let is_whole = hash.finish().as_ref() == digest;
    json!({"is whole": is_whole, "has content": !content.is_empty()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_old_gateway_is_translated_and_nothing_else() {
        let translated = |mut answer: Value| {
            by_later_gateway(&mut answer);
            answer
        };
        let old = json!({"http": 412, "body": {"code": 9, "error": "no", "message": "no"}});
        assert_eq!(translated(old), json!({"http": 400, "body": {"code": 9, "message": "no"}}));
        for same in [
            json!({"http": 400, "body": {"code": 3, "error": "no", "message": "yes"}}),
            json!({"http": 412, "body": {"code": 3, "message": "no"}}),
            json!({"http": 200, "body": {"error": "no", "message": "no"}}),
        ] {
            assert_eq!(translated(same.clone()), same);
        }
    }

    #[test]
    fn the_parts_of_a_snapshot_say_what_remains_and_end_in_its_digest() {
        let part = |blob: &[u8], left: i64| json!({"blob": super::super::contract::base64(blob), "remaining_bytes": left.to_string()});
        let mut hash = Context::new(&SHA256);
        hash.update(b"abc");
        let digest = hash.finish();
        let good = [part(b"ab", 1), part(b"c", 0), part(digest.as_ref(), 0)];
        assert_eq!(framing(&good), json!({"is whole": true, "has content": true}));
        let wrong = [part(b"ab", 2), part(b"c", 0), part(digest.as_ref(), 0)];
        assert!(framing(&wrong).is_string());
        let other = [part(b"ab", 1), part(b"d", 0), part(digest.as_ref(), 0)];
        assert_eq!(framing(&other)["is whole"], false);
        assert!(framing(&[part(b"ab", 1)]).is_string());
    }
}
