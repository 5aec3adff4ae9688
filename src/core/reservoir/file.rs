//! The reference's file of pending and verified records (`proto/reservoir.md`, section 12), so
//! that a node can be moved between the two. The pools of ours are in the store and need no file.
//!
//! A file is written only by who has read the one that was there. What the file can not hold
//! (payments, lives, sets without their first member) is not in it. Reading and writing bytes
//! alone; the disk is somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::confirmed::Confirmed;
use super::relay;
use super::set::Set;
use super::{Command, Effect, Reservoir};
use crate::core::id::{PayId, TxId};
use crate::core::mining::proof::ClientNonce;
use crate::core::record::Record;
use crate::core::state::StoreFault;
use crate::core::time::Now;
use crate::core::wire::cursor::Cursor;

use super::peer::{split_records, unpack_issues, unpack_transfer};

/// Why a file is not read or written, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FileError {
    /// It is not there.
    #[error("no such file or directory")]
    Missing,
    /// Nothing was read yet.
    #[error("can not backup data before initialisation")]
    BackupBeforeRestore,
    /// It was read already.
    #[error("can not recover data more than once")]
    RestoredTwice,
    /// One byte of a length.
    #[error("read record key count: read: {0}, expected: 2")]
    LengthCutShort(usize),
    /// Less data than announced.
    #[error("read record read: {0}, expected: {1}")]
    DataCutShort(usize, usize),
    /// More than a length of two bytes can say.
    #[error("record of {0} bytes is too long")]
    TooLong(usize),
    /// The store can not be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// Records that are told one by one: of all others only how many they are.
pub const TOLD_MAX: u64 = 10;

/// A record of the file: its letter and its data.
type Entry<'a> = (u8, &'a [u8]);

/// The file, of which is remembered whether it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheFile {
    restored: bool,
    counts: Counts,
}

/// What became of one record.
enum Outcome {
    Taken,
    Present,
    Refused(super::Refusal),
}

/// What became of the records of a file; proofs count with what they prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Assets, issue sets and transfers that are in the pools now.
    pub taken: u64,
    /// Issue sets and transfers that were there before.
    pub present: u64,
    /// Those that were passed over, and proofs that are none.
    pub refused: u64,
}

