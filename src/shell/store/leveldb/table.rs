//! One table: blocks of sorted entries, each with a checksum and perhaps compressed, and an index of
//! them. Keys are followed by the number of the change and its kind; of equal keys the newest comes
//! first.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::manifest::TRAILER_BYTES;
use super::{BLOCK_BYTES_MAX, Bytes, KEY_BYTES_MAX, LevelDbError, Written, checksum};

const FOOTER_BYTES: usize = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// Kind of compression and checksum behind a block.
const BLOCK_TRAILER_BYTES: usize = 5;

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Handle {
    offset: u64,
    size: usize,
}

impl Handle {
    fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        let offset = bytes.number()?;
        let size = bytes.size().filter(|size| *size <= BLOCK_BYTES_MAX)?;
        Some(Self { offset, size })
    }
}

/// An entry of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub key: Vec<u8>,
    pub written: Written,
}

/// A table that is open.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    file: File,
    index: Rc<[u8]>,
    /// The block that was read last.
    last: RefCell<Option<(Handle, Rc<[u8]>)>>,
}

impl Table {
    pub(super) fn open(path: &Path, size: u64) -> Result<Self, LevelDbError> {
        let file = File::open(path).map_err(|error| LevelDbError::io(path, error))?;
        let mut table = Self {
            path: path.to_owned(),
            file,
            index: Rc::new([]),
            last: RefCell::default(),
        };
        let footer = size.checked_sub(FOOTER_BYTES as u64);
        let footer = footer.ok_or_else(|| table.damaged("the table is cut short"))?;
        let mut bytes = [0; FOOTER_BYTES];
        table
            .file
            .read_exact_at(&mut bytes, footer)
            .map_err(|error| LevelDbError::io(path, error))?;
        let index =
            read_footer(&bytes).ok_or_else(|| table.damaged("it does not end as a table"))?;
        table.index = table.load(index)?;
        Ok(table)
    }

    fn damaged(&self, why: impl Into<String>) -> LevelDbError {
        LevelDbError::damaged(&self.path, why)
    }

    /// A block, checked and decompressed.
    fn load(&self, handle: Handle) -> Result<Rc<[u8]>, LevelDbError> {
        let mut raw = vec![0; handle.size + BLOCK_TRAILER_BYTES];
        let at = handle.offset;
        self.file
            .read_exact_at(&mut raw, at)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    self.damaged(format!("the block at byte {at} is cut short"))
                }
                _ => LevelDbError::io(&self.path, error),
            })?;
        unpack(raw, handle.size)
            .map(Into::into)
            .map_err(|why| self.damaged(format!("the block at byte {at}: {why}")))
    }

    /// The same, kept until another one is read.
    fn block(&self, handle: Handle) -> Result<Rc<[u8]>, LevelDbError> {
        let mut last = self.last.borrow_mut();
        if let Some((kept, block)) = &*last
            && *kept == handle
        {
            return Ok(Rc::clone(block));
        }
        let block = self.load(handle)?;
        *last = Some((handle, Rc::clone(&block)));
        Ok(block)
    }

    /// What was written last under a key.
    pub(super) fn get(self: &Rc<Self>, key: &[u8]) -> Result<Option<Written>, LevelDbError> {
        let mut entries = Entries::from(Rc::clone(self), key)?;
        let first = entries.next()?;
        Ok(first
            .filter(|found| found.key == key)
            .map(|found| found.written))
    }
}

fn read_footer(bytes: &[u8; FOOTER_BYTES]) -> Option<Handle> {
    let mut footer = Bytes(bytes);
    Handle::read(&mut footer)?;
    let index = Handle::read(&mut footer)?;
    let magic = bytes.last_chunk::<8>()?;
    (u64::from_le_bytes(*magic) == MAGIC).then_some(index)
}

/// Takes the trailer off a block and decompresses what is left.
fn unpack(mut raw: Vec<u8>, size: usize) -> Result<Vec<u8>, String> {
    let (data, trailer) = raw
        .split_at_checked(size)
        .and_then(|(data, trailer)| Some((data, trailer.first_chunk::<BLOCK_TRAILER_BYTES>()?)))
        .ok_or("it is cut short")?;
    let [kind, sum @ ..] = *trailer;
    if checksum(&[data, &[kind]]) != u32::from_le_bytes(sum) {
        return Err("its checksum is wrong".to_owned());
    }
    match kind {
        0 => {
            raw.truncate(size);
            Ok(raw)
        }
        1 => {
            let length = snap::raw::decompress_len(data).map_err(|error| error.to_string())?;
            if length > BLOCK_BYTES_MAX {
                return Err("it is larger than any that is written".to_owned());
            }
            snap::raw::Decoder::new()
                .decompress_vec(data)
                .map_err(|error| error.to_string())
        }
        kind => Err(format!("its compression {kind} is not known")),
    }
}

