//! A snapshot, its manifest and the signatures beside it.

#![no_main]

use bitmarkd::core::snapshot::{Manifest, Reader, Signatures, read_whole};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = read_whole(bytes, |_, _, _| {}) {
        let packed = manifest.pack();
        assert_eq!(Manifest::hash_of(&packed), manifest.hash());
        assert_eq!(Manifest::unpack(&packed), Ok(manifest));
    }
    if let Ok(manifest) = Manifest::unpack(bytes) {
        assert_eq!(manifest.pack(), bytes, "a manifest has one form");
        let mut reader = Reader::new(&manifest);
        let _ = reader.chunk(bytes, |_, _, _| {});
        let _ = reader.finish();
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(signatures) = Signatures::read(text)
    {
        let written = signatures.to_string();
        assert_eq!(Signatures::read(&written), Ok(signatures));
    }
});
