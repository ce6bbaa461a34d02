//! Service discovery, as etcd's own naming resolver has it (`client/v3/naming`), so that gRPC clients
//! find what is registered here, and what theirs register is found here.
//!
//! An address of a service is the key `<service>/<address>` (`naming/doc.go`), under a lease, with
//! the JSON that Go makes of `naming/endpoints/internal.Update`:
//! `{"Op":0,"Addr":"10.0.0.1:80","Metadata":null}`.

mod go_json;
mod registration;

pub use registration::{NotRegistered, Occupant, Registration, register};

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use crate::range::KeyRange;

/// The name of a service: what a gRPC client dials as `etcd:///<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName(String);

/// Where an instance of a service is reached: a host and a port, as gRPC dials it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAddress(String);

/// What somebody wants to know of an instance besides its address: JSON, without spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata(String);

/// Why a name or an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadService {
    #[error("a service has a name")]
    NoName,
    #[error("the name {0:?} ends in /: leave that out, it stands between name and address")]
    TrailingSlash(String),
    #[error("{0:?} is no host:port: {1}")]
    NoAddress(String, &'static str),
    #[error("the metadata is no JSON: {0}")]
    NoJson(String),
}

/// One address of a service, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub addr: String,
    pub metadata: Value,
}

impl ServiceName {
    pub fn parse(name: &str) -> Result<Self, BadService> {
        if name.is_empty() {
            return Err(BadService::NoName);
        }
        if name.ends_with('/') {
            return Err(BadService::TrailingSlash(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }

    /// Every address of the service. A resolver takes those of `web/eu` for those of `web` as well.
    pub fn range(&self) -> KeyRange {
        KeyRange::prefix(format!("{}/", self.0))
    }

    pub fn key(&self, address: &ServiceAddress) -> Vec<u8> {
        format!("{}/{}", self.0, address.0).into_bytes()
    }
}

impl ServiceAddress {
    /// `10.0.0.1:80`, `web-1.local:80`, `[::1]:80`.
    pub fn parse(text: &str) -> Result<Self, BadService> {
        let bad = |why| Err(BadService::NoAddress(text.to_owned(), why));
        if text.contains("://") {
            return bad("leave the scheme out");
        }
        if text.chars().any(|c| c == '/' || c.is_whitespace() || c.is_control()) {
            return bad("it has a path, a space or a control character in it");
        }
        let Some((host, port)) = text.rsplit_once(':') else { return bad("the port is missing") };
        let is_decimal = port.bytes().all(|byte| byte.is_ascii_digit());
        if !(is_decimal && port.parse::<u16>().is_ok_and(|port| port != 0)) {
            return bad("the port is no number from 1 to 65535");
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match bare {
            Some(v6) if v6.contains(':') => {}
            Some(_) => return bad("only an IPv6 address stands in brackets"),
            None if host.contains(':') => return bad("an IPv6 address stands in brackets"),
            None if host.is_empty() => return bad("the host is missing"),
            None if host.contains(['[', ']']) => return bad("a bracket is missing"),
            None => {}
        }
        Ok(Self(text.to_owned()))
    }
}

impl Metadata {
    /// Takes JSON as it is written: numbers and the order of fields stay.
    pub fn parse(text: &str) -> Result<Self, BadService> {
        serde_json::from_str::<serde::de::IgnoredAny>(text)
            .map_err(|error| BadService::NoJson(error.to_string()))?;
        Ok(Self(go_json::compact(text)))
    }
}

/// What is stored for an address.
pub fn stored(address: &ServiceAddress, metadata: Option<&Metadata>) -> Vec<u8> {
    let addr = go_json::string(&address.0);
    let metadata = metadata.map_or("null", |metadata| &metadata.0);
    format!(r#"{{"Op":0,"Addr":{addr},"Metadata":{metadata}}}"#).into_bytes()
}

impl Instance {
    /// Reads what is stored, as Go does: fields in any case, in any order, with others between.
    /// `None` for what a resolver leaves out, too.
    pub fn read(value: &[u8]) -> Option<Self> {
        let Value::Object(fields) = serde_json::from_slice(value).ok()? else { return None };
        let mut instance = Self { addr: String::new(), metadata: Value::Null };
        for (name, value) in fields {
            match (name.to_ascii_lowercase().as_str(), value) {
                // Nothing changes a field.
                ("op" | "addr" | "metadata", Value::Null) => {}
                ("op", Value::Number(op)) if op.as_u64().is_some_and(|op| op <= 255) => {}
                ("addr", Value::String(addr)) => instance.addr = addr,
                ("op" | "addr", _) => return None,
                ("metadata", value) => instance.metadata = value,
                _ => {}
            }
        }
        Some(instance)
    }
}

/// The service that a key belongs to, if it is one of a service's keys: what is before the last
/// separator.
pub fn service_of(key: &[u8]) -> Option<&[u8]> {
    let at = key.iter().rposition(|byte| *byte == b'/')?;
    (at > 0 && at + 1 < key.len()).then(|| &key[..at])
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ServiceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Instance, Metadata, ServiceAddress, ServiceName, service_of, stored};

    fn text(addr: &str, metadata: Option<&str>) -> String {
        let metadata = metadata.map(|text| Metadata::parse(text).unwrap());
        let address = ServiceAddress::parse(addr).unwrap();
        String::from_utf8(stored(&address, metadata.as_ref())).unwrap()
    }

    /// What `json.Marshal` makes of `internal.Update` in etcd's `client/v3/naming/endpoints`: the
    /// fields `Op`, `Addr` and `Metadata` in this order, without tags or `omitempty`; compact; and
    /// with `<`, `>`, `&`, U+2028 and U+2029 escaped.
    #[test]
    fn the_bytes_are_those_of_etcds_resolver() {
        assert_eq!(text("10.0.0.1:80", None), r#"{"Op":0,"Addr":"10.0.0.1:80","Metadata":null}"#);
        assert_eq!(
            text("[fe80::1%eth0]:80", Some(r#" { "weight" : 1.50, "z":[1 , 2], "a":"b c" } "#)),
            r#"{"Op":0,"Addr":"[fe80::1%eth0]:80","Metadata":{"weight":1.50,"z":[1,2],"a":"b c"}}"#
        );
        assert_eq!(
            text("a<b>&c:1", Some("\"<a href='x'>&\u{2028}\u{2029}\\\" ä\"")),
            "{\"Op\":0,\"Addr\":\"a\\u003cb\\u003e\\u0026c:1\",\"Metadata\":\
             \"\\u003ca href='x'\\u003e\\u0026\\u2028\\u2029\\\" ä\"}"
        );
        let key = ServiceName::parse("my-service").unwrap();
        let key = key.key(&ServiceAddress::parse("10.0.0.1:80").unwrap());
        assert_eq!(key, b"my-service/10.0.0.1:80");
    }

    #[test]
    fn what_others_have_stored_is_read_as_go_reads_it() {
        for value in [
            r#"{"Op":0,"Addr":"a:1","Metadata":null}"#,
            r#"{"addr":"a:1"}"#,
            r#"{"ADDR":"a:1","More":{"Addr":7}}"#,
        ] {
            assert_eq!(Instance::read(value.as_bytes()).unwrap().addr, "a:1", "{value}");
        }
        for value in ["", "text", "[]", "1", r#"{"Addr":1}"#, r#"{"Op":"0","Addr":"a:1"}"#] {
            assert_eq!(Instance::read(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn names_and_addresses_are_those_that_can_be_dialled() {
        for name in ["web", "/services/web", "web/eu"] {
            assert!(ServiceName::parse(name).is_ok(), "{name}");
        }
        assert!(ServiceName::parse("").is_err() && ServiceName::parse("web/").is_err());
        for address in ["10.0.0.1:80", "localhost:65535", "[::1]:1", "web-1.local:8080"] {
            assert!(ServiceAddress::parse(address).is_ok(), "{address}");
        }
        for address in [
            "10.0.0.1",
            ":80",
            "::1:80",
            "[::1]",
            "[a]:1",
            "a:0",
            "a:65536",
            "a:+1",
            "a:http",
            "a:",
            "http://a:80",
            "a/b:80",
            "a b:80",
            "[::1:80",
            "",
        ] {
            assert!(ServiceAddress::parse(address).is_err(), "{address}");
        }
        assert!(Metadata::parse("{a:1}").is_err() && Metadata::parse("1 2").is_err());
    }

    #[test]
    fn a_service_is_what_is_before_the_address() {
        assert_eq!(service_of(b"web/eu/a:1"), Some(&b"web/eu"[..]));
        assert_eq!(
            (service_of(b"web"), service_of(b"/a:1"), service_of(b"web/")),
            (None, None, None)
        );
    }
}
