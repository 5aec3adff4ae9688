//! The stored state as the machines see it: named pools of byte keys and byte values, read
//! through a [`View`], changed by a [`Batch`] that is applied whole or not at all.
//!
//! Keys carry no prefix here; the shell that owns the disk adds the one byte of the pool
//! (`proto/blocks.md`, section 7). Nothing in this file knows what the bytes mean.

use std::collections::BTreeMap;

use thiserror::Error;

/// A named pool of the store. The byte in front of its keys on disk is [`Pool::prefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pool {
    /// `B`: block number → packed block.
    Blocks,
    /// `H`: block number → packed payment map of the block's owner.
    BlockOwnerPayment,
    /// `I`: foundation or block owner transfer id → block number.
    BlockOwnerTxIndex,
    /// `A`: asset id → block number ++ packed asset.
    Assets,
    /// `T`: transaction id → block number ++ packed record.
    Transactions,
    /// `N`: account → next index of its ownership list.
    OwnerCount,
    /// `K`: account ++ index → ownership value.
    Ownership,
    /// `D`: account ++ transaction id → index.
    OwnerDigest,
    /// `d` (ours): block number → digest, stored so that none is computed twice.
    BlockDigest,
    /// `u` (ours): block number → what the block changed, to take it off exactly.
    Undo,
    /// `m` (ours): facts about the store itself, by name.
    Meta,
    /// `r` (ours): the pools of unconfirmed records (`proto/reservoir.md`, section 19); the first
    /// byte of the key says which.
    Reservoir,
}

impl Pool {
    /// Every pool, in the order of the prefixes' first mention in the notes.
    pub const ALL: [Self; 12] = [
        Self::Blocks,
        Self::BlockOwnerPayment,
        Self::BlockOwnerTxIndex,
        Self::Assets,
        Self::Transactions,
        Self::OwnerCount,
        Self::Ownership,
        Self::OwnerDigest,
        Self::BlockDigest,
        Self::Undo,
        Self::Meta,
        Self::Reservoir,
    ];

    /// The byte in front of the pool's keys on disk (`proto/blocks.md`, section 7).
    #[must_use]
    pub const fn prefix(self) -> u8 {
        match self {
            Self::Blocks => b'B',
            Self::BlockOwnerPayment => b'H',
            Self::BlockOwnerTxIndex => b'I',
            Self::Assets => b'A',
            Self::Transactions => b'T',
            Self::OwnerCount => b'N',
            Self::Ownership => b'K',
            Self::OwnerDigest => b'D',
            Self::BlockDigest => b'd',
            Self::Undo => b'u',
            Self::Meta => b'm',
            Self::Reservoir => b'r',
        }
    }
}

/// The store could not be read. A fault of this machine, never of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("store: {0}")]
pub struct StoreFault(pub String);

