//! Proofs of title. Whatever the text is, nothing panics; what is read is written byte for byte as
//! it was; what was made and then changed is never taken for whole.
//!
//! The first byte says whether the rest is a text as it stands, or a text that gets the right
//! checksum, so that what stands behind the checksum is reached.

#![no_main]

use bitmarkd::core::id::TxId;
use bitmarkd::core::title::{Known, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let mut text = rest.to_vec();
    if first % 2 == 1 {
        // An id is the same hash.
        let sum = TxId::of(rest);
        text.extend_from_slice(format!(",\n  \"checksum\": \"{sum}\"\n}}\n").as_bytes());
    }
    if let Ok(sound) = read(&text) {
        assert_eq!(sound.to_text().as_bytes(), text);
        let _ = sound.work(&Known::new());
    }
});
