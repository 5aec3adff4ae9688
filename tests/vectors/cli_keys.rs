//! The key file of the command line client, and the fingerprint of a file (`proto/rpc.md`,
//! section 8): cases of `rpc-transcripts.json`.

use assert_cmd::Command;
use bitmarkd::core::keys::reference_seal::{ReferenceSealError, ReferenceSealed};
use serde_json::Value;

use crate::harness::Case;

/// Opens what the reference's client sealed, and seals it again.
pub fn key_file(case: &Case) {
    let sealed = ReferenceSealed {
        salt: case.bytes("salt").try_into().expect("16 bytes"),
        private_key: case.bytes("private_key_encrypted"),
        seed: case.bytes("seed_encrypted"),
    };
    let public_key = case.bytes("public_key").try_into().expect("32 bytes");
    let password = case.text("password");
    let secret = match sealed.open(password.as_bytes(), &public_key, true) {
        Ok(secret) => secret,
        Err(error) => return case.fail("private_key", error),
    };
    let key = secret.key();
    let pair = key.ed25519_pair().expect("a key of Ed25519");
    case.expect("private_key", hex::encode(pair));
    case.expect("private_key_base58", key.to_text().as_str());
    case.expect("account", key.account().map(|account| account.to_string()));
    let seed = secret.seed().map(|seed| seed.to_text().to_string());
    case.expect("seed", seed);

    let other = format!("{password}x");
    if sealed.open(other.as_bytes(), &public_key, true) != Err(ReferenceSealError::Wrong) {
        case.fail("password", "another password is not refused");
    }

    let start = |bytes: &[u8]| *bytes.first_chunk().expect("it was opened");
    let (of_key, of_seed) = (start(&sealed.private_key), start(&sealed.seed));
    let again = ReferenceSealed::seal(&secret, password.as_bytes(), sealed.salt, &of_key, &of_seed)
        .expect("a key of Ed25519");
    case.expect("private_key_encrypted", hex::encode(again.private_key));
    case.expect("seed_encrypted", hex::encode(again.seed));
}

/// Whether the case is about the fingerprint of a file.
pub fn is_fingerprint(case: &Case) -> bool {
    case.text("name").starts_with("fingerprint of ")
}

/// The built program takes the fingerprint of a file with the content that the case names.
pub fn fingerprint(case: &Case) {
    assert_eq!(
        case.text("name"),
        "fingerprint of the 6 bytes 'hello' and newline"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hello.txt");
    std::fs::write(&file, b"hello\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bitmark-cli"))
        .args(["--json", "fingerprint"])
        .arg(&file)
        .output()
        .expect("the program runs");
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    case.expect("fingerprint", shown["fingerprint"].clone());
}
