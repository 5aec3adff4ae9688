//! Metadata of assets, and merkle trees.

#![no_main]

use bitmarkd::core::id::{BlockDigest, TxId};
use bitmarkd::core::record::{merkle, metadata};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(metadata::pairs(bytes).is_some(), metadata::is_map(bytes));
    if let Some(pairs) = metadata::pairs(bytes) {
        assert_eq!(metadata::from_pairs(pairs), bytes);
    }
    let leaves: Vec<TxId> = bytes.chunks(32).map(TxId::of).collect();
    assert_eq!(
        merkle::tree(&leaves).last().copied().unwrap_or_default(),
        merkle::root(&leaves)
    );
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = text.parse::<TxId>();
        let _ = text.parse::<BlockDigest>();
    }
});
