//! The file of peers.

#![no_main]

use bitmarkd::core::announce::peer_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (items, _) = peer_file::read(text);
    for item in items {
        let line = peer_file::pack(&item.key, &item.listeners, item.timestamp);
        let (again, faults) = peer_file::read(&line);
        assert!(faults.is_empty() && again.len() == 1, "{line}");
    }
});
