//! A request that gRPC refuses unread, for its size, as Go's gRPC answers it.

use axum::response::Response;
use tonic::{Code, Status};

/// tonic says `OutOfRange` in words of its own; clients know Go's `ResourceExhausted`.
pub(super) async fn translate(mut response: Response) -> Response {
    if let Some(status) = Status::from_header_map(response.headers())
        && let Some(translated) = translated(&status)
    {
        // A text of digits and letters always fits into a header.
        let _ = translated.add_header(response.headers_mut());
    }
    response
}

fn translated(status: &Status) -> Option<Status> {
    if status.code() != Code::OutOfRange {
        return None;
    }
    let sizes = status
        .message()
        .strip_prefix("Error, decoded message length too large: found ")?
        .strip_suffix(" bytes")?;
    let (found, limit) = sizes.split_once(" bytes, the limit is: ")?;
    let text = format!("grpc: received message larger than max ({found} vs. {limit})");
    Some(Status::resource_exhausted(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_refusal_for_size_is_translated() {
        let tonics =
            "Error, decoded message length too large: found 9 bytes, the limit is: 8 bytes";
        let translated = translated(&Status::out_of_range(tonics)).unwrap();
        assert_eq!(translated.code(), Code::ResourceExhausted);
        assert_eq!(translated.message(), "grpc: received message larger than max (9 vs. 8)");
        let compacted = "etcdserver: mvcc: required revision has been compacted";
        assert!(super::translated(&Status::out_of_range(compacted)).is_none());
    }
}
