//! The record format of the log and of the list of files: blocks of 32 KiB with pieces of records,
//! each with a checksum. Reading alone; a record that is cut short or damaged is an error, so that
//! no entry is ever lost silently.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::{Bytes, LOG_BYTES_MAX, LevelDbError, checksum};

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Hands over each record of a file, in order.
pub(super) fn read(
    path: &Path,
    take: &mut dyn FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), LevelDbError> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => LevelDbError::damaged(path, "the file is missing"),
        _ => LevelDbError::io(path, error),
    })?;
    let mut records = Records { begun: None, take };
    let mut block = vec![0; BLOCK_BYTES];
    let mut at = 0_u64;
    loop {
        let have = fill(&mut file, &mut block).map_err(|error| LevelDbError::io(path, error))?;
        let bytes = block.get(..have).unwrap_or_default();
        records.block(bytes).map_err(|why| {
            LevelDbError::damaged(path, format!("{why}, in the 32 KiB from byte {at}"))
        })?;
        at += have as u64;
        if have < BLOCK_BYTES {
            break;
        }
    }
    if records.begun.is_some() {
        return Err(LevelDbError::damaged(
            path,
            "it ends in the middle of a record",
        ));
    }
    Ok(())
}

/// Reads until the block is full or the file ends.
fn fill(file: &mut File, block: &mut [u8]) -> std::io::Result<usize> {
    let mut have = 0;
    while let Some(rest) = block.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

struct Records<'a> {
    /// The record that goes on in the next piece.
    begun: Option<Vec<u8>>,
    take: &'a mut dyn FnMut(&[u8]) -> Result<(), String>,
}

impl Records<'_> {
    fn block(&mut self, block: &[u8]) -> Result<(), String> {
        let mut bytes = Bytes(block);
        while !bytes.0.is_empty() {
            let used = block.len() - bytes.0.len();
            if BLOCK_BYTES - used < HEADER_BYTES {
                // No header fits behind the last piece of a block: zeros.
                return if bytes.0.iter().all(|byte| *byte == 0) {
                    Ok(())
                } else {
                    Err("what fills up a block is not zero".to_owned())
                };
            }
            let mut piece = || {
                let sum = u32::from_le_bytes(bytes.array()?);
                let size = u16::from_le_bytes(bytes.array()?);
                let [kind] = bytes.array()?;
                Some((sum, kind, bytes.take(size.into())?))
            };
            let (sum, kind, data) = piece().ok_or("a piece of a record is cut short")?;
            if checksum(&[&[kind], data]) != sum {
                return Err("a checksum is wrong".to_owned());
            }
            self.piece(kind, data)?;
        }
        Ok(())
    }

    fn piece(&mut self, kind: u8, data: &[u8]) -> Result<(), String> {
        match (kind, self.begun.take()) {
            (FULL, None) => (self.take)(data),
            (FIRST, None) => {
                self.begun = Some(data.to_vec());
                Ok(())
            }
            (MIDDLE | LAST, Some(mut record)) => {
                record.extend_from_slice(data);
                if record.len() > LOG_BYTES_MAX {
                    Err("a record is longer than any that is written".to_owned())
                } else if kind == LAST {
                    (self.take)(&record)
                } else {
                    self.begun = Some(record);
                    Ok(())
                }
            }
            _ => Err("the pieces of a record are out of order".to_owned()),
        }
    }
}