/// A key with its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Reading for a decision.
pub trait View {
    /// The value under `key`.
    ///
    /// # Errors
    /// [`StoreFault`] when the store itself fails.
    fn get(&self, pool: Pool, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault>;

    /// At most `limit` entries whose keys start with `prefix` and are not below `from`, ascending.
    ///
    /// # Errors
    /// [`StoreFault`] when the store itself fails.
    fn scan(
        &self,
        pool: Pool,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, StoreFault>;

    /// The entry with the highest key of the pool.
    ///
    /// # Errors
    /// [`StoreFault`] when the store itself fails.
    fn last(&self, pool: Pool) -> Result<Option<Entry>, StoreFault>;

    /// Whether `key` has a value.
    ///
    /// # Errors
    /// [`StoreFault`] when the store itself fails.
    fn contains(&self, pool: Pool, key: &[u8]) -> Result<bool, StoreFault> {
        Ok(self.get(pool, key)?.is_some())
    }
}

/// What changes in one pool: a value, or a removal.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Changes that go into the store together. A later change of a key replaces an earlier one.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// In the order of [`Pool::ALL`]; none at all while nothing has changed.
    pools: Vec<Changes>,
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Batch {}

impl Batch {
    /// No change at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn of(&self, pool: Pool) -> Option<&Changes> {
        self.pools.get(pool as usize)
    }

    /// What changes in a pool, to be changed further.
    fn of_mut(&mut self, pool: Pool) -> Option<&mut Changes> {
        if self.pools.is_empty() {
            self.pools.resize_with(Pool::ALL.len(), Changes::new);
        }
        self.pools.get_mut(pool as usize)
    }

    fn change(&mut self, pool: Pool, key: Vec<u8>, value: Option<Vec<u8>>) {
        if let Some(changes) = self.of_mut(pool) {
            changes.insert(key, value);
        }
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, pool: Pool, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.change(pool, key.into(), Some(value.into()));
    }

    /// Removes `key`.
    pub fn delete(&mut self, pool: Pool, key: impl Into<Vec<u8>>) {
        self.change(pool, key.into(), None);
    }

    /// The same as a [`Batch::put`] (a value) or a [`Batch::delete`] (none) of each, in their order;
    /// cheapest when the keys ascend and nothing of the pool has changed yet.
    pub fn put_all(
        &mut self,
        pool: Pool,
        all: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    ) {
        if let Some(changes) = self.of_mut(pool) {
            if changes.is_empty() {
                *changes = all.into_iter().collect();
            } else {
                changes.extend(all);
            }
        }
    }

    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pools.iter().all(BTreeMap::is_empty)
    }

    /// The number of keys that change.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pools.iter().map(BTreeMap::len).sum()
    }

    /// What the batch says about `key`: `None` nothing, `Some(None)` removed.
    #[must_use]
    pub fn change_of(&self, pool: Pool, key: &[u8]) -> Option<Option<&[u8]>> {
        let value = self.of(pool)?.get(key)?;
        Some(value.as_deref())
    }

    /// Every change in the order of pool and key; `None` as value is a removal.
    pub fn iter(&self) -> impl Iterator<Item = (Pool, &[u8], Option<&[u8]>)> {
        let pools = Pool::ALL.into_iter().zip(&self.pools);
        pools.flat_map(|(pool, changes)| {
            changes
                .iter()
                .map(move |(key, value)| (pool, key.as_slice(), value.as_deref()))
        })
    }

    /// Adds the changes of `later` on top of these.
    pub fn extend(&mut self, later: Self) {
        if self.pools.is_empty() {
            self.pools = later.pools;
            return;
        }
        for (changes, later) in self.pools.iter_mut().zip(later.pools) {
            if changes.is_empty() {
                *changes = later;
            } else {
                changes.extend(later);
            }
        }
    }
}

/// A view with a batch on top that is not in the store yet, so that one decision can see what an
/// earlier one of the same step changed.
pub struct Overlay<'a> {
    base: &'a dyn View,
    batch: Batch,
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay")
            .field("changes", &self.batch.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Overlay<'a> {
    /// An overlay without a change.
    #[must_use]
    pub fn new(base: &'a dyn View) -> Self {
        Self {
            base,
            batch: Batch::new(),
        }
    }

    /// An overlay that begins with `batch`.
    #[must_use]
    pub fn with(base: &'a dyn View, batch: Batch) -> Self {
        Self { base, batch }
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, pool: Pool, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.batch.put(pool, key, value);
    }

    /// Removes `key`.
    pub fn delete(&mut self, pool: Pool, key: impl Into<Vec<u8>>) {
        self.batch.delete(pool, key);
    }

    /// Puts the changes of `later` on top.
    pub fn extend(&mut self, later: Batch) {
        self.batch.extend(later);
    }

    /// The changes so far.
    #[must_use]
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The changes, to be applied.
    #[must_use]
    pub fn into_batch(self) -> Batch {
        self.batch
    }
}

