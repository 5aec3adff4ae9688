//! A store as a long chain leaves it: ten records a block, one batch a block, a flush every hundred
//! blocks. A bare tree is given the same keys, values and flushes beside it, for its size. Both are
//! closed cleanly. Building one of a million records takes minutes, so it is kept in `target/bench/`
//! and only copies of it are opened; it has about 5 GB, and so has each copy.
//!
//! A chain of the same blocks in memory says what each block changes, and both trees are given that at
//! the same time, batch for batch and flush for flush as a node writes them. They have caches that hold
//! most of it meanwhile ([`BUILD_CACHE`]): with the cache of a node most of the time would go into
//! reading pages again that have just been put out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use bitmarkd::core::state::{Batch, MemoryStore};
use bitmarkd::shell::store::Store;
use crossbeam_channel::bounded;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::bare;
use crate::mix::{Made, Mix};
use crate::world::World;

/// One that was built otherwise has another number.
const VERSION: u32 = 2;
/// Records of a block, without its foundation.
pub const PER_BLOCK: usize = 10;
/// Blocks from one flush to the next.
const FLUSH: u64 = 100;
/// Bytes of cache of either while they are built.
pub const BUILD_CACHE: u64 = 512 << 20;
/// Blocks whose records are signed ahead.
const AHEAD: usize = 512;
/// Transferable bitmarks that are kept.
const READY: usize = 50_000;

/// What is known of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    /// Its blocks, without genesis.
    pub blocks: u64,
    /// Keys of the store.
    pub entries: u64,
    /// Bytes of all keys and values.
    pub raw: u64,
    /// Bytes of the store on the disk, and of the bare tree.
    pub sizes: (u64, u64),
    /// What its records are.
    pub made: Made,
}

/// A fixture.
pub struct Fixture {
    folder: PathBuf,
    /// What is known of it.
    pub facts: Facts,
}

/// As many records as the measures of a long chain are of; `RECORDS=…` has fewer for trying.
pub fn records() -> u64 {
    let wanted = std::env::var("RECORDS").ok();
    wanted.map_or(1_000_000, |text| text.parse().expect("RECORDS: a number"))
}

impl Fixture {
    /// The one of so many records; built, if it was not before.
    pub fn of(records: u64) -> Self {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
        let folder = all.join(format!("store-{VERSION}-{records}"));
        if !folder.exists() {
            std::fs::create_dir_all(&all).expect("a folder");
            let building = all.join(format!("building-{}-{records}", std::process::id()));
            build(&building, records);
            std::fs::rename(&building, &folder).expect("it is put in its place");
        }
        let facts = std::fs::read(folder.join("facts.json")).expect("it says what it is");
        let facts = serde_json::from_slice(&facts).expect("it says what it is");
        Self { folder, facts }
    }

    /// The store of ours, not to be opened.
    pub fn ours(&self) -> PathBuf {
        self.folder.join("ours")
    }

    /// A copy of our store, which goes with the folder.
    pub fn copy(&self) -> (TempDir, PathBuf) {
        let folder = scratch();
        let path = folder.path().join("store");
        copy(&self.ours(), &path);
        (folder, path)
    }
}

/// A folder on the same disk as the fixtures.
pub fn scratch() -> TempDir {
    let near = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    std::fs::create_dir_all(&near).expect("a folder");
    tempfile::Builder::new()
        .prefix("scratch-")
        .tempdir_in(near)
        .expect("a folder")
}

/// Copies a folder, all of it to the disk.
pub fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp")
        .args(["--recursive", "--reflink=auto"])
        .args([from, to])
        .status();
    assert!(done.is_ok_and(|status| status.success()), "cp");
    let done = Command::new("sync").arg("--file-system").arg(to).status();
    assert!(done.is_ok_and(|status| status.success()), "sync");
}

/// Bytes of all files of a folder, as they lie on the disk.
pub fn on_disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let facts = entry.metadata().expect("it is there");
            if facts.is_dir() {
                on_disk(&entry.path())
            } else {
                facts.blocks() * 512
            }
        })
        .sum()
}

fn build(folder: &Path, records: u64) {
    let begin = Instant::now();
    eprintln!("a store of {records} records is built; it is kept in target/bench/");
    std::fs::create_dir_all(folder).expect("a folder");
    let store = Store::open(&folder.join("ours"), BUILD_CACHE).expect("a store");
    let store = store.store;
    let tree = bare::config(&folder.join("bare")).cache_capacity(BUILD_CACHE);
    let tree = tree.open().expect("a store");
    let blocks = records / PER_BLOCK as u64;
    let made = std::thread::scope(|scope| {
        let (give, signed) = bounded(AHEAD);
        let signer = scope.spawn(move || {
            let mut mix = Mix::new();
            for _ in 0..blocks {
                give.send(mix.block(PER_BLOCK)).expect("it is wanted");
            }
            mix.made
        });
        let (tell_ours, ours) = bounded::<Arc<Batch>>(AHEAD);
        let (tell_bare, bare) = bounded::<Arc<Batch>>(AHEAD);
        let (store, tree) = (&store, &tree);
        scope.spawn(move || {
            for (number, batch) in (1..).zip(ours) {
                store.apply(&batch).expect("the disk takes it");
                if number % FLUSH == 0 {
                    store.flush().expect("the disk takes it");
                }
                if number % 10_000 == 0 {
                    eprintln!("{number} blocks, {:.0} s", begin.elapsed().as_secs_f64());
                }
            }
        });
        scope.spawn(move || {
            for (number, batch) in (1..).zip(bare) {
                let batch = bare::batch(&batch);
                tree.apply_batch(batch).expect("the disk takes it");
                if number % FLUSH == 0 {
                    tree.flush().expect("the disk takes it");
                }
            }
        });
        let mut world = World::new(MemoryStore::new());
        for records in signed {
            let batch = Arc::new(world.known_block(records).batch);
            tell_ours.send(Arc::clone(&batch)).expect("it is taken");
            tell_bare.send(batch).expect("it is taken");
        }
        signer.join().expect("it ends")
    });
    store.flush().expect("the disk takes it");
    drop(store);
    tree.flush().expect("the disk takes it");
    let (mut entries, mut raw) = (0, 0);
    for entry in tree.iter() {
        let (key, value) = entry.expect("it can be read");
        entries += 1;
        raw += (key.len() + value.len()) as u64;
    }
    drop(tree);
    let mut made = made;
    made.ready.truncate(READY);
    let facts = Facts {
        blocks,
        entries,
        raw,
        sizes: (on_disk(&folder.join("ours")), on_disk(&folder.join("bare"))),
        made,
    };
    let text = serde_json::to_vec(&facts).expect("it is text");
    std::fs::write(folder.join("facts.json"), text).expect("the disk takes it");
    std::fs::remove_dir_all(folder.join("bare")).expect("it goes");
    eprintln!("it took {:.0} s", begin.elapsed().as_secs_f64());
}
