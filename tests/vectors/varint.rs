//! `varint.json`: integers of one to nine bytes.

use bitmarkd::core::wire::varint;
use serde_json::json;

use crate::harness::{self, Case};

#[test]
fn varint() {
    harness::run("varint.json", |case| match case.text("operation") {
        "encode" => encode(case),
        "decode" => {
            let (value, used) = varint::unpack(&case.bytes("bytes")).unwrap_or_default();
            case.expect("value", value.to_string());
            case.expect("used", used);
        }
        "clipped" => clipped(case),
        other => case.fail("operation", format!("{other} is unknown")),
    });
}

fn encode(case: &Case) {
    let value: u64 = case.text("value").parse().unwrap();
    let packed = varint::pack(value);
    case.expect("bytes", hex::encode(&packed));
    let (again, used) = varint::unpack(&packed).unwrap_or_default();
    case.expect("decoded_value", again.to_string());
    case.expect("decoded_used", used);
}

fn clipped(case: &Case) {
    // A negative limit can not be said: ours takes unsigned ones.
    let limit = |field| u64::try_from(case.input(field).as_i64().unwrap()).ok();
    let read = match (limit("minimum"), limit("maximum")) {
        (Some(minimum), Some(maximum)) => {
            varint::unpack_clipped(&case.bytes("bytes"), minimum, maximum)
        }
        _ => {
            case.set_aside("bytes", "there is nothing to call with a negative limit");
            None
        }
    };
    let (value, used) = read.unwrap_or_default();
    case.expect("value", json!(value));
    case.expect("used", used);
}
