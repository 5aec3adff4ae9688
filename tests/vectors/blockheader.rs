//! `blockheader.json`: packed form, JSON form and checks of headers (`proto/blocks.md`, section 2).

use bitmarkd::core::block::{BlockError, DigestMemory, HEADER_BYTES, Header, digest};
use bitmarkd::core::chain::LOCAL;
use serde_json::{Value, json};

use crate::harness::{self, Case};

/// Later than every dated header of the file, earlier than those meant to be ahead of the clock.
const NOW: u64 = 2_000_000_000;

#[test]
fn blockheader() {
    let memory = std::cell::RefCell::new(DigestMemory::new());
    harness::run("blockheader.json", |case| match operation(case).as_str() {
        "" => fields(case),
        "extract" => extract(case, &mut memory.borrow_mut()),
        other => case.fail("operation", format!("unknown operation {other}")),
    });
}

fn operation(case: &Case) -> String {
    case.input("operation").as_str().unwrap_or_default().into()
}

fn fields(case: &Case) {
    let packed = case.bytes("packed");
    let (header, rest) = match Header::unpack(&packed) {
        Ok(read) => read,
        Err(error) => return case.expect("error", error.to_string()),
    };
    if !rest.is_empty() {
        case.fail("packed", "bytes are left behind the header");
    }
    case.expect("fields", shown(&header));
    case.expect("json", header.to_json());
    let text = serde_json::to_string(case.input("json")).expect("JSON");
    let ours = serde_json::to_string(&header.to_json()).expect("JSON");
    case.expect_value("json order", &json!(text), &json!(ours));
    match Header::from_json(case.input("json")) {
        Ok(read) => case.expect_value(
            "packed from json",
            case.input("packed"),
            &json!(hex::encode(read.pack())),
        ),
        Err(error) => case.fail("json", error),
    }
    case.expect("packed", hex::encode(header.pack()));
    // These cases state the checks that come before the difficulty.
    let easy = Header {
        difficulty: LOCAL.rules.difficulty,
        ..header
    };
    case.expect("error", text_of(easy.check(&LOCAL, NOW)));
}

/// The fields as the files show them.
pub fn shown(header: &Header) -> Value {
    json!({
        "version": header.version,
        "transaction_count": header.transaction_count,
        "number": header.number.to_string(),
        "previous_block": hex::encode(header.previous_block.0),
        "merkle_root": hex::encode(header.merkle_root.0),
        "timestamp": header.timestamp.to_string(),
        "difficulty_bits": format!("{:016x}", header.difficulty.0),
        "nonce": format!("{:016x}", header.nonce),
    })
}

fn text_of<T>(result: Result<T, BlockError>) -> String {
    result
        .err()
        .map_or_else(String::new, |error| error.to_string())
}

fn extract(case: &Case, memory: &mut DigestMemory) {
    let packed = case.bytes("packed");
    let result = Header::unpack(&packed).and_then(|(header, _)| {
        header.check(&LOCAL, NOW)?;
        let bytes: &[u8; HEADER_BYTES] = packed.first_chunk().ok_or(BlockError::HeaderSize)?;
        if header.proves(&digest(&LOCAL.digest, bytes, memory)) {
            Ok(())
        } else {
            Err(BlockError::HeaderDifficulty)
        }
    });
    if case.input("reference_panics") == &json!(true) {
        let promised = BlockError::HeaderDifficulty.to_string();
        case.deviates(
            "difficulty-that-is-no-number",
            "error",
            text_of(result),
            promised,
        );
    } else {
        case.expect("error", text_of(result));
    }
}
