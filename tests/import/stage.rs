//! A folder for each node, a chain of `devnet`, and stores as the reference's node leaves them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use bitmarkd::core::state::{Pool, View as _};
use bitmarkd::shell::store::{CACHE_BYTES, Store};
use rusty_leveldb::{DB, MemEnv, Options};
use tempfile::TempDir;

pub use crate::branch::{asset_and_issue, chain_up_to, file_of};

/// The pools that the reference keeps in its index store.
pub const INDEXES: [Pool; 7] = [
    Pool::BlockOwnerPayment,
    Pool::BlockOwnerTxIndex,
    Pool::Assets,
    Pool::Transactions,
    Pool::OwnerCount,
    Pool::Ownership,
    Pool::OwnerDigest,
];

/// Entries of a store, each with the byte of its pool in front.
pub type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// A node of ours, and beside it the folder `go` of the other one.
pub struct Place {
    folder: TempDir,
    chain: &'static str,
}

impl Place {
    pub fn new(chain: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "data_directory = \".\"\nchain = \"{chain}\"\nnodes = \"none\"\n[peering]\nlisten = \"127.0.0.1:2136\"\n"
        );
        std::fs::write(folder.path().join("node.toml"), text).unwrap();
        std::fs::create_dir_all(folder.path().join("go/data")).unwrap();
        Self { folder, chain }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn program(&self) -> std::process::Command {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_bitmarkd"));
        program
            .current_dir(self.folder.path())
            .args(["--config-file", "node.toml"]);
        program
    }

    pub fn run(&self, args: &[&str]) -> Assert {
        Command::from_std(self.program()).args(args).assert()
    }

    pub fn store(&self) -> Store {
        let path = self.path(&format!("data/{}.sled", self.chain));
        Store::open(&path, CACHE_BYTES).unwrap().store
    }

    /// All that the store holds of these pools.
    pub fn entries(&self, pools: &[Pool]) -> Entries {
        let store = self.store();
        let mut all = Entries::new();
        for pool in pools {
            for (key, value) in store.scan(*pool, &[], &[], usize::MAX).unwrap() {
                all.insert([&[pool.prefix()], key.as_slice()].concat(), value);
            }
        }
        all
    }

    /// What a node that was given the blocks from a file has in all its pools.
    pub fn loaded(blocks: &[Vec<u8>]) -> Self {
        let place = Self::new("devnet");
        std::fs::write(place.path("saved"), file_of(blocks)).unwrap();
        place.run(&["load-blocks", "saved"]).success();
        place
    }

    /// Both stores of the other node: half of the blocks in tables, half in the log.
    pub fn write_stores(&self, blocks: &[Vec<u8>], index: &Entries) {
        let data = self.path("go/data");
        write(&data.join(format!("{}-blocks.leveldb", self.chain)), |db| {
            for (number, block) in (2_u64..).zip(blocks) {
                let key = [b"B".as_slice(), &number.to_be_bytes()].concat();
                db.put(&key, block).unwrap();
                if number == blocks.len() as u64 / 2 {
                    db.compact_range(b"", b"\xff").unwrap();
                }
            }
        });
        write(&data.join(format!("{}-index.leveldb", self.chain)), |db| {
            for (key, value) in index {
                db.put(key, value).unwrap();
            }
        });
    }

    /// Every file of the other node with its bytes.
    pub fn theirs(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        walk(&self.path("go"), &mut files);
        files
    }
}

fn walk(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
}

/// A LevelDB folder with compressed tables; the last entries are in the log alone.
pub fn write(folder: &Path, fill: impl FnOnce(&mut DB)) {
    let options = Options {
        env: Rc::new(Box::new(MemEnv::new())),
        compressor: 1,
        ..Options::default()
    };
    let env = Rc::clone(&options.env);
    let mut db = DB::open("db", options).unwrap();
    db.put(b"\0VERSION", &[0, 0, 1, 0]).unwrap();
    fill(&mut db);
    drop(db);
    std::fs::create_dir_all(folder).unwrap();
    for name in env.children(Path::new("db")).unwrap() {
        let mut bytes = Vec::new();
        let path = Path::new("db").join(&name);
        let mut source = env.open_sequential_file(&path).unwrap();
        std::io::Read::read_to_end(&mut source, &mut bytes).unwrap();
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

pub fn out(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

pub fn err(assert: &Assert) -> String {
    let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// What a failing command tells; its exit status is 1.
pub fn told(assert: Assert) -> String {
    err(&assert.code(1))
}
