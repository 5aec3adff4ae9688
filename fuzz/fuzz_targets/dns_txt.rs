//! TXT records.

#![no_main]

use bitmarkd::core::announce::dns::TxtRecord;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(record) = TxtRecord::parse(text) {
        let _ = record.listeners();
    }
});
