//! `difficulty.json`: compact form, reciprocals, range, issue difficulty and the functions that no
//! chain calls (`proto/blocks.md`, section 4).

use bitmarkd::core::block::difficulty::{
    from_reciprocal, in_range, issue_reciprocal, issue_target, range_around,
};
use bitmarkd::core::block::retarget::{Retarget, decay};
use bitmarkd::core::block::{BlockError, Compact, Target};
use bitmarkd::core::chain::{Chain, LOCAL};
use serde_json::{Value, json};

use crate::harness::{self, Case};

#[test]
fn difficulty() {
    harness::run("difficulty.json", |case| {
        match case.input("operation").as_str().unwrap_or_default() {
            "range" => range(case),
            "decode" => decode(case),
            "from_reciprocal" => reciprocal(case),
            "issue_difficulty" => issue(case),
            "adjust" => adjust(case),
            "decay" => decayed(case),
            other => case.fail("operation", format!("unknown operation {other}")),
        }
    });
}

fn bits(value: &Value) -> Compact {
    let text = value.as_str().expect("a text");
    Compact(u64::from_str_radix(text, 16).expect("hex"))
}

fn hex64(bits: Compact) -> String {
    format!("{:016x}", bits.0)
}

/// A float as it stands in the file: whole numbers may be written without a point.
fn expect_float(case: &Case, path: &str, expected: &Value, got: f64) {
    let same = expected.as_f64().map(f64::to_bits) == Some(got.to_bits());
    let shown = if same { expected.clone() } else { json!(got) };
    case.expect_value(path, expected, &shown);
}

fn range(case: &Case) {
    let current = LOCAL.rules.difficulty.target().expect("a number");
    let (low, high) = range_around(current, LOCAL.rules.difficulty_tolerance);
    case.expect("current_256bit_be", current.to_text());
    case.expect("low_256bit_be", low.to_text());
    case.expect("high_256bit_be", high.to_text());
    // The ends of what is accepted: the value is, its neighbour beyond is not.
    let smallest = bits(case.input("smallest_accepted_bits"));
    let largest = bits(case.input("largest_accepted_bits"));
    let accepted = |value: u64| in_range(LOCAL.rules.difficulty, Compact(value), 10);
    let edges = [
        accepted(smallest.0),
        !accepted(smallest.0 - 1),
        accepted(largest.0),
        !accepted(largest.0 + 1),
    ];
    case.expect_value("edges", &json!(vec![true; 4]), &json!(edges));
}

fn decode(case: &Case) {
    let bits = bits(case.input("bits"));
    case.expect("header_bytes", hex::encode(bits.0.to_le_bytes()));
    let Some(target) = bits.target() else {
        case.expect_value("reciprocal", &Value::Null, &json!(bits.reciprocal()));
        if case.input("reference_panics") == &json!(true) {
            let text = BlockError::HeaderDifficulty.to_string();
            case.deviates("difficulty-that-is-no-number", "error", text.clone(), text);
        } else {
            case.fail("bits", "not a number");
        }
        return;
    };
    case.expect("json", bits.to_json());
    let read = case.input("json").as_str().and_then(Compact::from_json);
    case.expect_value(
        "bits from json",
        case.input("bits"),
        &json!(read.map(hex64)),
    );
    let reciprocal = bits.reciprocal().unwrap_or_default();
    expect_float(case, "reciprocal", case.input("reciprocal"), reciprocal);
    case.expect(
        "reciprocal_ieee754_hex",
        format!("{:016x}", reciprocal.to_bits()),
    );
    case.expect("target_256bit_be", target.to_text());
    let rules = &LOCAL.rules;
    case.expect(
        "within_header_range",
        in_range(rules.difficulty, bits, rules.difficulty_tolerance),
    );
}

fn reciprocal(case: &Case) {
    let text = case.text("reciprocal_ieee754_hex");
    let wanted = f64::from_bits(u64::from_str_radix(text, 16).expect("hex"));
    expect_float(case, "reciprocal", case.input("reciprocal"), wanted);
    let Some(made) = from_reciprocal(wanted) else {
        return case.fail("reciprocal", "has no compact form");
    };
    case.expect("bits", hex64(made.bits));
    case.expect("master_256bit_be", made.master.to_text());
    let stored = case.input("stored_reciprocal");
    expect_float(case, "stored_reciprocal", stored, made.reciprocal);
    let back = made.bits.target().map(Target::to_text);
    case.expect("target_after_bits_round_trip", json!(back));
}

fn issue(case: &Case) {
    let chain = Chain::by_name(case.text("chain")).expect("a chain");
    let count = usize::try_from(case.input("count").as_u64().expect("a count")).expect("fits");
    let reciprocal = issue_reciprocal(chain, count);
    expect_float(case, "reciprocal", case.input("reciprocal"), reciprocal);
    case.expect("target_256bit_be", issue_target(chain, count).to_text());
    let made = from_reciprocal(reciprocal).map(|made| hex64(made.bits));
    case.expect("bits", json!(made));
}

fn adjust(case: &Case) {
    let mut filter = Retarget::default();
    let mut now = case.input("start_reciprocal").as_f64().expect("a number");
    for step in case.input("steps").as_array().expect("a list") {
        let minutes = |name: &str| step[name].as_f64().expect("a number");
        now = filter.adjust(now, minutes("expected_minutes"), minutes("actual_minutes"));
        expect_float(case, "steps.reciprocal", &step["reciprocal"], now);
        let made = from_reciprocal(now).map(|made| hex64(made.bits));
        case.expect_value("steps.bits", &step["bits"], &json!(made));
    }
}

fn decayed(case: &Case) {
    let mut now = case.input("start_reciprocal").as_f64().expect("a number");
    for _ in 0..case.input("times").as_u64().expect("a count") {
        now = decay(now);
    }
    expect_float(case, "reciprocal", case.input("reciprocal"), now);
    let made = from_reciprocal(now).map(|made| hex64(made.bits));
    case.expect("bits", json!(made));
}
