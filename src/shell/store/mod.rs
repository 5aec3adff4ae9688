//! The store: sled behind the machines' [`View`]. One tree; the byte of the pool stands in front of
//! each key, so that one batch is atomic over all pools (`proto/blocks.md`, section 7).
//!
//! It decides nothing about content. What is applied is on disk after the next [`Store::flush`],
//! not before. A store that cannot be read is set aside, never deleted. Damage that shows only while
//! it is used leaves a mark beside it: the next opening reads all of it first.

mod flusher;
mod frozen;
pub mod leveldb;
mod snapshots;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use crate::core::state::{Batch, Entry, Pool, StoreFault, View};

pub use flusher::Flusher;
pub use frozen::Frozen;

/// Name of the layout's version in [`Pool::Meta`].
const VERSION_KEY: &[u8] = b"layout";
/// The layout of today.
const VERSION: &[u8] = &[1];
/// Bytes of cache unless asked otherwise.
pub const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// How long a store that is in use may take to be closed.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// Between two looks.
const LOCK_LOOK: Duration = Duration::from_millis(10);

/// Why there is no store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("{0}: the store is in use by another process; stop that one first")]
    InUse(String),
    /// It was made by a newer program.
    #[error("{0}: the store has layout {1}, this program knows {2}; use the program that made it")]
    Layout(String, u8, u8),
    /// The folder can be neither used nor set aside.
    #[error("{0}: {1}")]
    Io(String, String),
}

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Where the damaged one was put, if there was one.
    pub set_aside: Option<PathBuf>,
}

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    db: sled::Db,
    mark: Arc<Path>,
    /// Whether somebody reads what it was at one moment.
    freezer: frozen::Freezer,
}

/// See [`Store::guard`].
#[derive(Debug)]
pub struct Guard(Store);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.suspect();
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

fn open_sled(path: &Path, cache_bytes: u64) -> Result<sled::Db, sled::Error> {
    let config = sled::Config::new()
        .path(path)
        .cache_capacity(cache_bytes)
        .flush_every_ms(Some(500));
    // Damage shows as an error or, in places, as a panic of the library.
    catch_unwind(AssertUnwindSafe(|| config.open()))
        .unwrap_or_else(|_| Err(sled::Error::Corruption { at: None, bt: () }))
}

/// Opens a store without what is half written in it. One that was just closed may be locked for a
/// moment: that is waited for.
fn open_unlocked(path: &Path, cache_bytes: u64) -> Result<sled::Db, sled::Error> {
    let end = Instant::now() + LOCK_WAIT;
    loop {
        snapshots::remove_half_written(path)?;
        match open_sled(path, cache_bytes) {
            Err(e) if is_lock(&e) && Instant::now() < end => std::thread::sleep(LOCK_LOOK),
            other => return other,
        }
    }
}

/// The lock of a store, waited for as above.
fn wait_for_lock(path: &Path) -> std::io::Result<Option<File>> {
    let end = Instant::now() + LOCK_WAIT;
    loop {
        match snapshots::lock(path)? {
            None if Instant::now() < end => std::thread::sleep(LOCK_LOOK),
            lock => return Ok(lock),
        }
    }
}

fn is_lock(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(e) if e.kind() == std::io::ErrorKind::WouldBlock
        || e.to_string().contains("could not acquire lock"))
}

/// Whether the store itself is damaged; all else is a fault of the moment.
fn is_damage(error: &sled::Error) -> bool {
    match error {
        sled::Error::Corruption { .. }
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_) => true,
        sled::Error::Io(e) => {
            matches!(
                e.kind(),
                std::io::ErrorKind::UnexpectedEof
                    | std::io::ErrorKind::InvalidData
                    | std::io::ErrorKind::InvalidInput
                    | std::io::ErrorKind::Other
            ) && e.raw_os_error().is_none()
        }
        sled::Error::CollectionNotFound(_) => true,
    }
}