impl View for Overlay<'_> {
    fn get(&self, pool: Pool, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        match self.batch.change_of(pool, key) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.base.get(pool, key),
        }
    }

    fn contains(&self, pool: Pool, key: &[u8]) -> Result<bool, StoreFault> {
        match self.batch.change_of(pool, key) {
            Some(value) => Ok(value.is_some()),
            None => self.base.contains(pool, key),
        }
    }

    fn scan(
        &self,
        pool: Pool,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, StoreFault> {
        let start = prefix.max(from).to_vec();
        let mut merged = BTreeMap::new();
        let mut removed = 0_usize;
        let changes = self.batch.of(pool).map(|changes| changes.range(start..));
        for (key, value) in changes.into_iter().flatten() {
            if !key.starts_with(prefix) {
                break;
            }
            removed += usize::from(value.is_none());
            merged.insert(key.clone(), value.clone());
        }
        for (key, value) in self
            .base
            .scan(pool, prefix, from, limit.saturating_add(removed))?
        {
            merged.entry(key).or_insert(Some(value));
        }
        Ok(merged
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| (key, value)))
            .take(limit)
            .collect())
    }

    fn last(&self, pool: Pool) -> Result<Option<Entry>, StoreFault> {
        let changes = self.batch.of(pool);
        let added = changes.and_then(|changes| {
            let mut newest = changes.iter().rev();
            newest.find_map(|(key, value)| Some((key.clone(), value.clone()?)))
        });
        let touched = changes.is_some_and(|changes| !changes.is_empty());
        let below = match self.base.last(pool)? {
            Some((key, _)) if touched && self.batch.change_of(pool, &key).is_some() => {
                // The highest key of the base is replaced or removed here: look at all that is
                // left. Only the pool of blocks is asked, and it loses its top one at a time.
                self.scan(pool, &[], &[], usize::MAX)?.pop()
            }
            entry => entry,
        };
        Ok(match (added, below) {
            (Some(a), Some(b)) => Some(if a.0 >= b.0 { a } else { b }),
            (a, b) => a.or(b),
        })
    }
}

/// A store in memory: what tests and the simulator use as the disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    pools: BTreeMap<Pool, BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies all changes of `batch`.
    pub fn apply(&mut self, batch: &Batch) {
        for (pool, key, value) in batch.iter() {
            let entries = self.pools.entry(pool).or_default();
            match value {
                Some(value) => {
                    entries.insert(key.to_vec(), value.to_vec());
                }
                None => {
                    entries.remove(key);
                }
            }
        }
    }

    /// Every entry in the order of pool and key.
    pub fn iter(&self) -> impl Iterator<Item = (Pool, &[u8], &[u8])> {
        self.pools.iter().flat_map(|(pool, entries)| {
            entries
                .iter()
                .map(|(key, value)| (*pool, key.as_slice(), value.as_slice()))
        })
    }
}

impl PartialEq for MemoryStore {
    fn eq(&self, other: &Self) -> bool {
        // A pool that has lost all its entries is as one that never had any.
        self.iter().eq(other.iter())
    }
}

impl Eq for MemoryStore {}

