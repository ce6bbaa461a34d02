//! Telling a protocol by the first bytes that its server says.

use crate::escape::printable;

/// What kind of server speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    Tls,
    Http2,
    /// With its first line.
    Http1(String),
    /// Something else, and its first line.
    Other(String),
}

impl Greeting {
    /// `None` if nothing was said.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        // RFC 8446, 5.1: a record of a handshake or an alert, then the version's major number.
        if let [20..=23, 3, ..] = bytes {
            return Some(Self::Tls);
        }
        // RFC 9113, 3.4 and 4.1: a server's first frame is SETTINGS, on stream 0.
        if let [_, _, _, 4, _, 0, 0, 0, 0, ..] = bytes {
            return Some(Self::Http2);
        }
        if bytes.is_empty() {
            return None;
        }
        let line = first_line(bytes);
        Some(if line.starts_with("HTTP/1.") { Self::Http1(line) } else { Self::Other(line) })
    }
}

/// The first line, short and fit for a terminal.
fn first_line(bytes: &[u8]) -> String {
    const MAX_CHARS: usize = 60;
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    printable(&String::from_utf8_lossy(line), MAX_CHARS)
}

#[cfg(test)]
mod tests {
    use super::Greeting;

    #[test]
    fn a_server_is_known_by_its_first_bytes() {
        let http1 = Greeting::Http1("HTTP/1.1 400 Bad Request".to_owned());
        let ssh = Greeting::Other("SSH-2.0-OpenSSH_9.2".to_owned());
        for (bytes, expected) in [
            (&b""[..], None),
            (b"\x15\x03\x03\x00\x02\x02\x46", Some(Greeting::Tls)),
            (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05", Some(Greeting::Http2)),
            (b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n", Some(http1)),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Some(ssh)),
            (b"\x1b[31m", Some(Greeting::Other("\u{fffd}[31m".to_owned()))),
        ] {
            assert_eq!(Greeting::of(bytes), expected, "{bytes:?}");
        }
    }
}
