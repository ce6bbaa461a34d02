//! Who may ask by plain HTTP: checks of the Host and, for browsers, of the Origin.
//!
//! gRPC is not asked for by browsers, so it does not come here. A page in a browser can make
//! requests to any address; without TLS the name it used for us, in Host, is all that tells a
//! page which had its own name point at us (CVE-2018-5702).

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, HOST,
    ORIGIN,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::http::text;
use crate::config::AllowList;
use crate::runtime::Handle;

/// What a listener with TLS puts on every request: none is refused for its Host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secure {
    /// Of the client's certificate, if clients must have one.
    pub(crate) common_name: Option<String>,
}

/// Lets a request through, or answers it.
pub(super) async fn check(State(handle): State<Handle>, request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    if let Err(refusal) = asked.check(&handle.http.host_whitelist, auth_is_enabled(&handle)) {
        if let Refusal::Host(host) = &refusal {
            tracing::warn!(host, "rejecting HTTP request to prevent DNS rebinding attacks");
        }
        return refusal.into_response();
    }
    let origin = allowed_origin(&handle.http.cors, request.headers());
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::OK.into_response()
    } else {
        next.run(request).await
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        let methods = HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE");
        headers.append(ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.append(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let names = HeaderValue::from_static("accept, content-type, authorization");
        headers.append(ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    response
}

fn auth_is_enabled(handle: &Handle) -> bool {
    handle.root().auth().is_enabled()
}

/// What matters of a request.
struct Asked {
    host: String,
    secure: Option<Secure>,
    by_gateway: bool,
}

#[derive(Debug, PartialEq)]
enum Refusal {
    Host(String),
    CommonName,
}

impl Asked {
    fn of(request: &Request) -> Asked {
        let host = request.headers().get(HOST);
        let host = host.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
        let authority = || request.uri().authority().map(ToString::to_string);
        let path = request.uri().path();
        Asked {
            host: without_port(&host.or_else(authority).unwrap_or_default()).to_owned(),
            secure: request.extensions().get::<Secure>().cloned(),
            by_gateway: path.starts_with("/v3/") || path.starts_with("/v3beta/"),
        }
    }

    fn check(&self, hosts: &AllowList, auth_is_enabled: bool) -> Result<(), Refusal> {
        match &self.secure {
            None if !hosts.allows(&self.host) => Err(Refusal::Host(self.host.clone())),
            // Somebody who has a name by certificate expects to act under it.
            Some(Secure { common_name: Some(name) })
                if !name.is_empty() && auth_is_enabled && self.by_gateway =>
            {
                Err(Refusal::CommonName)
            }
            _ => Ok(()),
        }
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // An IPv6 address without brackets has no port.
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            bare.unwrap_or(if host.contains(':') { authority } else { host })
        }
        _ => authority,
    }
}

fn allowed_origin(origins: &AllowList, headers: &HeaderMap) -> Option<HeaderValue> {
    if origins.allows_all() {
        return Some(HeaderValue::from_static("*"));
    }
    let origin = headers.get(ORIGIN)?;
    origins.allows(origin.to_str().ok()?).then(|| origin.clone())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::Host(host) => {
                let body = format!(
                    "\netcd received your request, but the Host header was unrecognized.\n\n\
                     To fix this, choose one of the following options:\n\
                     - Enable TLS, then any HTTPS request will be allowed.\n\
                     - Add the hostname you want to use to the whitelist in settings.\n  \
                     - e.g. etcd --host-whitelist {host:?}\n\n\
                     This requirement has been added to help prevent \"DNS Rebinding\" attacks \
                     (CVE-2018-5702).\n"
                );
                text(StatusCode::MISDIRECTED_REQUEST, &body)
            }
            Refusal::CommonName => text(
                StatusCode::BAD_REQUEST,
                "CommonName of client sending a request against gateway will be ignored and not \
                 used as expected",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &str, secure: Option<Secure>, by_gateway: bool) -> Asked {
        Asked { host: host.to_owned(), secure, by_gateway }
    }

    fn named(name: Option<&str>) -> Secure {
        Secure { common_name: name.map(ToOwned::to_owned) }
    }

    #[test]
    fn a_host_is_told_from_its_port_as_go_does() {
        for (authority, host) in [
            ("example.com", "example.com"),
            ("example.com:2379", "example.com"),
            ("127.0.0.1:2379", "127.0.0.1"),
            ("[::1]:2379", "::1"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("", ""),
        ] {
            assert_eq!(without_port(authority), host, "{authority}");
        }
    }

    #[test]
    fn without_tls_only_listed_hosts_are_asked_for() {
        let hosts = AllowList::of(["example.com"]);
        let refused = |host: &str, secure| asked(host, secure, false).check(&hosts, false);
        assert_eq!(refused("example.com", None), Ok(()));
        assert_eq!(refused("evil.com", None), Err(Refusal::Host("evil.com".to_owned())));
        assert_eq!(refused("", None), Err(Refusal::Host(String::new())));
        assert_eq!(refused("evil.com", Some(named(None))), Ok(()));
        for all in [AllowList::of([]), AllowList::of(["*"])] {
            assert_eq!(asked("evil.com", None, false).check(&all, false), Ok(()));
        }
    }

    #[test]
    fn a_name_by_certificate_does_not_go_through_the_gateway() {
        let all = AllowList::of(["*"]);
        let check =
            |name, by_gateway, auth| asked("h", Some(named(name)), by_gateway).check(&all, auth);
        assert_eq!(check(Some("alice"), true, true), Err(Refusal::CommonName));
        assert_eq!(check(Some("alice"), true, false), Ok(()));
        assert_eq!(check(Some("alice"), false, true), Ok(()));
        assert_eq!(check(Some(""), true, true), Ok(()));
        assert_eq!(check(None, true, true), Ok(()));
    }

    #[test]
    fn a_browser_is_told_the_origin_it_asked_from_if_that_is_listed() {
        let headers = |origin: &'static str| {
            HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))])
        };
        let listed = AllowList::of(["http://a:80"]);
        let allowed = |list: &AllowList, origin| allowed_origin(list, &headers(origin));
        assert_eq!(allowed(&listed, "http://a:80"), Some(HeaderValue::from_static("http://a:80")));
        assert_eq!(allowed(&listed, "http://b:80"), None);
        assert_eq!(allowed_origin(&listed, &HeaderMap::new()), None);
        let all = AllowList::of(["*"]);
        assert_eq!(allowed(&all, "http://b:80"), Some(HeaderValue::from_static("*")));
    }
}
