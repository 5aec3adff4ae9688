//! `blockring.json`: check values of blocks and the ring of the recent ones (`proto/blocks.md`,
//! section 11).

use bitmarkd::core::block::{Ring, crc};
use bitmarkd::core::chain::{Chain, LOCAL};
use bitmarkd::core::id::BlockDigest;
use serde_json::{Value, json};

use crate::harness::{self, Case};

#[test]
fn blockring() {
    harness::run_with("blockring.json", |cases| {
        // The blocks of a chain that the file listed so far.
        let mut listed: Vec<(String, u64, Vec<u8>)> = Vec::new();
        for case in cases {
            if case.has("crc64") {
                check_value(case, &mut listed);
            } else if case.has("latest_crc") {
                ring_of_listed(case, &listed);
            } else if case.has("puts") {
                ring_of_puts(case);
            } else {
                case.fail("-", "unknown kind of case");
            }
        }
    });
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .or_else(|| value.as_str()?.parse().ok())
        .expect("a number")
}

fn check_value(case: &Case, listed: &mut Vec<(String, u64, Vec<u8>)>) {
    let at = number(case.input("block_number"));
    let block = if case.has("data") {
        case.bytes("data")
    } else {
        let block = case.bytes("packed_block");
        listed.push((case.text("chain").to_owned(), at, block.clone()));
        block
    };
    case.expect("crc64", format!("{:016x}", crc(at, &block)));
}

fn values(ring: &Ring) -> Value {
    ring.candidates()
        .map(|nonce| hex::encode(nonce.0))
        .collect::<Vec<_>>()
        .into()
}

fn ring_of_listed(case: &Case, listed: &[(String, u64, Vec<u8>)]) {
    let name = case.text("chain");
    let chain = Chain::by_name(name).expect("a chain");
    let mut ring = Ring::new(chain);
    for (_, at, block) in listed.iter().filter(|(of, at, _)| of == name && *at > 1) {
        // The digest plays no part in these values.
        ring.put(*at, block, BlockDigest([0; 32]))
            .expect("in order");
    }
    case.expect("latest_crc", format!("{:016x}", ring.newest().crc));
    case.expect("pay_nonce", hex::encode(ring.latest().0));
    case.expect("ring_values_newest_first", values(&ring));
}

fn ring_of_puts(case: &Case) {
    let mut ring = Ring::new(&LOCAL);
    for put in case.input("puts").as_array().expect("a list") {
        let at = number(&put["number"]);
        ring.put(at, &unhex(&put["data"]), digest(&put["digest"]))
            .expect("in order");
    }
    case.expect("ring_values_newest_first", values(&ring));
    for lookup in case.input("lookups").as_array().expect("a list") {
        let found = ring.digest_of(number(&lookup["number"]));
        let found = found.map(|digest| hex::encode(digest.0));
        case.expect_value(
            "lookups",
            lookup,
            &json!({
                "digest": found.unwrap_or_default(),
                "error": "",
                "number": lookup["number"],
                "panics": false,
            }),
        );
    }
    // One number is left out.
    let next = ring.newest().number + 2;
    let error = ring
        .put(next, b"", BlockDigest([0; 32]))
        .expect_err("a gap");
    case.expect("put_out_of_sequence_error", error.to_string());
    case.deviates(
        "ring-order-is-an-error",
        "put_out_of_sequence_panics",
        false,
        false,
    );
}

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a text")).expect("hex")
}

fn digest(value: &Value) -> BlockDigest {
    BlockDigest(unhex(value).try_into().expect("32 bytes"))
}
