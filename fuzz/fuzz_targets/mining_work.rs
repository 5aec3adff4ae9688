//! Work as a miner reads it.

#![no_main]

use bitmarkd::core::mining::search::Search;
use bitmarkd::core::mining::work::Work;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(work) = Work::read(bytes) {
        let _ = work.submission(7);
    }
    let mut search = Search::new();
    search.on_work(0, 0, bytes);
    let _ = search.assignments(2);
    let _ = search.on_found(1, 1, 7);
});
