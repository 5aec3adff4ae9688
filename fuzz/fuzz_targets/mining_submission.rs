//! What miners hand in, and the answers that they get.

#![no_main]

use bitmarkd::core::mining::submission::{self, Submission};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let submission = Submission::read(bytes);
    let _ = (
        submission.job_id(),
        submission.nonce(),
        submission.is_block_nonce(),
    );
    if let Some((job, ok)) = submission::read_reply(bytes) {
        let again = submission::reply(&job, ok);
        assert_eq!(submission::read_reply(again.as_bytes()), Some((job, ok)));
    }
});
