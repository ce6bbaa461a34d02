//! One address of a member, as people write it: `host:port`, `http(s)://host:port`,
//! `unix(s)://path`; several are separated by commas.

use std::fmt;

use thiserror::Error;

/// How to speak to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// No scheme was written: TLS if the configuration has any TLS option, else plain.
    Unspecified,
    Http,
    Https,
    Unix,
    Unixs,
}

/// One address of a member. Displays as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    text: String,
    scheme: Scheme,
    address: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not an endpoint: {reason}; write host:port, http(s)://host:port or unix://path"
)]
pub struct BadEndpoint {
    text: String,
    reason: &'static str,
}

/// etcd's client port, used when an endpoint names none.
const DEFAULT_PORT: u16 = 2379;

impl Endpoint {
    pub fn parse(text: &str) -> Result<Self, BadEndpoint> {
        let bad = |reason| BadEndpoint { text: text.to_owned(), reason };
        let trimmed = text.trim();
        let (scheme, rest) = match trimmed.split_once("://") {
            None => match trimmed.strip_prefix("unix:") {
                Some(path) => (Scheme::Unix, path),
                None => (Scheme::Unspecified, trimmed),
            },
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("unix", rest)) => (Scheme::Unix, rest),
            Some(("unixs", rest)) => (Scheme::Unixs, rest),
            Some(_) => return Err(bad("the scheme is unknown")),
        };
        let address = match scheme {
            Scheme::Unix | Scheme::Unixs => rest.to_owned(),
            _ => rest.split('/').next().unwrap_or_default().to_owned(),
        };
        if address.is_empty() {
            return Err(bad("the address is empty"));
        }
        let endpoint = Self { text: trimmed.to_owned(), scheme, address };
        if !endpoint.is_unix() {
            endpoint.split().ok_or_else(|| bad("the port is not a number up to 65535"))?;
        }
        Ok(endpoint)
    }

    /// Parses a comma list, as `--endpoints` and `ETCDCTL_ENDPOINTS` hold one.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, BadEndpoint> {
        text.split(',').map(Self::parse).collect()
    }

    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port, or the path of a socket.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn is_unix(&self) -> bool {
        matches!(self.scheme, Scheme::Unix | Scheme::Unixs)
    }

    /// The host (without the brackets of an IPv6 address) and the port.
    pub fn host_port(&self) -> (String, u16) {
        let (host, port) = self.split().unwrap_or_else(|| (self.address.clone(), None));
        (host, port.unwrap_or(DEFAULT_PORT))
    }

    /// The address as a person has to know it to look for somebody there: with the port that is tried
    /// where none is written.
    pub(crate) fn explained(text: &str) -> String {
        match Self::parse(text) {
            Ok(endpoint) if !endpoint.is_unix() && matches!(endpoint.split(), Some((_, None))) => {
                format!("{text} (no port was given, so the usual one was tried: {DEFAULT_PORT})")
            }
            _ => text.to_owned(),
        }
    }

    /// The host, and the port if one is written; `None` if that is none.
    fn split(&self) -> Option<(String, Option<u16>)> {
        let address = self.address.as_str();
        let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
            None => match address.rsplit_once(':') {
                // A bare IPv6 address has more than one colon and no port.
                Some((host, _)) if host.contains(':') => (address, None),
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        // An address without a host means this machine, as it does to Go.
        let host = if host.is_empty() { "localhost" } else { host };
        let port = port.map(str::parse).transpose().ok()?;
        Some((host.to_owned(), port))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Scheme};

    #[test]
    fn every_way_to_write_an_endpoint_is_understood() {
        for (text, scheme, host, port) in [
            ("127.0.0.1:2379", Scheme::Unspecified, "127.0.0.1", 2379),
            ("node-1", Scheme::Unspecified, "node-1", 2379),
            (" http://node-1:80/ ", Scheme::Http, "node-1", 80),
            ("https://[::1]:4001", Scheme::Https, "::1", 4001),
            ("[fe80::1]", Scheme::Unspecified, "fe80::1", 2379),
            ("::1", Scheme::Unspecified, "::1", 2379),
            (":2379", Scheme::Unspecified, "localhost", 2379),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.scheme(), scheme, "{text}");
            assert_eq!(endpoint.host_port(), (host.to_owned(), port), "{text}");
        }
        let socket = Endpoint::parse("unix:///run/etcd.sock").unwrap();
        assert_eq!((socket.scheme(), socket.address()), (Scheme::Unix, "/run/etcd.sock"));
    }

    #[test]
    fn where_no_port_is_written_it_is_said_which_one_was_tried() {
        for text in ["node-1", "http://node-1", "::1", "[::1]"] {
            let said = Endpoint::explained(text);
            let expected = "(no port was given, so the usual one was tried: 2379)";
            assert_eq!(said, format!("{text} {expected}"));
        }
        for text in ["node-1:2379", ":80", "[::1]:1", "unix://socket"] {
            assert_eq!(Endpoint::explained(text), text);
        }
    }

    #[test]
    fn an_impossible_endpoint_is_refused_with_what_to_write_instead() {
        for text in ["", "http://", "ftp://a:1", "a:port", "a:70000"] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains("write host:port"), "{error}");
        }
    }

    #[test]
    fn a_list_is_separated_by_commas() {
        let list = Endpoint::parse_list("a:1, https://b:2").unwrap();
        assert_eq!(list.iter().map(Endpoint::as_str).collect::<Vec<_>>(), ["a:1", "https://b:2"]);
    }
}
