//! Our own encoding, as read from the store.

#![no_main]

use bitmarkd::core::codec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    type Value = (u64, Vec<Vec<u8>>, Option<String>);
    if let Some(value) = codec::decode::<Value>(1, bytes) {
        let again = codec::encode(1, &value);
        assert_eq!(codec::decode::<Value>(1, &again), Some(value));
    }
});