impl Store {
    /// Opens the store in a folder, making it if it is not there. One that cannot be read is set
    /// aside and a fresh one opened.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: &Path, cache_bytes: u64) -> Result<Opened, StoreError> {
        let name = path.display().to_string();
        let failed = |e: &dyn std::fmt::Display| StoreError::Io(name.clone(), e.to_string());
        let first = match open_unlocked(path, cache_bytes) {
            // A process may have ended right behind putting a snapshot aside: what it would have looked
            // at is looked at each time.
            Ok(db) => match Self::is_as_far_as_ever(path).map_err(|e| failed(&e))? {
                true => Self::on(db, path).checked(),
                false => Err("its log ends before what was read of it once".to_owned()),
            },
            Err(e) if is_lock(&e) => return Err(StoreError::InUse(name)),
            Err(e) if is_damage(&e) => {
                Self::from_log(path, cache_bytes)?.ok_or_else(|| e.to_string())
            }
            // No room, no descriptors, no permission: the store itself may be whole.
            Err(e) => return Err(failed(&e)),
        };
        let (store, set_aside) = match first {
            Ok(store) => (store, None),
            Err(why) => {
                // Not under the feet of another process that has it open.
                let lock = wait_for_lock(path).map_err(|e| failed(&e))?;
                let Some(_lock) = lock else {
                    return Err(StoreError::InUse(name));
                };
                log::error!("{name}: the store is damaged ({why}); it is set aside");
                let aside = Self::set_aside(path).map_err(|e| failed(&e))?;
                let db = open_sled(path, cache_bytes).map_err(|e| failed(&e))?;
                (Self::on(db, path), Some(aside))
            }
        };
        store.layout(&name)?;
        Ok(Opened { store, set_aside })
    }

    /// Whether the log was read as far as for any snapshot that was put aside.
    fn is_as_far_as_ever(path: &Path) -> std::io::Result<bool> {
        match snapshots::newest_aside(path)? {
            Some(aside) => snapshots::is_as_far_as(path, &aside),
            None => Ok(true),
        }
    }

    /// Opens a store again without its newest snapshot, if that is what cannot be read, and the log
    /// says all that it said; `None`: it is damaged elsewhere.
    fn from_log(path: &Path, cache_bytes: u64) -> Result<Option<Self>, StoreError> {
        let name = path.display().to_string();
        let failed = |e: &dyn std::fmt::Display| StoreError::Io(name.clone(), e.to_string());
        let aside = snapshots::put_unreadable_aside(path).map_err(|e| failed(&e))?;
        if aside.is_none() {
            return Ok(None);
        }
        let db = match open_unlocked(path, cache_bytes) {
            Ok(db) => db,
            Err(e) if is_lock(&e) => return Err(StoreError::InUse(name)),
            Err(e) if is_damage(&e) => return Ok(None),
            Err(e) => return Err(failed(&e)),
        };
        if !Self::is_as_far_as_ever(path).map_err(|e| failed(&e))? {
            return Ok(None);
        }
        let store = Self::on(db, path).checked().ok().filter(Self::is_whole);
        if store.is_some() {
            log::warn!("{name}: its snapshot could not be read; the log was read instead");
        }
        Ok(store)
    }

    /// Moves a folder out of the way.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        for attempt in 0..1000 {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".damaged-{now}-{attempt}"));
            let aside = path.with_file_name(name);
            if !aside.exists() {
                std::fs::rename(path, &aside)?;
                let _ = std::fs::remove_file(mark_of(path));
                return Ok(aside);
            }
        }
        Err(std::io::Error::other("too many damaged stores lie there"))
    }

    fn on(db: sled::Db, path: &Path) -> Self {
        let mark = mark_of(path).into();
        let freezer = frozen::Freezer::default();
        Self { db, mark, freezer }
    }

    /// Has the next opening read all of it: something ended in a way that damage may explain.
    pub fn suspect(&self) {
        let text = "the next start reads the whole store\n";
        if let Err(e) = std::fs::write(&self.mark, text) {
            log::warn!("{}: {e}", self.mark.display());
        }
    }

    /// For a thread that uses the store: a panic of it is a suspicion.
    #[must_use]
    pub fn guard(&self) -> Guard {
        Guard(self.clone())
    }

    /// Whether every entry can be read. Takes as long as reading the whole store.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let all = || self.db.iter().try_for_each(|entry| entry.map(|_| ()));
        matches!(catch_unwind(AssertUnwindSafe(all)), Ok(Ok(())))
    }

    /// A first look at both ends of every pool; at everything, where the mark asks for it.
    fn checked(self) -> Result<Self, String> {
        let look = || -> Result<(), sled::Error> {
            self.db.first()?;
            let is_empty = self.db.first()?.is_none();
            let mut layout = vec![Pool::Meta.prefix()];
            layout.extend_from_slice(VERSION_KEY);
            if !is_empty && !self.db.contains_key(layout)? {
                return Err(sled::Error::Unsupported(
                    "entries without a layout".to_owned(),
                ));
            }
            for pool in Pool::ALL {
                let mut entries = self.db.scan_prefix([pool.prefix()]);
                entries.next().transpose()?;
                entries.next_back().transpose()?;
            }
            Ok(())
        };
        match catch_unwind(AssertUnwindSafe(look)) {
            Ok(Ok(())) if !self.mark.exists() => Ok(self),
            Ok(Ok(())) if self.is_whole() => {
                let _ = std::fs::remove_file(&self.mark);
                Ok(self)
            }
            Ok(Ok(())) => Err("not all of it can be read".to_owned()),
            Ok(Err(e)) => Err(e.to_string()),
            Err(_) => Err("it ends the library that reads it".to_owned()),
        }
    }

    fn layout(&self, name: &str) -> Result<(), StoreError> {
        let failed = |e: &dyn std::fmt::Display| StoreError::Io(name.to_owned(), e.to_string());
        match self.get(Pool::Meta, VERSION_KEY).map_err(|e| failed(&e))? {
            Some(found) if found == VERSION => Ok(()),
            Some(found) => {
                let number = |bytes: &[u8]| bytes.first().copied().unwrap_or_default();
                Err(StoreError::Layout(
                    name.to_owned(),
                    number(&found),
                    number(VERSION),
                ))
            }
            None => {
                let mut batch = Batch::new();
                batch.put(Pool::Meta, VERSION_KEY, VERSION);
                self.apply(&batch).map_err(|e| failed(&e))?;
                self.flush().map_err(|e| failed(&e))
            }
        }
    }

    /// Applies all changes or none.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn apply(&self, batch: &Batch) -> Result<(), StoreFault> {
        let mut changes = sled::Batch::default();
        for (pool, key, value) in batch.iter() {
            let key = prefixed(pool, key);
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        let mut freezer = frozen::locked(&self.freezer);
        if let Some(held) = freezer.as_mut() {
            frozen::remember(held, &self.db, batch).map_err(|e| self.fault(&e))?;
        }
        self.db.apply_batch(changes).map_err(|e| self.fault(&e))
    }

    /// Waits until everything applied so far is on disk.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn flush(&self) -> Result<(), StoreFault> {
        self.db.flush().map(|_| ()).map_err(|e| self.fault(&e))
    }

    fn fault(&self, error: &sled::Error) -> StoreFault {
        if is_damage(error) {
            self.suspect();
        }
        StoreFault(error.to_string())
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn size_on_disk(&self) -> Result<u64, StoreFault> {
        self.db.size_on_disk().map_err(|e| self.fault(&e))
    }
}

