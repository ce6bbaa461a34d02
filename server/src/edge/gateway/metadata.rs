//! From an HTTP client's headers to the metadata of a call, as grpc-gateway does it.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::Status;

const PREFIX: &str = "grpc-metadata-";
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// etcd's mark of a call that came by the gateway: who calls is never read off the connection.
const BY_GATEWAY: HeaderName = HeaderName::from_static("grpcgateway-accept");

/// `Authorization` is passed on, and of `Grpc-Metadata-Name: value` the rest as `name: value`.
pub(super) fn metadata(headers: &HeaderMap) -> HeaderMap {
    let mut metadata = HeaderMap::new();
    for (name, value) in headers {
        let name = match name.as_str().strip_prefix(PREFIX) {
            Some(rest) if is_free(rest) => HeaderName::try_from(rest),
            _ if name == AUTHORIZATION => Ok(AUTHORIZATION),
            _ => continue,
        };
        if let Ok(name) = name {
            metadata.append(name, value.clone());
        }
    }
    metadata.insert(BY_GATEWAY, HeaderValue::from_static("*/*"));
    metadata
}

/// Whether a name is metadata, and no part of how HTTP and gRPC carry a call.
fn is_free(name: &str) -> bool {
    const TAKEN: [&str; 8] = [
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    !name.starts_with("grpc-") && !TAKEN.contains(&name)
}

/// How long the client gives the call, in gRPC's notation: a number and a unit.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let invalid = || {
        let value = String::from_utf8_lossy(value.as_bytes());
        Status::invalid_argument(format!("invalid grpc-timeout: {value}"))
    };
    let text = value.to_str().map_err(|_| invalid())?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(invalid)?;
    let number: u64 = digits.parse().map_err(|_| invalid())?;
    let timeout = match unit {
        "H" => Duration::from_secs(number.saturating_mul(3_600)),
        "M" => Duration::from_secs(number.saturating_mul(60)),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return Err(invalid()),
    };
    // Longer than anybody waits, and short enough to be added to any time.
    Ok(Some(timeout.min(Duration::from_secs(365 * 24 * 3_600))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = name.parse::<HeaderName>().expect("a name");
            (name, value.parse::<HeaderValue>().expect("a value"))
        });
        pairs.collect()
    }

    #[test]
    fn a_token_and_named_metadata_are_passed_on_and_nothing_else() {
        let passed = metadata(&headers(&[
            ("Authorization", "token"),
            ("Grpc-Metadata-HasLeader", "true"),
            ("Grpc-Metadata-Content-Type", "text/html"),
            ("Grpc-Metadata-Grpc-Encoding", "gzip"),
            ("Grpc-Metadata-", "nothing"),
            ("Accept", "text/html"),
            ("Cookie", "c"),
        ]));
        let expected =
            [("authorization", "token"), ("hasleader", "true"), ("grpcgateway-accept", "*/*")];
        assert_eq!(passed, headers(&expected));
    }

    #[test]
    fn a_timeout_has_a_unit() {
        let read = |text| timeout(&headers(&[("Grpc-Timeout", text)]));
        assert_eq!(timeout(&HeaderMap::new()).ok(), Some(None));
        assert_eq!(read("5S").ok(), Some(Some(Duration::from_secs(5))));
        assert_eq!(read("20m").ok(), Some(Some(Duration::from_millis(20))));
        assert!(read("99999999999999999H").is_ok());
        for text in ["", "S", "5", "5s", "-1S", "1.5S", "é"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
