//! `currency.json`: codes, addresses, payment maps, amounts, payments.

use std::collections::BTreeMap;

use bitmarkd::core::currency::{Currency, Payment, Payments, address, amount};
use serde_json::{Value, json};

use crate::harness::{self, Case};

/// What the reference makes some number of although it is none.
const STRICT_AMOUNTS: &str = "amounts-are-plain-numbers";

#[test]
fn currency() {
    harness::run("currency.json", |case| match case.text("operation") {
        "from_code" => {
            let read = Currency::from_code(case.input("code").as_u64().unwrap());
            case.expect("error", error(&read));
            if let Ok(currency) = read {
                case.expect("text", currency.text());
                case.expect("json", serde_json::to_string(&currency).unwrap());
                case.expect("fee", currency.fee());
                case.expect("is_payable", currency.is_payable());
            }
        }
        "from_text" => {
            let read = case.text("text").parse::<Currency>();
            case.expect("error", error(&read));
            if let Ok(currency) = read {
                case.expect("code", currency.code());
                case.expect("text_out", currency.text());
            }
        }
        "validate_address" => validate_address(case),
        "litecoin_from_bitcoin" => {
            let bitcoin = case.text("bitcoin_address");
            let made = address::litecoin_from_bitcoin(bitcoin.as_bytes());
            case.expect("error", error(&made));
            case.expect("litecoin_address", made.unwrap_or_default());
            case.set_aside("bitcoin_version", "says what the address holds");
        }
        "pack_map" => pack_map(case),
        "unpack_map" => unpack_map(case),
        "satoshi_from_text" => satoshi(case),
        "payment_from_json" => payment(case),
        other => case.fail("operation", format!("{other} is unknown")),
    });
}

fn error<T, E: ToString>(result: &Result<T, E>) -> Value {
    result
        .as_ref()
        .err()
        .map_or(Value::Null, |e| json!(e.to_string()))
}

fn code(case: &Case) -> Currency {
    Currency::from_code(case.input("code").as_u64().unwrap()).unwrap()
}

fn validate_address(case: &Case) {
    let currency = code(case);
    case.expect("currency", currency.text());
    let text = if case.has("address_bytes") {
        case.bytes("address_bytes")
    } else {
        case.text("address").as_bytes().to_vec()
    };
    case.expect("live_error", error(&address::check(currency, &text, false)));
    case.expect(
        "testing_error",
        error(&address::check(currency, &text, true)),
    );
    if case.has("version") {
        let decoded = address::decode(currency, &text).unwrap();
        case.expect("version", decoded.version);
        case.expect("hash160", hex::encode(decoded.hash));
    }
}

fn entries(map: &Payments) -> Value {
    map.0
        .iter()
        .map(|(currency, text)| {
            json!({"code": currency.code(), "address": String::from_utf8_lossy(text)})
        })
        .collect()
}

fn pack_map(case: &Case) {
    let testing = case.input("testnet").as_bool().unwrap();
    let mut map = BTreeMap::new();
    for entry in case.input("entries").as_array().unwrap() {
        let Ok(currency) = Currency::from_code(entry["code"].as_u64().unwrap()) else {
            // A code that nobody knows does not get as far as a map.
            return case.expect("error", "invalid currency");
        };
        map.insert(
            currency,
            entry["address"].as_str().unwrap().as_bytes().to_vec(),
        );
    }
    let map = Payments(map);
    let packed = map.pack(testing);
    case.expect("error", error(&packed));
    for version in 0..=2 {
        let got = error(&map.check(version, testing));
        let field = format!("check_payments_version_{version}_error");
        let choice = format!("{field}_any_of");
        if case.has(&choice) {
            let allowed = case.input(&choice).as_array().unwrap().contains(&got);
            case.expect_value(&choice, &json!(true), &json!(allowed));
        } else {
            case.expect(&field, got);
        }
    }
    if let Ok(packed) = packed {
        case.expect("bytes", hex::encode(packed));
        case.expect("json", map.to_json());
    }
}

fn unpack_map(case: &Case) {
    let testing = case.input("testnet").as_bool().unwrap();
    let read = Payments::unpack(&case.bytes("bytes"), testing);
    case.expect("error", error(&read));
    let Ok(map) = read else { return };
    case.expect("entries", entries(&map));
    case.expect("distinct_count", map.0.len());
    case.expect("repacked", hex::encode(map.pack(testing).unwrap()));
}

/// Whether a text is digits with at most one point between them, within 64 bits.
fn is_plain_number(text: &str, recorded: &str) -> bool {
    let trimmed = text.trim();
    let shape = trimmed.starts_with(|c: char| c.is_ascii_digit())
        && trimmed.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && trimmed.matches('.').count() <= 1;
    let value: f64 = trimmed.parse().unwrap_or_default();
    let fits = (value * 1e8 - recorded.parse::<f64>().unwrap()).abs() < 1e8;
    shape && fits
}

fn satoshi(case: &Case) {
    let text = case.text("text");
    let recorded = case.text("value").to_owned();
    let read = amount::from_decimal(text);
    if is_plain_number(text, &recorded) {
        case.expect("value", read.map(|v| v.to_string()).unwrap_or_default());
    } else {
        case.deviates(STRICT_AMOUNTS, "value", error(&read), "invalid amount");
    }
}

fn payment(case: &Case) {
    let value: Value = serde_json::from_str(case.text("json_in")).unwrap();
    let read = Payment::from_json(&value);
    let recorded = case.input("error").as_str().unwrap_or_default();
    if recorded.starts_with("json: ") {
        // The rest of these texts belongs to the reference's language (section 9).
        let ours = read
            .as_ref()
            .map_or_else(ToString::to_string, |_| String::new());
        case.expect_value("error", &json!("json: "), &json!(ours.get(..6)));
        return;
    }
    case.expect("error", error(&read));
    let Ok(payment) = read else { return };
    case.expect("code", payment.currency.code());
    case.expect(
        "address",
        String::from_utf8_lossy(&payment.address).into_owned(),
    );
    case.expect("amount", payment.amount.to_string());
    case.expect("json_out", payment.to_json());
}
