//! What a block changes, written down as it comes, and put in the order of keys at the end: one
//! batch, with what is needed to take the block off again. Nothing here knows what the bytes mean.

use super::undo;
use crate::core::state::{Batch, Pool, StoreFault, View};

/// What the store holds under a key that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Before {
    /// It has to be looked at.
    Unknown,
    /// It was looked at, or cannot be otherwise.
    Known(Option<Vec<u8>>),
}

#[derive(Debug)]
struct Change {
    key: Vec<u8>,
    /// Nothing: the key is removed.
    value: Option<Vec<u8>>,
    before: Before,
}

/// Changes in the order in which they were made. A later one of a key replaces an earlier one.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// In the order of [`Pool::ALL`].
    pools: [Vec<Change>; Pool::ALL.len()],
}

impl Sheet {
    fn change(&mut self, pool: Pool, change: Change) {
        if let Some(changes) = self.pools.get_mut(pool as usize) {
            changes.push(change);
        }
    }

    /// Sets `key` to `value`.
    pub(super) fn put(
        &mut self,
        pool: Pool,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
        before: Before,
    ) {
        let (key, value) = (key.into(), Some(value.into()));
        self.change(pool, Change { key, value, before });
    }

    /// Removes `key`.
    pub(super) fn delete(&mut self, pool: Pool, key: Vec<u8>, before: Before) {
        let value = None;
        self.change(pool, Change { key, value, before });
    }

    /// All as one batch, with the undo data of the block of this number.
    ///
    /// # Errors
    /// A fault of the store.
    pub(super) fn into_batch(self, view: &dyn View, number: u64) -> Result<Batch, StoreFault> {
        let changes: usize = self.pools.iter().map(Vec::len).sum();
        let mut data = undo::Data::with_room_for(changes);
        let mut batch = Batch::new();
        for (pool, mut changes) in Pool::ALL.into_iter().zip(self.pools) {
            // Those of one key stay in the order in which they were made.
            changes.sort_by(|one, other| one.key.cmp(&other.key));
            changes.dedup_by(|later, earlier| {
                let is_same = later.key == earlier.key;
                if is_same {
                    earlier.value = later.value.take();
                }
                is_same
            });
            for change in &mut changes {
                let before = match std::mem::replace(&mut change.before, Before::Unknown) {
                    Before::Known(before) => before,
                    Before::Unknown => view.get(pool, &change.key)?,
                };
                data.add(pool, &change.key, before.as_deref());
            }
            let changes = changes.into_iter().map(|change| (change.key, change.value));
            batch.put_all(pool, changes);
        }
        data.put(number, &mut batch);
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ledger::keys;
    use crate::core::state::{MemoryStore, Overlay};

    #[test]
    fn the_latest_change_of_a_key_counts_and_undo_gives_back_what_the_store_had() {
        let mut store = MemoryStore::new();
        let mut first = Batch::new();
        first.put(Pool::Assets, *b"a", *b"old");
        first.put(Pool::Assets, *b"c", *b"old");
        first.put(Pool::OwnerCount, *b"n", *b"1");
        store.apply(&first);
        let mut sheet = Sheet::default();
        let known = |value: &[u8]| Before::Known(Some(value.to_vec()));
        sheet.put(Pool::OwnerCount, *b"n", *b"2", known(b"1"));
        sheet.put(Pool::Assets, *b"b", *b"1", Before::Known(None));
        sheet.put(Pool::Assets, *b"a", *b"1", Before::Unknown);
        sheet.put(Pool::Assets, *b"b", *b"2", Before::Unknown);
        sheet.delete(Pool::Assets, b"c".to_vec(), known(b"old"));
        sheet.delete(Pool::Assets, b"a".to_vec(), Before::Unknown);
        let batch = sheet.into_batch(&store, 7).unwrap();
        assert_eq!(batch.change_of(Pool::Assets, b"a"), Some(None));
        assert_eq!(
            batch.change_of(Pool::Assets, b"b"),
            Some(Some(b"2".as_slice()))
        );
        assert_eq!(batch.change_of(Pool::Assets, b"c"), Some(None));
        let after = Overlay::with(&store, batch);
        let back = undo::batch(&after, 7).unwrap();
        let mut over = after;
        over.extend(back);
        for (pool, key, value) in first.iter() {
            assert_eq!(over.get(pool, key).unwrap().as_deref(), value);
        }
        assert_eq!(over.get(Pool::Assets, b"b").unwrap(), None);
        assert_eq!(over.get(Pool::Undo, &keys::block(7)).unwrap(), None);
    }
}