/// The entries of a block, one after the other.
#[derive(Debug)]
struct Walk {
    block: Rc<[u8]>,
    at: usize,
    end: usize,
    /// Of the last entry; the next one says how much of it stays.
    key: Vec<u8>,
    value: std::ops::Range<usize>,
}

impl Walk {
    fn new(block: Rc<[u8]>) -> Option<Self> {
        // Behind the entries: where keys stand whole, and how many such places there are.
        let restarts = usize::try_from(u32::from_le_bytes(*block.last_chunk::<4>()?)).ok()?;
        let end = block
            .len()
            .checked_sub(restarts.checked_add(1)?.checked_mul(4)?)?;
        Some(Self {
            block,
            at: 0,
            end,
            key: Vec::new(),
            value: 0..0,
        })
    }

    /// The next entry; `Err` where it is none.
    fn next(&mut self) -> Result<bool, ()> {
        if self.at >= self.end {
            return Ok(false);
        }
        self.step().map(|()| true).ok_or(())
    }

    fn step(&mut self) -> Option<()> {
        let mut bytes = Bytes(self.block.get(self.at..self.end)?);
        let shared = bytes.size()?;
        let rest = bytes.size()?;
        let size = bytes.size()?;
        let rest = bytes.take(rest)?;
        bytes.take(size)?;
        if shared > self.key.len() {
            return None;
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(rest);
        if self.key.len() > KEY_BYTES_MAX + TRAILER_BYTES {
            return None;
        }
        self.at = self.end - bytes.0.len();
        self.value = self.at - size..self.at;
        Some(())
    }

    fn value(&self) -> &[u8] {
        self.block.get(self.value.clone()).unwrap_or_default()
    }

    /// The entry's key, number and kind.
    fn internal(&self) -> Option<(&[u8], u64, u8)> {
        let (key, trailer) = self.key.split_last_chunk::<TRAILER_BYTES>()?;
        let trailer = u64::from_le_bytes(*trailer);
        Some((key, trailer >> 8, trailer.to_le_bytes()[0]))
    }
}

/// The entries of a table from a key on.
#[derive(Debug)]
pub(super) struct Entries {
    table: Rc<Table>,
    index: Walk,
    block: Option<Walk>,
    from: Vec<u8>,
}

impl Entries {
    pub(super) fn from(table: Rc<Table>, key: &[u8]) -> Result<Self, LevelDbError> {
        let index = Walk::new(Rc::clone(&table.index))
            .ok_or_else(|| table.damaged("its index is no block"))?;
        Ok(Self {
            table,
            index,
            block: None,
            from: key.to_vec(),
        })
    }

    /// The next entry; of equal keys the newest first.
    pub(super) fn next(&mut self) -> Result<Option<Found>, LevelDbError> {
        loop {
            let damaged = |()| self.table.damaged("an entry of a block is none");
            let Some(block) = &mut self.block else {
                if !self.next_block()? {
                    return Ok(None);
                }
                continue;
            };
            if !block.next().map_err(damaged)? {
                self.block = None;
                continue;
            }
            let (key, sequence, kind) = block
                .internal()
                .filter(|(_, _, kind)| *kind <= 1)
                .ok_or(())
                .map_err(damaged)?;
            if key < self.from.as_slice() {
                continue;
            }
            let value = (kind == 1).then(|| block.value().to_vec());
            return Ok(Some(Found {
                key: key.to_vec(),
                written: Written { sequence, value },
            }));
        }
    }

    /// Opens the next block that may hold what is looked for.
    fn next_block(&mut self) -> Result<bool, LevelDbError> {
        let damaged = |()| self.table.damaged("an entry of its index is none");
        loop {
            if !self.index.next().map_err(damaged)? {
                return Ok(false);
            }
            // The key of the index is not below any of the block.
            let (last, _, _) = self.index.internal().ok_or(()).map_err(damaged)?;
            if last >= self.from.as_slice() {
                break;
            }
        }
        let handle = Handle::read(&mut Bytes(self.index.value()))
            .ok_or(())
            .map_err(damaged)?;
        let block = Walk::new(self.table.block(handle)?);
        let at = handle.offset;
        let none = || {
            self.table
                .damaged(format!("the block at byte {at} is none"))
        };
        self.block = Some(block.ok_or_else(none)?);
        Ok(true)
    }
}
