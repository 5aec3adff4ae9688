//! Records of block owners whose signatures were found good. A miner puts the same one, byte for byte,
//! into every block: who signed it stands in it, so that it is good in the next block too. It is no
//! state: nothing but work follows from what is remembered.
//!
//! Bound: [`MOST`] ids, the latest.

use std::collections::VecDeque;

use crate::core::id::TxId;
use crate::core::record::Record;

/// So many are remembered.
const MOST: usize = 64;

/// Those records, by their ids, which all their bytes enter.
#[derive(Clone, Default)]
pub(super) struct Proven(VecDeque<TxId>);

impl std::fmt::Debug for Proven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proven")
    }
}

impl Proven {
    /// Whether the record of this id is one of them.
    pub(super) fn has(&self, id: &TxId, record: &Record) -> bool {
        let of_owner = matches!(record, Record::BaseData(_) | Record::BlockFoundation(_));
        of_owner && self.0.contains(id)
    }

    /// Remembers what the owner of a block that is in has signed.
    pub(super) fn add(&mut self, ids: impl IntoIterator<Item = TxId>) {
        for id in ids {
            if !self.0.contains(&id) {
                self.0.push_back(id);
            }
        }
        let over = self.0.len().saturating_sub(MOST);
        self.0.drain(..over);
    }
}