fn prefixed(pool: Pool, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + key.len());
    out.push(pool.prefix());
    out.extend_from_slice(key);
    out
}

/// Where the mark of a store lies: beside its folder.
fn mark_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".suspect");
    path.with_file_name(name)
}

fn entry((key, value): (sled::IVec, sled::IVec)) -> Entry {
    (key.get(1..).unwrap_or_default().to_vec(), value.to_vec())
}

impl View for Store {
    fn get(&self, pool: Pool, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        let value = self
            .db
            .get(prefixed(pool, key))
            .map_err(|e| self.fault(&e))?;
        Ok(value.map(|bytes| bytes.to_vec()))
    }

    fn scan(
        &self,
        pool: Pool,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, StoreFault> {
        let prefix = prefixed(pool, prefix);
        let start = prefix.clone().max(prefixed(pool, from));
        let mut entries = Vec::new();
        for item in self.db.range(start..).take(limit) {
            let (key, value) = item.map_err(|e| self.fault(&e))?;
            if !key.starts_with(&prefix) {
                break;
            }
            entries.push(entry((key, value)));
        }
        Ok(entries)
    }

    fn last(&self, pool: Pool) -> Result<Option<Entry>, StoreFault> {
        let last = self.db.scan_prefix([pool.prefix()]).next_back();
        Ok(last.transpose().map_err(|e| self.fault(&e))?.map(entry))
    }

    fn contains(&self, pool: Pool, key: &[u8]) -> Result<bool, StoreFault> {
        self.db
            .contains_key(prefixed(pool, key))
            .map_err(|e| self.fault(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &Store, pool: Pool, key: &[u8], value: &[u8]) {
        let mut batch = Batch::new();
        batch.put(pool, key, value);
        store.apply(&batch).unwrap();
    }

    #[test]
    fn what_was_flushed_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let opened = Store::open(&path, CACHE_BYTES).unwrap();
        put(&opened.store, Pool::Blocks, &[0, 2], b"two");
        put(&opened.store, Pool::Blocks, &[0, 3], b"three");
        put(&opened.store, Pool::Assets, &[0, 9], b"asset");
        opened.store.flush().unwrap();
        drop(opened);
        let again = Store::open(&path, CACHE_BYTES).unwrap();
        assert!(again.set_aside.is_none());
        let last = again.store.last(Pool::Blocks).unwrap();
        assert_eq!(last, Some((vec![0, 3], b"three".to_vec())));
        let scan = again.store.scan(Pool::Blocks, &[0], &[0, 3], 9).unwrap();
        assert_eq!(scan.len(), 1);
        assert_eq!(
            again.store.scan(Pool::Blocks, &[], &[], 9).unwrap().len(),
            2
        );
        assert_eq!(again.store.last(Pool::Undo).unwrap(), None);
    }

    #[test]
    fn a_store_that_cannot_be_read_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        drop(Store::open(&path, CACHE_BYTES).unwrap());
        std::fs::write(path.join("conf"), b"this is no configuration of a store").unwrap();
        let again = Store::open(&path, CACHE_BYTES).unwrap();
        let aside = again.set_aside.expect("the damaged one is kept");
        assert!(aside.join("conf").exists());
        assert_eq!(again.store.last(Pool::Blocks).unwrap(), None);
    }

    #[test]
    fn a_store_in_use_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let _held = Store::open(&path, CACHE_BYTES).unwrap();
        let refused = Store::open(&path, CACHE_BYTES).unwrap_err();
        assert!(matches!(refused, StoreError::InUse(_)), "{refused}");
    }

