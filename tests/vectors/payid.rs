//! `payid.json`: payment ids over records in their order; texts of payment ids and nonces.

use std::fmt::Display;

use bitmarkd::core::id::{IdError, PayId, PayNonce};
use serde_json::Value;

use crate::assetid;
use crate::harness::{self, Case};

#[test]
fn payid() {
    harness::run("payid.json", |case| match case.text("kind") {
        "compute" => case.expect("pay_id", assetid::pay_id(case).to_string()),
        "parse_pay_id" => read(case, case.text("text").parse::<PayId>()),
        "parse_pay_nonce" => read(case, case.text("text").parse::<PayNonce>()),
        other => case.fail("kind", format!("{other} is unknown")),
    });
}

fn read<T: AsRef<[u8]> + Display>(case: &Case, id: Result<T, IdError>) {
    match id {
        Ok(id) => {
            case.expect("bytes", hex::encode(id.as_ref()));
            case.expect("formatted", id.to_string());
            case.expect("error", Value::Null);
        }
        Err(error) => case.expect("error", error.to_string()),
    }
}
