//! `merkle.json`: digests with their two text forms, and trees over them.

use bitmarkd::core::id::{IdError, TxId};
use bitmarkd::core::record::{Record, merkle};
use serde_json::{Value, json};

use crate::harness::{self, Case};

#[test]
fn merkle() {
    harness::run("merkle.json", |case| match case.text("operation") {
        "digest" => {
            let digest = TxId::of(&case.bytes("bytes"));
            case.expect("digest", digest.to_string());
            case.expect("marshalled_text", digest.to_string());
            case.expect("json", serde_json::to_string(&digest).unwrap());
            case.expect("display_text", digest.display());
        }
        "digest_from_text" => read(case, case.text("text").parse()),
        "digest_from_display_text" => read(case, TxId::from_display(case.text("text"))),
        "digest_from_bytes" => read(case, TxId::from_bytes(&case.bytes("bytes"))),
        "tree" => tree(case),
        "tree_root" => case.expect("root", merkle::root(&leaves(case)).to_string()),
        other => case.fail("operation", format!("{other} is unknown")),
    });
}

fn read(case: &Case, digest: Result<TxId, IdError>) {
    case.expect(
        "error",
        json!(digest.as_ref().err().map(ToString::to_string)),
    );
    let Ok(digest) = digest else { return };
    if case.has("digest") {
        case.expect("digest", digest.to_string());
    }
    // Some cases name the bytes alone, which are the digest as they stand.
    if case.has("bytes") {
        case.expect("bytes", hex::encode(digest));
    }
}

fn leaves(case: &Case) -> Vec<TxId> {
    case.input("transaction_ids")
        .as_array()
        .expect("a list of ids")
        .iter()
        .map(|id| id.as_str().expect("a text").parse().expect("an id"))
        .collect()
}

fn tree(case: &Case) {
    let leaves = leaves(case);
    let root = merkle::root(&leaves);
    case.expect("leaf_count", leaves.len());
    let full: Vec<String> = merkle::tree(&leaves).iter().map(TxId::to_string).collect();
    if case.has("full_tree") {
        case.expect("full_tree", full.clone());
    }
    if full.last() != Some(&root.to_string()) {
        case.fail("full_tree", "does not end with the root");
    }
    for (field, text) in [
        ("root", root.to_string()),
        ("root_display_text", root.display()),
        ("root_in_header", root.to_string()),
    ] {
        if case.has(field) {
            case.expect(field, text);
        }
    }
    case.set_aside(
        "minimum_tree",
        "no program uses it, so ours has none (records.md 6.3)",
    );
    if case.has("record") {
        one_record(case, &leaves);
    }
}

/// A tree given with the one record it is over.
fn one_record(case: &Case, leaves: &[TxId]) {
    let packed = case.bytes("record");
    let ids = case.input("transaction_ids").clone();
    case.expect_value("record", &ids, &json!([TxId::of(&packed).to_string()]));
    let used = [false, true].map(|testing| Record::unpack(&packed, testing).map(|(_, used)| used));
    let whole = used.contains(&Ok(packed.len())) && leaves.len() == 1;
    case.expect_value("record", &Value::Bool(true), &Value::Bool(whole));
}
