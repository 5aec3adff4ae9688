//! The two folders of the reference's node as the pools that the ledger knows (`proto/blocks.md`,
//! sections 7 and 13): the byte of the pool stands in front of each key, as in ours.

use std::path::{Path, PathBuf};

use super::{LevelDb, LevelDbError};
use crate::core::ledger::keys;
use crate::core::state::{Entry, Pool, StoreFault, View};

/// Behind the name of the store.
const BLOCKS: &str = "-blocks.leveldb";
/// Behind the name of the store.
const INDEX: &str = "-index.leveldb";
const VERSION_KEY: &[u8] = b"\0VERSION";
const VERSION: u32 = 0x100;
/// Entries that are read at a time.
const CHUNK: usize = 256;

/// The stores of a node that is stopped.
#[derive(Debug)]
pub struct ReferenceStore {
    blocks: LevelDb,
    /// None where it was not finished: the node would build it again.
    index: Option<LevelDb>,
}

impl ReferenceStore {
    /// The name of the store in a folder: that of the chain, else the only one that is there; none
    /// where there is no store.
    ///
    /// # Errors
    /// Several, of which none has the name of the chain, or a folder that can not be read.
    pub fn name_in(folder: &Path, chain: &str) -> Result<Option<String>, LevelDbError> {
        let failed = |error| LevelDbError::io(folder, error);
        let mut names = Vec::new();
        for entry in folder.read_dir().map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(BLOCKS)) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        match names.as_slice() {
            _ if names.iter().any(|name| name == chain) => Ok(Some(chain.to_owned())),
            [] => Ok(None),
            [name] => Ok(Some(name.clone())),
            _ => Err(LevelDbError::Unsupported(
                folder.to_owned(),
                format!(
                    "there are the stores of {}, and none is called {chain}",
                    names.join(", ")
                ),
            )),
        }
    }

    /// Opens both; the writer is stopped.
    ///
    /// # Errors
    /// See [`LevelDbError`].
    pub fn open(folder: &Path, name: &str) -> Result<Self, LevelDbError> {
        let path = folder.join(format!("{name}{BLOCKS}"));
        let blocks = LevelDb::open(&path)?;
        match version(&blocks, &path)? {
            Some(VERSION) => {}
            Some(other) => {
                let why = format!("the block database has version {other}, {VERSION} is known");
                return Err(LevelDbError::Unsupported(path, why));
            }
            None => {
                let why = "no node has finished making this store: it has no version".to_owned();
                return Err(LevelDbError::Unsupported(path, why));
            }
        }
        let path = folder.join(format!("{name}{INDEX}"));
        let index = match LevelDb::open(&path) {
            Err(LevelDbError::Missing(_)) => None,
            opened => {
                let opened = opened?;
                let is_known = version(&opened, &path)? == Some(VERSION);
                is_known.then_some(opened)
            }
        };
        Ok(Self { blocks, index })
    }

    /// Whether there are indexes of the node's own that it had finished.
    #[must_use]
    pub const fn has_index(&self) -> bool {
        self.index.is_some()
    }

    /// A packed block.
    ///
    /// # Errors
    /// What can not be read.
    pub fn block(&self, number: u64) -> Result<Option<Vec<u8>>, LevelDbError> {
        self.blocks
            .get(&prefixed(Pool::Blocks, &keys::block(number)))
    }

    /// The number of the highest block; 1 if there is none. A block that is missing below it is not
    /// always seen here, but by who reads it.
    ///
    /// # Errors
    /// What can not be read; blocks above one that is missing.
    pub fn height(&self) -> Result<u64, LevelDbError> {
        let [mut have, mut above] = [1_u64, 2];
        while above < u64::MAX / 2 && self.block(above)?.is_some() {
            have = above;
            above *= 2;
        }
        while above - have > 1 {
            let middle = have + (above - have) / 2;
            if self.block(middle)?.is_some() {
                have = middle;
            } else {
                above = middle;
            }
        }
        let from = prefixed(Pool::Blocks, &keys::block(above));
        let beyond = self
            .blocks
            .scan(&from, 1, &|key| key.first() == from.first())?;
        if beyond.is_empty() {
            return Ok(have);
        }
        Err(LevelDbError::damaged(
            &self.blocks.folder,
            format!("block {above} is missing and there are higher ones"),
        ))
    }

    /// The folder of the store of a pool; none of those that are ours alone.
    fn of(&self, pool: Pool) -> Option<&LevelDb> {
        match pool {
            Pool::Blocks => Some(&self.blocks),
            Pool::BlockOwnerPayment
            | Pool::BlockOwnerTxIndex
            | Pool::Assets
            | Pool::Transactions
            | Pool::OwnerCount
            | Pool::Ownership
            | Pool::OwnerDigest => self.index.as_ref(),
            Pool::BlockDigest | Pool::Undo | Pool::Meta | Pool::Reservoir => None,
        }
    }

    /// Where the folders are, for messages.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        let folder = self.blocks.folder.parent();
        folder.map(Path::to_owned).unwrap_or_default()
    }
}

fn version(db: &LevelDb, path: &Path) -> Result<Option<u32>, LevelDbError> {
    let Some(value) = db.get(VERSION_KEY)? else {
        return Ok(None);
    };
    let bytes = value.as_slice().try_into();
    bytes.map(u32::from_be_bytes).map(Some).map_err(|_| {
        let why = format!(
            "incompatible database version length: expected: 4  actual: {}",
            value.len()
        );
        LevelDbError::Unsupported(path.to_owned(), why)
    })
}

fn prefixed(pool: Pool, key: &[u8]) -> Vec<u8> {
    [&[pool.prefix()], key].concat()
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the form that `map_err` takes"
)]
fn fault(error: LevelDbError) -> StoreFault {
    StoreFault(error.to_string())
}

impl View for ReferenceStore {
    fn get(&self, pool: Pool, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        let Some(db) = self.of(pool) else {
            return Ok(None);
        };
        db.get(&prefixed(pool, key)).map_err(fault)
    }

    fn scan(
        &self,
        pool: Pool,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, StoreFault> {
        let Some(db) = self.of(pool) else {
            return Ok(Vec::new());
        };
        let prefix = prefixed(pool, prefix);
        let start = prefix.clone().max(prefixed(pool, from));
        let entries = db
            .scan(&start, limit, &|key| key.starts_with(&prefix))
            .map_err(fault)?;
        let bare = |key: Vec<u8>| key.get(1..).unwrap_or_default().to_vec();
        Ok(entries
            .into_iter()
            .map(|(key, value)| (bare(key), value))
            .collect())
    }

    fn last(&self, pool: Pool) -> Result<Option<Entry>, StoreFault> {
        // The tables are walked upwards alone.
        let mut last = None;
        let mut from = Vec::new();
        loop {
            match self.scan(pool, &[], &from, CHUNK)?.pop() {
                Some(entry) => {
                    from = [entry.0.as_slice(), &[0]].concat();
                    last = Some(entry);
                }
                None => return Ok(last),
            }
        }
    }
}
