//! One `GET` at a member: `/metrics`, `/health` and `/members` are not gRPC.
//!
//! It is HTTP/1.0, so that the answer ends with the connection and comes in one piece.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::connect::{Cause, Dialer, system_words};
use crate::tls::Speaks;

/// etcd's metrics are about 200 KiB; whoever sends more than this is no etcd.
const MAX_ANSWER_BYTES: u64 = 4 * 1024 * 1024;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    /// The server's clock, as it wrote it.
    pub(crate) date: Option<String>,
    pub(crate) body: String,
}

/// Asks for a path, within the time that a connection may take for each of dialling and answering.
pub(crate) async fn get(dialer: &Dialer, path: &str) -> Result<HttpAnswer, Cause> {
    let mut stream = dialer.open(Speaks::Http1).await.map_err(|error| error.cause)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\nAccept: */*\r\n\r\n", dialer.host());
    let ask = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut bytes = Vec::new();
        let read = (&mut stream).take(MAX_ANSWER_BYTES).read_to_end(&mut bytes).await;
        // A server that ends TLS without saying so has still answered.
        if bytes.is_empty() { read.map(|_| bytes) } else { Ok(bytes) }
    };
    let silent = |reason: String| Cause::Silent { reason };
    let bytes = timeout(dialer.timeout(), ask)
        .await
        .map_err(|_| silent(format!("no answer to GET {path} within {:?}", dialer.timeout())))?
        .map_err(|error| silent(system_words(&error)))?;
    parse(&bytes).ok_or_else(|| silent(format!("no HTTP answer to GET {path}")))
}

fn parse(bytes: &[u8]) -> Option<HttpAnswer> {
    const END: &[u8] = b"\r\n\r\n";
    let end = bytes.windows(END.len()).position(|window| window == END)?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let mut dates = headers.filter(|(name, _)| name.eq_ignore_ascii_case("date"));
    Some(HttpAnswer {
        status,
        date: dates.next().map(|(_, value)| value.trim().to_owned()),
        body: String::from_utf8_lossy(&bytes[end + END.len()..]).into_owned(),
    })
}

/// The client URLs in the answer to `GET /members` of a peer port; `None` if it is none.
pub(crate) fn client_urls(members: &str) -> Option<Vec<String>> {
    if !members.trim_start().starts_with('[') {
        return None;
    }
    let mut urls = Vec::new();
    for list in members.split("\"clientURLs\":[").skip(1) {
        // Strings, separated by commas; a bracket within one belongs to an IPv6 address.
        let mut parts = list.split('"');
        while let (Some(between), Some(url)) = (parts.next(), parts.next()) {
            if between.contains(']') {
                break;
            }
            urls.push(crate::escape::printable(url, 255));
        }
    }
    Some(urls)
}

#[cfg(test)]
mod tests {
    use super::{HttpAnswer, client_urls, parse};

    #[test]
    fn an_answer_is_taken_apart() {
        let bytes = b"HTTP/1.0 200 OK\r\nDate: Mon, 30 Nov 2026 15:00:00 GMT\r\nX: y\r\n\r\nbody";
        let expected = HttpAnswer {
            status: 200,
            date: Some("Mon, 30 Nov 2026 15:00:00 GMT".to_owned()),
            body: "body".to_owned(),
        };
        assert_eq!(parse(bytes), Some(expected));
        for broken in
            [&b""[..], b"HTTP/1.1 200 OK\r\n", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 x\r\n\r\n"]
        {
            assert_eq!(parse(broken), None);
        }
    }

    #[test]
    fn a_peer_port_names_its_client_urls() {
        let members = r#"[{"id":1,"peerURLs":["http://a:2380"],"name":"m","clientURLs":["http://a:2379","http://[::1]:2379"]},{"id":2,"clientURLs":[]}]"#;
        let urls = client_urls(members).unwrap();
        assert_eq!(urls, ["http://a:2379", "http://[::1]:2379"]);
        assert_eq!(client_urls("404 page not found"), None);
    }
}
