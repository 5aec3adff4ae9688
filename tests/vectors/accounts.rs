//! `accounts.json`: base58, accounts, private keys, seeds, signatures.

use bitmarkd::core::id;
use bitmarkd::core::keys::{Account, KeyError, PrivateKey, PublicKey, Seed, base58};
use serde_json::{Value, json};

use crate::harness::{self, Case};

#[test]
fn accounts() {
    harness::run("accounts.json", |case| match case.text("operation") {
        "base58_encode" => {
            let bytes = case.bytes("bytes");
            let text = base58::encode(&bytes);
            case.expect("decoded", hex::encode(base58::decode(text.as_bytes())));
            case.expect("text", text);
        }
        "base58_decode" => {
            let decoded = base58::decode(&case.bytes("text_bytes"));
            case.expect("decoded", hex::encode(decoded));
        }
        "account" => account(case),
        "account_from_bytes" => read_account(case, Account::from_bytes(&case.bytes("bytes"))),
        "account_from_text" => read_account(case, Account::from_text(case.text("text"))),
        "private_key" => private_key(case),
        "private_key_from_bytes" => {
            read_private_key(case, PrivateKey::from_bytes(&case.bytes("bytes")), "text");
        }
        "private_key_from_text" => {
            let read = PrivateKey::from_text(case.text("text"));
            read_private_key(case, read, "canonical_text");
        }
        "seed" => seed(case),
        "check_signature" => check_signature(case),
        "signature_from_text" => {
            let read = id::bytes_from_hex(case.text("text").as_bytes());
            case.expect("error", error(&read));
            let bytes = hex::encode(read.unwrap_or_default());
            case.expect("bytes", bytes.as_str());
            case.expect("text_out", bytes);
        }
        other => case.fail("operation", format!("{other} is unknown")),
    });
}

fn error<T, E: ToString>(result: &Result<T, E>) -> Value {
    result
        .as_ref()
        .err()
        .map_or(Value::Null, |e| json!(e.to_string()))
}

fn key_type(key: &PublicKey) -> (u8, String) {
    match key {
        PublicKey::Nothing(key) => (0, hex::encode(key)),
        PublicKey::Ed25519(key) => (1, hex::encode(key)),
    }
}

fn account(case: &Case) {
    let key = case.bytes("public_key");
    let key = match case.input("key_type").as_u64() {
        Some(0) => PublicKey::Nothing(key.try_into().unwrap()),
        Some(1) => PublicKey::Ed25519(key.try_into().unwrap()),
        other => return case.fail("key_type", format!("{other:?} is unknown")),
    };
    let testing = case.input("testnet").as_bool().unwrap();
    let account = Account { testing, key };
    if case.has("ed25519_seed") {
        let seed = case.bytes("ed25519_seed").try_into().unwrap();
        let private = PrivateKey::from_ed25519_seed(&seed, testing);
        if private.account() != Some(account) {
            case.fail("ed25519_seed", "makes another account");
        }
    }
    case.expect("account_bytes", hex::encode(account.to_bytes()));
    case.expect("text", account.to_string());
    case.expect("json", serde_json::to_string(&account).unwrap());
    case.expect("is_zero", account.is_zero());
}

fn read_account(case: &Case, read: Result<Account, KeyError>) {
    case.expect("error", error(&read));
    let Ok(account) = read else { return };
    let (number, key) = key_type(&account.key);
    case.expect("key_type", number);
    case.expect("public_key", key);
    case.expect("testnet", account.testing);
    case.expect("canonical_bytes", hex::encode(account.to_bytes()));
    let text = if case.has("canonical_text") {
        "canonical_text"
    } else {
        "text"
    };
    case.expect(text, account.to_string());
}

fn private_key(case: &Case) {
    let testing = case.input("testnet").as_bool().unwrap();
    let seed = case.bytes("ed25519_seed").try_into().unwrap();
    let key = PrivateKey::from_ed25519_seed(&seed, testing);
    case.expect("bytes", hex::encode(&*key.to_bytes()));
    case.expect("private_key", hex::encode(&key.to_bytes()[1..]));
    case.expect("text", key.to_text().as_str());
    case.expect(
        "json",
        serde_json::to_string(key.to_text().as_str()).unwrap(),
    );
    case.expect("account", key.account().unwrap().to_string());
}

fn read_private_key(case: &Case, read: Result<PrivateKey, KeyError>, text: &str) {
    case.expect("error", error(&read));
    let Ok(key) = read else { return };
    let bytes = key.to_bytes();
    case.expect("key_type", bytes[0] >> 4);
    case.expect("testnet", key.is_testing());
    case.expect(text, key.to_text().as_str());
    if case.has("private_key") {
        case.expect("private_key", hex::encode(&bytes[1..]));
        case.expect("canonical_bytes", hex::encode(&*bytes));
        case.expect("account", json!(key.account().map(|a| a.to_string())));
    }
}

fn seed(case: &Case) {
    let text = case.text("text");
    case.expect("decoded", hex::encode(base58::decode(text.as_bytes())));
    let read = Seed::from_text(text);
    case.expect("error", error(&read));
    let Ok(seed) = read else { return };
    let key = PrivateKey::from_seed(&seed);
    let public = key.account().unwrap();
    case.expect("testnet", seed.is_testing());
    case.expect("ed25519_seed", hex::encode(*seed.ed25519_seed()));
    case.expect("public_key", key_type(&public.key).1);
    case.expect("account", public.to_string());
    case.expect("private_key_text", key.to_text().as_str());
    if seed.to_text().as_str() != text {
        case.fail("text", "does not come out again");
    }
}

fn check_signature(case: &Case) {
    let account = if case.has("account_bytes") {
        Account::from_bytes(&case.bytes("account_bytes")).unwrap()
    } else {
        Account::ed25519(case.bytes("public_key").try_into().unwrap(), true)
    };
    let verified = account.verify(&case.bytes("message"), &case.bytes("signature"));
    case.expect("error", error(&verified));
}
