//! `proof.json`: proofs of work for issues (`proto/reservoir.md`, section 7). The pool around the
//! check is a map here; the real one is in `reservoir-scenarios.json`.

use std::collections::BTreeMap;

use bitmarkd::core::block::difficulty::issue_target;
use bitmarkd::core::block::{Ring, Target, crc};
use bitmarkd::core::chain::Chain;
use bitmarkd::core::id::{BlockDigest, PayId, PayNonce};
use bitmarkd::core::mining::proof::{ClientNonce, check, proof_digest};
use serde_json::{Value, json};

use crate::harness::{self, Case};

#[test]
fn proof() {
    harness::run("proof.json", |case| {
        if case.has("attempts") {
            attempts(case);
        } else if case.has("peer_message_data") {
            peer_message(case);
        } else {
            case.fail("-", "unknown kind of case");
        }
    });
}

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a text")).expect("hex")
}

fn pay_id(case: &Case) -> PayId {
    PayId(case.bytes("pay_id").try_into().expect("48 bytes"))
}

/// How many records of tag 3 the bytes hold: asset id, owner, nonce, signature.
fn issue_count(mut bytes: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !bytes.is_empty() {
        let (&[3, 0x40], rest) = bytes.split_first_chunk()? else {
            return None;
        };
        let (_, rest) = rest.split_at_checked(64 + 1 + 33)?;
        let nonce = rest
            .iter()
            .take(8)
            .take_while(|byte| **byte >= 0x80)
            .count()
            + 1;
        let (_, rest) = rest.split_at_checked(nonce + 1 + 64)?;
        bytes = rest;
        count += 1;
    }
    Some(count)
}

fn attempts(case: &Case) {
    let chain = Chain::by_name(case.text("network")).expect("a chain");
    let ring = ring(case, chain);
    let pay_id = pay_id(case);
    let mut pending = BTreeMap::new();
    let mut verified = 0;
    if case.has("issues") {
        case.set_aside("asset", "the asset plays no part in the proof");
        let issues = case.bytes("issues");
        let count = issue_count(&issues).expect("issues");
        let target = issue_target(chain, count);
        case.expect("target", target.to_text());
        let made = PayId::of([issues.as_slice()]);
        case.expect("pay_id", hex::encode(made.0));
        pending.insert(made, (target, count));
    }
    for attempt in case.input("attempts").as_array().expect("a list") {
        let bytes = unhex(&attempt["client_nonce"]);
        if let Some(used) = attempt.get("pay_nonce_used") {
            let used = PayNonce(unhex(used).try_into().expect("8 bytes"));
            let digest = proof_digest(&pay_id, &used, &bytes);
            case.expect_value("digest", &attempt["digest"], &json!(digest.to_text()));
        }
        let nonce = match ClientNonce::new(&bytes) {
            Ok(nonce) => nonce,
            Err(error) => {
                let got = json!(error.to_string());
                let promised = json!("invalid nonce");
                let recorded = &attempt["status"];
                case.deviates_value("empty-client-nonce", "status", recorded, &got, &promised);
                continue;
            }
        };
        let status = match pending.get(&pay_id) {
            None => "NotFound",
            Some((target, count)) => {
                let target: &Target = target;
                if check(&pay_id, ring.candidates(), &nonce, target).is_some() {
                    verified += count;
                    pending.remove(&pay_id);
                    "Accepted"
                } else {
                    "Invalid"
                }
            }
        };
        case.expect_value("status", &attempt["status"], &json!(status));
        let counts = [
            (
                "unverified_pool_after",
                pending.values().map(|(_, n)| n).sum(),
            ),
            ("verified_pool_after", verified),
        ];
        for (name, got) in counts {
            if let Some(expected) = attempt.get(name) {
                case.expect_value(name, expected, &json!(got));
            }
        }
    }
}

fn ring(case: &Case, chain: &Chain) -> Ring {
    let mut ring = Ring::new(chain);
    let puts = case.input("ring_puts_oldest_first").as_array();
    for put in puts.map(Vec::as_slice).unwrap_or_default() {
        let number = put["block_number"].as_u64().expect("a number");
        let block = unhex(&put["packed_block"]);
        let value = json!(format!("{:016x}", crc(number, &block)));
        case.expect_value("ring_puts.crc", &put["crc"], &value);
        ring.put(number, &block, BlockDigest([0; 32]))
            .expect("in order");
    }
    if case.has("current_pay_nonce") {
        case.expect("current_pay_nonce", hex::encode(ring.latest().0));
    }
    if case.has("pay_nonces_tried_in_order") {
        let tried: Vec<_> = ring
            .candidates()
            .map(|nonce| hex::encode(nonce.0))
            .collect();
        case.expect("pay_nonces_tried_in_order", tried);
    }
    ring
}

/// A message for a pay id that nobody knows: the length of the nonce is looked at first.
fn peer_message(case: &Case) {
    let data = case.bytes("peer_message_data");
    let (_, nonce) = data.split_first_chunk::<48>().expect("a pay id");
    case.set_aside("meaning", "explains the two texts");
    case.expect("nonce_length", nonce.len());
    let error = match ClientNonce::new(nonce) {
        Ok(_) => "payId already used".to_owned(),
        Err(error) => error.to_string(),
    };
    case.expect("error", error);
}
