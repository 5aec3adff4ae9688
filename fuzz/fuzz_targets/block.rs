//! Blocks: the header, then the records, on an empty chain and with every digest proven.

#![no_main]

use bitmarkd::core::block::{Compact, HEADER_BYTES, Header};
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::id::TxId;
use bitmarkd::core::ledger::Ledger;
use bitmarkd::core::record::{Record, merkle};
use bitmarkd::core::state::MemoryStore;
use bitmarkd_fuzz::{NOW, PROVEN, VALID, mutate};
use libfuzzer_sys::fuzz_target;

/// Puts it in and takes it off again.
fn put(packed: &[u8]) {
    let mut store = MemoryStore::new();
    let mut ledger = Ledger::empty(&DEVNET);
    let now = NOW.wall;
    let _ = ledger.precheck(packed, now);
    if let Ok(applied) = ledger.apply(&store, packed, PROVEN, now) {
        store.apply(&applied.batch);
        let undone = ledger.undo_top(&store).expect("what went in comes off");
        store.apply(&undone.batch);
        assert_eq!(store.iter().count(), 0);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut valid = VALID[2].1.clone();
    mutate(&mut valid, bytes);
    put(&valid);
    let Ok((header, rest)) = Header::unpack(bytes) else {
        return;
    };
    assert_eq!(header.pack().as_slice(), &bytes[..HEADER_BYTES]);
    let _ = Header::from_json(&header.to_json());
    let _ = (header.difficulty.target(), header.difficulty.reciprocal());
    put(bytes);
    // The same records under a header that fits them, so that more is reached than the header.
    let mut ids = Vec::new();
    let mut left = rest;
    while let Ok((_, used)) = Record::unpack(left, true) {
        let (record, after) = left.split_at(used);
        ids.push(TxId::of(record));
        left = after;
    }
    let header = Header {
        version: header.version % 3 + 1,
        transaction_count: u16::try_from(ids.len()).unwrap_or(u16::MAX),
        number: 2,
        previous_block: DEVNET.genesis_digest,
        merkle_root: merkle::root(&ids),
        timestamp: DEVNET.genesis_timestamp + 1,
        difficulty: Compact::ONE,
        nonce: 0,
    };
    let records = &rest[..rest.len() - left.len()];
    put(&[header.pack().as_slice(), records].concat());
});
