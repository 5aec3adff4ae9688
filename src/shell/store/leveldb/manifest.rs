//! The list of a folder's files: which tables count, on which level, and from which log on.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::{Bytes, KEY_BYTES_MAX, LevelDbError, journal};

/// The file that names the list.
pub(super) const CURRENT: &str = "CURRENT";
/// The order of keys: as bytes.
const COMPARATOR: &[u8] = b"leveldb.BytewiseComparator";
const LEVELS_MAX: usize = 64;
const TABLES_MAX: usize = 1_000_000;
/// What stands behind a key in a table: number and kind.
pub(super) const TRAILER_BYTES: usize = 8;

/// A table as the list knows it; the keys are those of its first and last entry.
#[derive(Debug, Clone)]
pub(super) struct TableFile {
    pub number: u64,
    pub size: u64,
    smallest: Vec<u8>,
    largest: Vec<u8>,
}

impl TableFile {
    pub(super) fn has(&self, key: &[u8]) -> bool {
        self.smallest.as_slice() <= key && key <= self.largest.as_slice()
    }

    /// Whether it may hold something that is not below the key.
    pub(super) fn reaches(&self, key: &[u8]) -> bool {
        key <= self.largest.as_slice()
    }

    /// Its file, under the newer of the two endings that are in use.
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        let newer = folder.join(format!("{:06}.ldb", self.number));
        let older = folder.join(format!("{:06}.sst", self.number));
        if !newer.exists() && older.exists() {
            older
        } else {
            newer
        }
    }

    /// Whether the file is there, whole as far as its size tells.
    pub(super) fn check(&self, folder: &Path) -> Result<(), LevelDbError> {
        let path = self.path(folder);
        match path.metadata() {
            Ok(facts) if facts.len() >= self.size => Ok(()),
            Ok(_) => Err(LevelDbError::damaged(&path, "the table is cut short")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(LevelDbError::damaged(&path, "the table is missing"))
            }
            Err(error) => Err(LevelDbError::io(&path, error)),
        }
    }
}

/// The list.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub levels: Vec<Vec<TableFile>>,
    log: u64,
    previous_log: Option<u64>,
}

impl Manifest {
    pub(super) fn read(folder: &Path) -> Result<Self, LevelDbError> {
        let current = folder.join(CURRENT);
        let mut name = String::new();
        std::fs::File::open(&current)
            .and_then(|file| file.take(256).read_to_string(&mut name))
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidData => LevelDbError::damaged(&current, "it is no text"),
                _ => LevelDbError::io(&current, error),
            })?;
        let name = name.strip_suffix('\n').filter(|name| is_list(name));
        let name = name.ok_or_else(|| LevelDbError::damaged(&current, "it names no MANIFEST"))?;
        let path = folder.join(name);
        let mut tables = BTreeMap::new();
        let mut list = Self::default();
        let mut comparator = None;
        journal::read(&path, &mut |record| {
            list.edit(record, &mut tables, &mut comparator)
                .ok_or_else(|| "a record is no change of the list of files".to_owned())?;
            if tables.len() > TABLES_MAX {
                return Err("there are more tables than anybody has".to_owned());
            }
            Ok(())
        })?;
        match comparator {
            Some(name) if name == COMPARATOR => {}
            Some(name) => {
                let name = String::from_utf8_lossy(&name).into_owned();
                let why =
                    format!("its keys are in the order {name:?}, which the reference has not");
                return Err(LevelDbError::Unsupported(path, why));
            }
            None => return Err(LevelDbError::damaged(&path, "it is empty")),
        }
        for ((level, _), file) in tables {
            if list.levels.len() <= level {
                list.levels.resize(level + 1, Vec::new());
            }
            if let Some(files) = list.levels.get_mut(level) {
                files.push(file);
            }
        }
        for files in list.levels.iter_mut().skip(1) {
            files.sort_by(|a, b| a.smallest.cmp(&b.smallest));
            let overlap = files.windows(2).any(|pair| match pair {
                [a, b] => a.largest > b.smallest,
                _ => false,
            });
            if overlap {
                return Err(LevelDbError::damaged(&path, "tables of a level overlap"));
            }
        }
        Ok(list)
    }

    fn edit(
        &mut self,
        record: &[u8],
        tables: &mut BTreeMap<(usize, u64), TableFile>,
        comparator: &mut Option<Vec<u8>>,
    ) -> Option<()> {
        let mut bytes = Bytes(record);
        let level = |bytes: &mut Bytes<'_>| bytes.size().filter(|level| *level < LEVELS_MAX);
        while !bytes.0.is_empty() {
            match bytes.number()? {
                1 => *comparator = Some(bytes.prefixed()?.to_vec()),
                2 => self.log = bytes.number()?,
                // The next free number, and that of the last change.
                3 | 4 => {
                    bytes.number()?;
                }
                // Where a compaction goes on.
                5 => {
                    level(&mut bytes)?;
                    bytes.prefixed()?;
                }
                6 => {
                    let level = level(&mut bytes)?;
                    tables.remove(&(level, bytes.number()?));
                }
                7 => {
                    let level = level(&mut bytes)?;
                    let file = TableFile {
                        number: bytes.number()?,
                        size: bytes.number()?,
                        smallest: user_key(bytes.prefixed()?)?,
                        largest: user_key(bytes.prefixed()?)?,
                    };
                    tables.insert((level, file.number), file);
                }
                9 => self.previous_log = Some(bytes.number()?),
                _ => return None,
            }
        }
        Some(())
    }

    /// The logs whose entries are in no table, oldest first.
    pub(super) fn logs(&self, folder: &Path) -> Result<Vec<PathBuf>, LevelDbError> {
        let mut logs = BTreeMap::new();
        let entries = folder
            .read_dir()
            .map_err(|error| LevelDbError::io(folder, error))?;
        for entry in entries {
            let path = entry
                .map_err(|error| LevelDbError::io(folder, error))?
                .path();
            let number = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.strip_suffix(".log"))
                .and_then(|digits| digits.parse::<u64>().ok());
            if let Some(number) = number
                && (number >= self.log || Some(number) == self.previous_log)
            {
                logs.insert(number, path);
            }
        }
        if self.log > 0 && !logs.contains_key(&self.log) {
            let path = folder.join(format!("{:06}.log", self.log));
            return Err(LevelDbError::damaged(&path, "the log is missing"));
        }
        Ok(logs.into_values().collect())
    }
}

fn is_list(name: &str) -> bool {
    name.strip_prefix("MANIFEST-").is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// The key without what stands behind it in a table.
fn user_key(internal: &[u8]) -> Option<Vec<u8>> {
    let length = internal.len().checked_sub(TRAILER_BYTES)?;
    let key = internal.get(..length)?;
    (key.len() <= KEY_BYTES_MAX).then(|| key.to_vec())
}
