//! Numbers of the wire.

#![no_main]

use bitmarkd::core::wire::{quote, varint};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((value, size)) = varint::unpack(bytes) {
        assert!(size <= bytes.len());
        let packed = varint::pack(value);
        assert_eq!(varint::unpack(&packed), Some((value, packed.len())));
    }
    let _ = varint::unpack_clipped(bytes, 1, 8192);
    let _ = quote::quote(bytes);
});