impl View for MemoryStore {
    fn get(&self, pool: Pool, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self
            .pools
            .get(&pool)
            .and_then(|entries| entries.get(key))
            .cloned())
    }

    fn scan(
        &self,
        pool: Pool,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, StoreFault> {
        let start = prefix.max(from).to_vec();
        let entries = self.pools.get(&pool).map(|entries| entries.range(start..));
        Ok(entries
            .into_iter()
            .flatten()
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn last(&self, pool: Pool) -> Result<Option<Entry>, StoreFault> {
        let last = self.pools.get(&pool).and_then(BTreeMap::last_key_value);
        Ok(last.map(|(key, value)| (key.clone(), value.clone())))
    }

    fn contains(&self, pool: Pool, key: &[u8]) -> Result<bool, StoreFault> {
        Ok(self
            .pools
            .get(&pool)
            .is_some_and(|entries| entries.contains_key(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(entries: &[(&[u8], &[u8])]) -> MemoryStore {
        let mut batch = Batch::new();
        for (key, value) in entries {
            batch.put(Pool::Assets, *key, *value);
        }
        let mut store = MemoryStore::new();
        store.apply(&batch);
        store
    }

    #[test]
    fn a_batch_tells_its_changes_in_the_order_of_pool_and_key_the_latest_of_each() {
        for pool in Pool::ALL {
            assert_eq!(Pool::ALL.get(pool as usize), Some(&pool));
        }
        let mut batch = Batch::new();
        batch.put_all(Pool::Undo, []);
        assert!(batch.is_empty());
        assert_eq!(batch, Batch::new());
        batch.put(Pool::Undo, *b"u", *b"1");
        let many = [(b"b", Some(b"1")), (b"c", None), (b"b", Some(b"2"))];
        let owned = many.map(|(key, value)| (key.to_vec(), value.map(|bytes| bytes.to_vec())));
        batch.put_all(Pool::Assets, owned);
        batch.put_all(Pool::Assets, [(b"a".to_vec(), Some(b"1".to_vec()))]);
        let mut later = Batch::new();
        later.delete(Pool::Undo, *b"u");
        later.put(Pool::Blocks, *b"z", *b"1");
        batch.extend(later);
        let told: Vec<_> = batch.iter().collect();
        assert_eq!(
            told,
            [
                (Pool::Blocks, &b"z"[..], Some(&b"1"[..])),
                (Pool::Assets, b"a", Some(b"1")),
                (Pool::Assets, b"b", Some(b"2")),
                (Pool::Assets, b"c", None),
                (Pool::Undo, b"u", None),
            ]
        );
        assert_eq!(batch.len(), told.len());
        assert_eq!(batch.change_of(Pool::Assets, b"c"), Some(None));
        assert_eq!(batch.change_of(Pool::Blocks, b"c"), None);
    }

    #[test]
    fn an_overlay_shows_added_replaced_and_removed_keys() {
        let base = store(&[(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]);
        let mut over = Overlay::new(&base);
        over.put(Pool::Assets, *b"b", *b"9");
        over.delete(Pool::Assets, *b"a");
        over.put(Pool::Assets, *b"d", *b"4");
        assert_eq!(over.get(Pool::Assets, b"a").unwrap(), None);
        assert_eq!(over.get(Pool::Assets, b"b").unwrap(), Some(b"9".to_vec()));
        let all = over.scan(Pool::Assets, b"", b"", 2).unwrap();
        assert_eq!(
            all,
            vec![
                (b"b".to_vec(), b"9".to_vec()),
                (b"c".to_vec(), b"3".to_vec())
            ]
        );
        assert_eq!(over.last(Pool::Assets).unwrap().unwrap().0, b"d".to_vec());
    }

    #[test]
    fn the_last_entry_is_found_below_a_removed_top() {
        let base = store(&[(b"a", b"1"), (b"b", b"2")]);
        let mut over = Overlay::new(&base);
        over.delete(Pool::Assets, *b"b");
        assert_eq!(over.last(Pool::Assets).unwrap().unwrap().0, b"a".to_vec());
        over.delete(Pool::Assets, *b"a");
        assert_eq!(over.last(Pool::Assets).unwrap(), None);
    }

    #[test]
    fn a_scan_stays_inside_its_prefix_and_pool() {
        let base = store(&[(b"aa", b"1"), (b"ab", b"2"), (b"b", b"3")]);
        let found = base.scan(Pool::Assets, b"a", b"ab", 9).unwrap();
        assert_eq!(found, vec![(b"ab".to_vec(), b"2".to_vec())]);
        assert!(base.scan(Pool::Blocks, b"", b"", 9).unwrap().is_empty());
    }
}
