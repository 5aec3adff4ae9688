//! The floor: sled without anything of ours around it, with the settings of our store.

use std::path::Path;

use bitmarkd::core::state::Batch;
use bitmarkd::shell::store::CACHE_BYTES;

/// The settings of our store.
pub fn config(path: &Path) -> sled::Config {
    sled::Config::new()
        .path(path)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(Some(500))
}

/// Opens a bare tree.
pub fn open(path: &Path) -> sled::Db {
    config(path).open().expect("a store")
}

/// The key of a pool's entry.
pub fn key(pool: bitmarkd::core::state::Pool, key: &[u8]) -> Vec<u8> {
    [&[pool.prefix()], key].concat()
}

/// The same changes.
pub fn batch(batch: &Batch) -> sled::Batch {
    let mut changes = sled::Batch::default();
    for (pool, name, value) in batch.iter() {
        match value {
            Some(value) => changes.insert(key(pool, name), value),
            None => changes.remove(key(pool, name)),
        }
    }
    changes
}
