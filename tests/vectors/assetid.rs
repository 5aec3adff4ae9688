//! `assetid.json`: asset ids and payment ids with their text forms.

use std::fmt::Display;

use bitmarkd::core::id::{AssetId, IdError, PayId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::harness::{self, Case};

#[test]
fn assetid() {
    harness::run("assetid.json", |case| match case.text("operation") {
        "asset_id" => {
            let id = AssetId::of(&case.bytes("fingerprint_bytes"));
            texts(case, "asset_id", &id);
        }
        "asset_id_from_text" => read(case, "asset_id", case.text("text").parse::<AssetId>()),
        "asset_id_from_bytes" => read(case, "asset_id", AssetId::from_bytes(&case.bytes("bytes"))),
        "pay_id" => texts(case, "pay_id", &pay_id(case)),
        "pay_id_from_text" => read(case, "pay_id", case.text("text").parse::<PayId>()),
        "pay_id_from_bytes" => read(case, "pay_id", PayId::from_bytes(&case.bytes("bytes"))),
        other => case.fail("operation", format!("{other} is unknown")),
    });
}

/// The payment id of the case's records.
pub fn pay_id(case: &Case) -> PayId {
    let records: Vec<Vec<u8>> = case
        .input("packed_records")
        .as_array()
        .expect("a list of records")
        .iter()
        .map(|record| hex::decode(record.as_str().expect("a text")).expect("hex"))
        .collect();
    PayId::of(records.iter().map(Vec::as_slice))
}

/// Compares every text form of an id; a case need not have all of them.
fn texts(case: &Case, field: &str, id: &(impl Display + Serialize)) {
    case.expect(field, id.to_string());
    for form in ["display_text", "marshalled_text"] {
        if case.has(form) {
            case.expect(form, id.to_string());
        }
    }
    if case.has("json") {
        case.expect("json", serde_json::to_string(id).unwrap());
    }
}

fn read(case: &Case, field: &str, id: Result<impl Display, IdError>) {
    case.expect("error", json!(id.as_ref().err().map(ToString::to_string)));
    if let Ok(id) = id {
        case.expect(field, Value::from(id.to_string()));
    }
}
