//! Requests at the listener, with and without an envelope.

#![no_main]

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::listener::{Asked, Envelope};
use bitmarkd_fuzz::frames;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let frames = frames(bytes);
    let _ = Asked::read(&DEVNET, frames.clone());
    if let Some((envelope, body)) = Envelope::split(frames.clone()) {
        let _ = Asked::read(&DEVNET, body.clone());
        assert_eq!(envelope.around(body), frames);
    }
});
