//! The store as it stands at one moment, read while it goes on changing.
//!
//! From the moment on, whoever changes an entry leaves beside it what it was. A reader goes through
//! the confirmed pools once, upwards, piece by piece, and takes what was left instead of what is
//! there. What it has passed is forgotten, so little is held: what changed above it, and no more than
//! a bound of that. A batch waits for the piece under way at most.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Store, entry};
use crate::core::state::{Batch, Entry, Pool, StoreFault};

/// Bytes of what changed that are held.
const HELD_BYTES: usize = 128 << 20;
/// What an entry costs beside its bytes.
const EACH_BYTES: usize = 96;
/// A piece ends behind so many bytes, or entries.
const PIECE_BYTES: usize = 256 << 10;
const PIECE_ENTRIES: usize = 512;

/// What belongs to this store alone, and not to the chain.
fn is_local(pool: Pool) -> bool {
    matches!(pool, Pool::Meta | Pool::Reservoir)
}

fn pool_of(key: &[u8]) -> Option<Pool> {
    let prefix = key.first()?;
    Pool::ALL.into_iter().find(|pool| pool.prefix() == *prefix)
}

/// What changed since the moment.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// What stood there, by the whole key.
    before: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
    /// Everything below is read.
    from: Vec<u8>,
    is_overrun: bool,
}

impl Held {
    fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Vec::len) + EACH_BYTES;
        self.before.insert(key, value);
        if self.bytes > HELD_BYTES {
            self.is_overrun = true;
            self.before.clear();
        }
    }

    /// The reader is through with all below `from`.
    fn pass(&mut self, from: Vec<u8>) {
        let rest = self.before.split_off(&from);
        for (key, value) in std::mem::replace(&mut self.before, rest) {
            self.bytes -= key.len() + value.map_or(0, |value| value.len()) + EACH_BYTES;
        }
        self.from = from;
    }
}

/// Where a store keeps it; nothing while nobody reads so.
pub(super) type Freezer = Arc<Mutex<Option<Held>>>;

pub(super) fn locked(freezer: &Freezer) -> MutexGuard<'_, Option<Held>> {
    freezer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves what stands where a batch is about to change it.
pub(super) fn remember(held: &mut Held, db: &sled::Db, batch: &Batch) -> Result<(), sled::Error> {
    for (pool, key, _) in batch.iter().filter(|(pool, ..)| !is_local(*pool)) {
        let key = super::prefixed(pool, key);
        if held.is_overrun {
            return Ok(());
        }
        if key < held.from || held.before.contains_key(&key) {
            continue;
        }
        let value = db.get(&key)?.map(|value| value.to_vec());
        held.put(key, value);
    }
    Ok(())
}

/// The confirmed pools as they stood at one moment. Dropping it lets the store forget.
#[derive(Debug)]
pub struct Frozen {
    store: Store,
    /// The highest block and its digest at that moment.
    top: Option<(Vec<u8>, Vec<u8>)>,
    is_at_end: bool,
}

impl Drop for Frozen {
    fn drop(&mut self) {
        *locked(&self.store.freezer) = None;
    }
}

impl Store {
    /// Holds fast what the store is now: between two batches, so that it is of one height. Nothing
    /// if somebody reads so already.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn freeze(&self) -> Result<Option<Frozen>, StoreFault> {
        let mut held = locked(&self.freezer);
        if held.is_some() {
            return Ok(None);
        }
        let last = self.db.scan_prefix([Pool::Blocks.prefix()]).next_back();
        let last = last.transpose().map_err(|e| self.fault(&e))?.map(entry);
        let top = match last {
            None => None,
            Some((number, _)) => {
                let key = super::prefixed(Pool::BlockDigest, &number);
                let digest = self.db.get(key).map_err(|e| self.fault(&e))?;
                Some((
                    number,
                    digest.map(|digest| digest.to_vec()).unwrap_or_default(),
                ))
            }
        };
        *held = Some(Held::default());
        drop(held);
        Ok(Some(Frozen {
            store: self.clone(),
            top,
            is_at_end: false,
        }))
    }
}

impl Frozen {
    /// The key of the highest block and its digest.
    #[must_use]
    pub fn top(&self) -> Option<(&[u8], &[u8])> {
        self.top
            .as_ref()
            .map(|(number, digest)| (number.as_slice(), digest.as_slice()))
    }

    /// The next entries, ascending by pool and key; none at the end.
    ///
    /// # Errors
    /// A fault of the disk, or too much changed meanwhile.
    pub fn piece(&mut self) -> Result<Vec<(Pool, Entry)>, StoreFault> {
        while !self.is_at_end {
            let piece = self.next()?;
            if !piece.is_empty() {
                return Ok(piece);
            }
        }
        Ok(Vec::new())
    }

