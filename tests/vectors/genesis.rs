//! `genesis.json`: the first blocks and the names of the chains (`proto/blocks.md`, sections 1, 5).
//!
//! The one record is taken apart by hand here, so that the constants are checked without the codec.

use bitmarkd::core::block::{Header, crc};
use bitmarkd::core::chain::Chain;
use serde_json::{Value, json};
use sha3::{Digest as _, Sha3_256};

use crate::blockheader::shown;
use crate::harness::{self, Case};

#[test]
fn genesis() {
    harness::run("genesis.json", |case| {
        if case.has("chain_names") {
            names(case);
        } else if case.has("packed_block") {
            block(case);
        } else {
            case.fail("-", "unknown kind of case");
        }
    });
}

fn names(case: &Case) {
    for entry in case.input("chain_names").as_array().expect("a list") {
        let name = entry["name"].as_str().expect("a text");
        let got = match Chain::named(name) {
            Ok(chain) => json!({"name": chain.name, "valid": true}),
            Err(error) => json!({"error": error.to_string(), "name": name, "valid": false}),
        };
        case.expect_value("chain_names", entry, &got);
    }
}

fn block(case: &Case) {
    for name in case.input("chains").as_array().expect("a list") {
        let chain = Chain::by_name(name.as_str().expect("a text")).expect("a chain");
        let (header, record) = Header::unpack(chain.genesis).expect("a header");
        case.expect("network", if chain.testing { "test" } else { "live" });
        case.expect("packed_block", hex::encode(chain.genesis));
        case.expect("length", chain.genesis.len());
        case.expect("header", shown(&header));
        case.expect("header_json", header.to_json());
        case.expect("digest", hex::encode(chain.genesis_digest.0));
        let reversed: Vec<u8> = chain.genesis_digest.0.iter().rev().copied().collect();
        case.expect("digest_display", hex::encode(reversed));
        case.expect("crc64", format!("{:016x}", chain.genesis_crc));
        case.expect(
            "crc64",
            format!("{:016x}", crc(header.number, chain.genesis)),
        );
        case.expect("transaction", hex::encode(record));
        let id: [u8; 32] = Sha3_256::digest(record).into();
        case.expect("tx_id", hex::encode(id));
        case.expect_value(
            "merkle root",
            case.input("tx_id"),
            &json!(hex::encode(header.merkle_root.0)),
        );
        let (owner, base) = base_record(record).expect("a base record");
        case.expect("transaction_type", "BaseData");
        case.expect("owner_base58", owner);
        case.expect("transaction_json", base);
    }
}

/// Owner and JSON form of the record: tag 1, currency 0, text, account, nonce, signature.
fn base_record(record: &[u8]) -> Option<(String, Value)> {
    let (&[tag, currency, length], rest) = record.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(length.into())?;
    let (&[0x21], rest) = rest.split_first_chunk()? else {
        return None;
    };
    let (account, mut rest) = rest.split_first_chunk::<33>()?;
    let mut nonce = 0_u64;
    for place in 0..9 {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        let bits = if place == 8 { byte } else { byte & 0x7f };
        nonce |= u64::from(bits) << (7 * place);
        if byte < 0x80 {
            break;
        }
    }
    let (&[0x40], signature) = rest.split_first_chunk()? else {
        return None;
    };
    let checksum = Sha3_256::digest(account);
    let owner = bs58::encode([account.as_slice(), checksum.get(..4)?].concat()).into_string();
    let json = json!({
        "currency": "",
        "paymentAddress": String::from_utf8_lossy(text),
        "owner": owner,
        "nonce": nonce.to_string(),
        "signature": hex::encode(signature),
    });
    (tag == 1 && currency == 0 && signature.len() == 64).then_some((owner, json))
}