impl CacheFile {
    /// Puts what the file holds into the pools; records before a fault stay, records that are
    /// not valid are passed over, the first [`TOLD_MAX`] and the number of the others are told.
    /// `None` stands for a file that is not there.
    ///
    /// # Errors
    /// The first fault of the file.
    pub fn restore(
        &mut self,
        file: Option<&[u8]>,
        now: Now,
        reservoir: &mut Reservoir,
        confirmed: &Confirmed<'_>,
        out: &mut Vec<Effect>,
    ) -> Result<(), FileError> {
        if std::mem::replace(&mut self.restored, true) {
            return Err(FileError::RestoredTwice);
        }
        let mut cursor = Cursor::new(file.ok_or(FileError::Missing)?);
        reservoir.begin(now);
        let result = loop {
            match entry(&mut cursor) {
                Ok(Some((letter, data))) => {
                    match reservoir.restore_entry(letter, data, confirmed) {
                        Outcome::Taken if matches!(letter, b'A' | b'I' | b'T') => {
                            self.counts.taken += 1;
                        }
                        Outcome::Taken => {}
                        Outcome::Present => self.counts.present += 1,
                        Outcome::Refused(refusal) => {
                            self.counts.refused += 1;
                            if self.counts.refused <= TOLD_MAX {
                                reservoir.effects.push(Effect::Log(format!(
                                    "a record {} of the file is passed over: {refusal}",
                                    char::from(letter).escape_default()
                                )));
                            }
                        }
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if let Some(more @ 1..) = self.counts.refused.checked_sub(TOLD_MAX) {
            let text = format!("and {more} more records of the file are passed over");
            reservoir.effects.push(Effect::Log(text));
        }
        reservoir.finish(out);
        result
    }

    /// What became of the records that were read.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The file that holds the pools.
    ///
    /// # Errors
    /// [`FileError::BackupBeforeRestore`], or a record that no such file can hold.
    pub fn backup(self, reservoir: &Reservoir) -> Result<Vec<u8>, FileError> {
        if !self.restored {
            return Err(FileError::BackupBeforeRestore);
        }
        let mut assets = Vec::new();
        let mut rest = Vec::new();
        for verified in [false, true] {
            let sets = reservoir.pools.sets.iter();
            for (pay_id, set) in sets.filter(|(_, set)| set.verified.is_some() == verified) {
                if set.members.first().is_none_or(|first| first.confirmed) {
                    continue;
                }
                for id in set.assets() {
                    if let Some(asset) = reservoir.pools.assets.get(&id)
                        && !assets.contains(&asset.packed)
                    {
                        assets.push(asset.packed.clone());
                    }
                }
                rest.extend(records_of(pay_id, set));
            }
        }
        let mut file = Vec::new();
        for asset in assets {
            put(b'A', &asset, &mut file)?;
        }
        for (letter, data) in rest {
            put(letter, &data, &mut file)?;
        }
        Ok(file)
    }
}

/// The next record; nothing at an end that the reference takes for one.
fn entry<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Entry<'a>>, FileError> {
    let Some(letter) = cursor.byte() else {
        return Ok(None);
    };
    let length = match cursor.remaining() {
        0 => return Ok(None),
        1 => return Err(FileError::LengthCutShort(1)),
        _ => cursor.array().map_or(0, u16::from_be_bytes),
    };
    let (left, length) = (cursor.remaining(), usize::from(length));
    match cursor.take(length) {
        Some(data) => Ok(Some((letter, data))),
        None if left == 0 => Ok(None),
        None => Err(FileError::DataCutShort(left, length)),
    }
}

fn put(letter: u8, data: &[u8], file: &mut Vec<u8>) -> Result<(), FileError> {
    let length = u16::try_from(data.len()).map_err(|_| FileError::TooLong(data.len()))?;
    file.push(letter);
    file.extend_from_slice(&length.to_be_bytes());
    file.extend_from_slice(data);
    Ok(())
}

fn records_of(pay_id: &PayId, set: &Set) -> Vec<(u8, Vec<u8>)> {
    let messages = relay::messages(pay_id, set, &BTreeMap::new());
    messages
        .into_iter()
        .filter_map(|(command, data)| match command {
            Command::Assets => None,
            Command::Issues => Some((b'I', data)),
            Command::Transfer => Some((b'T', data)),
            Command::Proof => Some((b'P', data)),
        })
        .collect()
}

impl Reservoir {
    /// Whether all of these records are in the pools.
    fn is_here(&self, data: &[u8], testing: bool) -> bool {
        let records = split_records(data, testing).unwrap_or_default();
        let is_here = |record: &&[u8]| self.pools.has_member(&TxId::of(record));
        !records.is_empty() && records.iter().all(is_here)
    }

    /// Takes an entry, or says why it is of no use.
    fn restore_entry(&mut self, letter: u8, data: &[u8], confirmed: &Confirmed<'_>) -> Outcome {
        let testing = confirmed.chain().testing;
        if matches!(letter, b'I' | b'T') && self.is_here(data, testing) {
            return Outcome::Present;
        }
        let result = match letter {
            b'A' => Record::unpack(data, testing)
                .map_err(Into::into)
                .and_then(|(record, _)| match record {
                    Record::AssetData(asset) => {
                        self.cache_asset(asset, None, &BTreeSet::new(), confirmed)
                    }
                    _ => Err(super::Refusal::NotAnAsset),
                })
                .map(|_| ()),
            b'I' => unpack_issues(data, testing)
                .and_then(|issues| {
                    let issues = issues.into_iter().map(Some).collect();
                    self.store_issues(issues, None, confirmed)
                })
                .map(|_| ()),
            b'T' => unpack_transfer(data, testing)
                .and_then(|record| self.store_transfer(&record, None, confirmed))
                .map(|_| ()),
            b'P' => match data.split_first_chunk() {
                Some((pay_id, nonce)) if !nonce.is_empty() => {
                    ClientNonce::new(nonce).map_err(Into::into).map(|nonce| {
                        self.try_proof(&PayId(*pay_id), nonce, confirmed);
                    })
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        };
        match result {
            Ok(()) => Outcome::Taken,
            Err(refusal) => Outcome::Refused(refusal),
        }
    }
}
