//! Reading a LevelDB folder of the reference's node (`proto/blocks.md`, sections 7 and 13): the
//! tables, and the log that holds the newest entries.
//!
//! It never writes, not even a lock file, and repairs nothing. What is damaged is an error, wherever
//! it is found: libraries that open such a folder recover it, compact it, and end a list silently at
//! the first block that they can not read. In memory are the log, which its writer keeps at a few
//! mebibytes, and of each open table its index and one block; a scan opens all tables of level 0, of
//! which its writer keeps a dozen. A folder that somebody made up may have more.

mod iterator;
mod journal;
mod lock;
mod manifest;
mod pools;
mod table;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use thiserror::Error;

use crate::core::state::Entry;
use iterator::{Merge, Source};
use manifest::{Manifest, TableFile};
use table::Table;

pub use pools::ReferenceStore;

/// Most bytes of the logs together: many times what their writer lets one grow to.
const LOG_BYTES_MAX: usize = 256 << 20;
/// Longest key that is believed; those of the reference have 73 bytes at most.
const KEY_BYTES_MAX: usize = 1024;
/// Largest block of a table that is believed: a dozen packed blocks of the chain.
const BLOCK_BYTES_MAX: usize = 64 << 20;
/// Tables that are open at a time.
const OPEN_TABLES: usize = 32;

/// What helps where a writer was killed at the wrong moment.
const REPAIR: &str = "start the node that wrote it once and stop it: it repairs what a crash left; else use a file of `save-blocks`";

/// Why a folder can not be read.
#[derive(Debug, Error)]
pub enum LevelDbError {
    /// There is none.
    #[error("{0}: no LevelDB store is here")]
    Missing(PathBuf),
    /// Its writer runs.
    #[error("{0}: the store is in use; stop the node that has it open")]
    InUse(PathBuf),
    /// It holds something else than its writer wrote.
    #[error("{file}: the LevelDB store is damaged: {why}; {REPAIR}")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where and how.
        why: String,
    },
    /// It is whole, but not of a kind that this program reads.
    #[error("{0}: {1}")]
    Unsupported(PathBuf, String),
    /// The system can not read it.
    #[error("{file}: {error}")]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl LevelDbError {
    fn damaged(file: &Path, why: impl Into<String>) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            why: why.into(),
        }
    }

    fn io(file: &Path, error: io::Error) -> Self {
        Self::Io {
            file: file.to_owned(),
            error,
        }
    }
}

/// Whether nothing is there; anything else is a fault.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The locks of all stores of a folder: as long as they are held no writer can start.
///
/// # Errors
/// The first store that is in use, or that can not be asked.
pub fn hold_all(folder: &Path) -> Result<Vec<File>, LevelDbError> {
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) if is_absence(&error) => return Ok(Vec::new()),
        Err(error) => return Err(LevelDbError::io(folder, error)),
    };
    let mut locks = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| LevelDbError::io(folder, error))?
            .path();
        if path.extension().is_some_and(|ending| ending == "leveldb") && path.is_dir() {
            locks.extend(lock::shared(&path)?);
        }
    }
    Ok(locks)
}

/// What is written under a key at one time: nothing where it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    sequence: u64,
    value: Option<Vec<u8>>,
}

/// An opened folder. As long as it is open its writer can not start.
#[derive(Debug)]
pub struct LevelDb {
    folder: PathBuf,
    /// What the logs say, newest entries alone.
    memory: BTreeMap<Vec<u8>, Written>,
    /// Level 0 in any order, the others in the order of their keys.
    levels: Vec<Vec<TableFile>>,
    /// The newest first.
    open: RefCell<Vec<(u64, Rc<Table>)>>,
    _lock: Option<File>,
}

