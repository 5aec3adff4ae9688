//! Seeds, private keys and key files.

#![no_main]

use bitmarkd::core::keys::{PeerPrivateKey, PeerPublicKey, PrivateKey, Seed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(seed) = Seed::from_text(text) {
        let again = Seed::from_text(&seed.to_text()).expect("its own text is read");
        assert_eq!(again.ed25519_seed(), seed.ed25519_seed());
    }
    if let Ok(key) = PrivateKey::from_text(text) {
        assert!(PrivateKey::from_text(&key.to_text()).as_ref() == Ok(&key));
    }
    let _ = PrivateKey::from_signing_key_file(text);
    let _ = PrivateKey::from_bytes(text.as_bytes());
    let _ = PeerPublicKey::from_file(text);
    let _ = PeerPublicKey::from_text(text);
    let _ = PeerPrivateKey::from_file(text);
});