    fn next(&mut self) -> Result<Vec<(Pool, Entry)>, StoreFault> {
        let mut freezer = locked(&self.store.freezer);
        let lost = || StoreFault("what the store was is not held any more".to_owned());
        let held = freezer.as_mut().ok_or_else(lost)?;
        if held.is_overrun {
            return Err(StoreFault(
                "too many blocks came and went while it was read; try again when the node is in step"
                    .to_owned(),
            ));
        }
        let mut found: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        let mut bytes = 0;
        let mut is_full = false;
        for item in self.store.db.range(held.from.clone()..) {
            let (key, value) = item.map_err(|e| self.store.fault(&e))?;
            bytes += key.len() + value.len();
            found.insert(key.to_vec(), Some(value.to_vec()));
            if bytes >= PIECE_BYTES || found.len() >= PIECE_ENTRIES {
                is_full = true;
                break;
            }
        }
        let end = match found.last_key_value() {
            Some((last, _)) if is_full => Bound::Included(last.clone()),
            _ => Bound::Unbounded,
        };
        let begin = Bound::Included(held.from.clone());
        let changed = held.before.range((begin, end.clone()));
        found.extend(changed.map(|(key, value)| (key.clone(), value.clone())));
        match end {
            Bound::Included(mut last) => {
                last.push(0);
                held.pass(last);
            }
            _ => {
                self.is_at_end = true;
                held.pass(vec![u8::MAX; 2]);
            }
        }
        drop(freezer);
        Ok(found
            .into_iter()
            .filter_map(|(key, value)| {
                let pool = pool_of(&key).filter(|pool| !is_local(*pool))?;
                Some((pool, (key.get(1..)?.to_vec(), value?)))
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::state::{MemoryStore, View as _};
    use crate::shell::store::CACHE_BYTES;

    fn read(frozen: &mut Frozen, mut between: impl FnMut()) -> Vec<(Pool, Entry)> {
        let mut all = Vec::new();
        loop {
            let piece = frozen.piece().unwrap();
            if piece.is_empty() {
                return all;
            }
            all.extend(piece);
            between();
        }
    }

    #[derive(Debug, Clone)]
    struct Change(u8, u8, Option<u16>);

    fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
        let change = (0..12_u8, any::<u8>(), proptest::option::of(0..3000_u16))
            .prop_map(|(pool, key, value)| Change(pool, key, value));
        proptest::collection::vec(proptest::collection::vec(change, 0..60), 0..24)
    }

    fn batch(changes: &[Change]) -> Batch {
        let mut batch = Batch::new();
        for Change(pool, key, value) in changes {
            let pool = Pool::ALL[usize::from(*pool)];
            match value {
                Some(length) => batch.put(pool, [*key], vec![*key; usize::from(*length) * 8]),
                None => batch.delete(pool, [*key]),
            }
        }
        batch
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn whatever_changes_meanwhile_the_moment_is_read(
            first in changes(),
            later in changes(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(&folder.path().join("s"), CACHE_BYTES).unwrap().store;
            let mut model = MemoryStore::new();
            for changes in &first {
                store.apply(&batch(changes)).unwrap();
                model.apply(&batch(changes));
            }
            let mut frozen = store.freeze().unwrap().unwrap();
            prop_assert!(store.freeze().unwrap().is_none());
            let mut later = later.iter();
            if let Some(changes) = later.next() {
                store.apply(&batch(changes)).unwrap();
            }
            let found = read(&mut frozen, || {
                if let Some(changes) = later.next() {
                    store.apply(&batch(changes)).unwrap();
                }
            });
            let mut wanted: Vec<(Pool, Entry)> = model
                .iter()
                .filter(|(pool, ..)| !is_local(*pool))
                .map(|(pool, key, value)| (pool, (key.to_vec(), value.to_vec())))
                .collect();
            wanted.sort_by_key(|(pool, (key, _))| (pool.prefix(), key.clone()));
            prop_assert_eq!(found, wanted);
            drop(frozen);
            prop_assert!(store.freeze().unwrap().is_some());
        }
    }

    #[test]
    fn more_changes_than_are_held_are_told_and_the_store_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let store = Store::open(&path, CACHE_BYTES).unwrap().store;
        let mut first = Batch::new();
        for number in 0..300_u16 {
            first.put(Pool::Blocks, number.to_be_bytes(), vec![7; 1000]);
        }
        store.apply(&first).unwrap();
        let mut frozen = store.freeze().unwrap().unwrap();
        locked(&store.freezer).as_mut().unwrap().bytes = HELD_BYTES - 10_000;
        let mut second = Batch::new();
        for number in 0..300_u16 {
            second.delete(Pool::Blocks, number.to_be_bytes());
        }
        store.apply(&second).unwrap();
        let error = frozen.piece().unwrap_err();
        assert!(error.to_string().contains("try again"), "{error}");
        assert_eq!(store.last(Pool::Blocks).unwrap(), None);
    }
}
