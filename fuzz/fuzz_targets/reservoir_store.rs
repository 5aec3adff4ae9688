//! Saved pools: a start on whatever the disk holds.

#![no_main]

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::engine::Engine;
use bitmarkd::core::state::{Batch, MemoryStore, Pool};
use bitmarkd_fuzz::{NOW, messages, settings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut store = MemoryStore::new();
    let mut batch = Batch::new();
    for (_, frames) in messages(bytes) {
        if let [key, value, ..] = frames.as_slice() {
            batch.put(Pool::Reservoir, key.clone(), value.clone());
        }
    }
    store.apply(&batch);
    let mut out = Vec::new();
    if let Ok((mut engine, first)) = Engine::new(NOW, settings(&DEVNET), &store) {
        store.apply(&first);
        engine.start(NOW, &store, &mut out);
    }
});
