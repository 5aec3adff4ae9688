//! The merkle tree over the transaction ids of a block (`proto/records.md`, section 6.3).

use crate::core::id::TxId;

fn parents(level: &[TxId]) -> Vec<TxId> {
    level
        .chunks(2)
        .filter_map(|pair| {
            let (left, right) = (pair.first()?, pair.last()?);
            Some(TxId::of(&[left.0, right.0].concat()))
        })
        .collect()
}

/// All levels in order, leaves first, the root last. No leaves: one entry of zeros.
#[must_use]
pub fn tree(leaves: &[TxId]) -> Vec<TxId> {
    if leaves.is_empty() {
        return vec![TxId::default()];
    }
    let mut all = leaves.to_vec();
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = parents(&level);
        all.extend_from_slice(&level);
    }
    all
}

/// The root. One leaf is its own root; no leaves give 32 zero bytes, which no block may have.
#[must_use]
pub fn root(leaves: &[TxId]) -> TxId {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = parents(&level);
    }
    level.first().copied().unwrap_or_default()
}
