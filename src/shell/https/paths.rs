//! What a path, a method and an address come to (`proto/rpc.md`, section 5). The path is looked at
//! first, then the method, then the address.

use std::net::IpAddr;

use axum::extract::Query;
use axum::http::{Method, StatusCode, Uri};

use crate::shell::counters::requests::OTHER;
use crate::shell::files::config::Allow;

/// Peers on a page that asks for no number, or for one that is out of range.
const PEERS_DEFAULT: usize = 10;
/// Peers on a page.
pub const PEERS_MAX: usize = 100;

/// What the node is asked to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// `/bitmarkd/details`
    Details,
    /// `/bitmarkd/connections`
    Connections,
    /// `/bitmarkd/peers`
    Peers {
        /// At most so many, 1 to [`PEERS_MAX`].
        count: usize,
        /// Those after this key; none: from the first.
        after: Option<[u8; 32]>,
    },
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The body is a request.
    Rpc,
    /// A page.
    Page(Page),
}

/// Why it is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No such path.
    NotFound,
    /// Another method is wanted there.
    Method,
    /// The address is not on the list.
    Forbidden,
    /// The node cannot tell.
    Internal,
}

impl Refusal {
    /// As HTTP has it.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The object that says so, exactly.
    #[must_use]
    pub fn body(self) -> &'static str {
        match self {
            Self::NotFound => r#"{"code":404,"error":"not found"}"#,
            Self::Method => r#"{"code":405,"error":"method not allowed"}"#,
            Self::Forbidden => r#"{"code":403,"error":"forbidden"}"#,
            Self::Internal => r#"{"code":500,"error":"internal server error"}"#,
        }
    }
}

fn is_on(list: &[IpAddr], from: IpAddr) -> bool {
    let from = from.to_canonical();
    list.iter().any(|entry| entry.to_canonical() == from)
}

/// The name under which a path is counted.
#[must_use]
pub fn label(path: &str) -> &'static str {
    const NAMES: [&str; 4] = [
        "/bitmarkd/rpc",
        "/bitmarkd/details",
        "/bitmarkd/connections",
        "/bitmarkd/peers",
    ];
    let known = NAMES.into_iter().find(|name| *name == path);
    known.unwrap_or(OTHER)
}

/// Decides about a request.
///
/// # Errors
/// See [`Refusal`].
pub fn route(method: &Method, uri: &Uri, from: IpAddr, allow: &Allow) -> Result<Wanted, Refusal> {
    let (wanted, list) = match uri.path() {
        "/bitmarkd/rpc" if method == Method::POST => return Ok(Wanted::Rpc),
        "/bitmarkd/rpc" => return Err(Refusal::Method),
        "/bitmarkd/details" => (Page::Details, &allow.details),
        "/bitmarkd/connections" => (Page::Connections, &allow.connections),
        "/bitmarkd/peers" => (peers(uri), &allow.peers),
        _ => return Err(Refusal::NotFound),
    };
    if method != Method::GET {
        return Err(Refusal::Method);
    }
    if !is_on(list, from) {
        return Err(Refusal::Forbidden);
    }
    Ok(Wanted::Page(wanted))
}

/// What is malformed counts as missing.
fn peers(uri: &Uri) -> Page {
    let query = Query::<Vec<(String, String)>>::try_from_uri(uri);
    let query = query.map(|Query(pairs)| pairs).unwrap_or_default();
    let get = |name: &str| {
        let found = query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    let count = get("count").and_then(|text| text.parse().ok());
    let mut key = [0; 32];
    Page::Peers {
        count: count
            .filter(|count| (1..=PEERS_MAX).contains(count))
            .unwrap_or(PEERS_DEFAULT),
        after: get("public_key")
            .and_then(|text| hex::decode_to_slice(text, &mut key).ok())
            .map(|()| key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "127.0.0.1";

    fn allow() -> Allow {
        let list = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Allow {
            details: list(&[ALL, "::1"]),
            connections: list(&["::ffff:127.0.0.1"]),
            peers: list(&[ALL]),
        }
    }

    fn ask(method: Method, uri: &str, from: &str) -> Result<Wanted, Refusal> {
        let uri: Uri = uri.parse().unwrap();
        route(&method, &uri, from.parse().unwrap(), &allow())
    }

    #[test]
    fn paths_are_exact() {
        for path in [
            "/",
            "/bitmarkd",
            "/bitmarkd/",
            "/bitmarkd/rpc/",
            "/bitmarkd//details",
            "/bitmarkd/../bitmarkd/details",
            "/Bitmarkd/details",
        ] {
            assert_eq!(
                ask(Method::GET, path, ALL),
                Err(Refusal::NotFound),
                "{path}"
            );
        }
    }

    #[test]
    fn the_method_is_looked_at_before_the_address() {
        let stranger = "192.0.2.1";
        for method in [Method::POST, Method::HEAD, Method::OPTIONS] {
            let refused = ask(method, "/bitmarkd/details", stranger);
            assert_eq!(refused, Err(Refusal::Method));
        }
        let refused = ask(Method::GET, "/bitmarkd/details", stranger);
        assert_eq!(refused, Err(Refusal::Forbidden));
        assert_eq!(
            ask(Method::GET, "/bitmarkd/rpc", stranger),
            Err(Refusal::Method)
        );
        assert_eq!(
            ask(Method::POST, "/bitmarkd/rpc", stranger),
            Ok(Wanted::Rpc)
        );
    }

    #[test]
    fn an_address_is_the_same_in_both_families() {
        for from in [ALL, "::ffff:127.0.0.1"] {
            for (path, page) in [
                ("/bitmarkd/details", Page::Details),
                ("/bitmarkd/connections", Page::Connections),
            ] {
                assert_eq!(ask(Method::GET, path, from), Ok(Wanted::Page(page)));
            }
        }
        assert!(ask(Method::GET, "/bitmarkd/details", "::1").is_ok());
        let refused = ask(Method::GET, "/bitmarkd/peers", "::1");
        assert_eq!(refused, Err(Refusal::Forbidden));
    }

    #[test]
    fn a_malformed_query_counts_as_none() {
        let key = "8000000000000000000000000000000000000000000000000000000000000000";
        let after = format!("count=1&public_key={key}");
        for (query, count, is_after) in [
            ("", 10, false),
            ("count=2", 2, false),
            ("count=100", 100, false),
            ("count=0", 10, false),
            ("count=101", 10, false),
            ("count=-1", 10, false),
            ("count=x&count=3", 10, false),
            ("count=1&public_key=zz", 1, false),
            ("count=%zz", 10, false),
            (&after, 1, true),
        ] {
            let asked = ask(Method::GET, &format!("/bitmarkd/peers?{query}"), ALL);
            let Ok(Wanted::Page(Page::Peers { count: n, after })) = asked else {
                panic!("{query}: {asked:?}");
            };
            assert_eq!((n, after.is_some()), (count, is_after), "{query}");
        }
    }
}