impl LevelDb {
    /// Opens a folder whose writer is stopped: reads the list of its files and its logs.
    ///
    /// # Errors
    /// See [`LevelDbError`].
    pub fn open(folder: &Path) -> Result<Self, LevelDbError> {
        let current = folder.join(manifest::CURRENT);
        match current.metadata() {
            Ok(facts) if facts.is_file() => {}
            Ok(_) => return Err(LevelDbError::Missing(folder.to_owned())),
            Err(error) if is_absence(&error) => {
                return Err(LevelDbError::Missing(folder.to_owned()));
            }
            Err(error) => return Err(LevelDbError::io(&current, error)),
        }
        let lock = lock::shared(folder)?;
        let manifest = Manifest::read(folder)?;
        let mut memory = BTreeMap::new();
        let mut bytes = 0;
        for path in manifest.logs(folder)? {
            journal::read(&path, &mut |record| {
                bytes += record.len();
                if bytes > LOG_BYTES_MAX {
                    return Err("the logs are longer than any that is written".to_owned());
                }
                remember(record, &mut memory)
            })?;
        }
        for file in manifest.levels.iter().flatten() {
            file.check(folder)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            memory,
            levels: manifest.levels,
            open: RefCell::default(),
            _lock: lock,
        })
    }

    /// The value of a key.
    ///
    /// # Errors
    /// What can not be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LevelDbError> {
        let mut newest = self.memory.get(key).cloned();
        for file in self.levels.iter().flatten().filter(|file| file.has(key)) {
            let found = self.table(file)?.get(key)?;
            let sequence = |written: &Option<Written>| written.as_ref().map(|w| w.sequence);
            if sequence(&found) > sequence(&newest) {
                newest = found;
            }
        }
        Ok(newest.and_then(|written| written.value))
    }

    /// At most `limit` entries whose keys are not below `from`, ascending, while `is_wanted`.
    ///
    /// # Errors
    /// What can not be read.
    pub fn scan(
        &self,
        from: &[u8],
        limit: usize,
        is_wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Vec<Entry>, LevelDbError> {
        let mut sources = vec![Source::memory(&self.memory, from)];
        for (level, files) in self.levels.iter().enumerate() {
            let files = files.iter().filter(|file| file.reaches(from));
            if level == 0 {
                for file in files {
                    sources.push(Source::tables(vec![file]));
                }
            } else {
                sources.push(Source::tables(files.collect()));
            }
        }
        let mut merge = Merge::new(sources, from);
        let mut entries = Vec::new();
        while entries.len() < limit {
            match merge.next(self)? {
                Some((key, value)) if is_wanted(&key) => entries.push((key, value)),
                _ => break,
            }
        }
        Ok(entries)
    }

    /// A table, opened if it is not.
    fn table(&self, file: &TableFile) -> Result<Rc<Table>, LevelDbError> {
        let mut open = self.open.borrow_mut();
        let at = open.iter().position(|(number, _)| *number == file.number);
        let entry = match at {
            Some(at) => open.remove(at),
            None => {
                let table = Table::open(&file.path(&self.folder), file.size)?;
                (file.number, Rc::new(table))
            }
        };
        let table = Rc::clone(&entry.1);
        open.insert(0, entry);
        open.truncate(OPEN_TABLES);
        Ok(table)
    }
}

/// Takes one record of a log: a number, a count, and so many changes.
fn remember(record: &[u8], memory: &mut BTreeMap<Vec<u8>, Written>) -> Result<(), String> {
    let mut bytes = Bytes(record);
    let mut changes = || -> Option<()> {
        let mut sequence = u64::from_le_bytes(bytes.array()?);
        let count = u32::from_le_bytes(bytes.array()?);
        for _ in 0..count {
            let [kind] = bytes.array()?;
            let key = bytes.prefixed()?.to_vec();
            let value = match kind {
                0 => None,
                1 => Some(bytes.prefixed()?.to_vec()),
                _ => return None,
            };
            memory.insert(key, Written { sequence, value });
            sequence = sequence.checked_add(1)?;
        }
        bytes.0.is_empty().then_some(())
    };
    changes().ok_or_else(|| "a record of the log is no list of changes".to_owned())
}

/// Bytes that are taken from the front; `None` where there are too few.
#[derive(Debug, Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A number of seven bits a byte, the lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if bits.checked_shl(shift)? >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// A number, then so many bytes.
    fn prefixed(&mut self) -> Option<&'a [u8]> {
        let size = self.size()?;
        self.take(size)
    }
}

/// A checksum as it is written: CRC-32C, turned and shifted so that one over checksums means
/// something, too.
fn checksum(parts: &[&[u8]]) -> u32 {
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
    let mut digest = CRC.digest();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().rotate_right(15).wrapping_add(0xa282_ead8)
}
