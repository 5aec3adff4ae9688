//! Messages of a publisher.

#![no_main]

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::listener::request;
use bitmarkd_fuzz::frames;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = request::published(&DEVNET, frames(bytes));
});