    #[test]
    fn a_store_that_is_being_closed_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let held = Store::open(&path, CACHE_BYTES).unwrap();
        let closing = std::thread::spawn(move || {
            // Nothing tells when somebody waits for the lock: most of this time the other one does.
            std::thread::sleep(LOCK_WAIT / 4);
            drop(held);
        });
        Store::open(&path, CACHE_BYTES).unwrap();
        closing.join().unwrap();
    }

    #[test]
    fn a_store_of_a_later_layout_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let opened = Store::open(&path, CACHE_BYTES).unwrap();
        put(&opened.store, Pool::Meta, VERSION_KEY, &[9]);
        opened.store.flush().unwrap();
        drop(opened);
        let refused = Store::open(&path, CACHE_BYTES).unwrap_err();
        assert!(matches!(refused, StoreError::Layout(_, 9, 1)), "{refused}");
    }

    /// A store with much in it; where in its files the entries lie is the library's business.
    fn filled(path: &Path) -> Vec<Entry> {
        let store = Store::open(path, CACHE_BYTES).unwrap().store;
        let entries: Vec<Entry> = (0..300_u32)
            .map(|n| (n.to_be_bytes().to_vec(), vec![n as u8; 3000]))
            .collect();
        for (key, value) in &entries {
            put(&store, Pool::Blocks, key, value);
        }
        store.flush().unwrap();
        entries
    }

    #[test]
    fn damage_in_the_middle_is_found_sooner_or_later_and_then_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let mut aside = 0;
        for round in 0..8_usize {
            let path = folder.path().join(format!("store-{round}"));
            let entries = filled(&path);
            // The library has its snapshot from now on, and no longer reads all at the start.
            drop(Store::open(&path, CACHE_BYTES).unwrap());
            let file = path.join("db");
            let mut bytes = std::fs::read(&file).unwrap();
            let at = bytes.len() * (2 * round + 1) / 16;
            let end = bytes.len().min(at + 2000);
            bytes[at..end].fill(0x5a);
            std::fs::write(&file, bytes).unwrap();
            let opened = Store::open(&path, CACHE_BYTES).unwrap();
            if opened.set_aside.is_none() && !opened.store.is_whole() {
                // Whoever meets it leaves the mark; the next start acts on it.
                opened.store.suspect();
            }
            drop(opened);
            let again = Store::open(&path, CACHE_BYTES).unwrap();
            assert!(again.store.is_whole());
            assert!(!again.store.mark.exists());
            let found = again.store.scan(Pool::Blocks, &[], &[], 1000).unwrap();
            if again.set_aside.is_some() {
                aside += 1;
                assert!(found.is_empty());
            }
            assert!(found.iter().all(|entry| entries.contains(entry)));
        }
        assert!(aside > 0);
    }

    #[test]
    fn a_store_under_suspicion_that_is_whole_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let entries = filled(&path);
        let opened = Store::open(&path, CACHE_BYTES).unwrap();
        opened.store.suspect();
        assert!(opened.store.mark.exists());
        drop(opened);
        let again = Store::open(&path, CACHE_BYTES).unwrap();
        assert!(again.set_aside.is_none() && !again.store.mark.exists());
        let found = again.store.scan(Pool::Blocks, &[], &[], 1000).unwrap();
        assert_eq!(found, entries);
    }

    fn contents(store: &Store) -> Vec<Entry> {
        store.scan(Pool::Blocks, &[], &[], usize::MAX).unwrap()
    }

    fn snapshot_of(path: &Path) -> PathBuf {
        let mut found = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        found
            .find(|path| path.to_string_lossy().contains("/snap."))
            .expect("the library has written one")
    }

    /// Entries written, replaced and removed over several openings, so that the library has used
    /// parts of its file again.
    fn worn(path: &Path) -> Vec<Entry> {
        for round in 0..6_u32 {
            let store = Store::open(path, CACHE_BYTES).unwrap().store;
            for n in 0..400_u32 {
                let key = (n * 7 % 300).to_be_bytes();
                let mut batch = Batch::new();
                if (n + round) % 5 == 0 {
                    batch.delete(Pool::Blocks, key);
                } else {
                    let length = 100 + (n * 37 + round * 911) as usize % 6000;
                    batch.put(Pool::Blocks, key, vec![(n + round) as u8; length]);
                }
                store.apply(&batch).unwrap();
            }
            store.flush().unwrap();
        }
        contents(&Store::open(path, CACHE_BYTES).unwrap().store)
    }

    #[test]
    fn an_end_while_a_snapshot_is_written_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let entries = worn(&path);
        let snapshot = snapshot_of(&path);
        let whole = std::fs::read(&snapshot).unwrap();
        assert!(snapshots::is_readable(&whole));
        let half = PathBuf::from(format!("{}.generating", snapshot.display()));
        let longer = [whole.as_slice(), b"of one that was longer"].concat();
        let nothing = Vec::new();
        for left_behind in [&nothing, &whole[..whole.len() / 2].to_vec(), &longer] {
            std::fs::write(&half, left_behind).unwrap();
            let again = Store::open(&path, CACHE_BYTES).unwrap();
            assert!(again.set_aside.is_none());
            assert!(!half.exists());
            assert!(contents(&again.store) == entries);
        }
    }

    const DAMAGED: [&[u8]; 3] = [b"", b"short", &[7; 100]];

    #[test]
    fn a_snapshot_that_cannot_be_read_is_passed_over_and_the_log_read_instead() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Store::open(&path, CACHE_BYTES).unwrap().store;
        let mut batch = Batch::new();
        for n in 0..100_u32 {
            batch.put(Pool::Blocks, n.to_be_bytes(), vec![7; 100]);
        }
        store.apply(&batch).unwrap();
        store.flush().unwrap();
        drop(store);
        let entries = contents(&Store::open(&path, CACHE_BYTES).unwrap().store);
        assert_eq!(entries.len(), 100);
        for damaged in DAMAGED {
            std::fs::write(snapshot_of(&path), damaged).unwrap();
            for _ in 0..2 {
                let again = Store::open(&path, CACHE_BYTES).unwrap();
                assert!(again.set_aside.is_none());
                assert!(contents(&again.store) == entries);
            }
        }
    }

    #[test]
    fn where_the_log_does_not_say_all_that_a_damaged_snapshot_said_nothing_is_lost_quietly() {
        for damaged in DAMAGED {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store");
            let entries = worn(&path);
            std::fs::write(snapshot_of(&path), damaged).unwrap();
            let again = Store::open(&path, CACHE_BYTES).unwrap();
            let is_whole = contents(&again.store) == entries;
            assert!(is_whole || again.set_aside.is_some());
        }
    }

    #[test]
    fn a_log_that_is_shorter_than_its_snapshot_says_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        worn(&path);
        let log = std::fs::File::options()
            .write(true)
            .open(path.join("db"))
            .unwrap();
        log.set_len(0).unwrap();
        drop(log);
        let again = Store::open(&path, CACHE_BYTES).unwrap();
        assert!(again.set_aside.is_some(), "nothing is lost quietly");
    }

    #[test]
    fn a_snapshot_that_another_process_writes_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let _held = Store::open(&path, CACHE_BYTES).unwrap();
        let half = path.join("snap.0000000000000001.generating");
        std::fs::write(&half, b"half").unwrap();
        assert!(matches!(
            Store::open(&path, CACHE_BYTES),
            Err(StoreError::InUse(_))
        ));
        assert!(half.exists());
    }

    #[test]
    fn an_end_behind_putting_a_snapshot_aside_hides_no_loss_from_the_next_start() {
        for round in 0..24 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store");
            let entries = worn(&path);
            std::fs::write(snapshot_of(&path), b"short").unwrap();
            assert!(snapshots::put_unreadable_aside(&path).unwrap().is_some());
            if round % 2 == 1 {
                // It ended a little later: the library has read the log.
                drop(open_unlocked(&path, CACHE_BYTES));
            }
            for _ in 0..2 {
                let again = Store::open(&path, CACHE_BYTES).unwrap();
                let is_whole = contents(&again.store) == entries;
                assert!(is_whole || again.set_aside.is_some(), "round {round}");
                if !is_whole {
                    break;
                }
            }
        }
    }
}
