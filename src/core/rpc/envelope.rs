//! Requests and replies (`proto/rpc.md`, section 1, framing and ids).

use std::fmt;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::argument::kind;
use super::call::check_method;
use super::{Call, Outcome, raw};
use crate::core::wire::json::quote;
use crate::core::wire::surrogates::replace_unpaired;
use crate::core::wire::text;

/// What a reply is matched by: the JSON text of the request's id without white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id(String);

impl Id {
    /// Of a request that has none.
    #[must_use]
    pub fn null() -> Self {
        Self("null".to_owned())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Comes back in the reply.
    pub id: Id,
    /// Its method, as the client wrote it.
    pub method: String,
    /// What it asks, or the error to reply.
    pub call: Result<Call, String>,
}

/// A text that is no JSON object with a text `method`: the connection is closed after
/// [`Unreadable::reply`]. The reference falls silent on such a connection and never frees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

impl Unreadable {
    /// The last reply of the connection.
    #[must_use]
    pub fn reply(self) -> String {
        let why = "rpc: a JSON object with a text member `method` is wanted; closing";
        reply(&Id::null(), &Err(why.to_owned()))
    }
}

/// Reads one request. Members of the same name: the last counts.
///
/// # Errors
/// [`Unreadable`].
pub fn read(bytes: &[u8]) -> Result<Envelope, Unreadable> {
    let text: String = text::pieces(bytes)
        .map(|piece| piece.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    serde_json::from_str::<IgnoredAny>(&text).map_err(|_| Unreadable)?;
    let (mut id, mut method, mut params) = (Id::null(), String::new(), None);
    for (name, value) in raw::members(&text).ok_or(Unreadable)? {
        let name = read_text(name).unwrap_or_default();
        if name.eq_ignore_ascii_case("id") {
            id = Id(raw::compact(value));
        } else if name.eq_ignore_ascii_case("params") {
            params = (value != "null").then_some(value);
        } else if name.eq_ignore_ascii_case("method") && value != "null" {
            method = read_text(value).ok_or(Unreadable)?;
        }
    }
    let call = read_call(&method, params);
    Ok(Envelope { id, method, call })
}

fn read_text(text: &str) -> Option<String> {
    serde_json::from_str(&replace_unpaired(text)).ok()
}

fn read_call(method: &str, params: Option<&str>) -> Result<Call, String> {
    check_method(method)?;
    let params = params.ok_or("jsonrpc: request body missing params")?;
    let params: Value =
        serde_json::from_str(&replace_unpaired(params)).map_err(|e| format!("json: {e}"))?;
    let Value::Array(params) = params else {
        return Err(format!(
            "json: cannot unmarshal {} into Go value of type [1]interface {{}}",
            kind(&params)
        ));
    };
    Call::of(method, params.first().unwrap_or(&Value::Null))
}

/// The reply to a request, with the line's end.
#[must_use]
pub fn reply(id: &Id, outcome: &Outcome) -> String {
    match outcome {
        Ok(result) => format!("{{\"id\":{id},\"result\":{result},\"error\":null}}\n"),
        Err(error) => {
            let error = quote(error.as_bytes());
            format!("{{\"id\":{id},\"result\":null,\"error\":{error}}}\n")
        }
    }
}
