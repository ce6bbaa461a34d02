//! URLs of members, as etcd accepts and prints them.

use std::fmt;
use std::net::IpAddr;

/// `http://host:port`, or `unix://path`, in parts; ordered as text, because ids are computed from
/// sorted texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    pub scheme: Scheme,
    /// A name, an IPv4 address, or an IPv6 address without its brackets; of a unix socket, its
    /// path.
    pub host: String,
    /// 0 for a unix socket.
    pub port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
    Unix,
    /// A unix socket with TLS.
    Unixs,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Unix => "unix",
            Scheme::Unixs => "unixs",
        }
    }
}

impl Url {
    pub fn http(host: impl Into<String>, port: u16) -> Url {
        Url { scheme: Scheme::Http, host: host.into(), port }
    }

    /// Reads one URL. The messages are etcd's.
    pub fn parse(text: &str) -> Result<Url, String> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "unix" => return Url::socket(Scheme::Unix, rest),
            "unixs" => return Url::socket(Scheme::Unixs, rest),
            _ => return Err(format!("URL scheme must be http, https, unix, or unixs: {text}")),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = split_host_port(authority)
            .ok_or_else(|| format!("URL address does not have the form \"host:port\": {text}"))?;
        if !path.is_empty() {
            return Err(format!("URL must not contain a path: {text}"));
        }
        let port =
            port.parse().map_err(|_| format!("URL port must be a number up to 65535: {text}"))?;
        Ok(Url { scheme, host: host.to_owned(), port })
    }

    fn socket(scheme: Scheme, path: &str) -> Result<Url, String> {
        if path.is_empty() {
            return Err(format!("URL must contain the path of a socket: {}://", scheme.name()));
        }
        Ok(Url { scheme, host: path.to_owned(), port: 0 })
    }

    /// Reads a comma-separated list; the result is sorted and without repetitions.
    pub fn parse_list(text: &str) -> Result<Vec<Url>, String> {
        let mut urls: Vec<Url> = text.split(',').map(Url::parse).collect::<Result<_, _>>()?;
        sort(&mut urls);
        urls.dedup();
        Ok(urls)
    }

    /// Whether what is said there is encrypted.
    pub fn is_secure(&self) -> bool {
        matches!(self.scheme, Scheme::Https | Scheme::Unixs)
    }

    pub fn is_unix(&self) -> bool {
        matches!(self.scheme, Scheme::Unix | Scheme::Unixs)
    }

    /// The address to bind or dial, IPv6 in brackets; the path of a unix socket.
    pub fn authority(&self) -> String {
        if self.is_unix() {
            self.host.clone()
        } else if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// A listener takes a path, an address or `localhost`, never another name.
    pub fn is_bindable(&self) -> bool {
        self.is_unix() || self.host == "localhost" || self.host.parse::<IpAddr>().is_ok()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority())
    }
}

pub(super) fn sort(urls: &mut [Url]) {
    urls.sort_by_cached_key(Url::to_string);
}

pub(super) fn join(urls: &[Url]) -> String {
    urls.iter().map(Url::to_string).collect::<Vec<_>>().join(",")
}

fn split_host_port(authority: &str) -> Option<(&str, &str)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return Some((host, port.strip_prefix(':')?));
    }
    let (host, port) = authority.rsplit_once(':')?;
    (!host.contains(':')).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_print_as_they_were_read() {
        for text in [
            "http://127.0.0.1:2379",
            "http://[::1]:2380",
            "https://etcd.example.org:1",
            "unix:///run/etcd.sock",
            "unixs://localhost:m1",
        ] {
            assert_eq!(Url::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Url::parse(" http://a:1 ").unwrap().to_string(), "http://a:1");
    }

    #[test]
    fn malformed_urls_are_refused_in_etcds_words() {
        for (text, message) in [
            ("localhost:2379", "URL scheme must be http, https, unix, or unixs: localhost:2379"),
            ("ftp://a:1", "URL scheme must be http, https, unix, or unixs: ftp://a:1"),
            (
                "http://localhost",
                "URL address does not have the form \"host:port\": http://localhost",
            ),
            (
                "http://::1:2379",
                "URL address does not have the form \"host:port\": http://::1:2379",
            ),
            ("http://a:1/x", "URL must not contain a path: http://a:1/x"),
            ("http://a:70000", "URL port must be a number up to 65535: http://a:70000"),
            ("unix://", "URL must contain the path of a socket: unix://"),
        ] {
            assert_eq!(Url::parse(text).unwrap_err(), message);
        }
    }

    #[test]
    fn a_list_is_sorted_and_without_repetitions() {
        let urls = Url::parse_list("http://b:1,http://a:1,http://b:1").unwrap();
        assert_eq!(join(&urls), "http://a:1,http://b:1");
    }
}
