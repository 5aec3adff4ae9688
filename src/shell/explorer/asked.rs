//! What a request may look like before anybody looks at what it asks: how long it is, to whom it
//! was sent, from which page, and what stands in its address. It decides about one request alone,
//! and reads no body.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::header::{HOST, HeaderMap, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use serde::Deserialize;

use super::routes::error;
use super::{HEAD_BYTES, URL_BYTES};

/// What may stand behind the question mark.
#[derive(Debug, Deserialize)]
pub struct Asked {
    pub below: Option<u64>,
    pub from: Option<u64>,
    pub after: Option<String>,
    pub text: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(asked),
            Err(_) => Err(error(
                StatusCode::BAD_REQUEST,
                "what stands behind the question mark cannot be read",
            )),
        }
    }
}

/// The part of the path that has no name of ours.
#[derive(Debug)]
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(error(StatusCode::BAD_REQUEST, "this address is no text")),
        }
    }
}

/// Bytes of a head, as they are usually written.
fn length(method: &Method, uri: &Uri, headers: &HeaderMap) -> usize {
    let line = method.as_str().len() + url_length(uri) + " ".len() + " HTTP/1.1\r\n".len();
    let all = headers.iter();
    let all = all.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    all.fold(line + "\r\n".len(), usize::saturating_add)
}

fn url_length(uri: &Uri) -> usize {
    uri.path_and_query().map_or(0, |all| all.as_str().len())
}

/// Whether a host is an address of the internet protocol or `localhost`, with a port or without.
/// No page of another site has such a name, whatever its name server answers.
fn is_plain(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let inner = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let is_address = match inner {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.parse::<std::net::Ipv4Addr>().is_ok(),
    };
    !host.contains('@') && (is_address || name.eq_ignore_ascii_case("localhost"))
}

/// Why a request is not looked at, if it is not. Over TLS the browser has compared the name with
/// the certificate, so it may be any.
pub fn refused(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    is_tls: bool,
) -> Option<(StatusCode, &'static str)> {
    if url_length(uri) > URL_BYTES {
        return Some((StatusCode::URI_TOO_LONG, "this address is too long"));
    }
    if length(method, uri, headers) > HEAD_BYTES {
        let why = "this head is too long";
        return Some((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, why));
    }
    let texts = |name| {
        let values = headers.get_all(name).into_iter();
        values.map(|value| value.to_str().unwrap_or("?"))
    };
    let called = uri.authority().map(Authority::as_str).into_iter();
    if !is_tls && !called.chain(texts(HOST)).all(is_plain) {
        let why = "without a certificate this listener is called by its address or localhost alone";
        return Some((StatusCode::MISDIRECTED_REQUEST, why));
    }
    let host = texts(HOST).next().unwrap_or_default();
    let is_ours = |origin: &str| {
        let site = origin.split_once("://").map(|(_, site)| site);
        site.is_some_and(|site| site.eq_ignore_ascii_case(host))
    };
    if !texts(ORIGIN).all(is_ours) {
        let why = "pages of other sites may not ask";
        return Some((StatusCode::FORBIDDEN, why));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(host: Option<&str>, origin: Option<&str>, is_tls: bool) -> Option<u16> {
        let mut headers = HeaderMap::new();
        let pairs = [(HOST, host), (ORIGIN, origin)];
        for (name, value) in pairs {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        let uri = Uri::from_static("/api/overview");
        refused(&Method::GET, &uri, &headers, is_tls).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn without_a_certificate_only_addresses_and_localhost_are_names_of_this_listener() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "192.0.2.7:1",
            "[::1]",
            "[::1]:8080",
            "localhost",
            "LocalHost:8080",
        ] {
            assert_eq!(status(Some(host), None, false), None, "{host}");
        }
        assert_eq!(status(None, None, false), None, "an old client says none");
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evil@localhost",
            "evil",
            "[evil]",
            "",
        ] {
            assert_eq!(status(Some(host), None, false), Some(421), "{host}");
            assert_eq!(status(Some(host), None, true), None, "{host}");
        }
        let evil = Uri::from_static("http://evil.example/api/overview");
        let asked = refused(&Method::GET, &evil, &HeaderMap::new(), false);
        assert_eq!(asked.map(|(status, _)| status.as_u16()), Some(421));
    }

    #[test]
    fn only_pages_of_this_listener_may_ask() {
        for is_tls in [false, true] {
            let ask = |origin| status(Some("127.0.0.1:8080"), Some(origin), is_tls);
            assert_eq!(ask("http://127.0.0.1:8080"), None);
            for origin in [
                "http://evil.example",
                "http://127.0.0.1:8081",
                "http://127.0.0.1",
                "null",
                "",
            ] {
                assert_eq!(ask(origin), Some(403), "{origin}");
            }
            assert_eq!(status(None, Some("http://a"), is_tls), Some(403));
        }
    }

    #[test]
    fn a_head_has_its_bytes_and_not_one_more() {
        let uri = Uri::from_static("/");
        let mut headers = HeaderMap::new();
        let rest = "GET / HTTP/1.1\r\nx: \r\n\r\n".len();
        for (more, is_refused) in [(0, false), (1, true)] {
            let long = "a".repeat(HEAD_BYTES - rest + more);
            headers.insert("x", long.parse().unwrap());
            let why = refused(&Method::GET, &uri, &headers, false);
            assert_eq!(why.is_some(), is_refused, "{more}");
        }
    }
}
