//! Taking a block off exactly: what every key it touched held before (`proto/blocks.md`,
//! section 10, which lists what the reference does not restore).
//!
//! Kept for the newest [`KEPT`] blocks, more than fork protection lets anybody take off. Deeper
//! down the indexes are built again from the blocks.

use super::{LedgerError, keys};
use crate::core::state::{Batch, Pool, View};
use crate::core::wire::cursor::Cursor;
use crate::core::wire::varint;

/// For how many of the newest blocks undo data is kept.
pub const KEPT: u64 = 128;

const VERSION: u8 = 1;
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

fn pack_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    varint::pack_into(u64::try_from(bytes.len()).unwrap_or(u64::MAX), out);
    out.extend_from_slice(bytes);
}

/// Whether before a block its entries of a pool are never there: what it is, unlike the indexes, is
/// there already when the indexes are built again from it.
fn is_of_the_block(pool: Pool) -> bool {
    matches!(pool, Pool::Blocks | Pool::BlockDigest)
}

/// What an entry takes up, about: pool, key, mark and, of few, a value.
const ROOM: usize = 96;

/// Undo data under way.
#[derive(Debug)]
pub(super) struct Data(Vec<u8>);

impl Data {
    /// None yet.
    pub(super) fn with_room_for(entries: usize) -> Self {
        let mut bytes = Vec::with_capacity(1 + entries.saturating_mul(ROOM));
        bytes.push(VERSION);
        Self(bytes)
    }

    /// Adds what a key held before. Keys are added in the order of pool and key.
    pub(super) fn add(&mut self, pool: Pool, key: &[u8], before: Option<&[u8]>) {
        self.0.push(pool.prefix());
        pack_bytes(key, &mut self.0);
        match before {
            None => self.0.push(ABSENT),
            Some(value) => {
                self.0.push(PRESENT);
                pack_bytes(value, &mut self.0);
            }
        }
    }

    /// Adds it to the batch of its block, and drops what is too old.
    pub(super) fn put(self, number: u64, batch: &mut Batch) {
        batch.put(Pool::Undo, keys::block(number), self.0);
        if let Some(old) = number.checked_sub(KEPT) {
            batch.delete(Pool::Undo, keys::block(old));
        }
    }
}

/// The batch that takes a block off.
pub(super) fn batch(view: &dyn View, number: u64) -> Result<Batch, LedgerError> {
    let key = keys::block(number);
    let before = view.get(Pool::Undo, &key)?.ok_or_else(|| {
        LedgerError::Damaged(format!("what block {number} changed is not kept any more"))
    })?;
    let mut batch = parse(&before)
        .ok_or_else(|| LedgerError::Damaged(format!("the undo data of block {number}")))?;
    batch.delete(Pool::Undo, key);
    Ok(batch)
}

fn parse(bytes: &[u8]) -> Option<Batch> {
    const MOST: u64 = u32::MAX as u64;
    let mut cursor = Cursor::new(bytes);
    if cursor.byte()? != VERSION {
        return None;
    }
    let mut batch = Batch::new();
    while cursor.remaining() > 0 {
        let prefix = cursor.byte()?;
        let pool = Pool::ALL.into_iter().find(|pool| pool.prefix() == prefix)?;
        let key = cursor.field(0, MOST)?;
        match cursor.byte()? {
            ABSENT => batch.delete(pool, key),
            PRESENT => {
                let value = cursor.field(0, MOST)?;
                if is_of_the_block(pool) {
                    batch.delete(pool, key);
                } else {
                    batch.put(pool, key, value);
                }
            }
            _ => return None,
        }
    }
    Some(batch)
}
