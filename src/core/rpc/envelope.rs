//! Requests and replies (`proto/rpc.md`, section 1, framing and ids).

use std::fmt;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::argument::kind;
use super::call::{check_method, known};
use super::{Call, ERROR_MAX, Outcome, QUOTED_MAX, raw, start};
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

impl Envelope {
    /// Its method, if it is one of ours.
    #[must_use]
    pub fn known_method(&self) -> Option<&'static str> {
        known(&self.method)
    }
}

/// A text that is no JSON object with a text `method` and an id of bounded length: the connection is closed after
/// [`Unreadable::reply`]. The reference falls silent on such a connection and never frees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

impl Unreadable {
    /// The last reply of the connection.
    #[must_use]
    pub fn reply(self) -> String {
        let why = "rpc: a JSON object with a text member `method` is wanted, and an id of at most";
        reply(
            &Id::null(),
            &Err(format!("{why} {QUOTED_MAX} bytes; closing")),
        )
    }
}

/// Reads one request. Members of the same name: the last counts. An id longer than
/// [`QUOTED_MAX`] bytes cannot come back, and no other would do.
///
/// # Errors
/// [`Unreadable`].
pub fn read(bytes: &[u8]) -> Result<Envelope, Unreadable> {
    let text: String = text::pieces(bytes)
        .map(|piece| piece.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    serde_json::from_str::<IgnoredAny>(&text).map_err(|_| Unreadable)?;
    let (mut id, mut method, mut params) = ("null", String::new(), None);
    for (name, value) in raw::members(&text).ok_or(Unreadable)? {
        let name = read_text(name).unwrap_or_default();
        if name.eq_ignore_ascii_case("id") {
            id = value;
        } else if name.eq_ignore_ascii_case("params") {
            params = (value != "null").then_some(value);
        } else if name.eq_ignore_ascii_case("method") && value != "null" {
            method = read_text(value).ok_or(Unreadable)?;
        }
    }
    if id.len() > QUOTED_MAX {
        return Err(Unreadable);
    }
    let id = Id(raw::compact(id));
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
            let error = quote(start(error, ERROR_MAX).as_bytes());
            format!("{{\"id\":{id},\"result\":null,\"error\":{error}}}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::id::TxId;

    fn error(request: &str) -> String {
        let envelope = read(request.as_bytes()).expect("a request");
        envelope.call.expect_err("an error")
    }

    #[test]
    fn an_id_comes_back_as_it_was_written() {
        let request = br#"{"id": {"a": [1, 2.50, "<b c>"]} ,"method":"Node.Info","params":[{}]}"#;
        let envelope = read(request).unwrap();
        assert_eq!(envelope.call, Ok(Call::NodeInfo));
        assert_eq!(
            reply(&envelope.id, &Ok("{}".to_owned())),
            "{\"id\":{\"a\":[1,2.50,\"\\u003cb c\\u003e\"]},\"result\":{},\"error\":null}\n"
        );
        let missing = read(br#"{"method":"Node.Info","params":[]}"#).unwrap();
        assert_eq!(missing.id, Id::null());
        let error = reply(&missing.id, &Err("a \"<\"".to_owned()));
        assert_eq!(
            error,
            "{\"id\":null,\"result\":null,\"error\":\"a \\\"\\u003c\\\"\"}\n"
        );
    }

    #[test]
    fn what_is_no_object_with_a_text_method_is_unreadable() {
        let long = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        for text in [
            "",
            "hello\n",
            "17 ",
            "null",
            "[]",
            "{",
            "{} {}",
            r#"{"id":1,"method":7,"params":[{}]}"#,
            r#"{"method":["Node.Info"]}"#,
            &long,
        ] {
            assert_eq!(read(text.as_bytes()), Err(Unreadable), "{text:.20}");
        }
        assert!(
            Unreadable
                .reply()
                .starts_with("{\"id\":null,\"result\":null,")
        );
    }

    #[test]
    fn the_method_is_looked_for_before_the_argument() {
        for (request, wanted) in [
            (r#"{"id":1}"#, "rpc: service/method request ill-formed: "),
            (
                r#"{"method":"NodeInfo","params":7}"#,
                "rpc: service/method request ill-formed: NodeInfo",
            ),
            (
                r#"{"method":"node.Info"}"#,
                "rpc: can't find service node.Info",
            ),
            (
                r#"{"method":"Node.info"}"#,
                "rpc: can't find method Node.info",
            ),
            (
                r#"{"method":"a.Node.Info"}"#,
                "rpc: can't find service a.Node.Info",
            ),
            (
                r#"{"method":"Node.Info","params":null}"#,
                "jsonrpc: request body missing params",
            ),
            (
                r#"{"method":"Node.Info","params":"x"}"#,
                "json: cannot unmarshal string into Go value of type [1]interface {}",
            ),
            (
                r#"{"method":"Node.Info","params":[5]}"#,
                "json: cannot unmarshal number into Go value of type rpc.InfoArguments",
            ),
        ] {
            assert_eq!(error(request), wanted);
        }
    }

    #[test]
    fn a_text_that_is_not_in_its_form_comes_before_a_member_of_another_kind() {
        let of = |argument: &str| {
            error(&format!(
                r#"{{"method":"Bitmark.Provenance","params":[{argument}]}}"#
            ))
        };
        assert_eq!(of(r#"{"count":"x","TXID":"00"}"#), "not link");
        assert_eq!(
            of(r#"{"COUNT":1.5}"#),
            "json: cannot unmarshal number 1.5 into Go struct field ProvenanceArguments.count of type int"
        );
        let list = |start: &str| {
            error(&format!(
                r#"{{"method":"Node.List","params":[{{"start":{start}}}]}}"#
            ))
        };
        assert_eq!(
            list("\"-1\""),
            "json: cannot unmarshal number -1 into Go struct field NodeArguments.start of type uint64"
        );
        assert_eq!(
            list("7"),
            "json: invalid use of ,string struct tag, trying to unmarshal unquoted value into uint64"
        );
        assert_eq!(
            list("\"a\""),
            "json: invalid use of ,string struct tag, trying to unmarshal \"a\" into uint64"
        );
    }

    #[test]
    fn a_method_is_known_by_its_exact_name_whatever_its_argument() {
        let known = |method: &str| {
            let request = serde_json::json!({"method": method}).to_string();
            read(request.as_bytes()).unwrap().known_method()
        };
        assert_eq!(known("Node.Info"), Some("Node.Info"));
        assert_eq!(known("BlockOwner.Transfer"), Some("BlockOwner.Transfer"));
        assert_eq!(known("Node.info"), None);
        assert_eq!(known(""), None);
    }

    #[test]
    fn absent_members_are_empty_and_the_last_of_a_name_counts() {
        let request = br#"{"method":"Transaction.Status","method":null,"params":[null, 5]}"#;
        let wanted = Call::TransactionStatus {
            tx_id: TxId::default(),
        };
        assert_eq!(read(request).unwrap().call, Ok(wanted));
        let request = br#"{"id":1,"ID":2,"method":"Owner.Bitmarks","params":[{"n":{},"Count":3}]}"#;
        let envelope = read(request).unwrap();
        assert_eq!(envelope.id.to_string(), "2");
        let wanted = Call::OwnerBitmarks {
            owner: None,
            start: 0,
            count: 3,
        };
        assert_eq!(envelope.call, Ok(wanted));
    }

    #[test]
    fn an_id_that_cannot_come_back_makes_a_request_unreadable() {
        let request = |blanks: usize, length: usize| {
            let (blanks, id) = (" ".repeat(blanks), "<".repeat(length));
            format!("{{\"id\":[{blanks}\"{id}\"],\"method\":\"Node.Info\",\"params\":[{{}}]}}")
        };
        let fits = read(request(0, QUOTED_MAX - 4).as_bytes()).unwrap();
        let id = "\\u003c".repeat(QUOTED_MAX - 4);
        assert_eq!(fits.id.to_string(), format!("[\"{id}\"]"));
        for (blanks, length) in [(0, QUOTED_MAX - 3), (1, QUOTED_MAX - 4), (0, 1 << 20)] {
            let read = read(request(blanks, length).as_bytes());
            assert_eq!(read, Err(Unreadable), "{blanks} {length}");
        }
    }

    #[test]
    fn of_a_long_text_an_error_quotes_the_start() {
        let long = "<".repeat(1 << 20);
        let digits = "1".repeat(1 << 20);
        for request in [
            format!("{{\"method\":\"{long}\"}}"),
            format!("{{\"method\":\"Node.{long}\"}}"),
            format!("{{\"method\":\"{long}.Info\"}}"),
            format!("{{\"method\":\"Node.List\",\"params\":[{{\"start\":\"{long}\"}}]}}"),
            format!("{{\"method\":\"Node.List\",\"params\":[{{\"start\":\"0.{digits}\"}}]}}"),
            format!("{{\"method\":\"Bitmark.Transfer\",\"params\":[{{\"link\":[\"{long}\"]}}]}}"),
            format!("{{\"method\":\"Bitmark.Provenance\",\"params\":[{{\"txId\":\"{long}\"}}]}}"),
        ] {
            let envelope = read(request.as_bytes()).unwrap();
            let reply = reply(&envelope.id, &envelope.call.map(|_| String::new()));
            let error = &request[..40];
            assert!(
                reply.len() < 6 * QUOTED_MAX + 200,
                "{error}: {}",
                reply.len()
            );
            assert!(reply.contains("\"result\":null"), "{error}");
        }
        // What is cut is still text.
        let wide = error(&format!(
            "{{\"method\":\"a{}\"}}",
            "\u{20ac}".repeat(QUOTED_MAX)
        ));
        let start = "rpc: service/method request ill-formed: a";
        assert!(wide.starts_with(start), "{wide:.50}");
        assert_eq!(wide.len(), start.len() + (QUOTED_MAX - 1) / 3 * 3);
    }

    #[test]
    fn an_argument_that_is_too_deep_is_an_error_and_no_harm() {
        let deep = format!(
            "{{\"id\":9,\"method\":\"Node.Info\",\"params\":[{}{}]}}",
            "[".repeat(5000),
            "]".repeat(5000)
        );
        let envelope = read(deep.as_bytes()).unwrap();
        assert_eq!(envelope.id.to_string(), "9");
        assert!(envelope.call.unwrap_err().starts_with("json: "));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn every_reply_is_one_line_of_json(id in "[ -~]{0,20}", error in ".{0,40}") {
            let request = serde_json::json!({"id": [id], "method": error}).to_string();
            let envelope = read(request.as_bytes()).unwrap();
            let line = reply(&envelope.id, &envelope.call.map(|_| String::new()));
            prop_assert_eq!(line.matches('\n').count(), 1);
            let value: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&value["id"][0], &Value::String(id));
        }
    }
}
