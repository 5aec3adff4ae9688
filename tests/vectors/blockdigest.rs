//! `blockdigest.json`: block digests and the ids of foundations (`proto/blocks.md`, sections 3, 6).

use bitmarkd::core::block::digest::digest_of_bytes;
use bitmarkd::core::block::{BlockError, Compact, DigestMemory, Target, foundation_id};
use bitmarkd::core::chain::LOCAL;
use serde_json::json;

use crate::harness;

#[test]
fn blockdigest() {
    let memory = std::cell::RefCell::new(DigestMemory::new());
    harness::run("blockdigest.json", |case| {
        let input = case.bytes("input");
        let result = digest_of_bytes(&LOCAL.digest, &input, &mut memory.borrow_mut());
        let digest = match result {
            Ok(digest) => digest,
            Err(error) if case.input("reference_panics") == &json!(true) => {
                let promised = BlockError::DigestInput.to_string();
                case.deviates("short-digest-input", "error", error.to_string(), promised);
                return;
            }
            Err(error) => return case.fail("input", error),
        };
        let reversed: Vec<u8> = digest.0.iter().rev().copied().collect();
        case.expect("digest", hex::encode(digest.0));
        case.expect("json", hex::encode(digest.0));
        case.expect("display", hex::encode(reversed));
        let number = Target::of_digest(&digest);
        case.expect("as_number_be", number.to_text());
        let one = Compact::ONE.target().expect("One is a number");
        case.expect("meets_difficulty_one", number <= one);
        let at = case.input("foundation_block_number");
        let at = at.as_u64().or_else(|| at.as_str()?.parse().ok());
        match at {
            Some(at) => case.expect(
                "foundation_tx_id",
                hex::encode(foundation_id(&digest, at).0),
            ),
            None => case.fail("foundation_block_number", "not a number"),
        }
    });
}
