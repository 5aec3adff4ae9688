//! `connection.json`: text, packed form and choice of an address with its port.

use bitmarkd::core::wire::connection::{Connection, FirstOfEach, HostPort, list};
use serde_json::{Value, json};

use crate::harness::{self, Case};

/// A record that claims 19 bytes and has fewer ends the reference's process; ours ends the list.
pub const TRUNCATED: &str = "a-truncated-address-ends-the-list";

#[test]
fn connection() {
    harness::run("connection.json", |case| match case.text("operation") {
        "parse" => parse(case),
        "pack" => pack(case),
        "unpack" => unpack(case),
        other => case.fail("operation", format!("{other} is unknown")),
    });
}

fn parse(case: &Case) {
    match HostPort::parse(case.text("text")) {
        Ok(HostPort::Address(connection)) => {
            case.expect("error", Value::Null);
            case.expect("canonical", connection.to_string());
            case.expect("is_ipv6", connection.is_ipv6());
            case.expect("with_prefix_tcp", connection.endpoint());
            case.expect("json", serde_json::to_string(&connection).unwrap());
            case.expect("packed", hex::encode(connection.pack()));
        }
        Ok(HostPort::Name { host, .. }) => {
            case.fail("text", format!("{host:?} would be looked up"));
        }
        Err(error) => case.expect("error", error.to_string()),
    }
}

fn pack(case: &Case) {
    let port = u16::try_from(case.input("port").as_u64().unwrap()).unwrap();
    let Some(connection) = Connection::from_ip_bytes(&case.bytes("ip_bytes"), port) else {
        return case.fail("ip_bytes", "no address");
    };
    case.expect("packed", hex::encode(connection.pack()));
    case.expect("canonical", connection.to_string());
    case.expect("is_ipv6", connection.is_ipv6());
}

fn unpack(case: &Case) {
    let bytes = case.bytes("bytes");
    let first = Connection::unpack(&bytes);
    if case.has("first_panic") {
        let promised = json!(Value::Null);
        case.deviates(
            TRUNCATED,
            "first_panic",
            text(list(&bytes).next()),
            promised,
        );
    } else {
        case.expect("first", text(first.map(|(connection, _)| connection)));
        case.expect("used", first.map_or(0, |(_, used)| used));
        if let Some((connection, _)) = first {
            case.expect("is_ipv6", connection.is_ipv6());
            case.expect("repacked", hex::encode(connection.pack()));
        }
    }
    let pair = FirstOfEach::of(&bytes);
    if case.has("pair_panic") {
        deviating_pair(case, "pair_panic", &bytes);
    } else {
        case.expect("first_ipv4", text(pair.v4));
        case.expect("first_ipv6", text(pair.v6));
    }
}

/// A connection as the vectors write it: its canonical text, or nothing.
pub fn text(connection: Option<Connection>) -> Value {
    connection.map_or(Value::Null, |connection| json!(connection.to_string()))
}

/// Where the reference panics, ours promises what the whole records in front give.
pub fn deviating_pair(case: &Case, field: &str, bytes: &[u8]) {
    let pair = FirstOfEach::of(bytes);
    let mut end = 0;
    while bytes.len() >= end + 7 && bytes[end] == 7 || bytes.len() >= end + 19 && bytes[end] == 19 {
        end += usize::from(bytes[end]);
    }
    let whole = FirstOfEach::of(&bytes[..end]);
    case.deviates(
        TRUNCATED,
        field,
        json!([text(pair.v4), text(pair.v6)]),
        json!([text(whole.v4), text(whole.v6)]),
    );
}
